"""Zato's names for types."""

from __future__ import annotations

import dataclasses
import datetime
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Optional, Union


def _field_factory(make: Callable[[], Any]) -> Callable[[], Any]:
    """A factory of dataclass fields with an empty default: `names: strlist = list_field()`."""
    return lambda: dataclasses.field(default_factory=make)


NAMES: dict[str, Any] = {
    "any_": Any,
    "anydict": dict[str, Any],
    "anydictnone": Optional[dict[str, Any]],
    "anylist": list[Any],
    "anylistnone": Optional[list[Any]],
    "anynone": Optional[Any],
    "anyset": set[Any],
    "anytuple": tuple[Any, ...],
    "boolnone": Optional[bool],
    "bytesnone": Optional[bytes],
    "callable_": Callable[..., Any],
    "callnone": Optional[Callable[..., Any]],
    "cast_": typing.cast,
    "date_": datetime.date,
    "datetime_": datetime.datetime,
    "datetimez": datetime.datetime,
    "dict_": dict,
    "dict_field": _field_factory(dict),
    "dictlist": list[dict[str, Any]],
    "dictnone": Optional[dict[str, Any]],
    "dtnone": Optional[datetime.datetime],
    "floatlist": list[float],
    "floatnone": Optional[float],
    "generator_": typing.Generator,
    "hashable_": Hashable,
    "intdict": dict[int, int],
    "intlist": list[int],
    "intlistnone": Optional[list[int]],
    "intnone": Optional[int],
    "intset": set[int],
    "isotimestamp": datetime.datetime,
    "iterable_": Iterable,
    "iterator_": Iterator,
    "list_": list,
    "list_field": _field_factory(list),
    "listnone": Optional[list[Any]],
    "literal_": typing.Literal,
    "module_": types.ModuleType,
    "noreturn": typing.NoReturn,
    "optional": Optional,
    "set_": set,
    "set_field": _field_factory(set),
    "strdict": dict[str, str],
    "strdictnone": Optional[dict[str, str]],
    "strintdict": dict[str, int],
    "strlist": list[str],
    "strlistdict": dict[str, list[str]],
    "strlistnone": Optional[list[str]],
    "strnone": Optional[str],
    "strset": set[str],
    "stranydict": dict[str, Any],
    "tuple_": tuple,
    "type_": type,
    "typevar_": typing.TypeVar,
    "union_": Union,
}
