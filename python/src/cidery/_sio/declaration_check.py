"""Validation of a declaration itself: all violations at once.

For tests without a node; a node refuses a worker's hello with the same violations.
"""

from __future__ import annotations

import dataclasses

from cidery._errors.exceptions import InvalidArgument, Violation
from cidery._sio.declaration import Elements, Sio
from cidery._sio.element import Element, Type
from cidery._sio.validation import check_input, check_output
from cidery._values.json_pointer import join_pointer

_MAX_ELEMENTS = 1_000
_MAX_ONE_OF = 1_000
_MAX_NAME_BYTES = 255
_MAX_DEPTH = 16
_MAX_NUMBER = 2**29 - 1


def check_declaration(sio: Sio) -> None:
    """Raises `DECLARATION_INVALID` with all violations of a declaration."""
    violations: list[Violation] = []
    for side, elements in (("input", sio.input), ("output", sio.output)):
        if elements is not None:
            checker = _DeclarationChecker(dataclasses.replace(sio, input=None, output=None), side)
            checker.elements(elements.elements, join_pointer("", side), 1)
            if checker.element_count > _MAX_ELEMENTS:
                checker.add_violation(
                    f"/{side}", "TOO_MANY", f"has more than {_MAX_ELEMENTS} elements"
                )
            violations += checker.violations
    csv = sio.csv
    if csv is not None and not _is_valid_csv(csv.delimiter, csv.quote):
        message = (
            "the delimiter and the quote must be two different ASCII characters "
            "other than line breaks"
        )
        violations.append(Violation("/csv", message, "INVALID"))
    if violations:
        raise InvalidArgument(reason="DECLARATION_INVALID", violations=violations)


def _is_valid_csv(delimiter: str, quote: str) -> bool:
    is_ascii = all(len(c) == 1 and c.isascii() and c not in "\r\n\0" for c in (delimiter, quote))
    return is_ascii and delimiter != quote


class _DeclarationChecker:
    def __init__(self, policies: Sio, side: str) -> None:
        self.policies = policies
        self.side = side
        self.element_count = 0
        self.violations: list[Violation] = []

    def add_violation(self, path: str, code: str, message: str) -> None:
        self.violations.append(Violation(path, message, code))

    def elements(self, elements: tuple[Element, ...], path: str, depth: int) -> None:
        names: set[str] = set()
        numbers: set[int] = set()
        for element in elements:
            at = join_pointer(path, element.name)
            if not 0 < len(element.name.encode()) <= _MAX_NAME_BYTES:
                self.add_violation(at, "INVALID", f"a name must have 1 to {_MAX_NAME_BYTES} bytes")
            if element.name in names:
                self.add_violation(at, "DUPLICATE_KEY", "is declared twice")
            number = element.field_number
            if number and number in numbers:
                message = f"has the number {number} of another element"
                self.add_violation(at, "DUPLICATE_NUMBER", message)
            names.add(element.name)
            numbers.add(number)
            self.element(element, at, depth)

    def element(self, element: Element, at: str, depth: int) -> None:
        self.element_count += 1
        if depth > _MAX_DEPTH:
            message = f"is nested deeper than {_MAX_DEPTH} dicts and lists"
            self.add_violation(at, "TOO_DEEP", message)
            return
        number = element.field_number
        if not 0 <= number <= _MAX_NUMBER or 19_000 <= number <= 19_999:
            message = f"a field number must be from 1 to {_MAX_NUMBER}, and not from 19000 to 19999"
            self.add_violation(at, "OUT_OF_RANGE", message)
        least, most = element.minimum, element.maximum
        if least is not None and most is not None and least > most:
            self.add_violation(at, "OUT_OF_RANGE", f"the range from {least} to {most} is empty")
        self._check_unused_options(element, at)
        if element.elements:
            self.elements(element.elements, at, depth + 1)
        if element.item is not None:
            if element.item.is_optional:
                message = "the item of a list can be neither optional nor have a default"
                self.add_violation(at, "INVALID", message)
            self.element(element.item, at, depth + 1)
        for inner in (*([element.each] if element.each else ()), *element.positions):
            self.element(inner, at, depth + 1)
        if element.has_default:
            self._check_default(element, at)

    def _check_unused_options(self, element: Element, at: str) -> None:
        """Reports options that have no effect on the element's type."""
        name = element.kind.value
        has_range = element.minimum is not None or element.maximum is not None
        if has_range and element.kind is not Type.INT:
            self.add_violation(
                at, "INVALID", f"has a range, which applies to `Int`, not to `{name}`"
            )
        if element.texts and element.kind is not Type.TEXT:
            self.add_violation(
                at, "INVALID", f"lists allowed texts, which apply to `Text`, not to `{name}`"
            )
        if len(element.texts) > _MAX_ONE_OF:
            self.add_violation(at, "TOO_MANY", f"lists more than {_MAX_ONE_OF} texts")
        if element.keys is not None and element.kind not in (Type.DICT, Type.DICT_LIST):
            message = f"has a policy for undeclared keys, which `{name}` does not have"
            self.add_violation(at, "INVALID", message)

    def _check_default(self, element: Element, at: str) -> None:
        # Validates the default as the value of a required element.
        required = dataclasses.replace(
            element, name="default", is_optional=False, default_value=Element("").default_value
        )
        alone = Elements((required,))
        is_input = self.side == "input"
        sio = dataclasses.replace(
            self.policies, input=alone if is_input else None, output=None if is_input else alone
        )
        check = check_input if is_input else check_output
        for violation in check(sio, {"default": element.default_value}).violations:
            self.add_violation(at + violation.path, violation.reason, violation.description)
