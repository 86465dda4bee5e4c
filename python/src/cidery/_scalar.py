"""One value of one type that is no dict and no list: what is accepted, and what it becomes.

Nothing is guessed: a text is taken where it says exactly one value of the type, and no digit is
dropped. The rules are those of the node, one by one.
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

from cidery._sio import Element, Type
from cidery._value import MAX_SAFE_INTEGER, decimal_text

_SPACE = " \t\n\r\x0c"
_WHOLE = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"([0-9]{4}|-[0-9]{6})-([0-9]{2})-([0-9]{2})")
_INSTANT = re.compile(
    r"(?P<day>-?[0-9]{4,6}-[0-9]{2}-[0-9]{2})[Tt ](?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(\.(?P<fraction>[0-9]+))?(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TRUE = frozenset(("true", "yes", "on", "y", "t", "1"))
_FALSE = frozenset(("false", "no", "off", "n", "f", "0"))
_SHOWN = 60


class Fault(Exception):
    """What is wrong with a value."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def read(element: Element, value: Any) -> Any:
    """Reads a value of an element whose type is no list and no dict."""
    reader = _READERS.get(element.kind)
    return value if reader is None else reader(element, value)


def is_not(value: Any, wanted: str) -> Fault:
    """`{value} is not {wanted}`."""
    return Fault("WRONG_TYPE", f"{shown(value)} is not {wanted}")


def shown(value: Any) -> str:
    """A value in the words of whoever sent it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, decimal.Decimal)):
        return _short(number_text(value))
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, str):
        return f"the text {_quoted(value)}"
    names = {type(None): "null", bytes: "bytes", list: "a list"}
    return names.get(type(value), "a dict")


def number_text(value: int | float | decimal.Decimal) -> str:
    """The shortest text of a number, as the node writes it: `0.00001`, `1e300`."""
    if isinstance(value, decimal.Decimal):
        return decimal_text(value)
    if not isinstance(value, float):
        return str(value)
    if value != 0 and not 1e-5 <= abs(value) < 1e16:
        mantissa, _, exponent = repr(value).partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}" if exponent else mantissa
    text = repr(value)
    if "e" in text:
        text = f"{decimal.Decimal(text):f}"
    return text


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _quoted(text: str) -> str:
    return json.dumps(_short(text), ensure_ascii=False)


def _malformed(text: str, form: str) -> Fault:
    return Fault("MALFORMED", f"the text {_quoted(text)} is not {form}")


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, decimal.Decimal)):
        return number_text(value)
    if isinstance(value, float) and math.isfinite(value):
        return number_text(value)
    raise is_not(value, "text")


def _text(element: Element, value: Any) -> str:
    text = _as_text(value)
    if element.texts and text not in element.texts:
        named = [f"`{_short(text)}`" for text in element.texts[:20]]
        named += ["…"] if len(element.texts) > 20 else []
        allowed = ", ".join(named)
        raise Fault("NOT_ONE_OF", f"the text {_quoted(text)} is none of {allowed}")
    return text


def _secret(_: Element, value: Any) -> str:
    try:
        return _as_text(value)
    except Fault:
        # What was sent is not shown.
        raise Fault("WRONG_TYPE", "is not text") from None


def _int(element: Element, value: Any) -> int:
    number = _whole(value)
    least, most = element.minimum, element.maximum
    if (least is None or number >= least) and (most is None or number <= most):
        return number
    if least is not None and most is not None:
        bound = f"from {least} to {most}"
    else:
        bound = f"of at least {least}" if most is None else f"of at most {most}"
    raise Fault("OUT_OF_RANGE", f"{shown(number)} is not a whole number {bound}")


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, (str, decimal.Decimal)):
        text = value.strip(_SPACE) if isinstance(value, str) else decimal_text(value)
        if _WHOLE.fullmatch(text):
            return int(text)
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        if abs(value) <= MAX_SAFE_INTEGER:
            return int(value)
        message = f"{number_text(value)} is a double beyond 2^53, which may have lost digits"
        raise Fault("OUT_OF_RANGE", f"{message}: send it as text")
    raise is_not(value, "a whole number")


def _float(_: Element, value: Any) -> float:
    number: float | None = None
    if isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    elif isinstance(value, str) and _DECIMAL.fullmatch(value.strip(_SPACE)):
        number = float(value.strip(_SPACE))
    if number is None:
        raise is_not(value, "a number")
    if not math.isfinite(number):
        raise Fault("OUT_OF_RANGE", f"{shown(value)} is beyond the range of a double")
    return number


def _decimal(_: Element, value: Any) -> str:
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip(_SPACE)):
        return value.strip(_SPACE).removeprefix("+")
    is_number = isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool)
    if is_number and math.isfinite(value):
        return number_text(value)
    raise is_not(value, "a decimal number")


def _bool(_: Element, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return value == 1
    if isinstance(value, str):
        text = value.strip(_SPACE).lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
    raise is_not(value, "true or false")


def _date(_: Element, value: Any) -> str:
    form = "a date such as 2026-01-31"
    if not isinstance(value, str):
        raise is_not(value, form)
    text = value.strip(_SPACE)
    if not _is_day(text):
        raise _malformed(text, form)
    return text


def _is_day(text: str) -> bool:
    found = _DATE.fullmatch(text)
    if not found:
        return False
    year, month, day = (int(part) for part in found.groups())
    # Years before the first repeat the calendar of those that Python knows.
    known = year if 1 <= year <= 9999 else (year - 1) % 400 + 1
    try:
        datetime.date(known, month, day)
    except ValueError:
        return False
    return -9999 <= year <= 9999


def _date_time(_: Element, value: Any) -> str:
    form = "an instant such as 2026-01-31T12:00:00Z (RFC 3339, with `Z` or an offset)"
    if not isinstance(value, str):
        raise is_not(value, form)
    text = value.strip(_SPACE)
    found = _INSTANT.fullmatch(text)
    if not found or not _is_day(found["day"]):
        raise _malformed(text, form)
    if found["day"].startswith(("-", "0000")):
        raise Fault("OUT_OF_RANGE", f"{text} is before the year 1")
    zone = "+00:00" if found["zone"] in "Zz" else found["zone"]
    try:
        moment = datetime.datetime.fromisoformat(f"{found['day']}T{found['time']}{zone}")
    except ValueError:
        raise _malformed(text, form) from None
    try:
        moment = moment.astimezone(datetime.timezone.utc)
    except OverflowError:
        raise Fault("OUT_OF_RANGE", f"{text} is outside the years 1 to 9999") from None
    # Nanoseconds, of which Python has a thousandth.
    fraction = (found["fraction"] or "")[:9].rstrip("0")
    return f"{moment:%Y-%m-%dT%H:%M:%S}".zfill(19) + (f".{fraction}Z" if fraction else "Z")


def _uuid(_: Element, value: Any) -> str:
    if not isinstance(value, str):
        raise is_not(value, "a UUID")
    text = value.strip(_SPACE)
    if not _UUID.fullmatch(text):
        raise _malformed(text, "a UUID")
    return str(uuid.UUID(text))


def _bytes(_: Element, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise is_not(value, "bytes")
    text = value.strip(_SPACE)
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
        # Bits after the last byte: another text for the same bytes.
        raise _malformed(value, "base64 (RFC 4648)")
    return decoded


_READERS = {
    Type.TEXT: _text,
    Type.SECRET: _secret,
    Type.INT: _int,
    Type.FLOAT: _float,
    Type.DECIMAL: _decimal,
    Type.BOOL: _bool,
    Type.DATE: _date,
    Type.DATE_TIME: _date_time,
    Type.UUID: _uuid,
    Type.BYTES: _bytes,
}
