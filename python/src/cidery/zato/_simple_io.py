"""Declarations by Zato's rules: `class SimpleIO`, its options, and elements with their defaults.

A node announces and checks what its contract can declare. The rest is kept by the layer: the names
that are required if there is a payload, and defaults that are of another type than their element.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime
from dataclasses import dataclass
from typing import Any

from cidery._service.class_declaration import read_class_declaration
from cidery._sio.declaration import CsvOptions, Elements, Sio
from cidery._sio.element import MISSING, Element, EmptyStrings, Type, UnknownKeys
from cidery._values.plain import to_plain
from cidery.zato._naive_times import zone
from cidery.zato._rows import reads_rows, returns_rows

_RESPONSE_ELEM = "response"
_REQUIRED = "required if there is a payload"
_TEXT_TYPES = (Type.TEXT, Type.SECRET)
# An empty text is a value of these: no other type has it.
_TYPES_WITH_EMPTY_TEXT = (*_TEXT_TYPES, Type.AS_IS)
_CSV_OPTIONS = ("delimiter", "quote_char", "should_write_header")

OPTIONS = frozenset(
    {
        "CSV",
        "csv",
        "default_input_value",
        "default_output_value",
        "default_value",
        "empty_strings",
        "input",
        "input_optional",
        "input_repeated",
        "input_required",
        "output",
        "output_optional",
        "output_repeated",
        "output_required",
        "response_elem",
        "unknown_keys",
        *(f"csv_{name}" for name in _CSV_OPTIONS),
    }
)
"""The attributes of `class SimpleIO` that have an effect."""


@dataclass(frozen=True)
class Default:
    """What the layer itself fills in for an optional element that is absent."""

    name: str
    value: Any = MISSING
    inside: tuple[Default, ...] = ()
    """The defaults within a dict, or within each dict of a list."""


@dataclass(frozen=True)
class Declaration:
    """A declaration, as announced and as kept."""

    sio: Sio
    models: dict[str, Any]
    required: tuple[str, ...] = ()
    """The names that the layer enforces if there is a payload."""
    defaults: tuple[Default, ...] = ()
    output_default: Any = MISSING


def read_declaration(service: type[Any]) -> Declaration:
    """Reads the declaration of a class by Zato's rules."""
    if getattr(service, "schema", None):
        raise TypeError("`schema`, JSON Schema of the input, is not supported: declare `input`")
    sio, models = read_class_declaration(service)
    simple_io = getattr(service, "SimpleIO", None)
    sio = dataclasses.replace(sio.inferred(), empty_strings=EmptyStrings.ABSENT)
    if simple_io is not None:
        if not hasattr(simple_io, "response_elem"):
            # A `Model` is not wrapped.
            is_wrapped = sio.output and "output" not in models
            sio = dataclasses.replace(sio, response_elem=_RESPONSE_ELEM if is_wrapped else "")
        if sio.csv is None:
            sio = dataclasses.replace(sio, csv=_csv_options(simple_io))
    if sio.output is not None:
        output = tuple(_announced(element) for element in sio.output.elements)
        is_list = sio.output.is_list or returns_rows(service)
        output_side = dataclasses.replace(sio.output, elements=output, is_list=is_list)
        sio = dataclasses.replace(sio, output=output_side)
    declaration = Declaration(sio, models, output_default=_option(simple_io, "output"))
    given = sio.input
    if given is None:
        return declaration
    if "input" in models:
        # A model is always enforced, also without a payload.
        elements = tuple(map(_announced, given.elements))
        side = dataclasses.replace(given, elements=elements)
        return dataclasses.replace(declaration, sio=dataclasses.replace(sio, input=side))
    return dataclasses.replace(
        declaration,
        sio=dataclasses.replace(sio, input=_announced_input(service, given)),
        required=tuple(each.name for each in given.elements if not each.is_optional),
        defaults=_defaults(given.elements, _option(simple_io, "input")),
    )


def _announced_input(service: type[Any], given: Elements) -> Elements:
    # Announced as optional: a node always enforces what is required, and the condition cannot be
    # declared. Undeclared keys are dropped after the check for a payload, which they count towards.
    return dataclasses.replace(
        given,
        elements=tuple(_optional_with_note(_announced(element)) for element in given.elements),
        is_list=given.is_list or reads_rows(service),
        keys=UnknownKeys.KEEP,
    )


def _option(simple_io: Any, side: str) -> Any:
    """`default_input_value` or `default_output_value`. `None` is absent."""
    names = [f"default_{side}_value", *(["default_value"] if side == "input" else [])]
    found = (getattr(simple_io, name, None) for name in names)
    return next((value for value in found if value is not None), MISSING)


def _csv_options(simple_io: Any) -> CsvOptions | None:
    """The options of CSV documents: `csv_delimiter` and the like, or those of `class CSV`."""
    inside = getattr(simple_io, "CSV", None)
    given = {
        name: getattr(inside, name, getattr(simple_io, f"csv_{name}", None))
        for name in _CSV_OPTIONS
    }
    if all(value is None for value in given.values()):
        return None
    header = given["should_write_header"]
    return CsvOptions(
        header=True if header is None else bool(header),
        delimiter=given["delimiter"] or ",",
        quote=given["quote_char"] or '"',
    )


def _has_local_default(element: Element) -> bool:
    """Whether the layer fills in the default: it is of another type than the element."""
    default = element.default_value
    if default == "":
        return element.kind not in _TYPES_WITH_EMPTY_TEXT
    return element.kind is Type.DICT and not isinstance(default, dict)


def _announced(element: Element) -> Element:
    """An element as a node can declare it."""
    if element.elements is not None:
        inside = tuple(map(_announced, element.elements))
        element = dataclasses.replace(element, elements=inside)
    default = element.default_value
    if default is None or (element.has_default and _has_local_default(element)):
        return dataclasses.replace(element, default_value=MISSING)
    if isinstance(default, str) and element.kind is Type.DATE:
        return dataclasses.replace(element, default_value=default.partition("T")[0])
    if isinstance(default, str) and element.kind is Type.DATE_TIME:
        return dataclasses.replace(element, default_value=_instant(default))
    return element


def _instant(text: str) -> str:
    """The text of a time with a zone; unchanged if it is none."""
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError:
        return text
    return text if time.tzinfo else time.replace(tzinfo=zone()).isoformat()


def _optional_with_note(element: Element) -> Element:
    """An optional element whose description states the condition for callers."""
    if element.is_optional:
        return element
    about = f"{element.about} ({_REQUIRED})" if element.about else _REQUIRED
    return element.optional().description(about)


def _defaults(elements: tuple[Element, ...], fallback: Any) -> tuple[Default, ...]:
    """The defaults that the layer fills in; `fallback` is that of the declaration."""
    found = (_default(element, fallback) for element in elements)
    return tuple(each for each in found if each.value is not MISSING or each.inside)


def _default(element: Element, fallback: Any) -> Default:
    own = element.default_value if element.default_value is not None else MISSING
    value = MISSING
    if own is not MISSING:
        value = own if _has_local_default(element) else MISSING
    elif element.is_optional and fallback is not MISSING:
        value = to_plain(fallback)
    elif element.kind in _TEXT_TYPES:
        value = ""
    inside: tuple[Default, ...] = ()
    if element.elements:
        # A default of the dict is one of its keys as well.
        inside = tuple(
            _key_default(each, own, _default(each, fallback)) for each in element.elements
        )
        inside = tuple(each for each in inside if each.value is not MISSING or each.inside)
    return Default(element.name, value, inside)


def _key_default(element: Element, dict_default: Any, found: Default) -> Default:
    if not element.is_optional or element.has_default or dict_default is MISSING:
        return found
    if not isinstance(dict_default, dict):
        return dataclasses.replace(found, value=dict_default)
    return dataclasses.replace(found, value=dict_default.get(element.name, found.value))


def fill_defaults(value: Any, defaults: tuple[Default, ...]) -> None:
    """Fills in the defaults that are absent in a dict, or in each dict of a list."""
    for row in value if isinstance(value, list) else [value]:
        if not isinstance(row, dict):
            continue
        for default in defaults:
            if default.inside and default.name in row:
                fill_defaults(row[default.name], default.inside)
            elif default.value is not MISSING:
                row.setdefault(default.name, copy.deepcopy(default.value))
