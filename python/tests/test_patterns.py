"""Patterns of handlers: fan-out and join, parallel, retries."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import gc
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from cidery import (
    Aborted,
    AsyncContext,
    AsyncService,
    Call,
    Cancelled,
    CideryError,
    Client,
    Context,
    DataFormat,
    DeadlineExceeded,
    FailedPrecondition,
    NotFound,
    Options,
    RetryPolicy,
    Service,
    State,
    Unavailable,
    Worker,
    service,
    testing,
)
from cidery._protocol import operations
from cidery._protocol.batch import accept_batch
from cidery._protocol.steps import Reply, UnaryCall
from cidery._service import patterns as patterns
from cidery._service.context import InvocationInfo
from cidery._worker.dispatch import DispatchPlatform
from cidery.testing import Node, Trial

Serve = Callable[..., Worker]
WAIT = 20.0
QUICK = RetryPolicy(max_attempts=3, initial_interval=0.001)


def half(name: str, depth: int) -> list[Any]:
    return [(name, {"depth": depth - 1}), Call(name, {"depth": depth - 1})]


class AddUp(Service):
    """A recursive fan-out with a sum: it deadlocks unless a join releases its permit."""

    name = "patterns.add-up"

    def handle(self) -> Any:
        depth = self.request.payload.depth
        if depth == 0:
            return 1
        return sum(outcome.result() for outcome in self.fan_out(half(self.name, depth)).join())


class AddUpAsync(AsyncService):
    name = "patterns.add-up-async"

    async def handle(self) -> Any:
        depth = self.request.payload.depth
        if depth == 0:
            return 1
        outcomes = await self.fan_out(half(self.name, depth)).join()
        return sum(outcome.result() for outcome in outcomes)


@service("patterns.add-up-function")
def add_up(ctx: Context, given: Any) -> Any:
    if given.depth == 0:
        return 1
    group = ctx.parallel(half("patterns.add-up-function", given.depth))
    return sum(outcome.result() for outcome in group.join(WAIT))


@service("patterns.add-up-coroutine")
async def add_up_async(ctx: AsyncContext, given: Any) -> Any:
    if given.depth == 0:
        return 1
    group = await ctx.parallel(half("patterns.add-up-coroutine", given.depth))
    return sum(outcome.result() for outcome in await group.join(WAIT))


ALL: tuple[Any, ...] = (AddUp, AddUpAsync, add_up, add_up_async)
ADD_UP = [pytest.param(each, id=each.service_name) for each in ALL]


@pytest.mark.parametrize("adds_up", ADD_UP)
def test_a_join_releases_its_permit(adds_up: Any, serve: Serve, client: Client) -> None:
    serve(adds_up, max_in_flight=1)
    assert client.invoke(adds_up, {"depth": 3}, timeout=WAIT) == 8
    cid = client.invoke_async(adds_up, {"depth": 2})
    assert client.result(cid, wait=WAIT) == 4
    # The group is a child of the invocation, and has two members.
    (group,) = (c for c in client.invocations(parent_cid=cid) if c.message.HasField("group"))
    assert group.message.group.members == 2
    assert len(client.invocations(group_cid=group.cid)) == 2


class Twice(Service):
    name = "patterns.twice"
    retry_policy = QUICK
    groups: list[Any] = []

    def handle(self) -> Any:
        group = self.fan_out([("cidery.echo", {"n": 1})], once="calls")
        self.groups.append(group)
        assert group.already_accepted == (self.attempt > 1)
        if self.attempt < 3:
            raise Aborted("ABORTED", "not yet")
        return [outcome.response for outcome in group.join()]


def test_a_group_with_once_is_accepted_once_across_attempts(serve: Serve, client: Client) -> None:
    serve(Twice)
    cid = client.invoke_async(Twice)
    assert client.result(cid, wait=WAIT) == [{"n": 1}]
    assert client.get(cid).attempt == 3
    assert len({group.cid for group in Twice.groups}) == 1
    assert Twice.groups[0].cid in [child.cid for child in client.invocations(parent_cid=cid)]


class Slow(Service):
    name = "patterns.slow"
    gate = threading.Event()

    def handle(self) -> Any:
        while not self.gate.wait(0.01):
            self.sleep(0)
        return self.request.payload


class Outlives(Service):
    name = "patterns.outlives"
    groups: list[str] = []
    joins = threading.Event()

    def handle(self) -> Any:
        group = self.fan_out([Call(Slow, {"n": n}) for n in range(3)], once="slow")
        self.groups.append(group.cid)
        self.joins.set()
        return [outcome.result().n for outcome in group.join()]


def test_a_join_continues_in_the_next_attempt_after_a_crash() -> None:
    with Node() as node, node.client(tries=60) as client, Worker(Slow, Outlives, node=node.address):
        cid = client.invoke_async(Outlives)
        assert Outlives.joins.wait(WAIT)
        Outlives.joins.clear()
        node.kill()
        node.start()
        assert Outlives.joins.wait(WAIT), "it is attempted again"
        Slow.gate.set()
        assert client.result(cid, wait=WAIT) == [0, 1, 2]
        first, second = Outlives.groups
        assert first == second, "it is the same group"
        assert len(client.invocations(services=Slow)) == 3


class WaitsLong(Service):
    name = "patterns.waits-long"
    ended: collections.deque[BaseException] = collections.deque()
    more = threading.Semaphore(0)

    def handle(self) -> Any:
        try:
            return self.fan_out([("demo.sleep", {"seconds": 30})]).join()
        except BaseException as error:
            self.ended.append(error)
            self.more.release()
            raise


class WaitsLongAsync(AsyncService):
    name = "patterns.waits-long-async"

    async def handle(self) -> Any:
        try:
            return await self.fan_out([("demo.sleep", {"seconds": 30})]).join()
        except BaseException as error:
            WaitsLong.ended.append(error)
            WaitsLong.more.release()
            raise


@pytest.mark.parametrize("waits", [WaitsLong, WaitsLongAsync])
def test_a_join_ends_when_its_handler_is_cancelled(
    waits: Any, serve: Serve, client: Client
) -> None:
    serve(waits)
    cid = client.invoke_async(waits)
    while not client.invocations(parent_cid=cid):
        time.sleep(0.01)
    began = time.monotonic()
    client.cancel(cid)
    assert WaitsLong.more.acquire(timeout=WAIT)
    assert isinstance(WaitsLong.ended.pop(), (Cancelled, asyncio.CancelledError))
    with pytest.raises(Cancelled):
        client.result(cid, wait=WAIT)
    with pytest.raises(DeadlineExceeded):
        client.invoke(waits, {}, timeout=0.3)
    assert WaitsLong.more.acquire(timeout=WAIT), "its thread is free"
    assert time.monotonic() - began < WAIT / 2
    client.cancel(services="demo.sleep", states="RUNNING")


class FakeConnection:
    """A connection that records the calls and never replies."""

    def __init__(self) -> None:
        self.calls: list[UnaryCall] = []

    def call(self, call: UnaryCall) -> concurrent.futures.Future[Reply]:
        self.calls.append(call)
        return concurrent.futures.Future()


def test_a_call_that_does_not_block_keeps_the_permit() -> None:
    connection: Any = FakeConnection()
    info = InvocationInfo(cid="c", service="s", raw={}, data_format=DataFormat.DICT)
    platform = DispatchPlatform(connection, info, "token", frozenset())
    platform.call(next(operations.get_invocation("c", None)))
    waits = platform.call(next(operations.get_invocation("c", 5)))
    accepts = platform.call(next(accept_batch([], Options(), {})))
    token = ("cidery-dispatch", "token")
    assert [token in call.metadata for call in connection.calls] == [False, True, True]
    # Blocking calls end with the handler, also those that start after the cancellation.
    platform.cancel()
    late = platform.call(next(operations.sleep(5)))
    assert [each.cancelled() for each in (waits, accepts, late)] == [True, False, True]


class Hears(Service):
    name = "patterns.hears"
    heard: list[Any] = []
    more = threading.Semaphore(0)

    def handle(self) -> None:
        self.heard.append(self.request.payload)
        self.more.release()


class Goes(Service):
    name = "patterns.goes"

    def handle(self) -> Any:
        calls = [("cidery.echo", {"n": n}) for n in range(3)]
        return self.with_options(metadata={"who": "me"}).parallel(calls, on_each=Hears).cid


def test_parallel_outcomes_are_delivered_as_they_arrive(serve: Serve, client: Client) -> None:
    serve(Goes, Hears)
    group = client.invoke(Goes)
    for _ in range(3):
        assert Hears.more.acquire(timeout=WAIT)
    assert sorted(each.response.n for each in Hears.heard) == [0, 1, 2]
    assert {each.group_cid for each in Hears.heard} == {group}
    members = client.invocations(group_cid=group)
    assert [member.metadata for member in members] == [{"who": "me"}] * 3


def test_ambiguous_arguments_are_refused() -> None:
    class Both(Service):
        def handle(self) -> Any:
            return self.fan_out([], once="a", idempotency_key="b")

    with pytest.raises(TypeError, match="one of the two"):
        testing.run(Both)


# Retries.


class Flaky(Service):
    name = "patterns.flaky"
    fails: list[Any] = []
    calls = 0

    def handle(self) -> Any:
        cls = type(self)
        cls.calls += 1
        if cls.fails:
            raise cls.fails.pop(0)
        return {"calls": cls.calls, "got": self.request.payload}


class Patient(Service):
    name = "patterns.patient"

    def handle(self) -> Any:
        return self.invoke_with_retry(Flaky, {"a": 1}, retry_policy=QUICK)


class PatientAsync(AsyncService):
    name = "patterns.patient-async"

    async def handle(self) -> Any:
        return await self.with_options(retry_policy=QUICK).invoke_with_retry(Flaky, {"a": 1})


@service("patterns.patient-function")
def patient(ctx: Context, _: Any) -> Any:
    return ctx.with_options(retry_policy=QUICK).invoke_with_retry(Flaky, {"a": 1})


@pytest.mark.parametrize("asks", [Patient, PatientAsync, patient])
def test_a_service_is_retried_until_it_responds(asks: Any, serve: Serve, client: Client) -> None:
    serve(asks, Flaky, max_in_flight=1)

    def outcome(*fails: Exception) -> tuple[Any, int]:
        Flaky.calls, Flaky.fails = 0, list(fails)
        try:
            return client.invoke(asks, {}, timeout=WAIT), Flaky.calls
        except CideryError as error:
            return type(error), Flaky.calls

    busy = Unavailable("BUSY", "busy")
    assert outcome(busy, KeyError("undeclared")) == ({"calls": 3, "got": {"a": 1}}, 3)
    # A failure that the caller must fix is not retried, unless it is marked as retryable.
    assert outcome(NotFound("NOT_FOUND", "gone")) == (NotFound, 1)
    assert outcome(NotFound("NOT_FOUND", "gone", retryable=True))[1] == 2
    assert outcome(Unavailable("UNAVAILABLE", "no", retryable=False)) == (Unavailable, 1)
    # Neither are cancellations, nor anything beyond the maximum of attempts.
    assert outcome(Cancelled("CANCELLED", "stop")) == (Cancelled, 1)
    assert outcome(busy, busy, busy, busy) == (Unavailable, 3)


class Hurries(Service):
    name = "patterns.hurries"

    def handle(self) -> Any:
        try:
            return self.invoke_with_retry(Flaky, {}, retry_policy=RetryPolicy(max_attempts=100))
        except CideryError as error:
            return {"reason": error.reason, "in_time": (self.seconds_left or 0) > 0}


def test_no_attempt_begins_after_the_deadline(serve: Serve, client: Client) -> None:
    serve(Hurries, Flaky)
    Flaky.calls, Flaky.fails = 0, [Unavailable("LATER", "later", retry_after=60.0)]
    assert client.invoke(Hurries, {}, timeout=5) == {"reason": "LATER", "in_time": True}
    assert Flaky.calls == 1


def test_a_backoff_ends_when_the_handler_is_cancelled(
    serve: Serve, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep, is_in_backoff = operations.sleep, threading.Event()

    def observed(seconds: float) -> Any:
        is_in_backoff.set()
        return sleep(seconds)

    monkeypatch.setattr(operations, "sleep", observed)
    serve(Hurries, Flaky)
    Flaky.calls, Flaky.fails = 0, [Unavailable("UNAVAILABLE", "later", retry_after=60.0)]
    cid = client.invoke_async(Hurries)
    assert is_in_backoff.wait(WAIT)
    began = time.monotonic()
    client.cancel(cid)
    # The handler observes the cancellation.
    assert client.result(cid, wait=WAIT).reason == "CANCELLED"
    assert time.monotonic() - began < WAIT / 2


def test_only_the_retry_loop_repeats_undispatched_calls(serve: Serve, client: Client) -> None:
    serve(Patient)
    Worker(Flaky, node=client.node).start().stop()
    with Client(client.node, tries=1) as once, pytest.raises(Unavailable) as caught:
        began = time.monotonic()
        once.invoke(Patient, {}, timeout=WAIT)
    assert caught.value.reason == "NO_WORKER"
    # Three attempts, 1 ms apart.
    assert time.monotonic() - began < 0.5


def intervals(policy: RetryPolicy) -> list[float]:
    return [round(each, 6) for each in patterns._backoff_intervals(policy)]


def test_backoff_grows_to_its_maximum_and_ends_with_the_attempts() -> None:
    assert intervals(patterns.RETRY_POLICY) == [0.1, 0.2, 0.4, 0.8]
    assert intervals(RetryPolicy(7, 1.0, 3.0, 10.0)) == [1.0, 3.0, 9.0, 10.0, 10.0, 10.0]
    assert intervals(RetryPolicy(3, 1.0, 1.0, 10.0)) == [1.0, 1.0]
    assert intervals(RetryPolicy(1)) == []


# The test harness.


class Sums(Service):
    name = "patterns.sums"

    def handle(self) -> Any:
        group = self.fan_out(
            [("a.one", {"n": 1}), Call("b.two", n=2), ("c.three", {})],
            on_each="d.each",
            on_final=["e.final"],
            once="sums",
        )
        return [[o.ok, o.response, o.error and o.error.reason] for o in group.join()]


class SumsAsync(AsyncService):
    name = "patterns.sums-async"

    async def handle(self) -> Any:
        group = await self.fan_out([("a.one", {"n": 1}), Call("b.two", n=2), ("c.three", {})])
        return [[o.ok, o.response, o.error and o.error.reason] for o in await group.join(1)]


ANSWERS: dict[str, Any] = {
    "a.one": lambda payload: payload.n + 1,
    "b.two": Aborted("ABORTED", "no"),
    "c.three": NotFound("SERVICE_UNKNOWN", "there is none"),
}
EXPECTED = [[True, 2, None], [False, None, "ABORTED"], [False, None, "SERVICE_UNKNOWN"]]


def test_the_harness_answers_the_members_of_a_fan_out() -> None:
    trial = testing.trial(Sums, invokes=ANSWERS)
    assert trial.payload == EXPECTED
    (group,) = trial.groups
    assert [(member.service, member.payload) for member in group.members] == [
        ("a.one", {"n": 1}),
        ("b.two", {"n": 2}),
        ("c.three", {}),
    ]
    assert (group.on_each, group.on_final) == (("d.each",), ("e.final",))
    assert group.request.idempotency_key.endswith("/patterns.sums/sums")
    assert testing.run(SumsAsync, invokes=ANSWERS) == EXPECTED
    with pytest.raises(testing.NotMocked, match=r"`a\.one`.* `invokes=\{'a\.one': "):
        testing.run(Sums)


def test_the_harness_runs_members_that_are_services() -> None:
    invokes = {"a.one": AddUp, "b.two": {}, "c.three": KeyError("x")}
    assert testing.run(AddUpFrom, {"depth": 0}, invokes={"patterns.add-up": AddUp}) == [1]
    trial = testing.trial(AddUpFrom, {"depth": 1}, invokes={"patterns.add-up": AddUp})
    assert trial.payload == [2]
    assert testing.run(Sums, invokes={**invokes, "a.one": 5}) == [
        [True, 5, None],
        [True, {}, None],
        [False, None, "HANDLER_FAILED"],
    ]
    with pytest.raises(testing.NotMocked, match=r"`a\.one`, and it gives its response later"):
        testing.run(Sums, invokes={**invokes, "a.one": AnswersLater})


class AddUpFrom(Service):
    def handle(self) -> Any:
        members = [Call(AddUp, self.request.payload)]
        return [outcome.result() for outcome in self.fan_out(members).join()]


class AnswersLater(Service):
    def handle(self) -> Any:
        return self.later()


def test_the_harness_records_a_fan_out_that_is_not_joined() -> None:
    ran: list[Any] = []

    class GoesOn(Service):
        def handle(self) -> Any:
            return self.parallel([("a", {}), ("a", {})], on_each="b").cid

    trial = testing.trial(GoesOn, invokes={"a": ran.append})
    assert (trial.payload, ran) == (trial.groups[0].cid, [])
    assert [member.service for member in trial.groups[0].members] == ["a", "a"]


def test_the_harness_runs_members_once_across_joins() -> None:
    ran: list[Any] = []

    class JoinsTwice(Service):
        def handle(self) -> Any:
            group = self.fan_out([("a", {}), ("a", {})])
            return group.join() == group.join()

    assert testing.run(JoinsTwice, invokes={"a": ran.append}) is True
    assert len(ran) == 2


def test_the_harness_retries_without_backoff() -> None:
    def answer(_: Any) -> Any:
        error = next(answers)
        if error is not None:
            raise error
        return {"n": 3}

    for asks in (Patient, PatientAsync):
        answers = iter(
            [Unavailable("UNAVAILABLE", "a", retry_after=3600.0), Aborted("ABORTED", "b"), None]
        )
        trial: Trial = testing.trial(asks, invokes={Flaky.name: answer})
        assert (trial.payload, len(trial.invoked)) == ({"n": 3}, 3)
    with pytest.raises(FailedPrecondition):
        testing.run(Patient, invokes={Flaky.name: FailedPrecondition("FAILED_PRECONDITION", "no")})


def test_python_warns_about_a_fan_out_that_is_not_awaited() -> None:
    class Forgets(AsyncService):
        async def handle(self) -> None:
            self.fan_out([("a", {})])

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        trial = testing.trial(Forgets)
        gc.collect()
    assert trial.groups == []
    assert any("was never awaited" in str(each.message) for each in said)


def test_outcomes_have_the_states_of_invocations() -> None:
    class States(Service):
        def handle(self) -> Any:
            return [o.state is State.SUCCEEDED for o in self.fan_out([("a", {}), ("b", {})]).join()]

    assert testing.run(States, invokes={"a": {}, "b": Aborted("ABORTED", "no")}) == [True, False]


class Item(Service):
    name = "once.item"

    def handle(self) -> Any:
        return {"cid": self.invoke_async("cidery.echo", {"n": 1}, once="child")}


class Mid(Service):
    name = "once.mid"

    def handle(self) -> Any:
        return self.invoke(Item)


class Order(Service):
    name = "once.order"

    def handle(self) -> Any:
        return {"cids": [self.invoke(each).cid for each in (Item, Mid, Item)]}


def test_a_once_label_is_scoped_to_the_call_path(serve: Serve, client: Client) -> None:
    serve(Item, Mid, Order)
    first, through, again = client.result(client.invoke_async(Order), wait=WAIT).cids
    assert first == again != through
