"""`self.response` of Zato's services."""

from __future__ import annotations

import re
from typing import Any

from cidery._service.response import HandlerResponse
from cidery._sio.declaration import Elements
from cidery._sio.element import Element, Type

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d.*")


class ZatoResponse(HandlerResponse):
    """A response in which a date may be given as an instant; its time is dropped."""

    def final_payload(self) -> Any:
        """The payload as a plain value, or `Later`."""
        return _truncate_dates(self._declared, super().final_payload())


def _truncate_dates(declared: Elements | None, value: Any) -> Any:
    if declared is None:
        return value
    return _truncate_in_dict(declared.elements, value)


def _truncate_in_dict(elements: tuple[Element, ...], value: Any) -> Any:
    if isinstance(value, list):
        return [_truncate_in_dict(elements, each) for each in value]
    if not isinstance(value, dict):
        return value
    kinds = {element.name: element for element in elements}
    return {
        key: _truncate_in_element(kinds[key], v) if key in kinds else v for key, v in value.items()
    }


def _truncate_in_element(element: Element, value: Any) -> Any:
    if element.kind is Type.DATE and isinstance(value, str):
        found = _TIMESTAMP.fullmatch(value)
        return found[1] if found else value
    item = element.each or element.item
    if item is not None and isinstance(value, list):
        return [_truncate_in_element(item, each) for each in value]
    if item is not None and isinstance(value, dict):
        return {key: _truncate_in_element(item, each) for key, each in value.items()}
    return _truncate_in_dict(element.contained, value) if element.contained else value
