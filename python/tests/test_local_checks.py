"""Local checks: the part of a declaration that only the SDK validates."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
from collections import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NewType

import attrs
import pydantic
import pytest
from typing_extensions import NotRequired, TypeAliasType, TypedDict

from cidery import (
    AsyncService,
    CideryError,
    Client,
    Context,
    Internal,
    InvalidArgument,
    Service,
    UnknownKeys,
    Violation,
    Worker,
    service,
    testing,
)
from cidery._service.definition import Definition
from cidery._sio.constructors import Dict, Int, List, Secret, Text
from cidery._sio.element import Type
from cidery._sio.model_declarations import elements_of_model

Serve = Callable[..., Worker]


@dataclasses.dataclass
class Price:
    amount: decimal.Decimal
    since: datetime.date | None = None


@dataclasses.dataclass
class Stock:
    shop: str
    counts: dict[str, int]
    prices: dict[str, Price] = dataclasses.field(default_factory=dict)
    days: dict[str, list[datetime.date] | None] = dataclasses.field(default_factory=dict)
    gaps: list[int | None] = dataclasses.field(default_factory=list)
    pair: tuple[str, int] | None = None
    rows: list[dict[str, bool]] = dataclasses.field(default_factory=list)
    anything: dict[str, Any] = dataclasses.field(default_factory=dict)


@pydantic.dataclasses.dataclass
class _Counted:
    counts: dict[str, int]


class CountedByPydantic(pydantic.BaseModel):
    counts: dict[str, int]


@attrs.define
class CountedByAttrs:
    counts: dict[str, int]


class CountedByTypedDict(TypedDict):
    counts: dict[str, int]


class Answers(Service):
    """Returns its input."""

    name = "beyond.answers"
    input = "answer"
    output = Stock

    def handle(self) -> Any:
        return self.request.input.answer


class AnswersAsync(AsyncService):
    name = "beyond.answers-async"
    input = "answer"
    output = Stock
    response_elem = "stock"

    async def handle(self) -> Any:
        return self.request.input.answer


class Takes(Service):
    name = "beyond.takes"
    input = Stock

    def handle(self) -> Any:
        return {"read": repr(self.request.input)}


RIGHT: dict[str, Any] = {
    "shop": "Rome",
    "counts": {"pen": "7", "ink": 0},
    "prices": {"pen": {"amount": 1.5, "since": None, "other": 1}},
    "days": {"open": ["2026-01-31"], "closed": None},
    "gaps": [1, None, "2"],
    "pair": ["a", "1"],
    "rows": [{"a/b": "yes"}],
    "anything": {"is": [None, {}]},
}
BECOMES: dict[str, Any] = {
    **RIGHT,
    "counts": {"pen": 7, "ink": 0},
    "prices": {"pen": {"amount": "1.5"}},
    "gaps": [1, None, 2],
    "pair": ["a", 1],
    "rows": [{"a/b": True}],
}
WRONG: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    (
        {"counts": {"pen": "x", "ink": None, "cap": 1}},
        [("/counts/ink", "WRONG_TYPE"), ("/counts/pen", "WRONG_TYPE")],
    ),
    (
        {"prices": {"a/b": {"since": "x"}, "c": 1}},
        [
            ("/prices/a~1b/amount", "MISSING"),
            ("/prices/a~1b/since", "MALFORMED"),
            ("/prices/c", "WRONG_TYPE"),
        ],
    ),
    ({"days": {"open": ["x"]}}, [("/days/open/0", "MALFORMED")]),
    ({"gaps": [None, []]}, [("/gaps/1", "WRONG_TYPE")]),
    ({"pair": ["a"]}, [("/pair", "OUT_OF_RANGE")]),
    ({"pair": ["a", None]}, [("/pair/1", "WRONG_TYPE")]),
    ({"rows": [{}, {"a": 2}]}, [("/rows/1/a", "WRONG_TYPE")]),
]


def found(error: CideryError) -> list[tuple[str, str]]:
    # Dicts are unordered on the wire.
    return sorted((violation.path, violation.reason) for violation in error.violations)


def test_a_valid_output_is_accepted(serve: Serve, client: Client) -> None:
    serve(Answers, AnswersAsync)
    assert client.invoke(Answers.name, {"answer": RIGHT}) == BECOMES
    assert client.invoke(AnswersAsync.name, {"answer": RIGHT}) == {"stock": BECOMES}
    stock = client.invoke(Answers, {"answer": RIGHT})
    assert (stock.prices["pen"], stock.pair) == (Price(decimal.Decimal("1.5")), ("a", 1))
    assert testing.trial(Answers, {"answer": RIGHT}).payload == BECOMES


@pytest.mark.parametrize(("wrong", "violations"), WRONG)
def test_an_invalid_output_is_refused_with_paths(
    wrong: dict[str, Any], violations: list[tuple[str, str]], serve: Serve, client: Client
) -> None:
    serve(Answers, AnswersAsync)
    answer = {"answer": {**RIGHT, **wrong}}
    for asked in (Answers, AnswersAsync):
        with pytest.raises(Internal) as caught:
            client.invoke(asked, answer)
        assert caught.value.reason == "OUTPUT_INVALID"
        assert found(caught.value) == violations
        with pytest.raises(Internal) as without_node:
            testing.run(asked, answer)
        assert found(without_node.value) == violations
    cid = client.invoke_async(Answers, answer)
    with pytest.raises(Internal, match="OUTPUT_INVALID"):
        client.result(cid, wait=20)


@pytest.mark.parametrize(("wrong", "violations"), WRONG)
def test_an_invalid_input_is_refused_with_paths(
    wrong: dict[str, Any], violations: list[tuple[str, str]], serve: Serve, client: Client
) -> None:
    serve(Takes)
    for take in (client.invoke, testing.run):
        with pytest.raises(InvalidArgument) as caught:
            take(Takes, {**RIGHT, **wrong})
        assert caught.value.reason == "INPUT_INVALID"
        assert found(caught.value) == violations


class Uncarried(Service):
    """Returns values that cannot be serialized."""

    name = "beyond.uncarried"

    def handle(self) -> Any:
        return {"answer": [float("nan")] if self.request.payload.nan else object()}


@pytest.mark.parametrize("nan", [True, False])
def test_an_invalid_output_is_not_retried(nan: bool, serve: Serve, client: Client) -> None:
    serve(Uncarried)
    cid = client.invoke_async(Uncarried, {"nan": nan})
    with pytest.raises(Internal, match="OUTPUT_INVALID"):
        client.result(cid, wait=20)
    assert client.get(cid).attempt == 1


def test_violations_of_the_node_are_reported_together_with_local_ones(
    serve: Serve, client: Client
) -> None:
    serve(Answers)
    with pytest.raises(Internal) as caught:
        client.invoke(Answers, {"answer": {"counts": {"pen": "x"}, "rows": 5}})
    assert found(caught.value) == [
        ("/counts/pen", "WRONG_TYPE"),
        ("/rows", "WRONG_TYPE"),
        ("/shop", "MISSING"),
    ]


@pytest.mark.parametrize("model", [CountedByPydantic, CountedByAttrs, CountedByTypedDict, _Counted])
def test_all_model_libraries_are_checked(model: Any) -> None:
    class Counts(Service):
        output = list[model]

        def handle(self) -> Any:
            return [{"counts": {"a": "1"}}, {"counts": self.request.payload}]

    assert testing.trial(Counts, {"b": 2}).payload == [{"counts": {"a": 1}}, {"counts": {"b": 2}}]
    with pytest.raises(Internal) as caught:
        testing.run(Counts, {"b": "x"})
    assert found(caught.value) == [("/1/counts/b", "WRONG_TYPE")]


def test_the_annotated_result_of_a_function_is_checked() -> None:
    @service("beyond.counts")
    def counts(ctx: Context) -> Stock:
        return Stock("Rome", counts=dict(ctx.request.payload))

    assert testing.trial(counts, {"a": 1}).payload.counts == {"a": 1}
    with pytest.raises(Internal) as caught:
        testing.trial(counts, {"a": "x"})
    assert found(caught.value) == [("/counts/a", "WRONG_TYPE")]


def test_undeclared_keys_are_refused_in_local_checks() -> None:
    class Strict(Service):
        input = output = Stock
        unknown_keys = UnknownKeys.REFUSE

        def handle(self) -> Any:
            return {"shop": "Rome", "counts": {}, "prices": {"pen": {"amount": 1, "much": 1}}}

    with pytest.raises(Internal) as caught:
        testing.run(Strict, {"shop": "Rome", "counts": {}})
    assert found(caught.value) == [("/prices/pen/much", "UNKNOWN_KEY")]


def test_violations_beyond_the_limit_are_counted() -> None:
    many = {str(n): "x" for n in range(1_200)}
    with pytest.raises(InvalidArgument) as caught:
        testing.run(Takes, {"shop": "Rome", "counts": many})
    assert (len(caught.value.violations), caught.value.violations_omitted) == (1_000, 200)


@dataclasses.dataclass
class Branch:
    name: str
    at: datetime.date | None = None
    branches: list[Branch] = dataclasses.field(default_factory=list)
    by_name: dict[str, Branch] = dataclasses.field(default_factory=dict)
    next: Branch | None = None


class Grows(Service):
    name = "beyond.grows"
    input = output = Branch

    def handle(self) -> Any:
        given = self.request.input
        assert all(isinstance(each, Branch) for each in given.branches)
        if given.name == "wrong":
            return {"name": "a", "branches": [{"name": "b", "next": {"name": []}}]}
        return given


def test_a_class_may_contain_itself(serve: Serve, client: Client) -> None:
    serve(Grows)
    tree = {
        "name": "a",
        "branches": [{"name": "b", "branches": [{"name": "c", "at": "2026-01-31"}]}],
        "by_name": {"d": {"name": "d"}},
    }
    for run in (client.invoke, testing.run):
        answered = run(Grows, tree)
        assert answered.branches[0].branches[0].at == datetime.date(2026, 1, 31)
        assert answered.by_name["d"].name == "d"
        with pytest.raises(InvalidArgument) as caught:
            run(Grows, {"name": "a", "branches": [{"branches": [{"name": "c", "at": "x"}, 5]}]})
        assert found(caught.value) == [
            ("/branches/0/branches/0/at", "MALFORMED"),
            ("/branches/0/branches/1", "WRONG_TYPE"),
            ("/branches/0/name", "MISSING"),
        ]
        with pytest.raises(Internal) as out:
            run(Grows, {"name": "wrong"})
        assert found(out.value) == [("/branches/0/next/name", "WRONG_TYPE")]


class Positive(pydantic.BaseModel):
    count: int

    @pydantic.field_validator("count")
    @classmethod
    def is_positive(cls, count: int) -> int:
        if count <= 0:
            raise ValueError("is not positive")
        return count


class Size(enum.Enum):
    SMALL = 1


@dataclasses.dataclass
class Carts:
    carts: list[Positive]
    by_name: dict[str, Positive]
    sizes: list[Size]


class CartsByPydantic(pydantic.BaseModel):
    carts: list[Positive]
    by_name: dict[str, Positive]
    sizes: list[Size]


@pytest.mark.parametrize("model", [Carts, CartsByPydantic])
def test_nested_models_report_all_violations_with_paths(model: Any) -> None:
    class Takes(Service):
        input = model

        def handle(self) -> Any:
            return {}

    with pytest.raises(InvalidArgument) as caught:
        carts = [{"count": 1}, {"count": 0}]
        testing.run(Takes, {"carts": carts, "by_name": {"a/b": {"count": -1}}, "sizes": [1, 2]})
    assert found(caught.value) == [
        ("/by_name/a~1b/count", "INVALID"),
        ("/carts/1/count", "INVALID"),
        ("/sizes/1", "INVALID"),
    ]


def test_an_annotation_keeps_the_content_of_its_hint() -> None:
    @dataclasses.dataclass
    class Noted:
        counts: Annotated[dict[str, int], Dict("", description="By article.")]
        ids: Annotated[list[int], List("", description="Of all.")]
        other: Annotated[list[int], List("").of(Text(""))]

    counts, ids, other = elements_of_model(Noted).elements
    assert counts.each is not None
    assert ids.item is not None
    assert other.item is not None
    kinds = [counts.each.kind, ids.item.kind, other.item.kind]
    assert kinds == [Type.INT, Type.INT, Type.TEXT]
    assert [counts.about, ids.about] == ["By article.", "Of all."]


@dataclasses.dataclass
class Login:
    name: str
    password: Annotated[str, Secret("")]


@dataclasses.dataclass
class Logins:
    logins: dict[str, Login]


@dataclasses.dataclass
class Vault:
    token: Annotated[str, Secret("")]
    prices: dict[str, Price]


class OpensVault(Service):
    name = "beyond.opens-vault"
    input = Vault

    def handle(self) -> Any:
        return {}


def test_a_string_that_may_be_a_secret_is_not_quoted(serve: Serve, client: Client) -> None:
    serve(OpensVault)
    for run in (client.invoke, testing.run):
        with pytest.raises(InvalidArgument) as caught:
            run(OpensVault, {"token": "t", "prices": {"a": "hush"}})
        (violation,) = caught.value.violations
        assert violation.path == "/prices/a"
        assert "hush" not in violation.description


@dataclasses.dataclass
class KnownLogins:
    logins: list[Login]


def test_a_secret_that_no_node_could_mask_is_refused() -> None:
    class Stores(Service):
        input = Logins

    with pytest.raises(TypeError, match=r"`logins`: .* a secret"):
        Definition.of(Stores)

    class StoresKnown(Service):
        input = KnownLogins

    assert Definition.of(StoresKnown).sio.input is not None


def test_the_local_part_of_a_declaration_is_validated() -> None:
    @dataclasses.dataclass
    class Empty:
        counts: dict[str, Annotated[int, Int("", range=(5, 1))]]

    class Counts(Service):
        output = Empty

    with pytest.raises(InvalidArgument) as caught:
        testing.run(Counts)
    assert caught.value.violations[0] == Violation(
        "/output/counts", "the range from 5 to 1 is empty", "OUT_OF_RANGE"
    )


Day = NewType("Day", datetime.date)
Prices = TypeAliasType("Prices", Mapping[str, Price])


class Mixed(TypedDict):
    days: Sequence[Day]
    prices: NotRequired[Prices]
    tags: tuple  # type: ignore[type-arg]
    ids: abc.Set[int]


def test_hints_are_resolved_to_types() -> None:
    class Takes(Service):
        input = output = Mixed

        def handle(self) -> Any:
            return self.request.input

    given = {"days": ["2026-01-31"], "prices": {"a": {"amount": 1}}, "tags": [1, "x"], "ids": [1]}
    trial = testing.trial(Takes, given)
    assert trial.service.request.input == {
        "days": [datetime.date(2026, 1, 31)],
        "prices": {"a": Price(decimal.Decimal(1))},
        "tags": (1, "x"),
        "ids": {1},
    }
    assert trial.payload == {**given, "prices": {"a": {"amount": "1"}}}
    with pytest.raises(InvalidArgument) as caught:
        testing.run(Takes, {**given, "days": ["x"], "prices": {"a": {}}, "ids": 5, "tags": {}})
    assert found(caught.value) == [
        ("/days/0", "MALFORMED"),
        ("/ids", "WRONG_TYPE"),
        ("/prices/a/amount", "MISSING"),
        ("/tags", "WRONG_TYPE"),
    ]
