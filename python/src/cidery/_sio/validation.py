"""Validation of values against a declaration: all violations at once, each with its path.

Used by tests without a node, and for the part that no node validates (`local_checks`). A node
validates by the same rules before it dispatches.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable
from typing import Any

from cidery._errors.exceptions import InvalidArgument, Violation, output_invalid, summarize
from cidery._sio import scalars
from cidery._sio.declaration import Elements, Sio
from cidery._sio.element import Element, EmptyStrings, Type, UnknownKeys
from cidery._sio.local_checks import contains_secret
from cidery._sio.scalars import InvalidValue
from cidery._values.json_pointer import join_pointer

_MAX_VIOLATIONS = 1_000
_MAX_IGNORED = 50
_TEXT_TYPES = (Type.AS_IS, Type.CSV, Type.SECRET, Type.TEXT)
_TEXT = Element("", Type.TEXT)


@dataclasses.dataclass
class ValidationResult:
    """The result of a validation: a value, or violations."""

    value: Any = None
    ignored: list[str] = dataclasses.field(default_factory=list)
    """Keys that were dropped since they are not declared; `*` stands for any index of a list."""
    violations: list[Violation] = dataclasses.field(default_factory=list)
    omitted: int = 0
    """The number of violations beyond those."""

    @property
    def facts(self) -> dict[str, str]:
        """The facts of a failure with these violations."""
        return {"violations_omitted": str(self.omitted)} if self.omitted else {}


def check_input(sio: Sio, value: Any) -> ValidationResult:
    """Validates a plain input. Without a declaration any value is valid."""
    return _check(sio, sio.input, value, is_output=False)


def check_output(sio: Sio, value: Any) -> ValidationResult:
    """Validates a plain output, before it is wrapped in `response_elem`."""
    return _check(sio, sio.output, value, is_output=True)


def validated_input(sio: Sio, value: Any) -> ValidationResult:
    """Validates an input; raises `INPUT_INVALID` with all violations."""
    result = check_input(sio, value)
    if result.violations:
        raise InvalidArgument(
            reason="INPUT_INVALID", violations=result.violations, facts=result.facts
        )
    return result


def validated_output(sio: Sio, value: Any) -> ValidationResult:
    """Validates an output; raises `OUTPUT_INVALID` with all violations."""
    result = check_output(sio, value)
    if result.violations:
        reasons = summarize(result.violations)
        message = f"the output does not match the declaration of the service: {reasons}"
        raise output_invalid(message, result.violations, result.facts)
    return result


def _check(sio: Sio, declared: Elements | None, value: Any, *, is_output: bool) -> ValidationResult:
    if declared is None:
        return ValidationResult(value)
    validator = _Validator(sio, is_output)
    unknown = declared.keys or sio.unknown_keys
    check = validator.dict_list if declared.is_list else validator.dict_of
    validator.result.value = check(declared.elements, unknown, value)
    return validator.result


class _Validator:
    """Walks a value and its declaration, and collects violations."""

    def __init__(self, sio: Sio, is_output: bool) -> None:
        self.sio = sio
        self.is_output = is_output
        self.path: list[str | int] = []
        self.result = ValidationResult()
        sides = [side.elements for side in (sio.input, sio.output) if side]
        self.has_secrets = any(contains_secret(elements) for elements in sides)

    def dict_of(self, elements: tuple[Element, ...], unknown: UnknownKeys, value: Any) -> Any:
        if not isinstance(value, dict):
            return self.add_wrong_type(value, "a dict")
        out = {}
        for element in elements:
            self.path.append(element.name)
            result = self.element(element, value)
            self.path.pop()
            if result:
                out[element.name] = result[0]
        declared = {element.name for element in elements}
        for key, item in value.items():
            if key not in declared:
                self.unknown(declared, unknown, key, item, out)
        return out

    def element(self, element: Element, given: dict[str, Any]) -> tuple[Any] | None:
        """The value of an element, in a tuple; `None` where it is absent."""
        is_there = element.name in given
        value = given.get(element.name)
        absent = not is_there or (value is None and element.kind is not Type.AS_IS)
        if value == "" and self.sio.empty_strings is EmptyStrings.ABSENT:
            # An empty text is a value where the element can be one.
            absent = element.kind not in _TEXT_TYPES
        if not absent:
            return (self.value(element, value),)
        if element.has_default:
            return (self.value(element, element.default_value),)
        if not element.is_optional:
            is_null = is_there and value is None
            message = "is required, and is null" if is_null else "is required"
            self.add_violation(InvalidValue("MISSING", message))
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
            return self.add_violation(InvalidValue("OUT_OF_RANGE", message))
        left = iter(positions)
        return self.items(value, "a list", lambda value: self.item(next(left), value))

    def dict_of_any(self, each: Element | None, value: Any) -> Any:
        if not isinstance(value, dict):
            return self.add_wrong_type(value, "a dict")
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
            return self.add_violation(InvalidValue("WRONG_TYPE", "is null"))
        return self.value(element, value)

    def dict_list(
        self, elements: tuple[Element, ...] | None, unknown: UnknownKeys, value: Any
    ) -> Any:
        def each(item: Any) -> Any:
            if elements is not None:
                return self.dict_of(elements, unknown, item)
            return item if isinstance(item, dict) else self.add_wrong_type(item, "a dict")

        return self.items(value, "a list of dicts", each)

    def items(self, value: Any, wanted: str, each: Callable[[Any], Any]) -> Any:
        if not isinstance(value, list):
            return self.add_wrong_type(value, wanted)
        out = []
        for index, item in enumerate(value):
            self.path.append(index)
            out.append(each(item))
            self.path.pop()
        return out

    def csv(self, value: Any) -> Any:
        """Strings: a list for handlers, one string with commas for callers."""
        if isinstance(value, str):
            if self.is_output:
                return value
            value = value.split(",") if value else []

        def each(item: Any) -> Any:
            text = self.scalar(_TEXT, item)
            if self.is_output and isinstance(text, str) and "," in text:
                message = "contains a comma, which separates the texts"
                return self.add_violation(InvalidValue("OUT_OF_RANGE", message))
            return text

        items = self.items(value, "a list of texts, or one comma-separated text", each)
        if not self.is_output or not isinstance(items, list):
            return items
        if items == [""]:
            message = "is one empty text, which looks like an empty list"
            return self.add_violation(InvalidValue("OUT_OF_RANGE", message))
        return ",".join(item or "" for item in items)

    def scalar(self, element: Element, value: Any) -> Any:
        try:
            return scalars.parse_scalar(element, value)
        except InvalidValue as invalid:
            return self.add_violation(invalid)

    def unknown(
        self, declared: set[str], policy: UnknownKeys, key: str, value: Any, out: dict[str, Any]
    ) -> None:
        if policy is UnknownKeys.KEEP:
            out[key] = value
        elif policy is UnknownKeys.REFUSE:
            closest = _closest_name(key, declared)
            hint = f"; did you mean `{closest}`?" if closest else ""
            self.path.append(key)
            self.add_violation(InvalidValue("UNKNOWN_KEY", f"is not declared{hint}"))
            self.path.pop()
        elif not self.is_output:
            steps = ["*" if isinstance(step, int) else step for step in self.path]
            name = self.pointer([*steps, key]).removeprefix("/")
            ignored = self.result.ignored
            if name not in ignored and len(ignored) < _MAX_IGNORED:
                ignored.append(name)

    def add_wrong_type(self, value: Any, wanted: str) -> None:
        # A string may contain the secret.
        if isinstance(value, str) and self.has_secrets:
            value = "***"
        self.add_violation(scalars.wrong_type(value, wanted))

    def add_violation(self, invalid: InvalidValue) -> None:
        if len(self.result.violations) >= _MAX_VIOLATIONS:
            self.result.omitted += 1
            return
        violation = Violation(self.pointer(self.path), invalid.message, invalid.code)
        self.result.violations.append(violation)

    @staticmethod
    def pointer(steps: list[Any]) -> str:
        path = ""
        for step in steps:
            path = join_pointer(path, step)
        return path


def _closest_name(key: str, declared: set[str]) -> str | None:
    result = difflib.get_close_matches(key, sorted(declared), 1, 0.75)
    return result[0] if result else None
