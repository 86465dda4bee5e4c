"""Async completion: another process gives the outcome."""

from __future__ import annotations

import asyncio
import dataclasses
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from cidery import (
    AsyncClient,
    AsyncContext,
    AsyncService,
    CideryError,
    Client,
    Context,
    DataFormat,
    EventKind,
    FailedPrecondition,
    Int,
    InvalidArgument,
    Later,
    NotFound,
    RetryPolicy,
    Service,
    State,
    Unavailable,
    Worker,
    new_cid,
    service,
    testing,
)
from cidery.testing import Node

Serve = Callable[..., Worker]
WAIT = 20.0
GIVEN: queue.SimpleQueue[Later] = queue.SimpleQueue()
POLICY = RetryPolicy(max_attempts=2, initial_interval=0.01)


class Approve(Service):
    name = "later.approve"
    output = Int("n")
    retry_policy = POLICY

    def handle(self) -> Any:
        later = self.later()
        GIVEN.put(later)
        return later

    def validate_output(self) -> None:
        assert not self.response.is_later


class ApproveAsync(AsyncService):
    name = "later.approve-async"
    output = Int("n")

    async def handle(self) -> Any:
        await asyncio.sleep(0)
        self.response.payload = self.later()
        GIVEN.put(self.response.payload)


@dataclasses.dataclass
class Approval:
    n: int


@service("later.approve-function")
def approve(ctx: Context) -> Approval | Later:
    later = ctx.later()
    GIVEN.put(later)
    return later


@service("later.approve-coroutine", output=Approval)
async def approve_async(ctx: AsyncContext) -> Later:
    later = ctx.later()
    GIVEN.put(later)
    return later


SERVICES: tuple[Any, ...] = (Approve, ApproveAsync, approve, approve_async)
ALL = [pytest.param(each, id=each.service_name) for each in SERVICES]


def waits(client: Client, cid: str) -> None:
    until = time.monotonic() + WAIT
    while not client.get(cid).waiting_for_completion:
        assert time.monotonic() < until


@pytest.mark.parametrize("approves", ALL)
def test_another_process_gives_the_outcome(approves: Any, serve: Serve, client: Client) -> None:
    worker = serve(approves)
    cid = client.invoke_async(approves)
    later = GIVEN.get(timeout=WAIT)
    assert later.cid == cid
    waits(client, cid)
    assert client.get(cid).state is State.RUNNING
    assert worker.in_flight == 0, "its seat is free"
    with pytest.raises(InvalidArgument) as wrong:
        client.complete(cid, later.token, {"n": "none"})
    assert wrong.value.reason == "OUTPUT_INVALID"
    assert [v.path for v in wrong.value.violations] == ["/n"]
    assert client.complete(cid, later.token, {"n": 1}) is State.SUCCEEDED
    assert client.complete(cid, later.token, {"n": 1}) is State.SUCCEEDED, "it can be given again"
    assert client.result(cid, wait=WAIT) == {"n": 1}
    with pytest.raises(FailedPrecondition) as late:
        client.complete(cid, later.token, error=NotFound("NOT_FOUND", "gone"))
    assert late.value.reason == "ENDED"


@pytest.mark.parametrize("approves", ALL)
def test_a_waiting_caller_gets_the_response(approves: Any, serve: Serve, client: Client) -> None:
    serve(approves)
    answered: list[Any] = []
    calling = threading.Thread(target=lambda: answered.append(client.call(approves)))
    calling.start()
    later = GIVEN.get(timeout=WAIT)
    metadata = {"approved-by": "ann"}
    with pytest.raises(InvalidArgument):
        client.complete(later.cid, later.token, {"m": 1})
    assert client.complete(later.cid, later.token, {"n": 2}, metadata=metadata) is State.SUCCEEDED
    calling.join(WAIT)
    (response,) = answered
    payload = Approval(2) if hasattr(approves, "service_class") else {"n": 2}
    assert (response.cid, response.payload, response.metadata) == (later.cid, payload, metadata)


def test_a_waiting_caller_gets_the_failure(serve: Serve, client: Client) -> None:
    serve(Approve)
    raised: list[CideryError] = []

    def call() -> None:
        with pytest.raises(CideryError) as caught:
            client.invoke(Approve)
        raised.append(caught.value)

    calling = threading.Thread(target=call)
    calling.start()
    later = GIVEN.get(timeout=WAIT)
    error = FailedPrecondition("REJECTED", "not today")
    assert client.complete(later.cid, later.token, error=error) is State.FAILED
    calling.join(WAIT)
    assert isinstance(raised[0], FailedPrecondition)
    assert (raised[0].reason, raised[0].message) == ("REJECTED", "not today")


def test_a_wrong_token_is_refused(serve: Serve, client: Client) -> None:
    serve(Approve)
    cid = client.invoke_async(Approve)
    later = GIVEN.get(timeout=WAIT)
    with pytest.raises(FailedPrecondition) as wrong:
        client.complete(cid, "0" * 32, {"n": 1})
    assert wrong.value.reason == "DISPATCH_VOID"
    with pytest.raises(NotFound) as unknown:
        client.complete(new_cid(), later.token, {"n": 1})
    assert unknown.value.reason == "CID_UNKNOWN"
    with pytest.raises(InvalidArgument):
        client.complete(cid, "", {"n": 1})
    with pytest.raises(TypeError, match="not both"):
        client.complete(cid, later.token, {"n": 1}, error=NotFound("NOT_FOUND", "gone"))
    assert client.complete(cid, later.token, {"n": 1}) is State.SUCCEEDED


def test_a_given_failure_is_a_failed_attempt(serve: Serve, client: Client) -> None:
    serve(Approve)
    cid = client.invoke_async(Approve)
    closed = Unavailable("BANK_CLOSED", "come back")
    first = GIVEN.get(timeout=WAIT)
    assert client.complete(cid, first.token, error=closed) is State.PENDING
    second = GIVEN.get(timeout=WAIT)
    assert second.token != first.token
    with pytest.raises(FailedPrecondition) as void:
        client.complete(cid, first.token, {"n": 1})
    assert void.value.reason == "DISPATCH_VOID"
    assert client.complete(cid, second.token, error=closed) is State.FAILED
    with pytest.raises(Unavailable) as caught:
        client.result(cid, wait=WAIT)
    assert (caught.value.reason, client.get(cid).attempt) == ("BANK_CLOSED", 2)


class Writes(Service):
    """Declares no output: any outcome is accepted."""

    name = "later.writes"
    retry_policy = RetryPolicy(max_attempts=1)

    def handle(self) -> Any:
        GIVEN.put(self.later())
        return self.later()


@pytest.mark.parametrize(
    ("payload", "data_format", "answered"),
    [
        ('{"n": 1}', "json", {"n": 1}),
        (b"[1, 2]", DataFormat.JSON, [1, 2]),
        ({"n": 1}, "json", {"n": 1}),
        ("n,m\r\n1,2\r\n", "csv", "n,m\r\n1,2\r\n"),
        ("approved", "text", "approved"),
        ("approved", None, "approved"),
    ],
)
def test_the_outcome_can_be_a_document(
    payload: Any, data_format: Any, answered: Any, serve: Serve, client: Client
) -> None:
    serve(Writes)
    cid = client.invoke_async(Writes)
    token = GIVEN.get(timeout=WAIT).token
    for _ in range(2):  # The same one can be given again.
        state = client.complete(cid, token, payload, data_format=data_format)
        assert state is State.SUCCEEDED
    assert client.result(cid, wait=WAIT) == answered


def test_a_document_is_validated_by_the_declaration(serve: Serve, client: Client) -> None:
    serve(Approve)
    cid = client.invoke_async(Approve)
    token = GIVEN.get(timeout=WAIT).token
    for text in ('{"n": ', '{"n": "none"}'):
        with pytest.raises(InvalidArgument) as wrong:
            client.complete(cid, token, text, data_format="json")
        assert wrong.value.reason == "OUTPUT_INVALID"
    with pytest.raises(TypeError, match="CSV is sent as text"):
        client.complete(cid, token, {"n": 1}, data_format="csv")
    with pytest.raises(TypeError, match="not to an error"):
        client.complete(cid, token, error=NotFound("NOT_FOUND", "gone"), data_format="json")
    assert client.complete(cid, token, '{"n": "1"}', data_format="json") is State.SUCCEEDED
    assert client.result(cid, wait=WAIT) == {"n": 1}, "it is read as the declaration says"


class Hasty(Service):
    name = "later.hasty"
    retry_policy = RetryPolicy(max_attempts=1)

    def handle(self) -> Any:
        self.invoke_async("cidery.echo", {"n": 1}, with_outcome=True)
        return self.later()


class Nested(Service):
    name = "later.nested"
    retry_policy = RetryPolicy(max_attempts=1)

    def handle(self) -> Any:
        return {"later": self.later()}


def test_follow_ups_are_refused_with_a_deferred_response(serve: Serve, client: Client) -> None:
    serve(Hasty, Nested)
    with pytest.raises(FailedPrecondition) as caught:
        client.invoke(Hasty)
    assert caught.value.reason == "NOT_SUPPORTED"
    with pytest.raises(FailedPrecondition):
        client.result(client.invoke_async(Hasty), wait=WAIT)
    with pytest.raises(CideryError, match=r"`/later`.*cannot be serialized"):
        client.invoke(Nested)


def test_a_deferred_outcome_survives_worker_and_node() -> None:
    with Node() as node, node.client(tries=60) as client:
        with Worker(Approve, node=node.address):
            cid = client.invoke_async(Approve)
            later = GIVEN.get(timeout=WAIT)
            waits(client, cid)
        node.kill()
        node.start()
        assert client.complete(cid, later.token, {"n": 3}) is State.SUCCEEDED
        kinds = [event.kind for event in client.results(cid)]
        assert kinds == [EventKind.ACCEPTED, EventKind.STARTED, EventKind.SUCCEEDED]


def test_the_asyncio_client_gives_an_outcome(node: Node, serve: Serve) -> None:
    serve(ApproveAsync)

    async def calls() -> None:
        async with AsyncClient(node.address) as client:
            cid = await client.invoke_async(ApproveAsync)
            later = await asyncio.to_thread(GIVEN.get, timeout=WAIT)
            assert await client.complete(cid, later.token, {"n": 4}) is State.SUCCEEDED
            assert await client.result(cid, wait=WAIT) == {"n": 4}
            cid = await client.invoke_async(ApproveAsync)
            later = await asyncio.to_thread(GIVEN.get, timeout=WAIT)
            state = await client.complete(cid, later.token, '{"n": 5}', data_format="json")
            assert state is State.SUCCEEDED
            assert await client.result(cid, wait=WAIT) == {"n": 5}

    asyncio.run(calls())


@pytest.mark.parametrize("approves", ALL)
def test_the_harness_exposes_the_deferred_outcome(approves: Any) -> None:
    trial = testing.trial(approves)
    later = GIVEN.get(timeout=WAIT)
    assert trial.later is later
    assert trial.payload is None
    assert (later.cid, len(later.token)) == (trial.service.cid, 32)
    assert later.token not in repr(later)


def test_the_harness_checks_a_deferred_outcome() -> None:
    with pytest.raises(FailedPrecondition):
        testing.trial(Hasty)
    assert testing.trial(Calls, invokes={"x": {"n": 1}}).later is None
    with pytest.raises(testing.NotMocked, match="`x`, and it gives its response later"):
        testing.trial(Calls, invokes={"x": Approve})


class Calls(Service):
    name = "later.calls"

    def handle(self) -> Any:
        return self.invoke("x")
