"""`self.response` of Zato's services."""

from __future__ import annotations

import logging
import re
from typing import Any

from cidery._service.response import HandlerResponse
from cidery._sio.declaration import Elements
from cidery._sio.element import MISSING, Element, Type
from cidery._values.plain import to_plain
from cidery.zato._naive_times import with_zone
from cidery.zato._names.absent import RESPONSE_INSTEAD, not_in_layer

_log = logging.getLogger("cidery.zato")

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d.*")


class _WithoutEffect:
    """An attribute of Zato's responses that callers never see: setting it is logged once."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self._is_logged = False

    def __get__(self, response: Any, owner: type) -> Any:
        if response is None:
            return self
        return vars(response).get(self._name, _INITIAL.get(self._name, ""))

    def __set__(self, response: Any, value: Any) -> None:
        vars(response)[self._name] = value
        if not self._is_logged:
            self._is_logged = True
            what = f"`self.response.{self._name}`"
            _log.warning("%s", not_in_layer(what, RESPONSE_INSTEAD[self._name]))


_INITIAL = {"status_code": 200, "status_message": "OK", "content_type": "text/plain"}


class ZatoResponse(HandlerResponse):
    """A response with Zato's rules: a date may be given as an instant, whose time is dropped, a
    time may be naive, and absent optional elements have the default of the declaration."""

    default: Any = MISSING
    """`default_output_value` of the service."""

    content_encoding = _WithoutEffect()
    content_type = _WithoutEffect()
    content_type_changed = _WithoutEffect()
    result = _WithoutEffect()
    result_details = _WithoutEffect()
    status_code = _WithoutEffect()
    status_message = _WithoutEffect()

    def __len__(self) -> int:
        return len(self.payload)

    def __bool__(self) -> bool:
        return True

    def final_payload(self) -> Any:
        """The payload as a plain value, or `Later`."""
        payload = _truncate_dates(self._declared, super().final_payload())
        if self.default is not MISSING and self._declared is not None:
            _fill(self._declared, payload, to_plain(self.default))
        return payload

    def _value(self) -> Any:
        return with_zone(super()._value())


def _fill(declared: Elements, payload: Any, default: Any) -> None:
    for row in payload if isinstance(payload, list) else [payload]:
        for element in declared.elements:
            if isinstance(row, dict) and element.is_optional and not element.has_default:
                row.setdefault(element.name, default)


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
