"""The clients, against a real node."""

from __future__ import annotations

import asyncio
import datetime
import math
import re
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from cidery import (
    AsyncClient,
    CideryError,
    Client,
    ConnectFailed,
    Context,
    DeadlineExceeded,
    EventKind,
    FailedPrecondition,
    InvalidArgument,
    Kind,
    NotFound,
    RetryPolicy,
    State,
    Unavailable,
    Unknown,
    Worker,
    new_cid,
    service,
)
from cidery._client import aio, blocking
from cidery._errors.exceptions import CLASS_BY_KIND
from cidery._errors.status_details import from_failure, to_failure
from cidery._protocol.channel import address
from cidery._protocol.retry import (
    RetryState,
    classify,
    connect_failed,
    is_safe_to_retry,
    not_dispatched,
)
from cidery.testing import Node


def test_a_service_is_called_with_a_dict_or_with_keywords(client: Client) -> None:
    assert client.invoke("customer.get", {"cust_id": 1}).cust_name == "Alexis Smith"
    assert client.invoke("customer.get", cust_id=1)["cust_name"] == "Alexis Smith"


def test_a_response_comes_with_the_cid_that_the_client_brought(client: Client) -> None:
    cid = new_cid()
    response = client.call("customer.get", {"cust_id": 1}, cid=cid)
    assert response.cid == cid
    assert client.call("customer.get", cust_id=1).cid not in ("", cid)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": "5"}, "`timeout` is '5', not a `float` or `int` or `timedelta`"),
        ({"cid": uuid.UUID(int=1)}, "`cid` is UUID"),
        ({"idempotency_key": 5}, "`idempotency_key` is 5, not a `str`"),
        ({"metadata": [1]}, r"`metadata` is \[1\], not a `Mapping`"),
        ({"metadata": {"a": 1}}, "`metadata` has 'a': 1, and both must be strings"),
        ({"retry_policy": {"max_attempts": 3}}, "`retry_policy` is .*, not a `RetryPolicy`"),
        ({"start_time": "2026-01-31"}, "`start_time` is '2026-01-31', not a `datetime`"),
        ({"concurrency_key": b"x"}, "`concurrency_key` is b'x', not a `str`"),
    ],
)
def test_an_option_of_the_wrong_type_is_refused_by_name(
    options: dict[str, Any], said: str, client: Client
) -> None:
    with pytest.raises(TypeError, match=said):
        client.invoke_async("cidery.echo", {}, **options)
    with pytest.raises(TypeError, match=said):
        client.with_options(**options).invoke_async("cidery.echo")


def test_a_timeout_must_be_finite_and_not_negative(client: Client) -> None:
    for timeout in (math.inf, math.nan):
        with pytest.raises(ValueError, match=r"`timeout` is (inf|nan): omit it"):
            client.invoke("cidery.echo", {}, timeout=timeout)
    with pytest.raises(InvalidArgument, match="not negative"):
        client.invoke("cidery.echo", {}, timeout=-1)
    # Longer than gRPC supports: it would treat the deadline as passed.
    assert client.invoke("cidery.echo", {}, timeout=10**10) == {}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"max_attempts": -1}, "`max_attempts` is -1: a policy has from 1 to 10000 attempts"),
        ({"max_attempts": 0}, "`max_attempts` is 0: "),
        ({"max_attempts": 10_001}, "`max_attempts` is 10001: "),
        ({"max_attempts": 2.5}, "`max_attempts` is 2.5, not an `int`"),
        ({"multiplier": 0.5}, "`multiplier` is 0.5: it is a number of at least 1"),
        ({"multiplier": math.nan}, "`multiplier` is nan"),
        ({"initial_interval": "1"}, "`initial_interval` is '1': neither a number of seconds"),
        ({"initial_interval": -1}, "`initial_interval` is -1: it is not negative"),
        ({"max_interval": math.inf}, "`max_interval` is inf"),
    ],
)
def test_a_retry_policy_is_validated_when_it_is_created(
    given: dict[str, Any], expected: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(expected)):
        RetryPolicy(**given)
    assert RetryPolicy(1, datetime.timedelta(), 1, 0).to_proto().max_attempts == 1


@pytest.mark.parametrize("name", ["data_format", "response_format", "on_deadline", "on_exhausted"])
def test_an_option_of_unknown_value_is_refused_with_the_known_ones(
    name: str, client: Client
) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is 'YAML', not one of `"):
        client.with_options(**{name: "YAML"})  # type: ignore[arg-type]


def test_an_ambiguous_keyword_is_refused(client: Client) -> None:
    with pytest.raises(TypeError, match="`timeout` without a payload is ambiguous"):
        client.invoke("cidery.echo", timeout=1)
    assert client.with_options().invoke("cidery.echo", timeout=1) == {"timeout": 1}
    assert client.invoke("cidery.echo", {"a": 1}, timeout=5) == {"a": 1}
    with pytest.raises(
        TypeError, match=r"`tmeout` is not an option; did you mean `timeout`\? \(options: "
    ):
        client.invoke("cidery.echo", {"a": 1}, tmeout=5)
    with pytest.raises(TypeError, match="`delay` is an option of `invoke_async`"):
        client.invoke("cidery.echo", {}, delay=5)
    with pytest.raises(TypeError, match="`once` is an option of calls that a handler makes"):
        client.invoke_async("cidery.echo", {}, once="x")
    with pytest.raises(TypeError, match=r"`x` is not an option \(options: cid, data_format, "):
        client.invoke("cidery.echo", {}, x=1)
    with pytest.raises(TypeError, match="2 were given"):
        client.invoke("cidery.echo", {}, {})


def test_values_round_trip(client: Client) -> None:
    for value in ([1, [2.5]], "text", 7, True, {"a": {"b": [None]}}):
        assert client.invoke("cidery.echo", value) == value


def test_all_violations_are_reported_at_once(client: Client) -> None:
    with pytest.raises(InvalidArgument) as caught:
        client.invoke("customer.get", cust_id="x")
    error = caught.value
    assert (error.kind, error.code, error.reason) == (Kind.INVALID_ARGUMENT, 3, "INPUT_INVALID")
    (violation,) = error.violations
    assert (violation.path, violation.reason) == ("/cust_id", "WRONG_TYPE")
    assert error.cid
    assert not error.is_retryable


def test_an_unknown_service_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound) as caught:
        client.invoke("customer.gte")
    assert caught.value.reason == "SERVICE_UNKNOWN"


def test_a_failure_of_a_service_keeps_its_kind(client: Client) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        client.invoke("demo.fail", code="FAILED_PRECONDITION", message="no")
    assert caught.value.message == "no"


def test_the_node_reports_a_passed_deadline_with_the_cid(client: Client) -> None:
    cid = new_cid()
    with pytest.raises(DeadlineExceeded) as caught:
        client.invoke("demo.sleep", {"seconds": 30}, timeout=0.2, cid=cid)
    assert (caught.value.reason, caught.value.cid) == ("DEADLINE_EXCEEDED", cid)


def test_a_call_with_on_deadline_continue_outlives_its_caller(client: Client) -> None:
    with pytest.raises(DeadlineExceeded) as caught:
        client.invoke("demo.sleep", {"seconds": 0.5}, timeout=0.1, on_deadline="continue")
    assert caught.value.reason == "STILL_RUNNING"
    assert caught.value.cid
    client.result(caught.value.cid, wait=20)


def test_documents_are_sent_and_received(client: Client) -> None:
    answered = client.invoke("cidery.echo", '{"n": 1.10}', data_format="json")
    assert answered == {"n": 1.1}
    text = client.invoke("cidery.echo", {"n": 1}, response_format="json")
    assert text == '{"n":1}'
    with pytest.raises(TypeError, match="CSV is sent as text"):
        client.invoke("cidery.echo", {"n": 1}, data_format="csv")


def test_the_outcome_of_a_background_call_is_fetched_by_its_cid(client: Client) -> None:
    cid = client.invoke_async("customer.get", cust_id=1)
    assert not cid.already_accepted
    assert client.result(cid, wait=20).cust_name == "Alexis Smith"
    found = client.get(cid)
    assert (found.state, found.has_ended, found.service) == (State.SUCCEEDED, True, "customer.get")
    assert client.explain(cid).message.input.payload["cust_id"] == 1


def test_a_background_failure_is_raised_when_it_is_fetched(client: Client) -> None:
    cid = client.invoke_async("demo.fail", code="NOT_FOUND", message="gone")
    with pytest.raises(NotFound) as caught:
        client.result(cid, wait=20)
    assert caught.value.cid == cid


def test_a_wait_that_times_out_fails_with_still_running(client: Client) -> None:
    cid = client.invoke_async("demo.sleep", seconds=30)
    with pytest.raises(DeadlineExceeded) as caught:
        client.result(cid, wait=0.1)
    assert caught.value.reason == "STILL_RUNNING"
    (change,) = client.cancel(cid, reason="not needed")
    assert change.cid == cid
    with pytest.raises(CideryError) as ended:
        client.result(cid, wait=20)
    assert ended.value.kind is Kind.CANCELLED


def test_the_same_key_is_accepted_once(client: Client) -> None:
    key = new_cid()
    first = client.invoke_async("customer.get", {"cust_id": 1}, idempotency_key=key)
    second = client.invoke_async("customer.get", {"cust_id": 1}, idempotency_key=key)
    assert (first == second, first.already_accepted, second.already_accepted) == (True, False, True)
    assert client.find("customer.get", key).cid == first


def test_all_options_of_a_background_call_are_sent(client: Client) -> None:
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    cid = client.invoke_async(
        "customer.get",
        {"cust_id": 1},
        delay=60,
        expiration=120,
        deadline=soon,
        retention=datetime.timedelta(minutes=5),
        concurrency_key="k",
        metadata={"who": "test"},
        retry_policy=RetryPolicy(max_attempts=2),
        on_exhausted="hold",
        callback="cidery.echo",
        failure_callback=["cidery.echo"],
        timeout=5,
    )
    found = client.get(cid)
    assert (found.state, found.pending_reason) == (State.PENDING, "DUE_LATER")
    assert found.metadata == {"who": "test"}
    assert found.message.concurrency_key == "k"
    assert found.message.deadline.ToDatetime(datetime.timezone.utc) == soon
    client.cancel(cid)
    with pytest.raises(TypeError, match=r"`deadline` is .*, which has no time zone: give one, as"):
        client.invoke_async("customer.get", {"cust_id": 1}, deadline=soon.replace(tzinfo=None))


def test_a_failed_invocation_is_retried_with_an_edited_input(client: Client) -> None:
    cid = client.invoke_async("demo.fail", code="NOT_FOUND", message="gone")
    with pytest.raises(NotFound):
        client.result(cid, wait=20)
    (change,) = client.retry(cid, payload={"code": "ABORTED", "message": "again"})
    assert client.get(change.new_cid).retry_of == cid
    client.cancel(change.new_cid)


def test_events_are_streamed_in_order(client: Client) -> None:
    cid = client.invoke_async("demo.count", to=3)
    events = [e for e in client.results(cid) if e.kind is not EventKind.PROGRESS]
    names = [event.kind.value for event in events]
    assert names == ["accepted", "started", "item", "item", "item", "succeeded"]
    assert [event.payload.n for event in events[2:5]] == [1, 2, 3]
    assert events[-1].payload == {"total": 3}
    sequences = [event.sequence for event in events]
    assert sequences == sorted(set(sequences))


def test_the_progress_of_a_running_invocation_is_read(
    serve: Callable[..., Worker], client: Client
) -> None:
    done = threading.Event()

    @service("progress.reports")
    def reports(ctx: Context) -> None:
        ctx.progress(0.5, "halfway")
        ctx.emit("reported")
        assert done.wait(20)

    serve(reports)
    cid = client.invoke_async(reports)
    events = client.results(cid)
    next(event for event in events if event.kind is EventKind.ITEM)
    progress = client.get(cid).progress
    done.set()
    assert progress is not None
    assert (progress.fraction, progress.message) == (0.5, "halfway")
    assert list(events)[-1].kind is EventKind.SUCCEEDED


def test_an_unknown_cid_yields_one_event(client: Client) -> None:
    known, unknown = client.invoke_async("customer.get", cust_id=1), new_cid()
    last = {event.cid: event for event in client.results([known, unknown]) if event.kind.is_last}
    assert last[known].kind is EventKind.SUCCEEDED
    assert last[unknown].kind is EventKind.NOT_FOUND
    error = last[unknown].error
    assert isinstance(error, NotFound)
    assert error.reason == "CID_UNKNOWN"


def test_services_are_listed_and_described(client: Client) -> None:
    assert "customer.get" in [service.name for service in client.services("customer.")]
    assert client.describe("customer.get").typed_method == "customer.Service/Get"


def test_a_result_stream_resumes_after_a_restart_of_the_node() -> None:
    with Node(demo=True) as node, node.client(tries=60) as client:
        cid = client.invoke_async("demo.sleep", seconds=1.5)
        done = client.invoke_async("demo.count", to=2)
        client.result(done, wait=20)
        events: list[Any] = []
        killed = threading.Event()

        def again() -> None:
            node.kill()
            killed.set()
            node.start()

        restart: threading.Thread | None = None
        for event in client.results([cid, done]):
            events.append(event)
            has_all_of_done = any(e.cid == done and e.kind.is_last for e in events)
            if restart is None and has_all_of_done:
                restart = threading.Thread(target=again)
                restart.start()
                killed.wait(20)
        assert restart is not None
        restart.join()
        ended = {event.cid: event.kind for event in events if event.kind.is_last}
        assert ended == {cid: EventKind.SUCCEEDED, done: EventKind.SUCCEEDED}
        stored = [(e.cid, e.sequence) for e in events if e.sequence]
        assert len(stored) == len(set(stored)), "an event came twice"


def test_an_unreachable_node_fails_with_connect_failed() -> None:
    message = (
        "no node answers at 127.0.0.1:9; start one with `cidery serve`, or give another address"
        " (`CIDERY_NODE`, `--node`)"
    )
    with Client("127.0.0.1:9", tries=2) as client:
        with pytest.raises(ConnectFailed) as caught:
            client.invoke("customer.get", cust_id=1)
        assert (caught.value.reason, caught.value.message) == ("CONNECT_FAILED", message)
        assert caught.value.has_no_side_effects
        assert "failed to connect" in caught.value.facts["transport"].lower()
        # The traceback has one error.
        printed = "".join(traceback.format_exception(caught.value))
        assert printed.count("Traceback") == 1
        assert "TRANSPORT" not in printed
        with pytest.raises(ConnectFailed) as not_ready:
            client.wait_for_ready(timeout=0.1)
        assert not_ready.value.message == message
    with pytest.raises(ConnectFailed) as not_started:
        Worker(node="127.0.0.1:9").start()
    assert not_started.value.message == message
    assert "failed to connect" in not_started.value.facts["transport"].lower()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("127.0.0.1:9000", "127.0.0.1:9000"),
        ("127.0.0.1", "127.0.0.1:24337"),
        ("localhost", "localhost:24337"),
        ("node.example:1", "node.example:1"),
        ("http://node.example", "node.example:24337"),
        ("http://node.example:80/", "node.example:80"),
        ("::1", "[::1]:24337"),
        ("[::1]", "[::1]:24337"),
        ("http://[::1]:7", "[::1]:7"),
        (":9000", "localhost:9000"),
        ("https://node.example", "https://node.example:24337"),
        ("", "127.0.0.1:24337"),
    ],
)
def test_an_address_may_have_a_scheme_and_needs_no_port(
    given: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CIDERY_NODE", raising=False)
    assert address(given) == expected
    monkeypatch.setenv("CIDERY_NODE", given)
    assert address(None) == expected
    with Client(given) as client:
        assert client.node == Worker(node=given).node == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("a b", "use `HOST:PORT`"),
        (":", "use `HOST:PORT`"),
        ("http://", "use `HOST:PORT`"),
        ("node:", "use `HOST:PORT`"),
        ("node:port", "use `HOST:PORT`"),
        ("node:70000", "use `HOST:PORT`"),
        ("[::x]:1", "use `HOST:PORT`"),
        ("[:::]:1", "use `HOST:PORT`"),
        ("me@node:1", "use `HOST:PORT`"),
        ("node:1/path", "use `HOST:PORT`"),
        ("unix:///run/x", "use `HOST:PORT`"),
        ("https://", "use `HOST:PORT`"),
    ],
)
def test_a_malformed_address_is_refused(given: str, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Client(given)
    assert caught.value.reason == "REQUEST_INVALID"
    assert caught.value.message == f"`{given}` is not an address of a node: {said}"


def test_the_address_and_the_key_come_from_the_environment(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIDERY_NODE", node.address)
    monkeypatch.setenv("CIDERY_API_KEY", "secret")
    with Client() as client:
        client.wait_for_ready()
        assert client.node == node.address
        assert client._credential.metadata() == (("authorization", "Bearer secret"),)
        assert client.invoke("customer.get", cust_id=1)


def test_the_asyncio_client_behaves_like_the_blocking_one(node: Node) -> None:
    async def calls() -> None:
        async with AsyncClient(node.address) as client:
            await client.wait_for_ready()
            assert (await client.invoke("customer.get", cust_id=1)).cust_name == "Alexis Smith"
            many = [client.invoke("cidery.echo", n=n) for n in range(20)]
            assert [answer.n for answer in await asyncio.gather(*many)] == list(range(20))
            cid = await client.invoke_async("demo.count", to=2)
            kinds = [event.kind async for event in client.results(cid)]
            assert kinds[-1] is EventKind.SUCCEEDED
            assert await client.result(cid) == {"total": 2}
            assert (await client.get(cid)).state is State.SUCCEEDED
            with pytest.raises(InvalidArgument):
                await client.with_options(timeout=5).invoke("customer.get", cust_id="x")
            listed = [service.name for service in await client.services("customer.")]
            assert "customer.get" in listed
            assert (await client.describe("customer.get")).typed_method

    asyncio.run(calls())


def errors() -> Iterator[Any]:
    for kind, cls in CLASS_BY_KIND.items():
        yield pytest.param(kind, cls, id=kind.name)


@pytest.mark.parametrize(("kind", "cls"), list(errors()))
def test_every_kind_round_trips(kind: Kind, cls: type[CideryError]) -> None:
    error = cls("BECAUSE", "why", retryable=True, retry_after=1.5)
    again = from_failure(to_failure(error))
    assert type(again) is cls
    assert (again.kind, again.reason, again.message) == (kind, "BECAUSE", "why")
    assert (again.retryable, again.retry_after, again.is_retryable) == (True, 1.5, True)
    assert kind.code == grpc_code(kind)


def grpc_code(kind: Kind) -> int:
    code: int = grpc.StatusCode[kind.name].value[0]
    return code


def test_the_table_of_kinds_equals_that_of_the_node() -> None:
    retryable = {kind.name for kind in Kind if kind.retry.value == "yes"}
    assert retryable == {"RESOURCE_EXHAUSTED", "UNAVAILABLE"}
    assert {kind.name for kind in Kind if kind.exit_code == 2} == {
        "UNKNOWN",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
    }
    assert [Kind.from_code(code).code for code in range(1, 17)] == list(range(1, 17))


def test_a_call_that_is_retried_for_a_second_logs_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    unreachable = connect_failed("127.0.0.1:9")
    state = RetryState(8, is_safe_to_retry)
    for now in (0.0, 0.9, 1.0, 2.0):
        state.next_delay(unreachable)
        assert len(caplog.records) == (now >= 1)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("cidery.client", "WARNING")
    assert record.getMessage() == f"{unreachable}; retrying for some seconds"


def test_waiting_for_a_node_logs_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for client_type in (blocking, aio):
        monkeypatch.setattr(client_type, "QUIET_SECONDS", 0.01)

    async def wait() -> None:
        async with AsyncClient("127.0.0.1:9") as client:
            with pytest.raises(ConnectFailed):
                await client.wait_for_ready(timeout=0.1)

    with Client("127.0.0.1:9") as client, pytest.raises(ConnectFailed):
        client.wait_for_ready(timeout=0.1)
    asyncio.run(wait())
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [f"{connect_failed('127.0.0.1:9')}; retrying for some seconds"] * 2


def test_only_safe_failures_are_retried() -> None:
    def count(error: CideryError, is_safe: Any) -> int:
        tries = RetryState(5, is_safe)
        with pytest.raises(CideryError):
            while True:
                assert tries.next_delay(error) <= 2
        return tries.attempts

    stopping = Unavailable(reason="NODE_STOPPING")
    by_handler = Unavailable(reason="DOWN")
    lost = classify(Unavailable("TRANSPORT", "Socket closed"), "n:1")
    refused = classify(Unavailable("TRANSPORT", "failed to connect to all addresses"), "n:1")
    assert isinstance(lost, Unknown)
    before = not_dispatched("a.service")
    by_node = Unavailable(reason="NODE_STOPPING", facts={"service": "a.service"})
    nested = Unavailable(reason="NO_WORKER", facts={"service": "a.nested"})
    handed_on = Unavailable(reason="CONNECT_FAILED")
    assert count(by_node, before) == 5
    assert count(refused, before) == 5
    # The failure of a nested call: the handler has run.
    assert count(nested, before) == 1
    assert count(handed_on, before) == 1
    assert count(stopping, before) == 1
    assert count(by_handler, before) == 1
    assert count(lost, before) == 1
    assert count(stopping, is_safe_to_retry) == 5
    assert count(lost, is_safe_to_retry) == 5
    assert count(by_handler, is_safe_to_retry) == 1


def test_a_closed_client_says_so(node: Node) -> None:
    closed = Client(node.address)
    bound = closed.with_options(timeout=5)
    assert bound.invoke("cidery.echo", a=1) == {"a": 1}
    cid = closed.invoke_async("cidery.echo", {})
    events = closed.results(cid)
    closed.close()
    closed.close()
    for call in (
        lambda: closed.invoke("cidery.echo", {}),
        lambda: bound.invoke("cidery.echo"),
        lambda: next(events),
        closed.wait_for_ready,
        bound.services,
    ):
        with pytest.raises(RuntimeError, match="the client is closed"):
            call()

    async def calls() -> None:
        client = AsyncClient(node.address)
        assert await client.invoke("cidery.echo", a=1) == {"a": 1}
        await client.close()
        with pytest.raises(RuntimeError, match="the client is closed"):
            await client.invoke("cidery.echo", {})

    asyncio.run(calls())


def test_an_asyncio_client_is_created_without_a_loop_and_used_in_one(node: Node) -> None:
    client = AsyncClient(node.address)
    bound = client.with_options(timeout=5)

    async def call() -> Any:
        return await bound.invoke("cidery.echo", a=1)

    async def first() -> None:
        assert await call() == {"a": 1}
        # Another loop, in another thread, while this one runs.
        with pytest.raises(RuntimeError, match="belongs to the event loop that used it first"):
            await asyncio.to_thread(asyncio.run, call())
        assert await call() == {"a": 1}
        await client.close()

    asyncio.run(first())
    with pytest.raises(RuntimeError, match="belongs to the event loop that used it first"):
        asyncio.run(call())
