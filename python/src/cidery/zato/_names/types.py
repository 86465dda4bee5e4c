"""Zato's names for types: all of `zato.common.typing_`."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Optional, Union


def _field_factory(make: Callable[[], Any]) -> Callable[[], Any]:
    """A factory of dataclass fields with an empty default: `names: strlist = list_field()`."""
    return lambda: dataclasses.field(default_factory=make)


def _instance_from_dict(cls: Any, data: dict[str, Any]) -> Any:
    """An instance of a class without constructor arguments, with these attributes."""
    instance = cls()
    for name, value in data.items():
        setattr(instance, name, value)
    return instance


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (Union, types.UnionType)


def _extract_from_union(hint: Any) -> tuple[Any, Any, Any]:
    """All members of a union, its first one, and its second one."""
    members = typing.get_args(hint)
    return members, members[0], members[1]


NAMES: dict[str, Any] = {
    **{name: getattr(dataclasses, name) for name in dataclasses.__all__},
    "Protocol": typing.Protocol,
    "TypedDict": typing.TypedDict,
    "any_": Any,
    "anydict": dict[str, Any],
    "anydictnone": Optional[dict[str, Any]],
    "anylist": list[Any],
    "anylistnone": Optional[list[Any]],
    "anynone": Optional[Any],
    "anyset": set[Any],
    "anytuple": tuple[Any, ...],
    "binaryio_": typing.BinaryIO,
    "boolnone": Optional[bool],
    "byteslist": list[bytes],
    "bytesnone": Optional[bytes],
    "callable_": Callable[..., Any],
    "callable_none": Optional[Callable[..., Any]],
    "callnone": Optional[Callable[..., Any]],
    "cast_": typing.cast,
    "commondict": dict[str, Any],
    "commoniter": Union[list[Any], tuple[Any, ...]],
    "date_": datetime.date,
    "datelist": list[datetime.date],
    "datetime_": datetime.datetime,
    "datetimez": datetime.datetime,
    "decimal_": decimal.Decimal,
    "decimalnone": Optional[decimal.Decimal],
    "dict_": dict,
    "dict_field": _field_factory(dict),
    "dictlist": list[dict[str, Any]],
    "dictnone": Optional[dict[str, Any]],
    "dictorlist": Union[dict[str, Any], list[Any]],
    "dtlist": list[datetime.datetime],
    "dtnone": Optional[datetime.datetime],
    "extract_from_union": _extract_from_union,
    "floatdict": dict[str, float],
    "floatlist": list[float],
    "floatnone": Optional[float],
    "from_dict": _instance_from_dict,
    "generator_": typing.Generator,
    "hashable_": Hashable,
    "instance_from_dict": _instance_from_dict,
    "intanydict": dict[int, Any],
    "intdict": dict[int, int],
    "intdictdict": dict[int, dict[str, Any]],
    "intlist": list[int],
    "intlistempty": list[Optional[int]],
    "intlistnone": Optional[list[int]],
    "intnone": Optional[int],
    "intset": set[int],
    "intsetdict": dict[int, set[Any]],
    "intstrdict": dict[int, str],
    "iobytes_": typing.IO[bytes],
    "iostr_": typing.IO[str],
    "is_union": _is_union,
    "isotimestamp": datetime.datetime,
    "iterable_": Iterable,
    "iterator_": Iterator,
    "list_": list,
    "list_field": _field_factory(list),
    "listnone": Optional[list[Any]],
    "listorstr": Union[list[Any], str],
    "literal_": typing.Literal,
    "module_": types.ModuleType,
    "noreturn": typing.NoReturn,
    "optional": Optional,
    "protocol_": typing.Protocol,
    "set_": set,
    "set_field": _field_factory(set),
    "setnone": Optional[set[Any]],
    "str_": str,
    "stranydict": dict[str, Any],
    "strbool": Union[str, bool],
    "strbooldict": dict[str, bool],
    "strbytes": Union[str, bytes],
    "strcalldict": dict[str, Callable[..., Any]],
    "strdict": dict[str, str],
    "strdictdict": dict[str, dict[str, Any]],
    "strdictlist": list[dict[str, Any]],
    "strdictnone": Optional[dict[str, str]],
    "strdtdict": dict[str, datetime.datetime],
    "strfloat": Union[str, float],
    "strint": Union[str, int],
    "strintbool": Union[str, int, bool],
    "strintdict": dict[str, int],
    "strintnone": Union[str, int, None],
    "strlist": list[str],
    "strlistdict": dict[str, list[str]],
    "strlistempty": list[Optional[str]],
    "strlistnone": Optional[list[str]],
    "strnone": Optional[str],
    "strordict": Union[str, dict[str, Any]],
    "strordictnone": Union[str, dict[str, Any], None],
    "strorfloat": Union[str, float],
    "strorint": Union[str, int],
    "strorlist": Union[str, list[Any]],
    "strorlistnone": Union[str, list[Any], None],
    "strset": set[str],
    "strsetdict": dict[str, set[Any]],
    "strstrdict": dict[str, str],
    "strtuple": tuple[str, ...],
    "textio_": typing.TextIO,
    "textionone": Optional[typing.TextIO],
    "tuple_": tuple,
    "tupnone": Optional[tuple[Any, ...]],
    "type_": type,
    "typealias_": Any,
    "typevar_": typing.TypeVar,
    "union_": Union,
}
