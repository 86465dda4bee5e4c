"""Batches and groups, against a real node."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from proxy import Proxy

from cidery import (
    AlreadyExists,
    AsyncClient,
    Call,
    CideryError,
    Client,
    DeadlineExceeded,
    EventKind,
    InvalidArgument,
    NotFound,
    Options,
    RetryPolicy,
    Service,
    State,
    Worker,
    new_cid,
)
from cidery._client import transport as transport
from cidery._protocol import operations
from cidery._protocol.batch import AcceptedGroup, accept_batch, join
from cidery._protocol.result_cursor import ResultCursor
from cidery._protocol.results import Event
from cidery._protocol.security.credential import Credential
from cidery._protocol.steps import Reply
from cidery.testing import Node
from cidery.v1 import invocation_pb2, outcome_pb2

Serve = Callable[..., Worker]
WAIT = 20.0
MIXED: list[Any] = [
    ("customer.get", {"cust_id": 1}),
    Call("demo.fail", code="NOT_FOUND", message="none"),
    ("customer.get", {"cust_id": 3}),
]


class Hear(Service):
    """Records its inputs."""

    name = "batch.hear"
    heard: list[Any] = []
    more = threading.Condition()

    def handle(self) -> None:
        with self.more:
            self.heard.append(self.request.payload)
            self.more.notify_all()

    @classmethod
    def of(cls, group: str, count: int) -> list[Any]:
        """Waits for a number of recorded inputs of a group."""

        def found() -> list[Any]:
            return [each for each in cls.heard if each.group_cid == group]

        with cls.more:
            assert cls.more.wait_for(lambda: len(found()) >= count, WAIT), found()
        return found()


class Held(Service):
    """Finishes when the test releases a semaphore."""

    name = "batch.held"
    gate = threading.Semaphore(0)

    def handle(self) -> Any:
        while not self.gate.acquire(timeout=0.01):
            self.sleep(0)
        return self.request.payload


def held(count: int) -> list[tuple[Any, Any]]:
    return [(Held, {"n": n}) for n in range(count)]


def test_outcomes_come_in_the_order_of_requests_and_failures_are_outcomes(client: Client) -> None:
    group = client.invoke_batch(MIXED)
    assert not group.already_accepted
    outcomes = group.join(WAIT)
    assert [outcome.cid for outcome in outcomes] == list(group.members)
    assert [outcome.service for outcome in outcomes] == [
        "customer.get",
        "demo.fail",
        "customer.get",
    ]
    assert [outcome.ok for outcome in outcomes] == [True, False, True]
    assert [outcome.state for outcome in outcomes] == [
        State.SUCCEEDED,
        State.FAILED,
        State.SUCCEEDED,
    ]
    first, second, third = outcomes
    assert (first.result().cust_id, third.result()["cust_id"]) == (1, 3)
    assert (second.response, first.error) == (None, None)
    with pytest.raises(NotFound, match="none") as caught:
        second.result()
    assert caught.value.cid == group.members[1]
    found = client.get(group.cid)
    assert (found.state, found.service, found.payload.failed) == (State.SUCCEEDED, "", 1)


def test_on_each_gets_each_outcome(serve: Serve, client: Client) -> None:
    serve(Hear)
    group = client.invoke_batch(MIXED, on_each=[Hear])
    group.join(WAIT)
    heard = sorted(Hear.of(group.cid, 3), key=lambda each: each.position)
    assert [each.cid for each in heard] == list(group.members)
    assert [each.state for each in heard] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]
    assert heard[0].response.cust_id == 1
    assert heard[1].error.code == "NOT_FOUND"


def test_on_final_gets_all_outcomes_once_and_in_order(serve: Serve, client: Client) -> None:
    serve(Hear)
    group = client.invoke_batch(MIXED, on_final=Hear)
    group.join(WAIT)
    (heard,) = Hear.of(group.cid, 1)
    assert [each.cid for each in heard.outcomes] == list(group.members)
    assert (heard.members, heard.succeeded, heard.failed) == (3, 2, 1)
    # A group without members ends at once.
    empty = client.invoke_batch([], on_final=Hear)
    assert empty.join(WAIT) == []
    assert empty.members == ()
    (heard,) = Hear.of(empty.cid, 1)
    assert (heard.members, heard.outcomes) == (0, [])


def test_a_batch_is_accepted_as_a_whole_or_not_at_all(cidery_client: Client) -> None:
    client = cidery_client
    echo: Any = ("cidery.echo", {})
    with pytest.raises(NotFound) as unknown:
        client.invoke_batch([echo, ("no.such", {})])
    assert unknown.value.reason == "SERVICE_UNKNOWN"
    assert [v.path for v in unknown.value.violations] == ["/requests/1"]
    with pytest.raises(NotFound):
        client.invoke_batch([echo], on_final="no.such")
    with pytest.raises(InvalidArgument) as many:
        client.invoke_batch([echo] * 10_001)
    assert many.value.reason == "BATCH_LIMIT"
    assert client.invocations() == []


def test_an_invalid_payload_is_reported_with_the_position_of_its_member(client: Client) -> None:
    echo: Any = ("cidery.echo", {})
    with pytest.raises(TypeError, match=r"member 1: `/a` .*cannot be serialized"):
        client.invoke_batch([echo, ("cidery.echo", {"a": object()})])
    with pytest.raises(InvalidArgument) as caught:
        client.invoke_batch([echo, ("cidery.echo", {"a": [float("nan")]})])
    assert [v.path for v in caught.value.violations] == ["/requests/1/a/0"]
    wrong: list[Any] = ["cidery.echo", b"x", {"cidery.echo": {}}]
    for members in wrong:
        with pytest.raises(TypeError, match="members are `Call`s"):
            client.invoke_batch(members)
    no_member: list[Any] = ["cidery.echo", ("cidery.echo",), ("a", {}, {}), 5, (5, {})]
    for member in no_member:
        with pytest.raises(TypeError, match="member 0: "):
            client.invoke_batch([member])


def test_members_have_options_of_their_own(client: Client) -> None:
    bound = client.with_options(metadata={"who": "all"}, retention=3600)
    group = bound.invoke_batch(
        [
            Call("cidery.echo", {"n": 1}, delay=3600, metadata={"who": "me"}, concurrency_key="k"),
            ("cidery.echo", {"n": 2}),
        ]
    )
    first, second = (client.get(cid) for cid in group.members)
    assert (first.pending_reason, first.metadata) == ("DUE_LATER", {"who": "me"})
    assert first.message.concurrency_key == "k"
    assert client.result(second.cid, wait=WAIT) == {"n": 2}
    assert client.get(second.cid).metadata == {"who": "all"}
    assert [found.cid for found in client.invocations(group_cid=group.cid)] == [
        *reversed(group.members)
    ]
    client.cancel(group.cid)
    ended = client.get(group.cid, wait=WAIT).message
    kept = ended.purge_time.ToDatetime() - ended.end_time.ToDatetime()
    assert kept == datetime.timedelta(hours=1)


def test_a_member_refuses_options_of_the_group() -> None:
    for options in ({"once": "x"}, {"with_outcome": True}):
        with pytest.raises(TypeError, match="is not an option of a member"):
            Call("cidery.echo", {}, **options)
    with pytest.raises(TypeError, match="`dleay` is not an option; did you mean `delay`"):
        Call("cidery.echo", {}, dleay=5)
    with pytest.raises(TypeError, match="`delay` without a payload is ambiguous"):
        Call("cidery.echo", delay=5)


def test_a_repeated_batch_returns_the_first_group(client: Client) -> None:
    key = new_cid()
    first = client.invoke_batch(MIXED, idempotency_key=key)
    again = client.invoke_batch(MIXED, idempotency_key=key)
    assert (first.already_accepted, again.already_accepted) == (False, True)
    assert (again.cid, again.members) == (first.cid, first.members)
    assert [o.cid for o in again.join(WAIT)] == list(first.members)
    by_cid = client.with_options(cid=first.cid, idempotency_key=key).invoke_batch(MIXED)
    assert (by_cid.cid, by_cid.already_accepted) == (first.cid, True)
    with pytest.raises(AlreadyExists) as caught:
        client.invoke_batch(MIXED[:2], idempotency_key=key)
    assert caught.value.reason == "IDEMPOTENCY_MISMATCH"


def accepted(tried: int, *, already: bool, given: str | None = None) -> AcceptedGroup:
    """The result of a call whose last attempt gets a given response."""
    steps = accept_batch([("cidery.echo", {})], Options(), {"cid": given})
    unary = next(steps)
    assert unary.request.cid == unary.cid, "the CID is brought"
    assert unary.cid
    assert unary.is_retryable(CideryError(reason="CONNECT_FAILED"))
    response = invocation_pb2.InvokeBatchResponse(
        cid=unary.request.cid, member_cids=[new_cid()], already_accepted=already
    )
    with pytest.raises(StopIteration) as end:
        steps.send(Reply(response, tried))
    made: AcceptedGroup = end.value.value
    return made


def test_a_retried_call_is_not_reported_as_already_accepted() -> None:
    cid = new_cid()
    assert not accepted(2, already=True).already_accepted
    assert accepted(1, already=True).already_accepted
    assert accepted(2, already=True, given=cid).already_accepted
    assert accepted(2, already=True, given=cid).cid == cid


def test_a_group_is_cancelled_with_its_members(serve: Serve, client: Client) -> None:
    serve(Held, max_in_flight=2)
    group = client.invoke_batch(held(6))
    Held.gate.release()
    while not any(client.get(cid).has_ended for cid in group.members):
        time.sleep(0.01)
    (change,) = client.cancel(group.cid, reason="enough")
    assert change.cid == group.cid
    outcomes = group.join(WAIT)
    states = [outcome.state for outcome in outcomes]
    assert (states.count(State.SUCCEEDED), states.count(State.CANCELLED)) == (1, 5)
    assert client.get(group.cid).payload.cancelled == 5


def test_a_wait_that_times_out_fails_with_still_running(serve: Serve, client: Client) -> None:
    serve(Held)
    group = client.invoke_batch(held(2))
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        group.join(0.2)
    assert (caught.value.reason, caught.value.cid) == ("STILL_RUNNING", group.cid)
    assert 0.15 < time.monotonic() - began < WAIT / 2
    Held.gate.release(2)
    assert [o.result().n for o in group.join(datetime.timedelta(seconds=WAIT))] == [0, 1]


def test_a_late_follower_gets_the_same_outcomes(client: Client) -> None:
    group = client.invoke_batch(MIXED)
    followed = list(client.results(group.cid))
    assert [event.cid for event in followed[:1] + followed[-1:]] == [group.cid] * 2
    assert [event.kind for event in followed[:1] + followed[-1:]] == ["accepted", "succeeded"]
    assert sorted(event.cid for event in followed[1:-1]) == sorted(group.members)
    assert all(event.kind.is_last for event in followed[1:])
    late = list(client.results(group.cid))
    assert {(e.cid, e.sequence) for e in late} == {(e.cid, e.sequence) for e in followed}
    assert len(late) == len(followed)


@pytest.mark.parametrize("also_members", [False, True])
def test_a_broken_stream_resumes_after_the_last_event_of_each_member(
    also_members: bool, node: Node, serve: Serve, client: Client
) -> None:
    serve(Held)
    group = client.invoke_batch(held(8))
    asked = [group.cid, *(group.members if also_members else ())]
    proxy = Proxy(node.address)
    events: list[Any] = []
    try:
        with Client(proxy.address, tries=60) as far:
            Held.gate.release(5)
            for event in far.results(asked):
                events.append(event)
                ends = sum(e.cid != group.cid and e.kind.is_last for e in events)
                if ends == 5 and proxy.connections == 1 and not proxy.again.is_set():
                    proxy.cut()
                    Held.gate.release(3)
        assert proxy.again.wait(WAIT)
    finally:
        proxy.close()
    stored = [(event.cid, event.sequence) for event in events]
    assert len(stored) == len(set(stored)), "an event came twice"
    ended = [event.cid for event in events if event.kind.is_last]
    assert sorted(ended[:-1]) == sorted(group.members)
    assert ended[-1] == group.cid


def test_a_resumed_stream_does_not_repeat_events() -> None:
    group, member, other = new_cid(), new_cid(), new_cid()
    followed = ResultCursor([group, other])

    def end(cid: str, sequence: int) -> None:
        message = invocation_pb2.StreamResultsResponse(cid=cid, sequence=sequence)
        message.succeeded.SetInParent()
        followed.record(message)

    end(member, 7)
    end(other, 9)
    request = followed.request()
    assert list(request.cids) == [group]
    assert dict(request.after_sequences) == {member: 7, other: 9}
    assert not followed.is_finished
    end(group, 11)
    assert followed.is_finished


def test_a_join_survives_a_crash_of_the_node() -> None:
    with Node() as node, node.client(tries=60) as client:
        with Worker(Held, node=node.address):
            group = client.invoke_batch(held(3))
            Held.gate.release()
            while not any(client.get(cid).has_ended for cid in group.members):
                time.sleep(0.01)
            joined: list[Any] = []
            joins = threading.Thread(target=lambda: joined.extend(group.join(WAIT * 3)))
            joins.start()
            node.kill()
            node.start()
            assert client.get(group.cid).state is State.RUNNING
            # Attempts that were lost in the crash are repeated.
            Held.gate.release(8)
            joins.join(WAIT * 3)
        assert [outcome.result().n for outcome in joined] == [0, 1, 2]
        node.kill()
        node.start()
        assert [outcome.result().n for outcome in group.join(WAIT)] == [0, 1, 2]
    while Held.gate.acquire(blocking=False):
        pass


def test_a_thousand_members_keep_their_order(client: Client) -> None:
    group = client.invoke_batch(("cidery.echo", {"n": n}) for n in range(1_000))
    outcomes = group.join(WAIT * 3)
    assert [outcome.result().n for outcome in outcomes] == list(range(1_000))
    assert len({outcome.cid for outcome in outcomes}) == 1_000


def test_an_outcome_past_its_retention_is_result_expired(client: Client) -> None:
    group = client.invoke_batch(MIXED)
    group.join(WAIT)
    client.purge(group.members[0])
    first, second, third = group.join(WAIT)
    assert (first.ok, second.state, third.ok) == (False, State.FAILED, True)
    assert isinstance(first.error, NotFound)
    assert (first.error.reason, first.error.cid) == ("RESULT_EXPIRED", first.cid)
    client.purge(group.cid)
    with pytest.raises(NotFound) as gone:
        group.join(WAIT)
    assert gone.value.reason == "RESULT_EXPIRED"


def test_an_outcome_removed_during_a_join_keeps_its_state() -> None:
    members = new_cid(), new_cid()
    steps = join(AcceptedGroup(new_cid(), members, ("a", "b"), already_accepted=False), None)
    next(steps)
    ended = outcome_pb2.Invocation(state=outcome_pb2.STATE_SUCCEEDED)
    gone = invocation_pb2.StreamResultsResponse(cid=members[1])
    gone.not_found.reason = "RESULT_EXPIRED"
    gone.not_found.state = outcome_pb2.STATE_EXPIRED
    unary = steps.send(Reply(invocation_pb2.GetInvocationResponse(invocation=ended)))
    unary.request.on_event(Event.from_proto(gone))
    with pytest.raises(StopIteration) as end:
        steps.send(Reply(None))
    first, second = end.value.value
    assert (first.service, first.state, first.error.reason) == ("a", None, "RESULT_EXPIRED")
    assert (second.service, second.state) == ("b", State.EXPIRED)
    assert second.error.reason == "RESULT_EXPIRED"


def test_a_join_keeps_only_the_outcome_of_each_member() -> None:
    members = tuple(new_cid() for _ in range(3))
    steps = join(AcceptedGroup(new_cid(), members, ("a",) * 3, already_accepted=False), None)
    next(steps)
    ended = outcome_pb2.Invocation(state=outcome_pb2.STATE_SUCCEEDED)
    unary = steps.send(Reply(invocation_pb2.GetInvocationResponse(invocation=ended)))
    kept = []
    for cid in reversed(members):
        message = invocation_pb2.StreamResultsResponse(cid=cid)
        message.succeeded.value.string_value = cid
        event = Event.from_proto(message)
        unary.request.on_event(event)
        kept.append(weakref.ref(event))
        del event
    assert [each() for each in kept] == [None] * 3, "events are kept, with what came"
    with pytest.raises(StopIteration) as end:
        steps.send(Reply(None))
    assert [outcome.response for outcome in end.value.value] == list(members)


def test_a_stream_of_a_handler_carries_its_dispatch_token() -> None:
    asked: list[Any] = []

    class Recording:
        def generation(self) -> int:
            return 0

        def StreamResults(self, _: Any, metadata: Any) -> Any:  # noqa: N802
            asked.append(metadata)
            return iter(())

    class RecordingAsync(Recording):
        def StreamResults(self, _: Any, metadata: Any) -> Any:  # noqa: N802
            async def nothing() -> Any:
                for message in super(RecordingAsync, self).StreamResults(_, metadata):
                    yield message

            return nothing()

    class Known(Credential):
        def metadata(self) -> Any:
            return (("a", "b"),)

    credential = Known(None)
    (unary,) = operations.follow(new_cid(), lambda event: None)
    unary = dataclasses.replace(unary, metadata=(("cidery-dispatch", "t"),))
    transport.call_with_retry(Recording(), unary, credential, 1)  # type: ignore[arg-type]
    asyncio.run(transport.call_with_retry_async(RecordingAsync(), unary, credential, 1))  # type: ignore[arg-type]
    assert asked == [(("a", "b"), ("cidery-dispatch", "t"))] * 2


def test_the_asyncio_client_behaves_like_the_blocking_one(node: Node) -> None:
    async def calls() -> None:
        async with AsyncClient(node.address) as client:
            group = await client.invoke_batch(MIXED, idempotency_key=new_cid())
            outcomes = await group.join(WAIT)
            assert [outcome.cid for outcome in outcomes] == list(group.members)
            assert [outcome.ok for outcome in outcomes] == [True, False, True]
            slow = await client.invoke_batch([("demo.sleep", {"seconds": 30})])
            with pytest.raises(DeadlineExceeded):
                await slow.join(0.1)
            await client.cancel(slow.cid)
            (outcome,) = await slow.join(WAIT)
            assert outcome.state is State.CANCELLED
            kinds = [event.kind async for event in client.results(group.cid)]
            assert kinds.count(EventKind.FAILED) == 1

    asyncio.run(calls())


def test_a_group_has_a_readable_repr(client: Client) -> None:
    group = client.invoke_batch([Call("cidery.echo", {}, retry_policy=RetryPolicy(1))])
    assert repr(group) == f"Group(cid='{group.cid}', members=1)"
    (outcome,) = group.join(WAIT)
    assert "state=<State.SUCCEEDED: 'SUCCEEDED'>" in repr(outcome)
    with pytest.raises(dataclasses.FrozenInstanceError):
        outcome.state = None  # type: ignore[misc]
