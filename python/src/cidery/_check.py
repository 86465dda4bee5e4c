"""Values against their declaration: everything that is wrong at once, each with its path.

For tests without a node, and for what a node is not told of (`_beyond.py`). A node does the same,
and a service that it runs has passed it.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable
from typing import Any

from cidery import _scalar as scalar
from cidery._beyond import has_secret
from cidery._errors import InvalidArgument, Violation, output_invalid, summary
from cidery._payload import segment
from cidery._scalar import Fault
from cidery._sio import Element, Elements, EmptyStrings, Sio, Type, UnknownKeys

_MAX_VIOLATIONS = 1_000
_MAX_IGNORED = 50
_TEXT = Element("", Type.TEXT)


@dataclasses.dataclass
class Checked:
    """What came of a check: a value, or violations."""

    value: Any = None
    ignored: list[str] = dataclasses.field(default_factory=list)
    """The keys that are not declared and were dropped; `*` stands for any index of a list."""
    violations: list[Violation] = dataclasses.field(default_factory=list)
    omitted: int = 0
    """How many violations there are beyond those."""

    @property
    def facts(self) -> dict[str, str]:
        """What a failure says beside the violations."""
        return {"violations_omitted": str(self.omitted)} if self.omitted else {}


def check_input(sio: Sio, value: Any) -> Checked:
    """Checks a plain input. Anything goes where none is declared."""
    return _check(sio, sio.input, value, is_output=False)


def check_output(sio: Sio, value: Any) -> Checked:
    """Checks a plain output, before it is wrapped in `response_elem`."""
    return _check(sio, sio.output, value, is_output=True)


def admitted(sio: Sio, value: Any) -> Checked:
    """Checks an input; raises `INPUT_INVALID` with all that is wrong with it."""
    found = check_input(sio, value)
    if found.violations:
        raise InvalidArgument(
            reason="INPUT_INVALID", violations=found.violations, facts=found.facts
        )
    return found


def answered(sio: Sio, value: Any) -> Checked:
    """Checks an output; raises `OUTPUT_INVALID` with all that is wrong with it."""
    found = check_output(sio, value)
    if found.violations:
        reasons = summary(found.violations)
        message = f"the output does not match the declaration of the service: {reasons}"
        raise output_invalid(message, found.violations, found.facts)
    return found


def _check(sio: Sio, declared: Elements | None, value: Any, *, is_output: bool) -> Checked:
    if declared is None:
        return Checked(value)
    walk = _Walk(sio, is_output)
    unknown = declared.keys or sio.unknown_keys
    check = walk.dict_list if declared.is_list else walk.dict_of
    walk.found.value = check(declared.elements, unknown, value)
    return walk.found


class _Walk:
    """The walk over a value and its declaration."""

    def __init__(self, sio: Sio, is_output: bool) -> None:
        self.sio = sio
        self.is_output = is_output
        self.path: list[str | int] = []
        self.found = Checked()
        sides = [side.elements for side in (sio.input, sio.output) if side]
        self.has_secrets = any(has_secret(elements) for elements in sides)

    def dict_of(self, elements: tuple[Element, ...], unknown: UnknownKeys, value: Any) -> Any:
        if not isinstance(value, dict):
            return self.is_not(value, "a dict")
        out = {}
        for element in elements:
            self.path.append(element.name)
            found = self.element(element, value)
            self.path.pop()
            if found:
                out[element.name] = found[0]
        declared = {element.name for element in elements}
        for key, item in value.items():
            if key not in declared:
                self.unknown(declared, unknown, key, item, out)
        return out

    def element(self, element: Element, given: dict[str, Any]) -> tuple[Any] | None:
        """The value of an element, in a tuple; nothing where it is absent."""
        is_there = element.name in given
        value = given.get(element.name)
        absent = not is_there or (value is None and element.kind is not Type.AS_IS)
        if value == "" and self.sio.empty_strings is EmptyStrings.ABSENT:
            absent = True
        if not absent:
            return (self.value(element, value),)
        if element.has_default:
            return (self.value(element, element.default_value),)
        if not element.is_optional:
            is_null = is_there and value is None
            message = "is required, and is null" if is_null else "is required"
            self.fault(Fault("MISSING", message))
        return None

    def value(self, element: Element, value: Any) -> Any:
        unknown = element.keys or self.sio.unknown_keys
        kind = element.kind
        if kind is Type.LIST:
            return self.list_of(element, value)
        if kind is Type.DICT:
            if element.contained is not None:
                return self.dict_of(element.contained, unknown, value)
            return self.dict_of_any(element.each, value)
        if kind is Type.DICT_LIST:
            if element.each is not None:
                return self.list_of(element, value)
            return self.dict_list(element.elements, unknown, value)
        if kind is Type.CSV:
            return self.csv(value)
        return self.scalar(element, value)

    def list_of(self, element: Element, value: Any) -> Any:
        if element.positions:
            return self.tuple_of(element.positions, value)
        item = element.each or element.item
        each = (lambda value: value) if item is None else (lambda value: self.item(item, value))
        return self.items(value, "a list", each)

    def tuple_of(self, positions: tuple[Element, ...], value: Any) -> Any:
        if isinstance(value, list) and len(value) != len(positions):
            message = f"has {len(value)} items, not {len(positions)}"
            return self.fault(Fault("OUT_OF_RANGE", message))
        left = iter(positions)
        return self.items(value, "a list", lambda value: self.item(next(left), value))

    def dict_of_any(self, each: Element | None, value: Any) -> Any:
        if not isinstance(value, dict):
            return self.is_not(value, "a dict")
        if each is None:
            return value
        out = {}
        for key, item in value.items():
            self.path.append(key)
            out[key] = self.item(each, item)
            self.path.pop()
        return out

    def item(self, element: Element, value: Any) -> Any:
        if value is None and element.is_optional:
            return None
        if value is None and element.kind is not Type.AS_IS:
            return self.fault(Fault("WRONG_TYPE", "is null"))
        return self.value(element, value)

    def dict_list(
        self, elements: tuple[Element, ...] | None, unknown: UnknownKeys, value: Any
    ) -> Any:
        def each(item: Any) -> Any:
            if elements is not None:
                return self.dict_of(elements, unknown, item)
            return item if isinstance(item, dict) else self.is_not(item, "a dict")

        return self.items(value, "a list of dicts", each)

    def items(self, value: Any, wanted: str, each: Callable[[Any], Any]) -> Any:
        if not isinstance(value, list):
            return self.is_not(value, wanted)
        out = []
        for index, item in enumerate(value):
            self.path.append(index)
            out.append(each(item))
            self.path.pop()
        return out

    def csv(self, value: Any) -> Any:
        """Texts: a list for handlers, one text with commas for callers."""
        if isinstance(value, str):
            if self.is_output:
                return value
            value = value.split(",") if value else []

        def each(item: Any) -> Any:
            text = self.scalar(_TEXT, item)
            if self.is_output and isinstance(text, str) and "," in text:
                message = "contains a comma, which separates the texts"
                return self.fault(Fault("OUT_OF_RANGE", message))
            return text

        items = self.items(value, "a list of texts, or one comma-separated text", each)
        if not self.is_output or not isinstance(items, list):
            return items
        if items == [""]:
            message = "is one empty text, which looks like an empty list"
            return self.fault(Fault("OUT_OF_RANGE", message))
        return ",".join(item or "" for item in items)

    def scalar(self, element: Element, value: Any) -> Any:
        try:
            return scalar.read(element, value)
        except Fault as fault:
            return self.fault(fault)

    def unknown(
        self, declared: set[str], policy: UnknownKeys, key: str, value: Any, out: dict[str, Any]
    ) -> None:
        if policy is UnknownKeys.KEEP:
            out[key] = value
        elif policy is UnknownKeys.REFUSE:
            near = _nearest(key, declared)
            hint = f"; did you mean `{near}`?" if near else ""
            self.path.append(key)
            self.fault(Fault("UNKNOWN_KEY", f"is not declared{hint}"))
            self.path.pop()
        elif not self.is_output:
            steps = ["*" if isinstance(step, int) else step for step in self.path]
            name = self.pointer([*steps, key]).removeprefix("/")
            ignored = self.found.ignored
            if name not in ignored and len(ignored) < _MAX_IGNORED:
                ignored.append(name)

    def is_not(self, value: Any, wanted: str) -> None:
        # A text may be what holds the secret.
        if isinstance(value, str) and self.has_secrets:
            value = "***"
        self.fault(scalar.is_not(value, wanted))

    def fault(self, fault: Fault) -> None:
        if len(self.found.violations) >= _MAX_VIOLATIONS:
            self.found.omitted += 1
            return
        violation = Violation(self.pointer(self.path), fault.message, fault.code)
        self.found.violations.append(violation)

    @staticmethod
    def pointer(steps: list[Any]) -> str:
        path = ""
        for step in steps:
            path = segment(path, step)
        return path


def _nearest(key: str, declared: set[str]) -> str | None:
    found = difflib.get_close_matches(key, sorted(declared), 1, 0.75)
    return found[0] if found else None
