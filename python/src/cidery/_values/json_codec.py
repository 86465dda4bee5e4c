"""JSON encoding and decoding without loss of digits."""

from __future__ import annotations

import decimal
import json
from typing import Any

from cidery._values.bunch import Bunch
from cidery._values.struct_pb import bytes_to_base64


def parse_json(text: bytes | str) -> Any:
    """Decodes JSON; dicts become `Bunch`es."""
    return Bunch.of(parse_json_exact(text))


def parse_json_exact(text: str | bytes) -> Any:
    """Decodes JSON; a number that a double cannot represent becomes a `Decimal`."""
    return json.loads(text, parse_float=_parse_number)


def _parse_number(text: str) -> float | decimal.Decimal:
    number = float(text)
    exact = decimal.Decimal(text)
    return number if decimal.Decimal(repr(number)) == exact else exact


def to_json(value: Any) -> str:
    """Encodes a plain value as JSON."""

    def other(value: Any) -> str:
        return bytes_to_base64(value) if isinstance(value, bytes) else str(value)

    return json.dumps(value, default=other, ensure_ascii=False, allow_nan=False)
