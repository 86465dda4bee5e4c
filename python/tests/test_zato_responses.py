"""`self.response.payload` under `--zato`, as in docs/from-zato.md."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cidery import Client, Date, Dict, EventKind, Int, Internal, InvalidArgument, testing
from cidery._cli.check import find_uses
from cidery._sio.declaration import Elements
from cidery._worker.worker import Worker
from cidery.zato._model import Model
from cidery.zato._names import types as zato_types
from cidery.zato._service import Service

Handle = Callable[[Any], Any]
WAIT = 20.0


def answered(handle: Handle, output: Any = None) -> Any:
    """The response of a service with this handler."""
    body: dict[str, Any] = {"name": "zato.responses", "handle": handle}
    if output is not None:
        body["output"] = output
    responses: Any = type("Responses", (Service,), body)
    return testing.run(responses)


def refused(handle: Handle, output: Any = None) -> str:
    """The message for an invalid response."""
    with pytest.raises(Internal) as caught:
        answered(handle, output)
    assert caught.value.reason == "OUTPUT_INVALID"
    return caught.value.message


def assigns(*values: Any) -> Handle:
    def handle(self: Service) -> None:
        for value in values:
            self.response.payload = value

    return handle


@pytest.mark.parametrize("output", [None, ("-a", "-b")])
def test_the_last_assignment_replaces_earlier_ones(output: Any) -> None:
    def after_an_attribute(self: Service) -> None:
        self.response.payload.a = "1"
        self.response.payload = {"b": "2"}

    def returns(self: Service) -> Any:
        self.response.payload = {"a": "1"}
        return {"b": "2"}

    def returns_none(self: Service) -> None:
        self.response.payload = {"b": "2"}

    for handle in (assigns({"a": "1"}, {"b": "2"}), after_an_attribute, returns_none):
        assert answered(handle, output) == {"b": "2"}
    # What `handle` returns is not the response.
    assert answered(returns, output) == {"a": "1"}


@pytest.mark.parametrize("output", [None, ("a", "b", "c")])
def test_attributes_items_and_updates_add_to_the_payload(output: Any) -> None:
    def handle(self: Service) -> None:
        self.response.payload = {"a": "1"}
        self.response.payload.b = "2"
        self.response.payload.update({"c": "3"})

    assert answered(handle, output) == {"a": "1", "b": "2", "c": "3"}


def test_an_assigned_dict_is_copied() -> None:
    def handle(self: Service) -> None:
        given = {"a": 1}
        self.response.payload = given
        given["b"] = 2

    assert answered(handle) == {"a": 1}


def test_an_assigned_none_is_the_response() -> None:
    assert answered(assigns({"a": "1"}, None)) is None
    assert "null is not a dict" in refused(assigns({"a": "1"}, None), ("a",))


@dataclass(init=False)
class Row(Model):
    n: int


def test_rows_are_returned_by_any_declaration() -> None:
    def rows(self: Service) -> None:
        self.response.payload[:] = ({"n": n} for n in range(2))
        self.response.payload.append({"n": 2})

    three = [{"n": 0}, {"n": 1}, {"n": 2}]
    assert answered(rows) == answered(rows, list[Row]) == answered(rows, (Int("n"),)) == three
    assert "a list is not a dict" in refused(assigns(three), ("n",))
    for value in ([{"n": 1}], "text", 7):
        assert answered(assigns(value)) == value
        assert "is not a dict" in refused(assigns(value), ("n",))


def test_rows_of_zato_are_declared_by_their_elements() -> None:
    class Repeated(Service):
        class SimpleIO:
            output = Int("n"), "-name"
            output_repeated = True

        def handle(self) -> None:
            self.response.payload = [{"n": 1, "more": 2}]

    class Sliced(Service):
        output = Int("n")

        def handle(self) -> None:
            self.response.payload[:] = ({"n": n} for n in range(2))

    class Appended(Service):
        output = Int("n")

        def handle(self) -> None:
            for n in range(2):
                self.response.payload.append({"n": n})

    class Either(Service):
        output = Int("n")

        def handle(self) -> None:
            if self.request.payload:
                self.response.payload[:] = [{"n": 1}]
            self.response.payload.n = 2

    two = [{"n": 0}, {"n": 1}]
    assert testing.run(Repeated) == {"response": [{"n": 1}]}
    assert (testing.run(Sliced), testing.run(Appended)) == (two, two)
    assert testing.run(Either) == {"n": 2}
    wrong: Any = type("Wrong", (Repeated,), {"handle": assigns([{"name": "x"}])})
    with pytest.raises(Internal) as caught:
        testing.run(wrong)
    assert [violation.path for violation in caught.value.violations] == ["/0/n"]


def test_rows_are_detected_through_aliases_and_methods() -> None:
    class ByName(Service):
        output = Int("n")

        def handle(self) -> None:
            for n in range(2):
                response = self.response
                rows = response.payload
                rows.append({"n": n})

    class Base(Service):
        output = Int("n")

        def add(self, n: int) -> None:
            self.response.payload.append({"n": n})

    class ByMethod(Base):
        def handle(self) -> None:
            self.add(0)
            self.add(1)

    class Updates(Base):
        def handle(self) -> None:
            out = self.response.payload
            out.update({"n": 1})

    two = [{"n": 0}, {"n": 1}]
    assert (testing.run(ByName), testing.run(ByMethod)) == (two, two)
    assert testing.run(Updates) == {"n": 1}


def test_a_model_of_a_simple_io_is_not_wrapped() -> None:
    class ByModel(Service):
        class SimpleIO:
            input = Row
            output = Row

        def handle(self) -> None:
            self.response.payload = self.request.input

    class ByElement(Service):
        class SimpleIO:
            output = Int("n")

        def handle(self) -> None:
            self.response.payload.n = 1

    assert testing.run(ByModel, {"n": 1}) == {"n": 1}
    assert testing.run(ByElement) == {"response": {"n": 1}}


@dataclass
class Days(Model):
    days: dict[str, datetime.date]
    others: list[datetime.date | None]


def test_a_date_may_be_given_as_an_instant() -> None:
    at = datetime.datetime(2026, 1, 31, 12)
    said = answered(assigns({"at": at, "in": {"at": at}}), (Date("at"), Dict("in", Date("at"))))
    assert said == {"at": "2026-01-31", "in": {"at": "2026-01-31"}}
    rows = answered(assigns([{"at": at}]), Elements((Date("at"),), is_list=True))
    assert rows == [{"at": "2026-01-31"}]
    assert "is not a date" in refused(assigns({"at": "today"}), (Date("at"),))
    in_models = assigns({"days": {"a": at}, "others": [None, at]})
    day = "2026-01-31"
    assert answered(in_models, Days) == {"days": {"a": day}, "others": [None, day]}


def test_models_are_cloned_and_created_from_dicts() -> None:
    row = Row.from_dict({"n": "7", "more": 1})
    assert isinstance(row, Row)
    copied = row.clone()
    copied.n = 8
    assert (row.n, copied.n) == (7, 8)
    with pytest.raises(InvalidArgument) as caught:
        Row.from_dict({})
    assert [violation.path for violation in caught.value.violations] == ["/n"]


def test_zatos_type_names_declare_their_types() -> None:
    names = zato_types.NAMES
    fields: list[Any] = [("a", names["strlistnone"]), ("b", names["union_"][str, int], None)]
    fields += [("c", names["dictnone"], None), ("d", names["list_"], names["list_field"]())]
    made = dataclasses.make_dataclass("Made", fields, bases=(Model,))
    first, second = (made.from_dict({}) for _ in range(2))  # type: ignore[attr-defined]
    assert (first.a, first.b, first.c, first.d) == (None, None, None, [])
    assert first.d is not second.d
    assert names["cast_"]("str", 1) == 1


class Says:
    def __init__(self, **methods: Any) -> None:
        self.a = "attribute"
        vars(self).update(methods)


def test_objects_convert_to_dicts() -> None:
    class AsDict(Says):
        def asdict(self) -> Any:
            return {"a": "said"}

    class ToDict(Says):
        def to_dict(self) -> Any:
            return {"a": "said"}

    for output in (None, ("a",)):
        assert answered(assigns(AsDict()), output) == {"a": "attribute"}
        assert answered(assigns(ToDict()), output) == {"a": "said"}
    assert answered(assigns(Says(b=1)), ("a",)) == {"a": "attribute"}
    assert answered(assigns(Says(b=1))) == {"a": "attribute", "b": 1}


def generates(self: Service) -> Iterator[Any]:
    yield {"a": 1}


@pytest.mark.parametrize("output", [None, ("a",)])
def test_a_generator_is_refused_as_a_response(output: Any) -> None:
    assert "the payload is of type `generator`" in refused(generates, output)
    assigned = ({"a": n} for n in range(2))
    assert "the payload is of type `generator`" in refused(assigns(assigned), output)
    within = {"a": (n for n in range(2))}
    assert "`/a` is of type `generator`" in refused(assigns(within), output)
    assert answered(assigns({"a": list("xy")}), None) == {"a": ["x", "y"]}


class Emits(Service):
    name = "zato.emits"

    def handle(self) -> None:
        for n in range(3):
            self.emit({"n": n})
        self.response.payload.total = 3


def test_a_response_in_parts_is_emitted_as_items(
    serve: Callable[..., Worker], client: Client
) -> None:
    serve(Emits)
    cid = client.invoke_async(Emits)
    for _ in range(2):  # As it comes, and when it has ended.
        events = list(client.results(cid))
        items = [event.payload for event in events if event.kind is EventKind.ITEM]
        assert (items, events[-1].payload) == ([{"n": 0}, {"n": 1}, {"n": 2}], {"total": 3})


YIELDS = """
from zato.server.service import Service

class Yields(Service):
    def handle(self):
        def inner():
            yield 1
        yield from inner()

class Assigns(Service):
    def handle(self):
        self.response.payload = (n for n in range(3))

class DoesNot(Service):
    class SimpleIO:
        output_repeated = True

    def handle(self):
        def inner():
            yield 1
        self.response.payload[:] = (n for n in inner())
"""


def test_a_generator_is_found_without_running_it(tmp_path: Path) -> None:
    (tmp_path / "yields.py").write_text(YIELDS)
    assert [(use.line, use.description) for use in find_uses([tmp_path / "yields.py"])[0]] == [
        (5, "`handle`: a generator as the response"),
        (12, "`self.response.payload`: a generator as the response"),
    ]
