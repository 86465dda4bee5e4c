"""Any Python object as a payload: what it is made of, as dicts, lists and scalars.

What cannot be carried is a `TypeError` that names the path to it; nothing is turned into null.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import numbers
import types
import uuid
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from cidery._values.json_pointer import segment
from cidery._values.later import Later

MAX_DEPTH = 32

_AS_THEY_ARE = (str, int, float, bool, type(None), bytes, decimal.Decimal)
_EXACT = frozenset(_AS_THEY_ARE)
_NO_DATA = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    Iterator,
    Later,
)


def plain(value: Any) -> Any:
    """The value as dicts, lists, texts, numbers, booleans, bytes and `None`."""
    return _plain(value, "", ())


def _plain(value: Any, path: str, above: tuple[int, ...]) -> Any:
    if type(value) in _EXACT:
        return value
    # What is a dict is no scalar: it need not be asked about all of those.
    simple = None if isinstance(value, dict) else _simple(value)
    if simple is not None:
        return simple[0]
    if id(value) in above:
        raise TypeError(f"{_at(path)} contains itself")
    if len(above) >= MAX_DEPTH:
        raise TypeError(f"{_at(path)} is nested deeper than {MAX_DEPTH} dicts and lists")
    above = (*above, id(value))
    made_of = _made_of(value, path)
    if isinstance(made_of, list):
        return [_plain(item, f"{path}/{i}", above) for i, item in enumerate(made_of)]
    plain_dict = {}
    for key, item in made_of.items():
        if isinstance(key, enum.Enum):
            key = key.value
        if not isinstance(key, str):
            raise TypeError(f"{_at(path)} has the key {key!r}, which is not text")
        if type(item) not in _EXACT:
            item = _plain(item, segment(path, key), above)
        plain_dict[str(key)] = item
    return plain_dict


def _simple(value: Any) -> tuple[Any] | None:
    """A scalar that is not one already; in a tuple, since it may be `None`."""
    if isinstance(value, enum.Enum):
        return (_plain(value.value, "", ()),)
    if isinstance(value, (datetime.date, datetime.time)):
        return (value.isoformat(),)
    if isinstance(value, uuid.UUID):
        return (str(value),)
    if isinstance(value, (bytearray, memoryview)):
        return (bytes(value),)
    for kind in (str, int, float, bytes):
        if isinstance(value, kind):
            exact: Any = kind
            return (exact(value),)
    if isinstance(value, numbers.Integral):
        return (int(value),)
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Rational):
        return (float(value),)
    return None


def _made_of(value: Any, path: str) -> Mapping[Any, Any] | list[Any]:
    """One level of an object: what it is made of."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, _NO_DATA):
        raise TypeError(f"{_at(path)} is {_named(value)}, which cannot be carried")
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: getattr(value, name) for name in value._fields}
    if isinstance(value, Collection) and not hasattr(value, "to_dict"):
        return list(value)
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {f.name: getattr(value, f.name) for f in fields if hasattr(value, f.name)}
    if hasattr(type(value), "__attrs_attrs__"):
        return {a.name: getattr(value, a.name) for a in type(value).__attrs_attrs__}
    for method in ("to_dict", "model_dump"):
        if callable(getattr(value, method, None)):
            # Whoever gives a field another name means it for what is sent.
            is_pydantic = method == "model_dump" and hasattr(type(value), "model_fields")
            made_of = getattr(value, method)(**({"by_alias": True} if is_pydantic else {}))
            if not isinstance(made_of, Mapping):
                raise TypeError(f"{_at(path)}: `{method}()` of {_named(value)} is not a dict")
            return made_of
    return _public(value, path)


def _public(value: Any, path: str) -> Mapping[str, Any]:
    names = list(getattr(value, "__dict__", {}))
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    public = {
        name: getattr(value, name)
        for name in names
        if not name.startswith("_") and hasattr(value, name)
    }
    if not public and type(value).__module__ == "builtins":
        raise TypeError(f"{_at(path)} is {_named(value)}, which cannot be carried")
    if not public and not hasattr(value, "__dict__"):
        raise TypeError(f"{_at(path)} is {_named(value)}, which cannot be carried")
    return public


def _named(value: Any) -> str:
    return f"of type `{type(value).__qualname__}`"


def _at(path: str) -> str:
    return f"`{path}`" if path else "the payload"
