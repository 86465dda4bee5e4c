"""Simple IO: the declared input and output of a service, as announced to a node.

The node validates by it, and the worker converts. `validation` implements the same rules for tests
without a node.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cidery._sio.element import Declared, Element, EmptyStrings, UnknownKeys
from cidery.v1 import service_pb2


@dataclass(frozen=True)
class Elements:
    """The declared elements of one direction, in declaration order."""

    elements: tuple[Element, ...] = ()
    is_list: bool = False
    keys: UnknownKeys | None = None

    @classmethod
    def of_any(cls, declared: Declared | Iterable[Declared] | Elements) -> Elements:
        """The elements of a declaration: one element or several, by name or as objects."""
        if isinstance(declared, Elements):
            return declared
        if isinstance(declared, (str, Element)):
            declared = [declared]
        if not isinstance(declared, Iterable):
            raise TypeError(
                f"{declared!r} is not a declaration: give names, elements, or a class with typed"
                " fields"
            )
        return cls(tuple(Element.of_any(element) for element in declared))

    def to_proto(self) -> service_pb2.Elements:
        """Encodes it for the contract."""
        return service_pb2.Elements(
            elements=[element.to_proto() for element in self.elements],
            list=self.is_list,
            unknown_keys=f"UNKNOWN_KEYS_{self.keys.name if self.keys else 'UNSPECIFIED'}",
        )

    @classmethod
    def from_proto(cls, message: service_pb2.Elements) -> Elements:
        """Decodes it from the contract."""
        return cls(
            elements=tuple(map(Element.from_proto, message.elements)),
            is_list=message.list,
            keys=UnknownKeys(message.unknown_keys) if message.unknown_keys else None,
        )


@dataclass(frozen=True)
class CsvOptions:
    """How CSV documents are parsed and written."""

    header: bool = True
    delimiter: str = ","
    quote: str = '"'


@dataclass(frozen=True)
class Sio:
    """The declaration of a service: its input and its output."""

    input: Elements | None = None
    """The input. `None`: any value."""
    output: Elements | None = None
    """The output. `None`: any value."""
    response_elem: str = ""
    """The key that wraps the output; empty for none."""
    unknown_keys: UnknownKeys = UnknownKeys.DROP
    empty_strings: EmptyStrings = EmptyStrings.REFUSE
    csv: CsvOptions | None = None

    @classmethod
    def declared(
        cls,
        input: Declared | Sequence[Declared] | Elements | None = None,  # noqa: A002
        output: Declared | Sequence[Declared] | Elements | None = None,
        **options: Any,
    ) -> Sio:
        """Creates a declaration from elements; `()` declares no elements, `None` any value."""
        return cls(
            input=None if input is None else Elements.of_any(input),
            output=None if output is None else Elements.of_any(output),
            **options,
        )

    def inferred(self) -> Sio:
        """Infers the types of bare names by Zato's rules."""

        def side(elements: Elements | None) -> Elements | None:
            if elements is None:
                return None
            inferred = tuple(element.inferred() for element in elements.elements)
            return dataclasses.replace(elements, elements=inferred)

        return dataclasses.replace(self, input=side(self.input), output=side(self.output))

    def to_proto(self) -> service_pb2.SimpleIo:
        """Encodes it for the contract."""
        csv = self.csv
        return service_pb2.SimpleIo(
            input=self.input.to_proto() if self.input is not None else None,
            output=self.output.to_proto() if self.output is not None else None,
            response_elem=self.response_elem,
            unknown_keys=f"UNKNOWN_KEYS_{self.unknown_keys.name}",
            empty_strings=f"EMPTY_STRINGS_{self.empty_strings.name}",
            csv=service_pb2.CsvOptions(
                no_header=not csv.header, delimiter=csv.delimiter, quote=csv.quote
            )
            if csv is not None
            else None,
        )

    @classmethod
    def from_proto(cls, message: service_pb2.SimpleIo) -> Sio:
        """Decodes it from the contract."""
        csv = message.csv
        return cls(
            input=Elements.from_proto(message.input) if message.HasField("input") else None,
            output=Elements.from_proto(message.output) if message.HasField("output") else None,
            response_elem=message.response_elem,
            unknown_keys=UnknownKeys(message.unknown_keys or 1),
            empty_strings=EmptyStrings(message.empty_strings or 1),
            csv=CsvOptions(not csv.no_header, csv.delimiter or ",", csv.quote or '"')
            if message.HasField("csv")
            else None,
        )
