"""`self.response` of the model: what goes out, as the model takes it."""

from __future__ import annotations

import re
from typing import Any

from cidery._service.response import Outgoing
from cidery._sio.declaration import Elements
from cidery._sio.element import Element, Type

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d.*")


class Answer(Outgoing):
    """What goes out: a date may be given as an instant, in which case its time is left out."""

    def finished(self) -> Any:
        """The response as a plain value, or `Later`."""
        return _dated(self._declared, super().finished())


def _dated(declared: Elements | None, value: Any) -> Any:
    if declared is None:
        return value
    return _all(declared.elements, value)


def _all(elements: tuple[Element, ...], value: Any) -> Any:
    if isinstance(value, list):
        return [_all(elements, each) for each in value]
    if not isinstance(value, dict):
        return value
    kinds = {element.name: element for element in elements}
    return {key: _one(kinds[key], v) if key in kinds else v for key, v in value.items()}


def _one(element: Element, value: Any) -> Any:
    if element.kind is Type.DATE and isinstance(value, str):
        found = _INSTANT.fullmatch(value)
        return found[1] if found else value
    item = element.each or element.item
    if item is not None and isinstance(value, list):
        return [_one(item, each) for each in value]
    if item is not None and isinstance(value, dict):
        return {key: _one(item, each) for key, each in value.items()}
    return _all(element.contained, value) if element.contained else value
