"""Encoding of values: the corpus shared by all languages, and Python objects."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import math
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import pydantic
import pytest
from google.protobuf.struct_pb2 import Value

from cidery import Bunch, InvalidArgument
from cidery._values.plain import to_plain
from cidery._values.struct_pb import from_value, round_trip, to_value

FIXTURES = Path(__file__).parent.parent.parent / "tests" / "fixtures"


def exact(text: str) -> float | decimal.Decimal:
    number = float(text)
    read = decimal.Decimal(text)
    return number if decimal.Decimal(repr(number)) == read else read


CORPUS = json.loads((FIXTURES / "values.json").read_text(), parse_float=exact)


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: entry["name"])
def test_the_corpus_round_trips(entry: dict[str, Any]) -> None:
    wire = Value.FromString(bytes.fromhex(entry["wire"]))
    # Maps are unordered on the wire.
    assert to_value(to_plain(entry["value"])) == wire
    assert len(to_value(entry["value"]).SerializeToString()) == len(entry["wire"]) // 2
    back = from_value(wire)
    assert back == entry["back"]
    assert type(back) in (type(entry["back"]), Bunch)
    if back == 0:
        assert math.copysign(1, back) == math.copysign(1, entry["back"])


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, decimal.Decimal("NaN")])
def test_a_number_that_is_not_finite_is_refused_with_its_path(number: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        to_value({"a": [1, {"b/c": number}]})
    (violation,) = caught.value.violations
    assert (violation.path, violation.reason) == ("/a/1/b~1c", "NOT_FINITE")
    assert caught.value.reason == "VALUE_INVALID"


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(InvalidArgument) as caught:
        to_value({"a": "\ud800"})
    assert caught.value.violations[0].reason == "NOT_UTF8"


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_nesting_is_limited_as_in_the_contract() -> None:
    assert round_trip(to_plain(nested(32))) == nested(32)
    with pytest.raises(TypeError, match="nested deeper than 32"):
        to_plain(nested(33))
    with pytest.raises(InvalidArgument):
        to_value(nested(33))


class Color(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Data:
    name: str
    points: list[Point]


@attrs.define
class Attrs:
    name: str


class Pydantic(pydantic.BaseModel):
    at: datetime.date


class ToDict:
    def to_dict(self) -> dict[str, int]:
        return {"a": 1}


class Plain:
    def __init__(self) -> None:
        self.public = 1
        self._private = 2


class Slots:
    __slots__ = ("a",)

    def __init__(self) -> None:
        self.a = 1


IDENTIFIER = uuid.UUID(int=7)
OBJECTS = [
    (Color.RED, "red"),
    (Point(1, 2), {"x": 1, "y": 2}),
    (Data("a", [Point(1, 2)]), {"name": "a", "points": [{"x": 1, "y": 2}]}),
    (Attrs("a"), {"name": "a"}),
    (Pydantic(at=datetime.date(2026, 1, 31)), {"at": "2026-01-31"}),
    (ToDict(), {"a": 1}),
    (Plain(), {"public": 1}),
    (Slots(), {"a": 1}),
    (collections.OrderedDict(a=(1, 2)), {"a": [1, 2]}),
    (Bunch(a=Bunch(b=1)), {"a": {"b": 1}}),
    (IDENTIFIER, str(IDENTIFIER)),
    (datetime.datetime(2026, 1, 31, tzinfo=datetime.timezone.utc), "2026-01-31T00:00:00+00:00"),
    (decimal.Decimal("1.10"), decimal.Decimal("1.10")),
    (bytearray(b"ab"), b"ab"),
    ({"b": 1}.values(), [1]),
]


@pytest.mark.parametrize(("value", "expected"), OBJECTS, ids=lambda value: type(value).__name__)
def test_any_object_converts_to_a_payload(value: Any, expected: Any) -> None:
    assert to_plain(value) == expected


@pytest.mark.parametrize(
    "value", [object(), print, int, (n for n in [1]), {1: 2}, 1j, iter([])], ids=repr
)
def test_an_object_that_cannot_be_serialized_is_a_type_error_with_its_path(value: Any) -> None:
    with pytest.raises(TypeError, match="`/list/1`"):
        to_plain({"list": [1, value]})


def test_a_recursive_object_is_a_type_error() -> None:
    loop: dict[str, Any] = {}
    loop["again"] = [loop]
    with pytest.raises(TypeError, match="`/again/0` contains itself"):
        to_plain(loop)
    # A repeated object is not a cycle.
    assert to_plain([loop_free := [1], loop_free]) == [[1], [1]]


def test_large_numbers_and_bytes_are_encoded_as_strings() -> None:
    value = {"big": 2**53, "price": decimal.Decimal("1.10"), "content": b"\x00\xff"}
    assert round_trip(value) == {"big": "9007199254740992", "price": "1.10", "content": "AP8="}


def test_responses_have_dot_access_at_every_level() -> None:
    response = round_trip({"my_response_elem": {"rows": [{"name": "a"}]}})
    assert response.my_response_elem.rows[0].name == "a"
    assert response["my_response_elem"]["rows"][0]["name"] == "a"
    assert response.at("my_response_elem.rows.0.name") == "a"
    with pytest.raises(AttributeError, match="no such key `zz`"):
        _ = response.zz
    assert isinstance(response, dict)
