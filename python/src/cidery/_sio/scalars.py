"""Parsing of scalar values by the type of their element.

Nothing is guessed: a string is accepted if it denotes exactly one value of the type, and no digit
is lost. The rules are equal to those of the node.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import decimal
import json
import math
import re
import uuid
from typing import Any

from cidery._sio.element import Element, Type
from cidery._values.struct_pb import MAX_SAFE_INTEGER, decimal_to_text

_WHITESPACE = " \t\n\r\x0c"
_INTEGER = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"([0-9]{4}|-[0-9]{6})-([0-9]{2})-([0-9]{2})")
_TIMESTAMP = re.compile(
    r"(?P<day>-?[0-9]{4,6}-[0-9]{2}-[0-9]{2})[Tt ](?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(\.(?P<fraction>[0-9]+))?(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TRUE = frozenset(("true", "yes", "on", "y", "t", "1"))
_FALSE = frozenset(("false", "no", "off", "n", "f", "0"))
_MAX_QUOTED_CHARS = 60


class InvalidValue(Exception):
    """A value that violates the type of its element."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def parse_scalar(element: Element, value: Any) -> Any:
    """Parses a value of a scalar type."""
    parse = _PARSERS.get(element.kind)
    return value if parse is None else parse(element, value)


def wrong_type(value: Any, expected: str) -> InvalidValue:
    """The violation for a value of another type."""
    return InvalidValue("WRONG_TYPE", f"{describe_value(value)} is not {expected}")


def describe_value(value: Any) -> str:
    """Describes a value in an error message, in the terms of JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, decimal.Decimal)):
        return _truncate(number_to_text(value))
    if isinstance(value, float):
        return number_to_text(value)
    if isinstance(value, str):
        return f"the text {_quote(value)}"
    names = {type(None): "null", bytes: "bytes", list: "a list"}
    return names.get(type(value), "a dict")


def number_to_text(value: int | float | decimal.Decimal) -> str:
    """The shortest text of a number, equal to that of the node: `0.00001`, `1e300`."""
    if isinstance(value, decimal.Decimal):
        return decimal_to_text(value)
    if not isinstance(value, float):
        return str(value)
    if value != 0 and not 1e-5 <= abs(value) < 1e16:
        mantissa, _, exponent = repr(value).partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}" if exponent else mantissa
    text = repr(value)
    if "e" in text:
        text = f"{decimal.Decimal(text):f}"
    return text


def _truncate(text: str) -> str:
    return text if len(text) <= _MAX_QUOTED_CHARS else text[:_MAX_QUOTED_CHARS] + "…"


def _quote(text: str) -> str:
    return json.dumps(_truncate(text), ensure_ascii=False)


def _malformed(text: str, expected: str) -> InvalidValue:
    return InvalidValue("MALFORMED", f"the text {_quote(text)} is not {expected}")


def _to_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, decimal.Decimal)):
        return number_to_text(value)
    if isinstance(value, float) and math.isfinite(value):
        return number_to_text(value)
    raise wrong_type(value, "text")


def _parse_text(element: Element, value: Any) -> str:
    text = _to_text(value)
    if element.texts and text not in element.texts:
        quoted = [f"`{_truncate(text)}`" for text in element.texts[:20]]
        quoted += ["…"] if len(element.texts) > 20 else []
        allowed = ", ".join(quoted)
        raise InvalidValue("NOT_ONE_OF", f"the text {_quote(text)} is none of {allowed}")
    return text


def _parse_secret(_: Element, value: Any) -> str:
    try:
        return _to_text(value)
    except InvalidValue:
        # A message about a secret never contains its value.
        raise InvalidValue("WRONG_TYPE", "is not text") from None


def _parse_int(element: Element, value: Any) -> int:
    number = _parse_integer(value)
    least, most = element.minimum, element.maximum
    if (least is None or number >= least) and (most is None or number <= most):
        return number
    if least is not None and most is not None:
        bound = f"from {least} to {most}"
    else:
        bound = f"of at least {least}" if most is None else f"of at most {most}"
    raise InvalidValue("OUT_OF_RANGE", f"{describe_value(number)} is not a whole number {bound}")


def _parse_integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, (str, decimal.Decimal)):
        text = value.strip(_WHITESPACE) if isinstance(value, str) else decimal_to_text(value)
        if _INTEGER.fullmatch(text):
            return int(text)
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        if abs(value) <= MAX_SAFE_INTEGER:
            return int(value)
        message = f"{number_to_text(value)} is a double beyond 2^53, which may have lost digits"
        raise InvalidValue("OUT_OF_RANGE", f"{message}: send it as text")
    raise wrong_type(value, "a whole number")


def _parse_float(_: Element, value: Any) -> float:
    number: float | None = None
    if isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    elif isinstance(value, str) and _DECIMAL.fullmatch(value.strip(_WHITESPACE)):
        number = float(value.strip(_WHITESPACE))
    if number is None:
        raise wrong_type(value, "a number")
    if not math.isfinite(number):
        raise InvalidValue(
            "OUT_OF_RANGE", f"{describe_value(value)} is beyond the range of a double"
        )
    return number


def _parse_decimal(_: Element, value: Any) -> str:
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip(_WHITESPACE)):
        return value.strip(_WHITESPACE).removeprefix("+")
    is_number = isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool)
    if is_number and math.isfinite(value):
        return number_to_text(value)
    raise wrong_type(value, "a decimal number")


def _parse_bool(_: Element, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return value == 1
    if isinstance(value, str):
        text = value.strip(_WHITESPACE).lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
    raise wrong_type(value, "true or false")


def _parse_date(_: Element, value: Any) -> str:
    expected = "a date such as 2026-01-31"
    if not isinstance(value, str):
        raise wrong_type(value, expected)
    text = value.strip(_WHITESPACE)
    if not _is_date(text):
        raise _malformed(text, expected)
    return text


def _is_date(text: str) -> bool:
    found = _DATE.fullmatch(text)
    if not found:
        return False
    year, month, day = (int(part) for part in found.groups())
    # Years before 1 repeat the 400-year cycle of the calendar that Python supports.
    calendar_year = year if 1 <= year <= 9999 else (year - 1) % 400 + 1
    try:
        datetime.date(calendar_year, month, day)
    except ValueError:
        return False
    return -9999 <= year <= 9999


def _parse_date_time(_: Element, value: Any) -> str:
    expected = "an instant such as 2026-01-31T12:00:00Z (RFC 3339, with `Z` or an offset)"
    if not isinstance(value, str):
        raise wrong_type(value, expected)
    text = value.strip(_WHITESPACE)
    found = _TIMESTAMP.fullmatch(text)
    if not found or not _is_date(found["day"]):
        raise _malformed(text, expected)
    if found["day"].startswith(("-", "0000")):
        raise InvalidValue("OUT_OF_RANGE", f"{text} is before the year 1")
    zone = "+00:00" if found["zone"] in "Zz" else found["zone"]
    try:
        instant = datetime.datetime.fromisoformat(f"{found['day']}T{found['time']}{zone}")
    except ValueError:
        raise _malformed(text, expected) from None
    try:
        instant = instant.astimezone(datetime.timezone.utc)
    except OverflowError:
        raise InvalidValue("OUT_OF_RANGE", f"{text} is outside the years 1 to 9999") from None
    # Nanoseconds: `datetime` holds only microseconds.
    fraction = (found["fraction"] or "")[:9].rstrip("0")
    return f"{instant:%Y-%m-%dT%H:%M:%S}".zfill(19) + (f".{fraction}Z" if fraction else "Z")


def _parse_uuid(_: Element, value: Any) -> str:
    if not isinstance(value, str):
        raise wrong_type(value, "a UUID")
    text = value.strip(_WHITESPACE)
    if not _UUID.fullmatch(text):
        raise _malformed(text, "a UUID")
    return str(uuid.UUID(text))


def _parse_bytes(_: Element, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise wrong_type(value, "bytes")
    text = value.strip(_WHITESPACE)
    if "-" in text or "_" in text:
        if "+" in text or "/" in text:
            raise _malformed(value, "base64 (RFC 4648)")
        text = text.replace("-", "+").replace("_", "/")
    unpadded = text.rstrip("=")
    if len(text) - len(unpadded) not in (0, -len(unpadded) % 4):
        raise _malformed(value, "base64 (RFC 4648)")
    try:
        decoded = base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise _malformed(value, "base64 (RFC 4648)") from None
    if base64.b64encode(decoded).decode().rstrip("=") != unpadded:
        # The bits after the last byte are not zero: the encoding is not canonical.
        raise _malformed(value, "base64 (RFC 4648)")
    return decoded


_PARSERS = {
    Type.TEXT: _parse_text,
    Type.SECRET: _parse_secret,
    Type.INT: _parse_int,
    Type.FLOAT: _parse_float,
    Type.DECIMAL: _parse_decimal,
    Type.BOOL: _parse_bool,
    Type.DATE: _parse_date,
    Type.DATE_TIME: _parse_date_time,
    Type.UUID: _parse_uuid,
    Type.BYTES: _parse_bytes,
}
