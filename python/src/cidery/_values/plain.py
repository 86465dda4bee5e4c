"""Conversion of any Python object to a plain value: dicts, lists and scalars.

An object that cannot be converted raises a `TypeError` with its path; nothing becomes null
silently.
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

from cidery._values.json_pointer import join_pointer
from cidery._values.later import Later

MAX_DEPTH = 32

_PLAIN_SCALARS = (str, int, float, bool, type(None), bytes, decimal.Decimal)
_PLAIN_TYPES = frozenset(_PLAIN_SCALARS)
_NOT_SERIALIZABLE = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    Iterator,
    Later,
)


def to_plain(value: Any) -> Any:
    """Converts an object to dicts, lists, strings, numbers, booleans, bytes and `None`."""
    return _to_plain(value, "", ())


def _to_plain(value: Any, path: str, ancestors: tuple[int, ...]) -> Any:
    if type(value) in _PLAIN_TYPES:
        return value
    # A dict is never a scalar: skips those checks.
    scalar = None if isinstance(value, dict) else _scalar(value)
    if scalar is not None:
        return scalar[0]
    if id(value) in ancestors:
        raise TypeError(f"{_location(path)} contains itself")
    if len(ancestors) >= MAX_DEPTH:
        raise TypeError(f"{_location(path)} is nested deeper than {MAX_DEPTH} dicts and lists")
    ancestors = (*ancestors, id(value))
    members = _members(value, path)
    if isinstance(members, list):
        return [_to_plain(item, f"{path}/{i}", ancestors) for i, item in enumerate(members)]
    plain_dict = {}
    for key, item in members.items():
        if isinstance(key, enum.Enum):
            key = key.value
        if not isinstance(key, str):
            raise TypeError(f"{_location(path)} has the key {key!r}, which is not text")
        if type(item) not in _PLAIN_TYPES:
            item = _to_plain(item, join_pointer(path, key), ancestors)
        plain_dict[str(key)] = item
    return plain_dict


def _scalar(value: Any) -> tuple[Any] | None:
    """Converts a scalar to a plain one, in a tuple since it may be `None`; `None` for others."""
    if isinstance(value, enum.Enum):
        return (_to_plain(value.value, "", ()),)
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


def _members(value: Any, path: str) -> Mapping[Any, Any] | list[Any]:
    """One level of an object: its items or its fields."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, types.CoroutineType):
        # It will not be awaited: without this, Python warns about it where it is collected.
        value.close()
        raise TypeError(
            f"{_location(path)} is a coroutine, not its result: did you forget `await`?"
        )
    if isinstance(value, _NOT_SERIALIZABLE):
        raise TypeError(f"{_location(path)} is {_type_of(value)}, which cannot be serialized")
    if isinstance(getattr(value, "_mapping", None), Mapping):
        # A row of SQLAlchemy, which is also a sequence of its values.
        return dict(value._mapping)
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
            # Aliases of a pydantic model are the names on the wire.
            is_pydantic = method == "model_dump" and hasattr(type(value), "model_fields")
            members = getattr(value, method)(**({"by_alias": True} if is_pydantic else {}))
            if not isinstance(members, Mapping):
                raise TypeError(
                    f"{_location(path)}: `{method}()` of {_type_of(value)} is not a dict"
                )
            return members
    return _public_attributes(value, path)


def _public_attributes(value: Any, path: str) -> Mapping[str, Any]:
    names = list(getattr(value, "__dict__", {}))
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    attributes = {
        name: getattr(value, name)
        for name in names
        if not name.startswith("_") and hasattr(value, name)
    }
    if not attributes and type(value).__module__ == "builtins":
        raise TypeError(f"{_location(path)} is {_type_of(value)}, which cannot be serialized")
    if not attributes and not hasattr(value, "__dict__"):
        raise TypeError(f"{_location(path)} is {_type_of(value)}, which cannot be serialized")
    return attributes


def _type_of(value: Any) -> str:
    return f"of type `{type(value).__qualname__}`"


def _location(path: str) -> str:
    return f"`{path}`" if path else "the payload"
