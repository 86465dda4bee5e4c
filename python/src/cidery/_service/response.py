"""`self.response`: the response of a handler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cidery._sio.declaration import Elements
from cidery._sio.element import Type
from cidery._values.later import Later
from cidery._values.plain import to_plain


class UndeclaredElement(AttributeError, KeyError):
    """An output that is not declared, or not set: as an attribute and as an item."""

    __str__ = AttributeError.__str__


class ResponsePayload:
    """A response that is built by attributes, items and rows.

    Without a declared output, reading a missing attribute creates it when it is filled:
    `payload.a.b = 1` builds `{"a": {"b": 1}}`. With one, undeclared names are refused.
    """

    __slots__ = ("_attach", "_data", "_declared", "_rows")

    def __init__(self, declared: Elements | None = None, attach: Any = None) -> None:
        object.__setattr__(self, "_data", {})
        object.__setattr__(self, "_rows", None)
        object.__setattr__(self, "_declared", declared)
        object.__setattr__(self, "_attach", attach)

    def __setattr__(self, name: str, value: Any) -> None:
        self._check(name)
        self._set(name, value)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, slice):
            rows = self._list()
            rows[key] = list(value)
            return
        self._check(key)
        self._set(key, value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._get(name)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, slice)):
            return self._list()[key]
        return self._get(key)

    def __delitem__(self, key: str) -> None:
        del self._data[key]

    def __contains__(self, key: object) -> bool:
        return key in (self._data if self._rows is None else self._rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._data if self._rows is None else self._rows)

    def __len__(self) -> int:
        return len(self._data if self._rows is None else self._rows)

    def __eq__(self, other: object) -> bool:
        return bool(self.contents() == other)

    def __repr__(self) -> str:
        return f"ResponsePayload({self.contents()!r})"

    def append(self, row: Any) -> None:
        """Appends a row: the output is a list."""
        self._list().append(row)

    def extend(self, rows: Any) -> None:
        """Appends rows."""
        self._list().extend(rows)

    def update(self, *values: Mapping[str, Any], **more: Any) -> None:
        """Sets several keys."""
        for mapping in (*values, more):
            for key, value in mapping.items():
                self._set(key, value)

    def contents(self) -> Any:
        """The content: a dict, or a list if rows were appended."""
        if self._rows is not None:
            return self._rows
        return {
            key: value.contents() if isinstance(value, ResponsePayload) else value
            for key, value in self._data.items()
        }

    to_dict = contents

    def _names(self) -> list[str] | None:
        declared = self._declared
        return None if declared is None else [element.name for element in declared.elements]

    def _check(self, name: str) -> None:
        names = self._names()
        if names is not None and name not in names:
            raise UndeclaredElement(f"no such output element `{name}` among {names}")

    def _set(self, name: str, value: Any) -> None:
        self._data[name] = value
        attach = self._attach
        if attach is not None:
            # Attaches itself to its parent: only reading it does not.
            parent, key = attach
            object.__setattr__(self, "_attach", None)
            parent._set(key, self)

    def _get(self, name: str) -> Any:
        if name in self._data:
            return self._data[name]
        self._check(name)
        declared = self._declared
        for element in declared.elements if declared is not None else ():
            if element.name == name and element.kind not in (Type.DICT, Type.AS_IS):
                raise UndeclaredElement(f"output element `{name}` is not set")
        return ResponsePayload(attach=(self, name))

    def _list(self) -> list[Any]:
        if self._rows is None:
            object.__setattr__(self, "_rows", [])
        rows: list[Any] = self._rows
        return rows


class HandlerResponse:
    """The response of a handler: its payload and its metadata."""

    def __init__(self, declared: Elements | None = None) -> None:
        self._declared = declared
        self._payload: Any = ResponsePayload(declared)
        self._is_set = False
        self.metadata: dict[str, str] = {}
        """Metadata that is added to the response."""
        self.data_format: Any = None
        """The format of a response that is text: `csv`, `json`, `text`. Default: a value."""

    @property
    def headers(self) -> dict[str, str]:
        """The metadata."""
        return self.metadata

    @property
    def payload(self) -> Any:
        """The payload: assign it, set its attributes and items, or append to it."""
        return self._payload

    @payload.setter
    def payload(self, value: Any) -> None:
        self._is_set = True
        if isinstance(value, Mapping):
            filled = ResponsePayload(self._declared)
            filled.update(value)
            self._payload = filled
        else:
            self._payload = value

    @property
    def is_later(self) -> bool:
        """Whether the outcome is given later."""
        return isinstance(self._payload, Later)

    def final_payload(self) -> Any:
        """The payload as a plain value, or `Later`; raises a `TypeError` if it has none."""
        value = self._value()
        return value if isinstance(value, Later) else to_plain(value)

    def _value(self) -> Any:
        """The payload, with the declared attributes of objects that have no fields of their own."""
        payload, declared = self._payload, self._declared
        if isinstance(payload, ResponsePayload):
            payload = payload.contents()
            if not payload and declared is not None and declared.is_list:
                return []
        if declared is None or isinstance(payload, dict):
            return payload
        if declared.is_list:
            is_list = isinstance(payload, (list, tuple)) and not hasattr(payload, "_fields")
            return [_declared_attributes(declared, row) for row in payload] if is_list else payload
        return _declared_attributes(declared, payload)


def _declared_attributes(declared: Elements, value: Any) -> Any:
    """The declared attributes of an object that has no fields or conversion of its own."""
    mapping = getattr(value, "_mapping", None)
    if isinstance(mapping, Mapping) and len(mapping) == 1:
        # A row of a database with one entity: `session.execute(select(Customer))`.
        (entity,) = mapping.values()
        value = entity if hasattr(entity, "__dict__") else value
    plain_types = (str, bytes, int, float, list, tuple, dict, Later, type(None))
    if isinstance(value, plain_types) or any(
        hasattr(value, name)
        for name in ("to_dict", "model_dump", "__dataclass_fields__", "__attrs_attrs__", "_mapping")
    ):
        return value
    names = [element.name for element in declared.elements]
    found = {name: getattr(value, name) for name in names if hasattr(value, name)}
    return found or value
