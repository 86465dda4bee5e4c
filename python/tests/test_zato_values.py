"""Values of Zato's services: `environ`, times without a zone, rows, secrets, options of calls."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cidery import Client, DateTime, Options, Secret, Text, Worker, testing
from cidery import Service as OwnService
from cidery._protocol.options import refuse_background_options
from cidery.testing import Node
from cidery.zato import _naive_times
from cidery.zato._environ import from_metadata, given_cid, to_metadata
from cidery.zato._model import Model
from cidery.zato._names import types
from cidery.zato._service import Service

UTC = datetime.timezone.utc
NAIVE = datetime.datetime(2026, 1, 31, 12)


@pytest.mark.parametrize(
    "environ",
    [
        {"a": "x", "b": "ä"},
        {"n": 1, "f": 1.5, "t": True, "z": None, "a": "x"},
        {"l": [1, {"k": ["x"]}], "d": {"a": {"b": 2**60}}},
        {"zato-environ": "x", "zato-cid": "y"},
    ],
)
def test_an_environ_arrives_as_it_was_given(environ: dict[str, Any]) -> None:
    metadata = to_metadata(environ, "the-cid")
    assert all(isinstance(value, str) for value in metadata.values())
    assert from_metadata(metadata) == environ
    assert given_cid(metadata) == "the-cid"


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"d": NAIVE}, r"environ\['d'\]"),
        ({"a": {"b": [{1}]}}, r"environ\['a'\]\['b'\]\['0'\]"),
        ({1: "x"}, "has the key 1"),
        ([("a", "x")], "not a dict"),
    ],
)
def test_what_an_environ_cannot_carry_is_refused(environ: Any, path: str) -> None:
    with pytest.raises(TypeError, match=path):
        to_metadata(environ)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    _naive_times.zone.cache_clear()
    yield monkeypatch
    _naive_times.zone.cache_clear()


@dataclass
class Visit:
    at: datetime.datetime


def test_times_without_a_zone_have_that_of_the_variable(
    zone: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    zone.setenv(_naive_times.ZONE_VARIABLE, "Europe/Berlin")
    with caplog.at_level(logging.WARNING, "cidery.zato"):
        found = _naive_times.with_zone({"a": [NAIVE, (NAIVE,)], "b": Visit(NAIVE), "c": "x"})
    berlin = datetime.timedelta(hours=1)
    assert found["a"][0].utcoffset() == found["a"][1][0].utcoffset() == berlin
    assert found["b"]["at"].utcoffset() == berlin
    assert found["c"] == "x"
    (said,) = caplog.messages
    assert said.startswith("times without a zone are taken as Europe/Berlin")
    aware = datetime.datetime(2026, 1, 31, tzinfo=UTC)
    assert _naive_times.with_zone(aware) is aware


class Dated(Service):
    name = "values.dated"
    input = DateTime("at")
    output = DateTime("at")

    def handle(self) -> None:
        self.response.payload.at = self.request.input.at.replace(tzinfo=None)


class Asks(Service):
    name = "values.asks"

    def handle(self) -> None:
        self.response.payload = self.invoke("values.dated", {"at": NAIVE})


class Sees(Service):
    name = "values.sees"

    def handle(self) -> None:
        self.response.payload = {"cid": self.cid, "environ": self.environ}


class Passes(Service):
    name = "values.passes"

    def handle(self) -> None:
        self.response.payload = self.invoke("values.sees")


class Own(OwnService):
    name = "values.own"

    def handle(self) -> Any:
        failures = []
        for options in ({"cid": "x"}, {"delay": 0}, {"callback": "x"}):
            with pytest.raises(TypeError) as caught:
                self.invoke("values.sees", {}, **options)
            failures.append(str(caught.value))
        return failures


class Roots(Service):
    name = "values.roots"

    def handle(self) -> None:
        self.response.payload = self.invoke("values.passes", cid="the-root")


def test_values_cross_a_call(node: Node, client: Client) -> None:
    with Worker(Dated, Asks, Sees, Passes, Roots, Own, node=node.address):
        assert client.invoke("values.asks") == {"at": "2026-01-31T12:00:00Z"}
        # The whole tree of calls has the CID.
        assert client.invoke("values.roots") == {"cid": "the-root", "environ": {}}
        assert client.invoke("values.own") == [
            "`cid`: a nested call of `invoke` has the CID of its caller",
            "`delay` is an option of `invoke_async`, not of `invoke`",
            "`callback` is an option of `invoke_async`, not of `invoke`",
        ]


def test_a_background_option_is_refused_whatever_its_value() -> None:
    with pytest.raises(TypeError, match="`retention`"):
        refuse_background_options(Options(retention=0))
    refuse_background_options(Options(timeout=1))


class Row:
    """A row of SQLAlchemy: a sequence of its values, with a mapping."""

    def __init__(self, **values: Any) -> None:
        self._mapping = values

    def __len__(self) -> int:
        return len(self._mapping)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._mapping.values())

    def __contains__(self, value: object) -> bool:
        return value in self._mapping.values()


class Entity:
    def __init__(self, **values: Any) -> None:
        vars(self).update(values)


@pytest.mark.parametrize(
    "rows",
    [
        [Entity(name="Ann", secret="x")],
        [Row(name="Ann", secret="x")],
        [Row(Customer=Entity(name="Ann", secret="x"))],
        (Row(name="Ann"),),
    ],
)
def test_rows_of_a_database_are_a_response(rows: Any) -> None:
    class Lists(Service):
        class SimpleIO:
            output = Text("name")
            output_repeated = True
            response_elem = ""

        def handle(self) -> None:
            self.response.payload = rows

    assert testing.run(Lists) == [{"name": "Ann"}]


def test_a_row_without_a_declaration_is_a_dict() -> None:
    class Lists(OwnService):
        def handle(self) -> Any:
            return [Row(name="Ann", n=1)]

    assert testing.run(Lists) == [{"name": "Ann", "n": 1}]


class Masks(OwnService):
    input = Secret("key"), Text("user"), Secret("-other")

    def handle(self) -> Any:
        given = self.request.input
        copied = given.deepcopy()
        assert given.key == copied.key == "hush"
        return [f"{given}", str(copied), repr(given)]


def test_secrets_are_masked_in_the_text_of_an_input() -> None:
    shown = testing.run(Masks, {"key": "hush", "user": "u"})
    assert shown == ["{'key': '***', 'user': 'u'}"] * 3


@dataclass
class Login(Model):
    user: str
    password: str = ""


def test_secrets_are_masked_in_the_text_of_a_model() -> None:
    assert repr(Login("u", "hush")) == "Login(user='u', password=***)"
    assert Login("u", "hush") == Login("u", "hush")


def test_all_types_of_zato_can_be_evaluated() -> None:
    assert types.NAMES["strdictnone"] is not None
    assert types.NAMES["is_union"](types.NAMES["strnone"])
    assert types.NAMES["instance_from_dict"](Entity, {"a": 1}).a == 1
