"""Encoding of plain values as `google.protobuf.Struct` and `Value`, and decoding.

`Struct` has doubles only. Integers beyond ±(2^53-1) and decimals are encoded as decimal strings,
bytes as base64; a double without a fraction within that range is decoded as an integer.
"""

from __future__ import annotations

import base64
import decimal
import math
from typing import Any

from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value

from cidery._errors.exceptions import InvalidArgument, Violation
from cidery._values.bunch import Bunch
from cidery._values.json_pointer import join_pointer
from cidery._values.plain import MAX_DEPTH

MAX_SAFE_INTEGER = 2**53 - 1
_TYPES_WITHOUT_PATH = frozenset((bool, int, bytes, type(None)))


def to_value(value: Any) -> Value:
    """Encodes a plain value."""
    out = Value()
    fill_value(out, value)
    return out


def to_struct(value: dict[str, Any]) -> Struct:
    """Encodes a plain dict."""
    out = Struct()
    fill_struct(out, value)
    return out


def fill_value(out: Value, value: Any) -> None:
    """Encodes a plain value into a message in place, which avoids a copy."""
    _fill(out, value, "", 0)


def fill_struct(out: Struct, value: dict[str, Any]) -> None:
    """Encodes a plain dict into a message in place."""
    _fill_dict(out, value, "", 1)


def from_value(value: Value) -> Any:
    """Decodes a value; dicts become `Bunch`es."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        return from_double(value.number_value)
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return from_list(value.list_value)
    return None


def from_struct(struct: Struct) -> Bunch:
    """Decodes a dict."""
    return Bunch((key, from_value(value)) for key, value in struct.fields.items())


def from_list(items: ListValue) -> list[Any]:
    """Decodes a list."""
    return [from_value(item) for item in items.values]


def from_double(number: float) -> int | float:
    """Decodes a number: an integer where a double represents each integer exactly."""
    if abs(number) <= MAX_SAFE_INTEGER and number.is_integer():
        # Negative zero stays a float: no integer represents it.
        return number if number == 0 and math.copysign(1, number) < 0 else int(number)
    return number


def round_trip(value: Any) -> Any:
    """Encodes and decodes a plain value: the value that the receiver gets."""
    return from_value(to_value(value))


def bytes_to_base64(value: bytes) -> str:
    """Encodes bytes as `Struct` and JSON carry them."""
    return base64.b64encode(value).decode("ascii")


def _fill(out: Value, value: Any, path: str, depth: int) -> None:
    if value is None:
        out.null_value = NULL_VALUE
    elif isinstance(value, bool):
        out.bool_value = value
    elif isinstance(value, str):
        out.string_value = _checked_text(value, path)
    elif isinstance(value, int):
        if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            out.number_value = value
        else:
            out.string_value = str(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _invalid(path, "NOT_FINITE", f"is {value}, which is not a number to carry")
        out.number_value = value
    elif isinstance(value, decimal.Decimal):
        if not value.is_finite():
            raise _invalid(path, "NOT_FINITE", f"is {value}, which is not a number to carry")
        out.string_value = decimal_to_text(value)
    elif isinstance(value, bytes):
        out.string_value = bytes_to_base64(value)
    elif isinstance(value, list):
        _check_depth(path, depth + 1)
        items = out.list_value
        # Sets the field of an empty list as well.
        items.SetInParent()
        for index, item in enumerate(value):
            _fill(items.values.add(), item, f"{path}/{index}", depth + 1)
    else:
        out.struct_value.SetInParent()
        _fill_dict(out.struct_value, value, path, depth + 1)


def _fill_dict(out: Struct, value: dict[str, Any], path: str, depth: int) -> None:
    _check_depth(path, depth)
    fields = out.fields
    for key, item in value.items():
        # Only containers, strings and floats can fail and need a path.
        item_path = path if type(item) in _TYPES_WITHOUT_PATH else join_pointer(path, key)
        _fill(fields[_checked_text(key, path)], item, item_path, depth)


def decimal_to_text(value: decimal.Decimal) -> str:
    """The digits of a decimal in the notation of JSON."""
    return str(value).replace("E+", "E").replace("E", "e")


def _checked_text(text: str, path: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _invalid(path, "NOT_UTF8", "is text with a lone surrogate") from None
    return text


def _check_depth(path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _invalid(path, "TOO_DEEP", f"is nested deeper than {MAX_DEPTH} dicts and lists")


def _invalid(path: str, code: str, message: str) -> InvalidArgument:
    return InvalidArgument(reason="VALUE_INVALID", violations=[Violation(path, message, code)])
