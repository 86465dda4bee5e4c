"""Conversion of validated inputs to Python types, such as `Decimal`, `date` and `UUID`."""

from __future__ import annotations

import base64
import datetime
import decimal
import re
import uuid
from typing import Any

from cidery._sio.declaration import Elements
from cidery._sio.element import Element, Type
from cidery._values.bunch import Bunch

MASK = "***"
"""What stands for a secret in logs."""

_FRACTION_OF_SECOND = re.compile(r"\.(\d+)")


class Input(Bunch):
    """A declared input: a dict with dot access.

    A declared key that is absent reads as `None` by dot, and is absent for `in`, `get` and `[...]`.
    A name that is not declared raises an `AttributeError`. Secrets are masked in its text form.
    """

    __slots__ = ("_declared", "_secrets")
    _declared: frozenset[str]
    _secrets: frozenset[str]

    @classmethod
    def with_declared(
        cls,
        names: frozenset[str],
        values: dict[str, Any],
        secrets: frozenset[str] = frozenset(),
    ) -> Input:
        """Creates an input with the names of its declared elements, and of the secret ones."""
        self = cls(values)
        object.__setattr__(self, "_declared", names)
        object.__setattr__(self, "_secrets", secrets)
        return self

    def __repr__(self) -> str:
        if not self._secrets:
            return super().__repr__()
        return repr({key: MASK if key in self._secrets else item for key, item in self.items()})

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        declared = object.__getattribute__(self, "_declared")
        if name in declared:
            return None
        try:
            return super().__getattr__(name)
        except AttributeError:
            message = f"`{name}` is not declared; the input has {sorted(declared)}"
            raise AttributeError(message) from None

    def __copy__(self) -> Input:
        return Input.with_declared(self._declared, dict(self), self._secrets)

    def __deepcopy__(self, memo: dict[int, Any]) -> Input:
        copied = dict(super().__deepcopy__(memo))
        return Input.with_declared(self._declared, copied, self._secrets)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Input.with_declared, (self._declared, dict(self), self._secrets))


def to_python_types(declared: Elements | None, value: Any) -> Any:
    """Converts a validated input by its declaration."""
    if declared is None:
        return Bunch.of(value)
    if declared.is_list:
        return [_dict(declared.elements, item) for item in value]
    return _dict(declared.elements, value)


def _dict(elements: tuple[Element, ...], value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    names = frozenset(element.name for element in elements)
    secrets = frozenset(element.name for element in elements if element.kind is Type.SECRET)
    values = {}
    for element in elements:
        if element.name in value:
            values[element.name] = _value(element, value[element.name])
    for key, item in value.items():
        if key not in names:
            values[key] = Bunch.of(item)
    return Input.with_declared(names, values, secrets)


def _value(element: Element, value: Any) -> Any:
    if value is None:
        return None
    if element.positions:
        return [_value(*pair) for pair in zip(element.positions, value, strict=True)]
    item = element.each or element.item
    if item is not None and isinstance(value, dict):
        return Bunch((key, _value(item, each)) for key, each in value.items())
    if item is not None and isinstance(value, list):
        return [_value(item, each) for each in value]
    elements = element.contained
    if elements is not None:
        if element.kind is Type.DICT:
            return _dict(elements, value)
        return [_dict(elements, each) for each in value]
    convert = _CONVERTERS.get(element.kind)
    return Bunch.of(value) if convert is None else convert(value)


def _date(text: str) -> Any:
    # Years that `datetime.date` does not support stay strings.
    return datetime.date.fromisoformat(text) if len(text) == 10 else text


def _date_time(text: str) -> datetime.datetime:
    found = _FRACTION_OF_SECOND.search(text)
    micros = int(found[1][:6].ljust(6, "0")) if found else 0
    instant = datetime.datetime.fromisoformat(f"{text[:19]}+00:00")
    return instant.replace(microsecond=micros)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else base64.b64decode(value)


_CONVERTERS: dict[Type, Any] = {
    Type.INT: int,
    Type.FLOAT: float,
    Type.DECIMAL: decimal.Decimal,
    Type.DATE: _date,
    Type.DATE_TIME: _date_time,
    Type.UUID: uuid.UUID,
    Type.BYTES: _bytes,
}
