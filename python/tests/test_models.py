"""Models as declarations: default factories, collections, computed fields and aliases."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from typing import Any, TypedDict

import attrs
import pydantic
import pytest

import cidery
from cidery import (
    Client,
    InvalidArgument,
    Service,
    UnknownKeys,
    testing,
)
from cidery._sio.model_declarations import elements_of_model
from cidery._sio.model_instances import build_instance
from cidery.testing import Node


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

    by_name = {element.name: element for element in elements_of_model(model).elements}
    assert by_name["rid"].is_optional
    assert not by_name["rid"].has_default
    assert by_name["tags"].default_value == []
    with cidery.Worker(Stamps, node=node.address):
        first, second = (client.invoke(Stamps) for _ in range(2))
        assert first.rid != second.rid
        assert first.tags == []
        given = str(uuid.uuid4())
        assert client.invoke(Stamps, {"rid": given}).rid == given


class Item(pydantic.BaseModel):
    count: int


@dataclasses.dataclass
class Person:
    name: str


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


def test_typed_tuples_and_dicts_are_converted() -> None:
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
def test_tuples_and_dicts_with_wrong_types_are_violations(
    wrong: dict[str, Any], violations: list[str]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        testing.run(FillsShelf, {**SHELF, **wrong})
    assert caught.value.reason == "INPUT_INVALID"
    # Dicts are unordered on the wire.
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
def test_computed_fields_are_outputs_only(model: Any) -> None:
    class Counts(Service):
        input = output = model

        def handle(self) -> Any:
            return self.request.input

    assert testing.trial(Counts, {"text": "four"}).payload == {"text": "four", "length": 4}
    assert testing.run(Counts, {"text": "four"}) == model(text="four")
    assert [element.name for element in elements_of_model(model).elements] == ["text"]


class Renamed(pydantic.BaseModel):
    cust_name: str = pydantic.Field(alias="custName")
    cust_id: int = pydantic.Field(
        validation_alias=pydantic.AliasChoices("custId", "id"), serialization_alias="customer"
    )


def test_aliases_are_the_names_on_the_wire() -> None:
    class Renames(Service):
        input = output = Renamed

        def handle(self) -> Any:
            return self.request.input

    given = {"custName": "Ann", "custId": 7}
    assert testing.trial(Renames, given).payload == {"custName": "Ann", "customer": 7}
    assert testing.run(Renames, given) == Renamed.model_validate(given)


class Line(pydantic.BaseModel):
    sku: str = pydantic.Field(min_length=3)
    count: int = pydantic.Field(gt=0)


class Basket(pydantic.BaseModel):
    note: str = pydantic.Field(max_length=3)
    lines: list[Line]


class CountLines(Service[Basket, None]):
    def handle(self) -> None:
        pass


def test_the_constraints_of_pydantic_are_reported_at_once() -> None:
    lines = [{"sku": "x", "count": 0}, {"sku": "pen", "count": -1}]
    with pytest.raises(InvalidArgument) as caught:
        testing.run(CountLines, {"note": "too long", "lines": lines})  # type: ignore[arg-type]
    assert sorted(violation.path for violation in caught.value.violations) == [
        "/lines/0/count",
        "/lines/0/sku",
        "/lines/1/count",
        "/note",
    ]


class Part(pydantic.BaseModel, extra="forbid"):
    sku: str


class Strict(pydantic.BaseModel, extra="forbid"):
    part: Part
    parts: list[Part] = []


class Open(pydantic.BaseModel, extra="allow"):
    sku: str


@pydantic.dataclasses.dataclass(config=pydantic.ConfigDict(extra="forbid"))
class StrictDataclass:
    sku: str


class OpenDict(TypedDict):
    __pydantic_config__ = pydantic.ConfigDict(extra="allow")  # type: ignore[misc]
    sku: str


class TakesStrict(Service[Strict, Open]):
    name = "models.strict"

    def handle(self, input: Strict) -> Open:  # noqa: A002
        return Open.model_validate({"sku": input.part.sku, "more": 1})


class TakesOpen(Service[Open, None]):
    name = "models.open"

    def handle(self, input: Open) -> None:  # noqa: A002
        assert input.model_extra == {"color": "red"}


class DropsAll(Service[Strict, None]):
    name = "models.drops"
    unknown_keys = UnknownKeys.DROP

    def handle(self, input: Strict) -> None:  # noqa: A002
        assert input == Strict(part=Part(sku="pen"))


UNDECLARED = {"part": {"sku": "pen", "a": 1}, "parts": [{"sku": "cup", "b": 1}], "c": 1}


@pytest.mark.parametrize("has_node", [False, True])
def test_the_extra_option_of_pydantic_is_the_policy_for_undeclared_keys(
    has_node: bool, node: Node, client: Client
) -> None:
    def call(service: Any, payload: Any) -> Any:
        return client.invoke(service, payload) if has_node else testing.run(service, payload)

    with cidery.Worker(TakesStrict, TakesOpen, DropsAll, node=node.address):
        with pytest.raises(InvalidArgument) as refused:
            call(TakesStrict, UNDECLARED)
        violations = [(each.path, each.reason) for each in refused.value.violations]
        assert violations == [(path, "UNKNOWN_KEY") for path in ("/part/a", "/parts/0/b", "/c")]
        # An open model keeps them, as an output and as an input.
        kept = call(TakesStrict, Strict(part=Part(sku="pen")))
        assert kept == Open.model_validate({"sku": "pen", "more": 1})
        call(TakesOpen, {"sku": "pen", "color": "red"})
        # The option of a service has precedence.
        call(DropsAll, {"part": {"sku": "pen", "a": 1}, "c": 1})


def test_other_types_of_pydantic_have_the_extra_option_as_well() -> None:
    assert elements_of_model(StrictDataclass).keys is UnknownKeys.REFUSE
    assert elements_of_model(OpenDict).keys is UnknownKeys.KEEP
    given = {"sku": "pen", "color": "red"}
    assert build_instance(OpenDict, given) == given
    assert elements_of_model(Stamped).keys is elements_of_model(StampedByPydantic).keys is None
