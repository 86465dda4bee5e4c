"""Services and workers, against a real node."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cidery import (
    Aborted,
    AsyncContext,
    AsyncService,
    Call,
    CideryError,
    Client,
    Context,
    EventKind,
    FailedPrecondition,
    Int,
    Internal,
    InvalidArgument,
    Later,
    RetryPolicy,
    Service,
    ServiceRef,
    State,
    Text,
    Unavailable,
    Violation,
    Worker,
    new_cid,
    service,
    testing,
)
from cidery._protocol.typed import Input
from cidery._service.definition import Definition
from cidery.testing import Node
from cidery.v1 import invocation_pb2

Serve = Callable[..., Worker]
WAIT = 20.0


class GetCustomer(Service):
    """Finds a
    customer.

    The name is the one on the contract.
    """

    name = "crm.get-customer"
    input = Int("cust_id"), "-note"
    output = Text("cust_name")
    timeout = 5

    def handle(self) -> None:
        found = self.invoke("customer.get", cust_id=self.request.input.cust_id)
        self.response.payload.cust_name = found.cust_name


def test_a_class_is_called_by_the_client(serve: Serve, client: Client) -> None:
    serve(GetCustomer)
    assert client.invoke("crm.get-customer", cust_id="7") == {"cust_name": "Alexis Smith"}
    assert client.invoke(GetCustomer, {"cust_id": 7}).cust_name == "Alexis Smith"
    with pytest.raises(InvalidArgument) as caught:
        client.invoke(GetCustomer, {"note": 1})
    assert [(v.path, v.reason) for v in caught.value.violations] == [("/cust_id", "MISSING")]


def test_declaration_and_options_are_announced(serve: Serve, client: Client) -> None:
    serve(GetCustomer, name="crm", build_id="b1")
    described = client.describe(GetCustomer)
    assert described.declaration.description == "Finds a customer."
    assert described.declaration.options.timeout.seconds == 5
    assert described.typed_method == "crm.Service/GetCustomer"
    assert [(at.worker_name, at.build_id) for at in described.locations] == [("crm", "b1")]


class Holds(Service):
    name = "py.holds"
    retry_policy = RetryPolicy(max_attempts=1)
    on_exhausted = "hold"

    def handle(self) -> None:
        raise Unavailable("DOWN", "down")


def test_a_service_declares_that_its_invocations_are_held(serve: Serve, client: Client) -> None:
    serve(Holds)
    options = client.describe(Holds).effective_options
    assert options.on_exhausted == invocation_pb2.ON_EXHAUSTED_HOLD
    cid = client.invoke_async(Holds)
    until = time.monotonic() + WAIT
    while client.get(cid, wait=0.05).pending_reason != "HELD":
        assert time.monotonic() < until
    # What the call says comes first.
    fails = client.invoke_async(Holds, on_exhausted="fail")
    with pytest.raises(Unavailable):
        client.result(fails, wait=WAIT)
    client.cancel(cid)


class Keeps(Service):
    name = "py.keeps"
    on_exhausted = "keep"  # type: ignore[assignment]

    def handle(self) -> None:
        pass


def test_an_unknown_on_exhausted_is_refused_with_the_values(node: Node) -> None:
    with pytest.raises(ValueError, match="`on_exhausted`") as caught:
        Worker(Keeps, node=node.address).start()
    assert "fail" in str(caught.value)
    assert "hold" in str(caught.value)


class Outer(Service):
    name = "py.outer"

    def handle(self) -> Any:
        inner = self.invoke(Inner, {"depth": self.request.payload["depth"]})
        return {"cids": [self.cid, *inner.cids]}


class Inner(AsyncService):
    name = "py.inner"

    async def handle(self) -> Any:
        depth = self.request.payload.depth
        if depth == 0:
            return {"cids": [self.cid]}
        return await self.invoke(Outer, {"depth": depth - 1})


def test_a_chain_over_a_worker_with_one_permit_does_not_deadlock(
    serve: Serve, client: Client
) -> None:
    serve(Outer, Inner, max_in_flight=1)
    cids = client.invoke(Outer, {"depth": 5}, timeout=WAIT).cids
    # A nested call has the CID of its caller.
    assert len(cids) == 7
    assert len(set(cids)) == 1


class Fails(Service):
    name = "py.fails"
    retry_policy = RetryPolicy(max_attempts=1)

    def handle(self) -> Any:
        how = self.request.payload.how
        if how == "declared":
            raise FailedPrecondition(
                "TOO_EARLY",
                "not now",
                violations=[Violation("/a/0", "is odd", "ODD")],
                retry_after=2,
            )
        if how == "undeclared":
            raise KeyError("secret detail")
        if how == "output":
            return {"a": [object()]}
        if how == "nan":
            return {"a": float("nan")}
        return self.invoke("py.fails", how=how.removeprefix("nested "))


def test_a_declared_failure_passes_unchanged_through_nested_calls(
    serve: Serve, client: Client
) -> None:
    serve(Fails)
    for how in ("declared", "nested declared", "nested nested declared"):
        with pytest.raises(FailedPrecondition) as caught:
            client.invoke(Fails, {"how": how})
        error = caught.value
        assert (error.reason, error.message, error.retry_after) == ("TOO_EARLY", "not now", 2)
        assert error.violations == (Violation("/a/0", "is odd", "ODD"),)
        assert error.is_retryable


def test_an_undeclared_exception_is_internal_and_logged(
    serve: Serve, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    serve(Fails)
    with pytest.raises(Internal) as caught:
        client.invoke(Fails, {"how": "undeclared"})
    assert caught.value.reason == "HANDLER_FAILED"
    assert "secret detail" not in str(caught.value)
    # gRPC logs late events of an event loop that an earlier worker closed.
    wanted = "cidery.worker", logging.ERROR
    (record,) = [each for each in caplog.records if (each.name, each.levelno) == wanted]
    cid = caught.value.cid
    assert cid is not None
    assert record.getMessage() == f"`py.fails` failed, CID {cid}"
    assert (vars(record)["cid"], vars(record)["service"]) == (cid, "py.fails")
    assert record.exc_info is not None
    assert "secret detail" in caplog.text


@pytest.mark.parametrize("how", ["output", "nan"])
def test_a_response_that_cannot_be_serialized_is_refused_with_its_path(
    how: str, serve: Serve, client: Client
) -> None:
    serve(Fails)
    with pytest.raises(Internal) as caught:
        client.invoke(Fails, {"how": how})
    assert caught.value.reason == "OUTPUT_INVALID"
    assert "`/a" in caught.value.message


@service("py.greet", input="name", output="greeting")
def greet(ctx: Context, request: Any) -> Any:
    return {"greeting": f"Hello, {request.name}", "cid": ctx.cid}


@dataclasses.dataclass
class Ask:
    numbers: list[int]


@dataclasses.dataclass
class Told:
    total: int


@service()
async def add_up(ask: Ask) -> Told:
    await asyncio.sleep(0)
    return Told(sum(ask.numbers))


def test_functions_are_services(serve: Serve, client: Client) -> None:
    worker = serve(greet, add_up)
    assert [name.rpartition(".")[2] for name in worker.services] == ["greet", "add-up"]
    assert client.invoke(greet, {"name": "Ann"}) == {"greeting": "Hello, Ann"}
    assert client.invoke(add_up, Ask([1, 2])) == Told(3)
    assert client.invoke(add_up.service_name, numbers=[1, "2"]) == {"total": 3}
    with pytest.raises(InvalidArgument):
        client.invoke(add_up.service_name, {"numbers": ["x"]})


@service
def shout(input: Ask) -> Told:  # noqa: A002
    return Told(len(input.numbers))


def test_the_decorator_takes_a_function_without_parentheses(client: Client) -> None:
    worker = Worker(node=client.node)

    @worker.service
    def whisper(ctx: Context) -> None:
        ctx.response.payload.cid = ctx.cid

    worker.add(shout)
    assert [name.rpartition(".")[2] for name in worker.services] == ["shout", "whisper"]
    assert testing.run(shout, Ask([1, 2])) == shout(Ask([1, 2])) == Told(2)


@pytest.mark.parametrize("given", [Fails, 5, len])
def test_the_decorator_refuses_what_is_not_a_function(given: Any) -> None:
    decorate: Any = service
    with pytest.raises(TypeError, match="`@service` declares a function"):
        decorate(given)
    with pytest.raises(TypeError, match="`@service` declares a function"):
        decorate("a.name")(given)


class Typed(Service[Ask, Told]):
    def handle(self, input: Ask) -> Told:  # noqa: A002
        return Told(sum(input.numbers))


def test_the_types_of_a_service_declare_it() -> None:
    class Half(Service[Input, Told]):
        pass

    class Whole(Half[Ask]):
        def handle(self) -> Told:
            return Told(len(self.request.input.numbers))

    assert testing.run(Whole, Ask([7])) == Told(1)
    assert Definition.of(Whole).to_proto().sio == Definition.of(Typed).to_proto().sio


def test_contradicting_types_are_refused() -> None:
    class Twice(Service[Ask, Told]):
        input = Int("n")

    class Scalar(Service[int, Told]):  # type: ignore[type-var]
        pass

    @service
    def scalar_input(ctx: Context, a: int) -> None:
        pass

    @service
    async def scalar_output(ctx: AsyncContext) -> str:
        return ""

    class ScalarParameter(Service):
        def handle(self, a: int) -> None:
            pass

    class Differs(Service[Ask, Told]):
        def handle(self, input: Told) -> Told:  # noqa: A002
            return input

    class Undeclared(Service):
        def handle(self, input: Ask) -> Told:  # noqa: A002
            return Told(len(input.numbers))

    class TwoInputs(Service[Ask, Told]):
        def handle(self, a: Ask, b: Ask) -> Told:
            return Told(0)

    class NotAwaited(AsyncService[Ask, Told]):
        def handle(self) -> Told:  # type: ignore[override]
            return Told(0)

    class Awaits(Service[Ask, Told]):
        async def handle(self) -> Told:  # type: ignore[override]
            return Told(0)

    @service
    async def awaits(ctx: Context) -> None:
        pass

    @service
    def never_awaits(ctx: AsyncContext) -> None:
        pass

    for wrong, said in (
        (Twice, "declares its input twice"),
        (Scalar, "`int` cannot be an input or an output"),
        (scalar_input, "`int` cannot be an input or an output"),
        (scalar_output, "`str` cannot be an input or an output"),
        (ScalarParameter, "`int` cannot be an input or an output"),
        (Awaits, "`handle` is a coroutine: derive from `AsyncService`, not `Service`"),
        (awaits, "it is a coroutine: its `ctx` is an `AsyncContext`, not a `Context`"),
        (never_awaits, "it is no coroutine: its `ctx` is a `Context`, not an `AsyncContext`"),
        (
            Differs,
            "`handle` is annotated with `Told` as its input, and the service is declared with",
        ),
        (Undeclared, "give the types as `Service"),
        (TwoInputs, "`handle` takes the input as its only parameter"),
        (NotAwaited, "`async def handle`"),
    ):
        with pytest.raises(TypeError, match=said):
            Definition.of(wrong)


def test_annotations_that_cannot_declare_a_service_are_logged_once(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    @service("py.unused")
    def unused(ctx: Context, names: list[str]) -> Ask | None:
        return Ask([])

    @service("py.open")
    def open_(ctx: Context, given: Mapping[str, Any] | None) -> dict[str, object]:
        return {}

    @service("py.declared", input="a", output="b")
    def declared(request: list[str]) -> list[str]:
        return request

    @service("py.typed")
    def typed(ask: Ask) -> Told | Later:
        return Told(0)

    class Plain(Service):
        def handle(self, given: dict[str, Any]) -> tuple[int, ...]:
            return ()

    class Simple(Service):
        class SimpleIO:
            input_optional = ("a",)

        def handle(self, given: list[str]) -> None:
            pass

    serve(unused, open_, declared, typed, Plain, Simple)
    wanted = "cidery.worker", logging.WARNING
    records = [each for each in caplog.records if (each.name, each.levelno) == wanted]
    logged = [record.getMessage() for record in records]
    assert [message.partition(": ")[2] for message in logged] == [
        f"`{hint}` cannot declare its {side}, which is not validated: give a class with typed"
        " fields, a list of one, or `Any`"
        for hint, side in (
            ("list[str]", "input"),
            ("Ask | None", "output"),
            ("tuple[int, ...]", "output"),
        )
    ]
    assert logged[0].startswith("`py.unused` (")


def test_a_response_of_another_type_is_refused(serve: Serve, client: Client) -> None:
    serve(Fills)
    other = ServiceRef("py.fills", None, Told)
    cid = client.invoke_async(other)
    group = client.invoke_batch([Call(other), ("py.fills", {})])
    of_call, of_name = group.join(WAIT)
    for called in (
        lambda: client.invoke(other),
        lambda: client.result(cid, Told, wait=WAIT),
        lambda: client.get(cid).payload_as(Told),
        lambda: of_call.result(),
        lambda: of_name.result(Told),
    ):
        with pytest.raises(Internal) as caught:
            called()
        assert caught.value.reason == "RESPONSE_MISMATCH"
        assert caught.value.message == (
            "the response of `py.fills` is not a valid `Told`: `/total`: is required"
        )
        assert caught.value.cid is not None
        assert not caught.value.is_retryable
        assert [violation.path for violation in caught.value.violations] == ["/total"]
    with pytest.raises(Internal, match="RESPONSE_MISMATCH: the response is not a valid `Told`"):
        list(client.results(cid))[-1].payload_as(Told)


def test_a_service_is_not_the_type_of_a_result(client: Client) -> None:
    for given in (Fills, ServiceRef("py.fills", None, Told)):
        with pytest.raises(TypeError, match=r"`py\.fills` is a service: give the type of its"):
            client.result(new_cid(), given)  # type: ignore[arg-type]


class Fills(Service):
    name = "py.fills"

    def handle(self) -> Any:
        return {"sum": 5}


def test_a_worker_declares_functions(node: Node, client: Client) -> None:
    worker = Worker(node=node.address)

    @worker.service("py.added")
    def added(request: Any) -> Any:
        return {"got": request}

    with worker:
        assert client.invoke("py.added", a=1) == {"got": {"a": 1}}


class Parent(Service):
    name = "py.parent"

    def handle(self) -> Any:
        given = self.request.payload
        if given.get("with_outcome"):
            cid = self.invoke_async("cidery.echo", {"n": 1}, with_outcome=True)
        elif given.get("once"):
            cid = self.invoke_async("cidery.echo", {"n": 1}, once="child")
        else:
            cid = self.invoke_async("cidery.echo", {"n": 1})
        if given.get("fail_before") and self.attempt <= given.fail_before:
            raise Aborted("ABORTED", "again", retryable=True)
        return {"child": cid, "attempt": self.attempt}


def children(client: Client, cid: str) -> list[str]:
    return list(client.explain(cid).message.child_cids)


def test_a_child_runs_under_the_returned_cid(serve: Serve, client: Client) -> None:
    serve(Parent)
    cid = client.invoke_async(Parent, {})
    child = client.result(cid, wait=WAIT).child
    assert client.result(child, wait=WAIT) == {"n": 1}
    found = client.get(child)
    assert (found.parent_cid, found.root_cid) == (cid, cid)
    assert children(client, cid) == [child]


def test_a_child_with_a_once_label_is_accepted_once(serve: Serve, client: Client) -> None:
    serve(Parent)
    policy = RetryPolicy(max_attempts=3, initial_interval=0.01)
    once = client.invoke_async(Parent, {"once": True, "fail_before": 2}, retry_policy=policy)
    outcome = client.result(once, wait=WAIT)
    assert (outcome.attempt, children(client, once)) == (3, [outcome.child])
    often = client.invoke_async(Parent, {"fail_before": 2}, retry_policy=policy)
    client.result(often, wait=WAIT)
    assert len(children(client, often)) == 3


def test_a_follow_up_is_accepted_only_with_the_outcome(serve: Serve, client: Client) -> None:
    serve(Parent)
    policy = RetryPolicy(max_attempts=3, initial_interval=0.01)
    payload = {"with_outcome": True, "fail_before": 2}
    cid = client.invoke_async(Parent, payload, retry_policy=policy)
    child = client.result(cid, wait=WAIT).child
    assert client.result(child, wait=WAIT) == {"n": 1}
    assert children(client, cid) == [child]


class Counts(Service):
    name = "py.counts"

    def handle(self) -> Any:
        for n in range(1, 4):
            self.emit({"n": n})
            self.progress(n / 3, f"{n} of 3", {"n": n})
        return {"total": 3}


def test_items_and_progress_reach_followers(serve: Serve, client: Client) -> None:
    serve(Counts)
    cid = client.invoke_async(Counts)
    events = list(client.results(cid))
    items = [event.payload.n for event in events if event.kind is EventKind.ITEM]
    assert items == [1, 2, 3]
    found = client.get(cid)
    assert found.progress is not None
    assert (found.progress.fraction, found.progress.message) == (1.0, "3 of 3")
    assert found.progress.value == {"n": 3}


class Gated(Service):
    name = "py.gated"

    def handle(self) -> Any:
        ENTERED.set()
        OPEN.wait(WAIT)
        return {"attempt": self.attempt}


ENTERED, OPEN = threading.Event(), threading.Event()


def test_a_stopping_worker_finishes_running_handlers(node: Node, client: Client) -> None:
    ENTERED.clear()
    OPEN.clear()
    worker = Worker(Gated, node=node.address).start()
    cid = client.invoke_async(Gated)
    assert ENTERED.wait(WAIT)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    OPEN.set()
    stopping.join(WAIT)
    assert client.result(cid, wait=WAIT) == {"attempt": 1}


def test_an_unfinished_dispatch_is_handed_back_and_not_counted_as_an_attempt(
    node: Node, client: Client
) -> None:
    ENTERED.clear()
    OPEN.clear()
    worker = Worker(Gated, node=node.address).start()
    cid = client.invoke_async(Gated)
    assert ENTERED.wait(WAIT)
    worker.stop(drain=0.05)
    OPEN.set()
    with Worker(Gated, node=node.address):
        # A dispatch that was handed back does not count as an attempt.
        assert client.result(cid, wait=WAIT) == {"attempt": 1}


def test_a_worker_reconnects_to_a_restarted_node() -> None:
    with Node() as node, node.client(tries=60) as client, Worker(Counts, node=node.address):
        assert client.invoke(Counts) == {"total": 3}
        node.kill()
        node.start()
        until = time.monotonic() + WAIT
        while True:
            try:
                assert client.invoke(Counts) == {"total": 3}
                break
            except CideryError as error:
                # The node restarts before the worker reconnects.
                assert error.reason in ("NO_WORKER", "TRANSPORT", "CONNECT_FAILED"), error
                assert time.monotonic() < until


def test_a_refused_worker_raises_the_reason(node: Node) -> None:
    class Wrong(Service):
        name = "py.wrong"
        input = Int("a"), Int("a")

        def handle(self) -> None:
            pass

    with pytest.raises(InvalidArgument) as caught:
        Worker(Wrong, node=node.address).start()
    assert caught.value.reason == "DECLARATION_INVALID"
    with pytest.raises(CideryError):
        Worker(Counts, node="127.0.0.1:9").start()


def test_two_services_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"two services named `py\.counts`"):
        Worker(Counts, Counts)


class Talks(Service):
    name = "py.talks"

    def handle(self) -> Any:
        self.response.metadata["answered-by"] = "python"
        return {"metadata": self.metadata, "left": self.seconds_left}


def test_metadata_and_deadlines_are_propagated(serve: Serve, client: Client) -> None:
    serve(Talks)
    response = client.call(Talks, {}, metadata={"who": "test"}, timeout=5)
    assert response.payload.metadata == {"who": "test"}
    assert 0 < response.payload.left <= 5
    assert response.metadata["answered-by"] == "python"


class Large(Service):
    name = "py.large"
    retry_policy = RetryPolicy(max_attempts=1)

    def handle(self) -> Any:
        return {"text": self.request.payload.text * self.request.payload.times}


def test_large_messages_pass_and_an_oversized_one_fails_alone(serve: Serve, client: Client) -> None:
    serve(Large)
    text = "x" * (6 << 20)
    assert client.invoke(Large, {"text": text, "times": 1}).text == text
    with pytest.raises(CideryError) as caught:
        client.invoke(Large, {"text": text, "times": 4})
    assert caught.value.reason == "MESSAGE_TOO_LARGE"
    assert client.invoke(Large, {"text": "a", "times": 2}).text == "aa"


class Rows(Service):
    name = "py.rows"

    def handle(self) -> None:
        self.response.payload[:] = self.request.payload
        self.response.payload.append({"a": "3"})


def test_csv_documents_are_rows_for_handlers_and_text_for_callers(
    serve: Serve, client: Client
) -> None:
    serve(Rows)
    assert client.invoke(Rows, "a\r\n1\r\n", data_format="csv") == "a\r\n1\r\n3\r\n"


class Writes(Service):
    name = "py.writes"

    def handle(self) -> None:
        self.response.payload = "a;b"
        self.response.data_format = "text"


def test_a_handler_can_answer_with_a_document(serve: Serve, client: Client) -> None:
    serve(Writes)
    assert client.invoke(Writes) == "a;b"


def test_a_background_failure_is_stored(serve: Serve, client: Client) -> None:
    serve(Fails)
    cid = client.invoke_async(Fails, {"how": "undeclared"})
    with pytest.raises(Internal):
        client.result(cid, wait=WAIT)
    found = client.get(cid)
    assert (found.state, found.attempt) == (State.FAILED, 1)
    assert found.error is not None
    assert found.error.reason == "HANDLER_FAILED"
