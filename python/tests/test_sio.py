"""Declarations behave in Python as in Rust: the shared corpus."""

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
from cidery._service.definition import Definition
from cidery._sio.model_declarations import elements_of_model
from cidery._sio.validation import ValidationResult, check_input, check_output
from cidery._values.json_codec import parse_json_exact, to_json
from cidery._values.struct_pb import round_trip
from cidery.testing import Node
from cidery.v1 import service_pb2

ROOT = Path(__file__).parent.parent.parent
CORPUS = json.loads((ROOT / "tests" / "fixtures" / "declarations.json").read_text())
I64 = (-(2**63), 2**63 - 1)


def declared(entry: dict[str, Any]) -> service_pb2.SimpleIo:
    return json_format.ParseDict(entry["declaration"], service_pb2.SimpleIo())


def outcome(sio: Sio, case: dict[str, Any]) -> dict[str, Any]:
    found: ValidationResult
    if "input" in case:
        found, elem = check_input(sio, case["input"]), ""
    else:
        found, elem = check_output(sio, case["output"]), sio.response_elem
    if found.violations:
        return {"violations": [[v.path, v.reason] for v in found.violations]}
    value = {elem: found.value} if elem else found.value
    # Compared as text, in declaration order.
    came = {"becomes": to_json(value)}
    return {**came, "ignored": ",".join(found.ignored)} if found.ignored else came


CASES = [
    pytest.param(entry, case, id=f"{entry['name']}-{index}")
    for entry in CORPUS
    for index, case in enumerate(entry["cases"])
]


@pytest.mark.parametrize(("entry", "case"), CASES)
def test_the_corpus_passes(entry: dict[str, Any], case: dict[str, Any]) -> None:
    expected = {key: value for key, value in case.items() if key not in ("input", "output")}
    if "becomes" in expected:
        expected["becomes"] = to_json(expected["becomes"])
    assert outcome(Sio.from_proto(declared(entry)), case) == expected


def test_a_node_agrees_with_the_local_validation_on_the_corpus(node: Node, client: Client) -> None:
    """Compares messages literally: the harness shows what callers will see."""

    class OfCorpus(Service):
        def handle(self) -> None:
            raise cidery.Aborted("ABORTED", "it fits")

    declarations = {f"corpus.{e['name']}": Sio.from_proto(declared(e)) for e in CORPUS}
    services = []
    for name, sio in declarations.items():

        def declare(_: Any, sio: Sio = sio) -> tuple[Sio, dict[str, Any]]:
            return sio, {}

        body = {"name": name, "_read_declaration": staticmethod(declare)}
        services.append(type("OfOne", (OfCorpus,), body))
    compared = 0
    with cidery.Worker(*services, node=node.address):
        for entry in CORPUS:
            name = f"corpus.{entry['name']}"
            for case in entry["cases"]:
                if "input" not in case:
                    continue
                found = check_input(declarations[name], round_trip(case["input"]))
                expected = [(v.path, v.reason, v.description) for v in found.violations]
                with pytest.raises(cidery.CideryError) as caught:
                    client.invoke(name, case["input"])
                said = [(v.path, v.reason, v.description) for v in caught.value.violations]
                # Undeclared keys are unordered.
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
    ("scalars", Sio(input=elements_of_model(Scalars))),
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
    ("optional", Sio(input=elements_of_model(Optional))),
    ("nested", Sio(input=elements_of_model(Order))),
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
def test_declarations_of_python_equal_those_of_rust(name: str, sio: Sio) -> None:
    (entry,) = [entry for entry in CORPUS if entry["name"] == name]
    assert sio.to_proto() == declared(entry)


def test_enums_are_strings_with_allowed_values() -> None:
    (entry,) = [entry for entry in CORPUS if entry["name"] == "enums"]
    by_name = {element.name: element for element in declared(entry).input.elements}
    found = Sio(input=elements_of_model(Enums)).to_proto().input.elements
    assert {element.name: element for element in found} == by_name


ROW = re.compile(r"^\| (?P<kind>[A-Z]\w+)(?P<of>[^|]*) \| `(?P<given>.*)` \| (?P<becomes>.*) \|$")


def rows() -> list[Any]:
    """The tables of docs/sio.md; the node's tests read the same rows."""
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
def test_the_table_of_types_in_the_docs_passes(side: str, row: re.Match[str]) -> None:
    sio = Sio.declared(**{side: [element_of(row["kind"], row["of"].strip())]})
    check = check_input if side == "input" else check_output
    found = check(sio, {"x": parse_json_exact(row["given"])})
    if row["becomes"].startswith("`"):
        assert found.violations == []
        becomes = to_json(found.value["x"])
        assert json.dumps(json.loads(becomes)) == json.dumps(json.loads(row["becomes"].strip("`")))
    else:
        code, _, path = row["becomes"].partition(" at ")
        (violation,) = found.violations
        assert (violation.reason, violation.path) == (code, "/x" + path.strip("`"))


def test_the_docs_have_rows_to_test() -> None:
    assert len(rows()) > 100


def test_all_violations_of_a_declaration_are_reported_at_once(node: Node, client: Client) -> None:
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
    # A node reports the same violations.
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


def test_handlers_get_python_types() -> None:
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


def test_models_are_inputs_and_outputs() -> None:
    given = {
        "order_id": 1,
        "customer": {"name": "Ann"},
        "lines": [{"sku": "x", "count": 2, "notes": [{"text": "t"}]}],
        "labels": {"k": "v"},
    }
    answered = testing.run(Placed, given)
    assert answered.customer == Person("Ann")
    assert answered.lines[0].sku == "x"


class Limited(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=3)


class UsesLimited(Service):
    input = Limited

    def handle(self) -> None:
        raise AssertionError("the input does not fit")


def test_a_value_refused_by_a_model_is_a_violation() -> None:
    with pytest.raises(InvalidArgument) as caught:
        testing.run(UsesLimited, {"name": "Alexis"})
    assert caught.value.reason == "INPUT_INVALID"
    (violation,) = caught.value.violations
    assert (violation.path, violation.reason) == ("/name", "INVALID")


def test_an_undeclared_name_cannot_be_read() -> None:
    read = testing.trial(Strict, {"first-name": "a"}).service.request.input
    assert read["first-name"] == "a"
    assert read.get("age", 5) == 5
    with pytest.raises(AttributeError, match="`zz` is not declared"):
        _ = read.zz


class Strict(Service):
    input = "-first-name", "-age"

    def handle(self) -> None:
        pass


def test_required_and_optional_elements_can_be_declared_separately() -> None:
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


def test_an_invalid_element_is_refused() -> None:
    wrong: Any = [5]
    with pytest.raises(TypeError, match="an element is a name"):
        Sio.declared(wrong)
