"""Elements: the declared fields of an input or an output, with their types and options."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from cidery._sio.inference import inferred_type_name
from cidery._values.json_codec import parse_json_exact, to_json
from cidery._values.plain import to_plain
from cidery.v1 import service_pb2

MISSING: Any = object()


class Type(enum.Enum):
    """The type of an element."""

    AS_IS = "AsIs"
    TEXT = "Text"
    INT = "Int"
    FLOAT = "Float"
    DECIMAL = "Decimal"
    BOOL = "Bool"
    DATE = "Date"
    DATE_TIME = "DateTime"
    UUID = "Uuid"
    BYTES = "Bytes"
    LIST = "List"
    DICT = "Dict"
    DICT_LIST = "DictList"
    CSV = "Csv"
    SECRET = "Secret"


class UnknownKeys(enum.Enum):
    """The policy for keys that are not declared."""

    DROP = 1
    """Dropped; those of an input are listed in the `cidery-ignored` metadata."""
    KEEP = 2
    """Kept."""
    REFUSE = 3
    """Refused as violations."""


class EmptyStrings(enum.Enum):
    """The policy for empty strings."""

    REFUSE = 1
    """Values like any other: a violation where the element is not a string."""
    ABSENT = 2
    """Treated as absent, where the element cannot be an empty text."""


@dataclass(frozen=True)
class Element:
    """One declared element. Its methods return a changed copy.

    A string stands for an element of any type: `"cust_id"` is required, `"-cust_id"` is optional.
    """

    name: str
    kind: Type = Type.AS_IS
    is_optional: bool = False
    default_value: Any = MISSING
    elements: tuple[Element, ...] | None = None
    item: Element | None = None
    field_number: int = 0
    about: str = ""
    texts: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    keys: UnknownKeys | None = None
    is_bare: bool = False
    # Beyond the contract: not announced to the node, and checked by the SDK (`local_checks`).
    each: Element | None = None
    """The values of a dict with any keys, or the items of a list that may be null."""
    positions: tuple[Element, ...] = ()
    """The items of a tuple, one by one."""
    recursive_elements: Callable[[], tuple[Element, ...]] | None = dataclasses.field(
        default=None, compare=False
    )
    """The elements of a dict that contains itself."""

    @classmethod
    def of_any(cls, declared: Declared) -> Element:
        """An element that is given as an object or by its name."""
        if isinstance(declared, Element):
            return declared
        if isinstance(declared, str):
            return dataclasses.replace(cls.named(declared), is_bare=True)
        raise TypeError(f"an element is a name or an object such as `Int(...)`, not {declared!r}")

    @classmethod
    def named(cls, name: str, kind: Type = Type.AS_IS) -> Element:
        """A required element; a name that begins with `-` declares an optional one."""
        if len(name) > 1 and name.startswith("-"):
            return cls(name[1:], kind, is_optional=True)
        return cls(name, kind)

    @property
    def contained(self) -> tuple[Element, ...] | None:
        """The declared elements of a dict, or of each dict of a list."""
        return self.elements if self.recursive_elements is None else self.recursive_elements()

    @property
    def has_default(self) -> bool:
        """Whether it has a default value."""
        return self.default_value is not MISSING

    def optional(self) -> Element:
        """Makes it optional."""
        return dataclasses.replace(self, is_optional=True)

    def default(self, value: Any) -> Element:
        """Sets the value where it is absent, and makes it optional."""
        return dataclasses.replace(self, default_value=to_plain(value), is_optional=True)

    def description(self, text: str) -> Element:
        """Sets the description, one sentence."""
        return dataclasses.replace(self, about=text)

    def number(self, number: int) -> Element:
        """Sets the field number of the typed method: from 1 to 2^29 - 1, not 19000 to 19999."""
        return dataclasses.replace(self, field_number=number)

    def one_of(self, *texts: str) -> Element:
        """Allows only these strings."""
        return dataclasses.replace(self, texts=texts)

    def range(self, minimum: int | None = None, maximum: int | None = None) -> Element:
        """Allows only integers within these bounds."""
        return dataclasses.replace(self, minimum=minimum, maximum=maximum)

    def unknown_keys(self, policy: UnknownKeys) -> Element:
        """Sets the policy for keys of this dict that are not declared."""
        return dataclasses.replace(self, keys=policy)

    def of(self, item: Declared | Type) -> Element:
        """Sets the type of the items of a list."""
        if self.kind is not Type.LIST:
            raise TypeError(f"`of` is not for `{self.kind.value}`")
        if isinstance(item, Type):
            return dataclasses.replace(self, item=Element("", item))
        return dataclasses.replace(self, item=dataclasses.replace(Element.of_any(item), name=""))

    def containing(self, *elements: Declared) -> Element:
        """Sets the elements of a dict, or of each dict of a list."""
        if self.kind not in (Type.DICT, Type.DICT_LIST):
            raise TypeError(f"`containing` is not for `{self.kind.value}`")
        declared = tuple(Element.of_any(element) for element in elements)
        # No elements mean any keys: both are encoded in the same way.
        return dataclasses.replace(self, elements=declared or None)

    def inferred(self) -> Element:
        """Infers the type of a bare name by Zato's rules."""
        if not self.is_bare:
            return self
        return dataclasses.replace(self, kind=Type(inferred_type_name(self.name)), is_bare=False)

    def to_proto(self) -> service_pb2.Element:
        """Encodes it for the contract."""
        return service_pb2.Element(
            name=self.name,
            type=f"ELEMENT_TYPE_{self.kind.name}",
            optional=self.is_optional,
            default_json=to_json(self.default_value) if self.has_default else "",
            elements=[element.to_proto() for element in self.elements or ()],
            item=self.item.to_proto() if self.item else None,
            number=self.field_number,
            description=self.about,
            one_of=self.texts,
            minimum="" if self.minimum is None else str(self.minimum),
            maximum="" if self.maximum is None else str(self.maximum),
            unknown_keys=f"UNKNOWN_KEYS_{self.keys.name if self.keys else 'UNSPECIFIED'}",
        )

    @classmethod
    def from_proto(cls, message: service_pb2.Element) -> Element:
        """Decodes it from the contract."""
        default = message.default_json
        kind = service_pb2.ElementType.Name(message.type).removeprefix("ELEMENT_TYPE_")
        return cls(
            name=message.name,
            kind=Type.AS_IS if kind == "UNSPECIFIED" else Type[kind],
            is_optional=message.optional,
            default_value=parse_json_exact(default) if default else MISSING,
            elements=tuple(map(cls.from_proto, message.elements)) or None,
            item=cls.from_proto(message.item) if message.HasField("item") else None,
            field_number=message.number,
            about=message.description,
            texts=tuple(message.one_of),
            minimum=int(message.minimum) if message.minimum else None,
            maximum=int(message.maximum) if message.maximum else None,
            keys=UnknownKeys(message.unknown_keys) if message.unknown_keys else None,
        )


Declared: TypeAlias = "Element | str"
