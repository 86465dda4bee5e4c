"""Declarations mean in Python what they mean in Rust: over the corpus that both share."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import json
import re
import typing
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
import pydantic
import pytest
from google.protobuf import json_format

import cidery
from cidery import (
    AsIs,
    Bool,
    Bytes,
    Client,
    Csv,
    Date,
    DateTime,
    Decimal,
    Dict,
    DictList,
    Element,
    Elements,
    Float,
    Int,
    InvalidArgument,
    List,
    Secret,
    Service,
    Sio,
    Text,
    Type,
    UnknownKeys,
    Uuid,
    testing,
)
from cidery._check import Checked, check_input, check_output
from cidery._definition import Definition
from cidery._models import elements_of
from cidery._sio import json_text, read_exact
from cidery._value import normalized
from cidery.testing import Node
from cidery.v1 import service_pb2

ROOT = Path(__file__).parent.parent.parent
CORPUS = json.loads((ROOT / "tests" / "fixtures" / "declarations.json").read_text())
I64 = (-(2**63), 2**63 - 1)


def declared(entry: dict[str, Any]) -> service_pb2.SimpleIo:
    return json_format.ParseDict(entry["declaration"], service_pb2.SimpleIo())


def outcome(sio: Sio, case: dict[str, Any]) -> dict[str, Any]:
    found: Checked
    if "input" in case:
        found, elem = check_input(sio, case["input"]), ""
    else:
        found, elem = check_output(sio, case["output"]), sio.response_elem
    if found.violations:
        return {"violations": [[v.path, v.reason] for v in found.violations]}
    value = {elem: found.value} if elem else found.value
    # As text: the order is the declaration's.
    came = {"becomes": json_text(value)}
    return {**came, "ignored": ",".join(found.ignored)} if found.ignored else came


CASES = [
    pytest.param(entry, case, id=f"{entry['name']}-{index}")
    for entry in CORPUS
    for index, case in enumerate(entry["cases"])
]


@pytest.mark.parametrize(("entry", "case"), CASES)
def test_the_corpus_holds(entry: dict[str, Any], case: dict[str, Any]) -> None:
    expected = {key: value for key, value in case.items() if key not in ("input", "output")}
    if "becomes" in expected:
        expected["becomes"] = json_text(expected["becomes"])
    assert outcome(Sio.from_proto(declared(entry)), case) == expected


def test_a_node_says_of_the_corpus_what_the_check_says(node: Node, client: Client) -> None:
    """Word for word, so that a test without a node shows what callers will see."""

    class OfCorpus(Service):
        def handle(self) -> None:
            raise cidery.Aborted("it fits")

    declarations = {f"corpus.{e['name']}": Sio.from_proto(declared(e)) for e in CORPUS}
    services = []
    for name, sio in declarations.items():

        def declare(_: Any, sio: Sio = sio) -> tuple[Sio, dict[str, Any]]:
            return sio, {}

        body = {"name": name, "_declare": staticmethod(declare)}
        services.append(type("OfOne", (OfCorpus,), body))
    compared = 0
    with cidery.Worker(*services, node=node.address):
        for entry in CORPUS:
            name = f"corpus.{entry['name']}"
            for case in entry["cases"]:
                if "input" not in case:
                    continue
                found = check_input(declarations[name], normalized(case["input"]))
                expected = [(v.path, v.reason, v.description) for v in found.violations]
                with pytest.raises(cidery.CideryError) as caught:
                    client.invoke(name, case["input"])
                said = [(v.path, v.reason, v.description) for v in caught.value.violations]
                # Keys that are not declared come in no order.
                assert sorted(said) == sorted(expected)
                assert isinstance(caught.value, InvalidArgument if expected else cidery.Aborted)
                compared += 1
    assert compared > 40


@dataclasses.dataclass
class Scalars:
    text: str
    int: Annotated[int, Int("").range(*I64).description("A whole number.")]
    float: float
    decimal: decimal.Decimal
    bool: bool
    date: datetime.date
    dateTime: datetime.datetime  # noqa: N815
    uuid: uuid.UUID
    any: Any


U32 = Int("").range(-(2**31), 2**31 - 1)


@dataclasses.dataclass
class Optional:
    note: str | None = None
    count: Annotated[int, U32] = 0
    age: Annotated[int, Int("").range(0, 255)] = 18
    since: datetime.date | None = None
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Person:
    name: str
    phone: str | None = None


class Note(typing.TypedDict):
    text: str


@attrs.define
class Line:
    sku: str
    count: Annotated[int, Int("").range(0, 2**32 - 1)]
    notes: list[Note]


class Order(pydantic.BaseModel):
    order_id: Annotated[int, Int("").range(*I64)]
    customer: Person
    lines: list[Line]
    gift_for: Person | None = None
    labels: dict[str, str]

    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)


@dataclasses.dataclass
class Enums:
    kind: Literal["plain", "next-day"]
    kinds: list[Literal["plain", "next-day"]]
    color: Literal["Red", "Blue"] | None = None


FORMS: list[tuple[str, Sio]] = [
    ("scalars", Sio(input=elements_of(Scalars))),
    (
        "scalars",
        Sio.declared(
            [
                Text("text"),
                Int("int", description="A whole number.", range=I64),
                Float("float"),
                Decimal("decimal"),
                Bool("bool"),
                Date("date"),
                DateTime("dateTime"),
                Uuid("uuid"),
                AsIs("any"),
            ]
        ),
    ),
    ("optional", Sio(input=elements_of(Optional))),
    ("nested", Sio(input=elements_of(Order))),
    ("strict", Sio(input=Elements((Int("cust_id", range=I64),), keys=UnknownKeys.REFUSE))),
    ("kept", Sio(input=Elements((Int("cust_id", range=I64),), keys=UnknownKeys.KEEP))),
    ("list", Sio(input=Elements((Int("id", range=I64), Text("-name")), is_list=True))),
    (
        "annotated",
        Sio.declared([Secret("token"), Bytes("content"), Int("numbered", number=7, range=I64)]),
    ),
    ("empty", Sio.declared(())),
    ("bare", Sio.declared(["cust_id", "-first-name"], "cust_name", response_elem="customer")),
    (
        "inferred",
        Sio.declared(["cust_id", "is_active", "-token", "name", AsIs("user_id")]).inferred(),
    ),
    (
        "model-style",
        Sio.declared(
            [Int("age", default=18), Csv("roles"), Float("-limit")],
            [Csv("roles"), Int("-age")],
            empty_strings=cidery.EmptyStrings.ABSENT,
            csv=cidery.CsvOptions(delimiter=";"),
        ),
    ),
]


@pytest.mark.parametrize(("name", "sio"), FORMS, ids=lambda v: v if isinstance(v, str) else "")
def test_what_is_declared_in_python_is_what_is_declared_in_rust(name: str, sio: Sio) -> None:
    (entry,) = [entry for entry in CORPUS if entry["name"] == name]
    assert sio.to_proto() == declared(entry)


def test_enums_are_texts_that_are_allowed() -> None:
    (entry,) = [entry for entry in CORPUS if entry["name"] == "enums"]
    by_name = {element.name: element for element in declared(entry).input.elements}
    found = Sio(input=elements_of(Enums)).to_proto().input.elements
    assert {element.name: element for element in found} == by_name


ROW = re.compile(r"^\| (?P<kind>[A-Z]\w+)(?P<of>[^|]*) \| `(?P<given>.*)` \| (?P<becomes>.*) \|$")


def rows() -> list[Any]:
    """The tables of docs/sio.md, each row of which is a test of the node as well."""
    text = (ROOT / "docs" / "sio.md").read_text()
    inputs, _, outputs = text.partition("### Outputs")
    found = []
    for side, part in (("input", inputs), ("output", outputs)):
        for line in part.splitlines():
            match = ROW.match(line)
            if match:
                given = match["given"]
                row = pytest.param(side, match, id=f"{side} {match['kind']}{match['of']} {given}")
                found.append(row)
    return found


def element_of(kind: str, of: str) -> Element:
    if kind in ("Dict", "DictList") and of:
        return {"Dict": Dict, "DictList": DictList}[kind]("x", Int("a"))
    if of:
        return List("x", Type.INT)
    return Element("x", Type(kind))


@pytest.mark.parametrize(("side", "row"), rows())
def test_the_table_of_types_holds(side: str, row: re.Match[str]) -> None:
    sio = Sio.declared(**{side: [element_of(row["kind"], row["of"].strip())]})
    check = check_input if side == "input" else check_output
    found = check(sio, {"x": read_exact(row["given"])})
    if row["becomes"].startswith("`"):
        assert found.violations == []
        becomes = json_text(found.value["x"])
        assert json.dumps(json.loads(becomes)) == json.dumps(json.loads(row["becomes"].strip("`")))
    else:
        code, _, path = row["becomes"].partition(" at ")
        (violation,) = found.violations
        assert (violation.reason, violation.path) == (code, "/x" + path.strip("`"))


def test_there_are_rows_to_test() -> None:
    assert len(rows()) > 100


def test_everything_that_is_wrong_with_a_declaration_is_said_at_once(
    node: Node, client: Client
) -> None:
    class Wrong(Service):
        input = (
            Int("a", default="x"),
            "a",
            Text("", number=19_500),
            DictList("rows", Int("n", number=1), Int("m", number=1)),
            Decimal("price", range=(0, 1)),
            Int("n", one_of=["1"]),
        )
        output = List("l", Type.INT, default=["1", "two"])
        csv = cidery.CsvOptions(delimiter=",", quote=",")

        def handle(self) -> None:
            pass

    with pytest.raises(InvalidArgument) as here:
        testing.run(Wrong)
    assert here.value.reason == "DECLARATION_INVALID"
    assert [(v.path, v.reason) for v in here.value.violations] == [
        ("/input/a/default", "WRONG_TYPE"),
        ("/input/a", "DUPLICATE_KEY"),
        ("/input/", "INVALID"),
        ("/input/", "OUT_OF_RANGE"),
        ("/input/rows/m", "DUPLICATE_NUMBER"),
        ("/input/price", "INVALID"),
        ("/input/n", "INVALID"),
        ("/output/l/default/1", "WRONG_TYPE"),
        ("/csv", "INVALID"),
    ]
    # And a node says the same.
    with pytest.raises(InvalidArgument) as there:
        cidery.Worker(Wrong, node=node.address).start()
    before = "/services/0/sio"
    said = [(v.path, v.reason, v.description) for v in there.value.violations]
    assert said == [(before + v.path, v.reason, v.description) for v in here.value.violations]


class Everything(Service):
    input = (
        Int("number"),
        Decimal("price"),
        Date("day"),
        DateTime("at"),
        Uuid("key"),
        Bytes("content"),
        Float("ratio"),
        Csv("roles"),
        DictList("lines", Int("count")),
        "-anything",
    )

    def handle(self) -> Any:
        return {}


def test_handlers_get_the_types_that_python_has() -> None:
    given = {
        "number": str(2**70),
        "price": "1.10",
        "day": "2026-01-31",
        "at": "2026-01-31T13:00:00.123456789+01:00",
        "key": "01890F5A7B3C7DEF8123456789ABCDEF",
        "content": "AP8",
        "ratio": 3,
        "roles": "a,b",
        "lines": [{"count": "7"}],
    }
    read = testing.trial(Everything, given).service.request.input
    assert read.number == 2**70
    assert str(read.price) == "1.10"
    assert read.day == datetime.date(2026, 1, 31)
    assert read.at == datetime.datetime(2026, 1, 31, 12, 0, 0, 123456, datetime.timezone.utc)
    assert read.key == uuid.UUID("01890f5a-7b3c-7def-8123-456789abcdef")
    assert read.content == b"\x00\xff"
    assert read.ratio == 3.0
    assert isinstance(read.ratio, float)
    assert read.roles == ["a", "b"]
    assert read.lines[0].count == 7 or read.lines[0]["count"] == 7
    assert read.anything is None
    assert "anything" not in read


class Placed(Service):
    input = Order
    output = Order

    def handle(self) -> Any:
        order = self.request.input
        assert isinstance(order, Order)
        assert isinstance(order.customer, Person)
        return order


def test_models_come_in_and_go_out_as_they_are() -> None:
    given = {
        "order_id": 1,
        "customer": {"name": "Ann"},
        "lines": [{"sku": "x", "count": 2, "notes": [{"text": "t"}]}],
        "labels": {"k": "v"},
    }
    answered = testing.run(Placed, given)
    assert answered.customer == {"name": "Ann"}
    assert answered.lines[0].sku == "x"


class Limited(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=3)


class UsesLimited(Service):
    input = Limited

    def handle(self) -> None:
        raise AssertionError("the input does not fit")


def test_what_a_model_refuses_beyond_its_declaration_is_a_violation() -> None:
    with pytest.raises(InvalidArgument) as caught:
        testing.run(UsesLimited, {"name": "Alexis"})
    assert caught.value.reason == "INPUT_INVALID"
    (violation,) = caught.value.violations
    assert (violation.path, violation.reason) == ("/name", "INVALID")


def test_a_name_that_is_not_declared_cannot_be_read() -> None:
    read = testing.trial(Strict, {"first-name": "a"}).service.request.input
    assert read["first-name"] == "a"
    assert read.get("age", 5) == 5
    with pytest.raises(AttributeError, match="`zz` is not declared"):
        _ = read.zz


class Strict(Service):
    input = "-first-name", "-age"

    def handle(self) -> None:
        pass


def test_required_and_optional_can_be_said_apart() -> None:
    class Apart(Service):
        class SimpleIO:
            input_required = "b", Int("a")
            input_optional = "c", "b"
            output_optional = ("d",)
            response_elem = "answer"

    sio = Definition.of(Apart).sio
    assert sio.input is not None
    assert [(e.name, e.is_optional) for e in sio.input.elements] == [
        ("b", False),
        ("a", False),
        ("c", True),
    ]
    assert sio.response_elem == "answer"


def test_two_ways_to_declare_one_side_are_refused() -> None:
    class Both(Service):
        class SimpleIO:
            input = "a"
            input_required = "b"

    with pytest.raises(ValueError, match="cannot provide"):
        Definition.of(Both)


def test_what_is_no_element_is_refused() -> None:
    wrong: Any = [5]
    with pytest.raises(TypeError, match="an element is a text"):
        Sio.declared(wrong)


@dataclasses.dataclass
class Stamped:
    rid: uuid.UUID = dataclasses.field(default_factory=uuid.uuid4)
    at: datetime.datetime = dataclasses.field(default_factory=datetime.datetime.now)
    tags: list[str] = dataclasses.field(default_factory=list)


class StampedByPydantic(pydantic.BaseModel):
    rid: uuid.UUID = pydantic.Field(default_factory=uuid.uuid4)
    at: datetime.datetime = pydantic.Field(default_factory=datetime.datetime.now)
    tags: list[str] = pydantic.Field(default_factory=list)


@attrs.define
class StampedByAttrs:
    rid: uuid.UUID = attrs.field(factory=uuid.uuid4)
    at: datetime.datetime = attrs.field(factory=datetime.datetime.now)
    tags: list[str] = attrs.field(factory=list)


@pytest.mark.parametrize("model", [Stamped, StampedByPydantic, StampedByAttrs])
def test_a_default_factory_runs_for_each_call(model: Any, node: Node, client: Client) -> None:
    class Stamps(Service):
        name = f"sio.{model.__name__.lower()}"
        input = model

        def handle(self) -> Any:
            return {"rid": self.request.input.rid, "tags": self.request.input.tags}

    by_name = {element.name: element for element in elements_of(model).elements}
    assert by_name["rid"].is_optional
    assert not by_name["rid"].has_default
    assert by_name["tags"].default_value == []
    with cidery.Worker(Stamps, node=node.address):
        first, second = (client.invoke(Stamps) for _ in range(2))
        assert first.rid != second.rid
        assert first.tags == []
        given = str(uuid.uuid4())
        assert client.invoke(Stamps, rid=given).rid == given


class Item(pydantic.BaseModel):
    count: int


@dataclasses.dataclass
class Shelf:
    pair: tuple[datetime.date, int, Person]
    same: tuple[int, int]
    items: dict[str, Item]
    days: dict[str, datetime.date | None]


class FillsShelf(Service):
    input = Shelf

    def handle(self) -> Any:
        return {}


SHELF = {
    "pair": ["2026-01-31", "7", {"name": "Ann"}],
    "same": [1, 2],
    "items": {"a": {"count": "1"}, "b": {"count": 2}},
    "days": {"a/b": "2026-01-31", "none": None},
}


def test_tuples_and_dicts_of_types_are_read_as_these() -> None:
    read = testing.trial(FillsShelf, SHELF).service.request.input
    day = datetime.date(2026, 1, 31)
    assert read == Shelf(
        pair=(day, 7, Person("Ann")),
        same=(1, 2),
        items={"a": Item(count=1), "b": Item(count=2)},
        days={"a/b": day, "none": None},
    )


@pytest.mark.parametrize(
    ("wrong", "violations"),
    [
        ({"pair": ["x", "y", {}]}, ["/pair/0", "/pair/1", "/pair/2/name"]),
        ({"pair": ["2026-01-31", 7]}, ["/pair"]),
        ({"same": [1, 2, 3]}, ["/same"]),
        ({"items": {"a": {}, "b": 2}}, ["/items/a/count", "/items/b"]),
        ({"days": {"a/b": "x"}}, ["/days/a~1b"]),
    ],
)
def test_tuples_and_dicts_of_other_types_are_violations(
    wrong: dict[str, Any], violations: list[str]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        testing.run(FillsShelf, {**SHELF, **wrong})
    assert caught.value.reason == "INPUT_INVALID"
    # A dict that has travelled is in no order.
    assert sorted(violation.path for violation in caught.value.violations) == violations


@dataclasses.dataclass
class Counted:
    text: str
    length: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.length = len(self.text)


@attrs.define
class CountedByAttrs:
    text: str
    length: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.length = len(self.text)


class CountedByPydantic(pydantic.BaseModel):
    text: str

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def length(self) -> int:
        return len(self.text)


@pytest.mark.parametrize("model", [Counted, CountedByAttrs, CountedByPydantic])
def test_what_a_model_computes_comes_out_and_does_not_go_in(model: Any) -> None:
    class Counts(Service):
        input = output = model

        def handle(self) -> Any:
            return self.request.input

    assert testing.run(Counts, {"text": "four"}) == {"text": "four", "length": 4}
    assert [element.name for element in elements_of(model).elements] == ["text"]


class Renamed(pydantic.BaseModel):
    cust_name: str = pydantic.Field(alias="custName")
    cust_id: int = pydantic.Field(
        validation_alias=pydantic.AliasChoices("custId", "id"), serialization_alias="customer"
    )


def test_a_field_with_another_name_comes_and_goes_by_that() -> None:
    class Renames(Service):
        input = output = Renamed

        def handle(self) -> Any:
            return self.request.input

    answered = testing.run(Renames, {"custName": "Ann", "custId": 7})
    assert answered == {"custName": "Ann", "customer": 7}
