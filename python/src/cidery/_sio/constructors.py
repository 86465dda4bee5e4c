"""Constructors of elements, one for each type: `Int("age", default=18)`.

Their names are capitalized like types, as in Zato.
"""

from __future__ import annotations

from typing import Any

from cidery._sio.element import MISSING, Declared, Element, Type

_OPTIONS = frozenset({"description", "number", "one_of", "range", "unknown_keys"})


def _build(name: str, kind: Type, default: Any, options: dict[str, Any]) -> Element:
    element = Element.named(name, kind)
    if default is not MISSING:
        element = element.default(default)
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise TypeError(f"`{kind.value}` has no option `{unknown[0]}`")
    for option, value in options.items():
        is_variadic = option in ("one_of", "range")
        element = (
            getattr(element, option)(*value) if is_variadic else getattr(element, option)(value)
        )
    return element


def AsIs(name: str, *, default: Any = MISSING, **options: Any) -> Element:  # noqa: N802
    """An element of any type; its name implies none."""
    return _build(name, Type.AS_IS, default, options)


def Bool(name: str, *, default: Any = MISSING, **options: Any) -> Element:  # noqa: N802
    """A boolean."""
    return _build(name, Type.BOOL, default, options)


def Bytes(name: str, *, default: Any = MISSING, **options: Any) -> Element:  # noqa: N802
    """Bytes, encoded as base64 in strings."""
    return _build(name, Type.BYTES, default, options)


def Csv(name: str, *, default: Any = MISSING, **options: Any) -> Element:  # noqa: N802
    """A list of strings, encoded as one string with commas."""
    return _build(name, Type.CSV, default, options)


def Date(name: str, *, default: Any = MISSING, **options: Any) -> Element:  # noqa: N802
    """A calendar date: handlers get a `datetime.date`."""
    return _build(name, Type.DATE, default, options)


def DateTime(name: str, *, default: Any = MISSING, **options: Any) -> Element:  # noqa: N802
    """An instant: handlers get a `datetime.datetime` in UTC."""
    return _build(name, Type.DATE_TIME, default, options)


def Decimal(name: str, *, default: Any = MISSING, **options: Any) -> Element:  # noqa: N802
    """A decimal number without loss of digits: handlers get a `decimal.Decimal`."""
    return _build(name, Type.DECIMAL, default, options)


def Dict(name: str, *elements: Declared, default: Any = MISSING, **options: Any) -> Element:  # noqa: N802
    """A dict, with these elements or with any keys."""
    return _build(name, Type.DICT, default, options).containing(*elements)


def DictList(name: str, *elements: Declared, default: Any = MISSING, **options: Any) -> Element:  # noqa: N802
    """A list of dicts, with these elements or with any keys."""
    return _build(name, Type.DICT_LIST, default, options).containing(*elements)


def Float(name: str, *, default: Any = MISSING, **options: Any) -> Element:  # noqa: N802
    """A double-precision number."""
    return _build(name, Type.FLOAT, default, options)


def Int(name: str, *, default: Any = MISSING, **options: Any) -> Element:  # noqa: N802
    """An integer of any size."""
    return _build(name, Type.INT, default, options)


def List(  # noqa: N802
    name: str, of: Declared | Type | None = None, *, default: Any = MISSING, **options: Any
) -> Element:
    """A list, with items of any type or of the given one: `List("ids", Type.INT)`."""
    element = _build(name, Type.LIST, default, options)
    return element if of is None else element.of(of)


def Secret(name: str, *, default: Any = MISSING, **options: Any) -> Element:  # noqa: N802
    """A string that is never logged and is masked in listings."""
    return _build(name, Type.SECRET, default, options)


def Text(name: str, *, default: Any = MISSING, **options: Any) -> Element:  # noqa: N802
    """A string."""
    return _build(name, Type.TEXT, default, options)


def Uuid(name: str, *, default: Any = MISSING, **options: Any) -> Element:  # noqa: N802
    """A UUID: handlers get a `uuid.UUID`."""
    return _build(name, Type.UUID, default, options)


# Zato's spellings.
CSV = Csv
UUID = Uuid
