"""Whether a declaration is sound in itself: everything that is wrong with it at once.

For tests without a node; a node refuses the worker's hello with the same violations.
"""

from __future__ import annotations

import dataclasses

from cidery._check import check_input, check_output
from cidery._errors import InvalidArgument, Violation
from cidery._payload import segment
from cidery._sio import Element, Elements, Sio, Type

_MAX_ELEMENTS = 1_000
_MAX_NAME_BYTES = 255
_MAX_DEPTH = 16
_MAX_NUMBER = 2**29 - 1


def audit(sio: Sio) -> None:
    """Raises what is wrong with a declaration: `DECLARATION_INVALID`."""
    faults: list[Violation] = []
    for side, elements in (("input", sio.input), ("output", sio.output)):
        if elements is not None:
            walk = _Audit(dataclasses.replace(sio, input=None, output=None), side)
            walk.elements(elements.elements, segment("", side), 1)
            if walk.seen > _MAX_ELEMENTS:
                walk.fault(f"/{side}", "TOO_MANY", f"has more than {_MAX_ELEMENTS} elements")
            faults += walk.faults
    csv = sio.csv
    if csv is not None and not _is_usable(csv.delimiter, csv.quote):
        message = (
            "the delimiter and the quote must be two different ASCII characters "
            "other than line breaks"
        )
        faults.append(Violation("/csv", message, "INVALID"))
    if faults:
        raise InvalidArgument(reason="DECLARATION_INVALID", violations=faults)


def _is_usable(delimiter: str, quote: str) -> bool:
    known = all(len(c) == 1 and c.isascii() and c not in "\r\n\0" for c in (delimiter, quote))
    return known and delimiter != quote


class _Audit:
    def __init__(self, policies: Sio, side: str) -> None:
        self.policies = policies
        self.side = side
        self.seen = 0
        self.faults: list[Violation] = []

    def fault(self, path: str, code: str, message: str) -> None:
        self.faults.append(Violation(path, message, code))

    def elements(self, elements: tuple[Element, ...], path: str, depth: int) -> None:
        names: set[str] = set()
        numbers: set[int] = set()
        for element in elements:
            at = segment(path, element.name)
            if not 0 < len(element.name.encode()) <= _MAX_NAME_BYTES:
                self.fault(at, "INVALID", f"a name must have 1 to {_MAX_NAME_BYTES} bytes")
            if element.name in names:
                self.fault(at, "DUPLICATE_KEY", "is declared twice")
            number = element.field_number
            if number and number in numbers:
                message = f"has the number {number} of another element"
                self.fault(at, "DUPLICATE_NUMBER", message)
            names.add(element.name)
            numbers.add(number)
            self.element(element, at, depth)

    def element(self, element: Element, at: str, depth: int) -> None:
        self.seen += 1
        if depth > _MAX_DEPTH:
            message = f"is nested deeper than {_MAX_DEPTH} dicts and lists"
            self.fault(at, "TOO_DEEP", message)
            return
        number = element.field_number
        if not 0 <= number <= _MAX_NUMBER or 19_000 <= number <= 19_999:
            message = f"a field number must be from 1 to {_MAX_NUMBER}, and not from 19000 to 19999"
            self.fault(at, "OUT_OF_RANGE", message)
        least, most = element.minimum, element.maximum
        if least is not None and most is not None and least > most:
            self.fault(at, "OUT_OF_RANGE", f"the range from {least} to {most} is empty")
        self._does_nothing(element, at)
        if element.elements:
            self.elements(element.elements, at, depth + 1)
        if element.item is not None:
            if element.item.is_optional:
                message = "the item of a list can be neither optional nor have a default"
                self.fault(at, "INVALID", message)
            self.element(element.item, at, depth + 1)
        for inside in (*([element.each] if element.each else ()), *element.positions):
            self.element(inside, at, depth + 1)
        if element.has_default:
            self._default(element, at)

    def _does_nothing(self, element: Element, at: str) -> None:
        """What is declared and would not be looked at."""
        name = element.kind.value
        has_range = element.minimum is not None or element.maximum is not None
        if has_range and element.kind is not Type.INT:
            self.fault(at, "INVALID", f"has a range, which applies to `Int`, not to `{name}`")
        if element.texts and element.kind is not Type.TEXT:
            message = f"lists allowed texts, which apply to `Text`, not to `{name}`"
            self.fault(at, "INVALID", message)
        if element.keys is not None and element.kind not in (Type.DICT, Type.DICT_LIST):
            message = f"has a policy for undeclared keys, which `{name}` does not have"
            self.fault(at, "INVALID", message)

    def _default(self, element: Element, at: str) -> None:
        # As the one element of a declaration that it is required in.
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
            self.fault(at + violation.path, violation.reason, violation.description)
