"""Listing, cancelling, retrying and purging invocations by filters."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from cidery import (
    AsyncClient,
    Change,
    CideryError,
    Client,
    DataFormat,
    InvalidArgument,
    NotFound,
    OnDeadline,
    OnExhausted,
    RetryPolicy,
    Service,
    State,
    Worker,
    new_cid,
)
from cidery._protocol import operations
from cidery._protocol.filters import FilterOptions, PendingReason, build_filter
from cidery._protocol.options import DataFormatName, OnDeadlineName, OnExhaustedName
from cidery._protocol.results import StateName
from cidery._protocol.steps import Reply
from cidery.testing import Node
from cidery.v1 import invocation_pb2, outcome_pb2

WAIT = 20.0
ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def own() -> Iterator[Client]:
    with Node(demo=True) as node, node.client() as client:
        yield client


def due_later(client: Client, count: int) -> list[str]:
    return [
        client.invoke_async(
            "cidery.echo", {"n": n}, delay=3600, metadata={} if n else {"tenant": "acme"}
        )
        for n in range(count)
    ]


def failed(client: Client) -> str:
    """Fails as `DEMO_FAILED`."""
    payload = {"code": "NOT_FOUND", "message": "gone"}
    return ended(client, client.invoke_async("demo.fail", payload, retry_policy=ONCE))


def too_slow(client: Client) -> str:
    """Fails as `DEADLINE_EXCEEDED`."""
    payload = {"seconds": 30}
    cid = client.invoke_async("demo.sleep", payload, timeout=0.05, retry_policy=ONCE)
    return ended(client, cid)


def ended(client: Client, cid: str) -> str:
    with pytest.raises(CideryError):
        client.result(cid, wait=WAIT)
    return cid


def cids_of(found: Any) -> set[str]:
    return {each.cid for each in found}


def test_each_filter_keyword_restricts_the_list(own: Client) -> None:
    waiting = due_later(own, 2)
    gone, slow = failed(own), too_slow(own)
    middle = datetime.datetime.now(datetime.timezone.utc)
    done = own.invoke_async("cidery.echo", {"n": 9})
    own.result(done, wait=WAIT)
    tagged = waiting[0]
    everything = {*waiting, gone, slow, done}
    restricted: list[tuple[FilterOptions, set[str]]] = [
        ({}, everything),
        ({"services": "demo.fail"}, {gone}),
        ({"services": ["demo.fail", "cidery.echo"]}, everything - {slow}),
        ({"states": State.PENDING}, set(waiting)),
        ({"states": ("SUCCEEDED", State.FAILED)}, {gone, slow, done}),
        ({"pending_reasons": "DUE_LATER"}, set(waiting)),
        ({"failure_reasons": "DEMO_FAILED"}, {gone}),
        ({"failure_reasons": ["DEMO_FAILED", "DEADLINE_EXCEEDED"]}, {gone, slow}),
        ({"failure_reasons": "DEMO_FAILED", "services": "demo.sleep"}, set()),
        ({"accepted_after": middle}, {done}),
        ({"accepted_before": middle}, everything - {done}),
        ({"ended_before": middle}, {gone, slow}),
        ({"ended_after": middle}, {done}),
        ({"parent_cid": done}, set()),
        ({"failure_text": "GONE"}, {gone}),
        ({"metadata": {"tenant": "acme"}}, {tagged}),
        ({"metadata": {"tenant": "acme", "absent": ""}}, set()),
        ({"dead_letter": True}, {gone, slow}),
        ({"filter_expression": "dead_letter = true AND service = demo.fail"}, {gone}),
    ]
    for chosen, expected in restricted:
        assert cids_of(own.invocations(**chosen)) == expected, chosen
    assert len(own.invocations(limit=2)) == 2
    assert cids_of(own.invocations(services="cidery.echo", limit=1)) == {done}, "the newest"


def test_summaries_count_by_service_state_and_reason(own: Client) -> None:
    waiting = due_later(own, 2)
    gone = failed(own)
    counted = {(each.service, each.state): each for each in own.summarize()}
    assert {key: each.count for key, each in counted.items()} == {
        ("cidery.echo", State.PENDING): 2,
        ("demo.fail", State.FAILED): 1,
    }
    pending = counted["cidery.echo", State.PENDING]
    assert (pending.example_cid, pending.held) == (waiting[1], False)
    assert pending.last_end_time is None
    (failure,) = own.summarize(states="FAILED")
    assert (failure.failure_reason, failure.example_message) == ("DEMO_FAILED", "gone")
    assert failure.first_accept_time == own.get(gone).accept_time
    (change,) = own.retry(gone)
    assert own.get(gone).retried_as == change.new_cid


class Passes(Service):
    """Invokes itself in the background a number of times."""

    name = "manage.passes"
    retry_policy = ONCE

    def handle(self) -> Any:
        times = self.request.payload.times
        return {"child": self.invoke_async(Passes, {"times": times - 1}) if times else ""}


def test_children_are_found_by_parent_and_root(own: Client) -> None:
    with Worker(Passes, node=own.node):
        first = own.invoke_async(Passes, {"times": 2})
        second = own.result(first, wait=WAIT).child
        third = own.result(second, wait=WAIT).child
        own.result(third, wait=WAIT)
    assert cids_of(own.invocations(parent_cid=first)) == {second}
    assert cids_of(own.invocations(root_cid=first)) == {second, third}
    assert cids_of(own.invocations(services=Passes)) == {first, second, third}


def test_pending_invocations_are_cancelled_by_filter(own: Client) -> None:
    waiting = due_later(own, 3)
    other = own.invoke_async("demo.count", {"to": 1}, delay=3600)
    chosen: FilterOptions = {"services": "cidery.echo", "states": "PENDING"}
    would = own.cancel(**chosen, dry_run=True)
    assert cids_of(would) == set(waiting)
    assert cids_of(own.invocations(states="PENDING")) == {*waiting, other}, "nothing was done"
    assert cids_of(own.cancel(**chosen, reason="not needed")) == set(waiting)
    assert cids_of(own.invocations(states="CANCELLED")) == set(waiting)
    assert own.get(other).state is State.PENDING
    assert cids_of(own.cancel(other, waiting[0])) == {other, waiting[0]}


def test_failed_invocations_are_retried_by_filter(own: Client) -> None:
    gone, slow = failed(own), too_slow(own)
    after = datetime.datetime.now(datetime.timezone.utc)
    (would,) = own.retry(failure_reasons="DEMO_FAILED", dry_run=True)
    assert (would.cid, len(own.invocations())) == (gone, 2)
    (change,) = own.retry(failure_reasons="DEMO_FAILED")
    assert own.get(change.new_cid).retry_of == gone
    changes = own.retry(states="FAILED", accepted_before=after)
    assert cids_of(changes) == {gone, slow}


def test_ended_invocations_are_purged_by_filter(own: Client) -> None:
    (waiting,) = due_later(own, 1)
    gone, slow = failed(own), too_slow(own)
    done = own.invoke_async("cidery.echo", {"n": 9})
    own.result(done, wait=WAIT)
    chosen: FilterOptions = {"states": "FAILED", "services": ["demo.fail", "demo.sleep"]}
    assert cids_of(own.purge(**chosen, dry_run=True)) == {gone, slow}
    assert len(own.invocations()) == 4, "nothing was done"
    changes = own.purge(**chosen)
    assert cids_of(changes) == {gone, slow}
    assert [(change.state, change.error) for change in changes] == [(State.FAILED, None)] * 2
    assert cids_of(own.invocations()) == {waiting, done}
    for cid in (gone, slow):
        with pytest.raises(NotFound) as removed:
            own.result(cid)
        assert removed.value.reason == "RESULT_EXPIRED"
    (change,) = own.retry(gone)
    assert reason_of(change) == "RESULT_EXPIRED", "it cannot be run again either"


def test_an_invocation_that_cannot_be_purged_does_not_affect_others(own: Client) -> None:
    (waiting,) = due_later(own, 1)
    done = own.invoke_async("cidery.echo", {"n": 9})
    own.result(done, wait=WAIT)
    unknown = new_cid()
    changes = own.purge(waiting, done, unknown)
    found = {change.cid: (change.state, reason_of(change)) for change in changes}
    assert found == {
        waiting: (State.PENDING, "NOT_ENDED"),
        done: (State.SUCCEEDED, ""),
        unknown: (None, "CID_UNKNOWN"),
    }
    assert [change.error.cid for change in changes if change.error] == [waiting, unknown]
    assert cids_of(own.invocations()) == {waiting}
    # Also by a filter: it matches pending invocations, which are kept.
    (change,) = own.purge(services="cidery.echo")
    assert (change.cid, reason_of(change)) == (waiting, "NOT_ENDED")
    (again,) = own.purge(done)
    assert reason_of(again) == "RESULT_EXPIRED"
    assert own.get(waiting).state is State.PENDING


def test_empty_and_unknown_filters_are_refused(own: Client) -> None:
    waiting = due_later(own, 1)
    empty: list[FilterOptions] = [{"services": []}, {"states": ()}, {"parent_cid": ""}]
    for chosen in empty:
        with pytest.raises(ValueError, match="is empty"):
            own.cancel(**chosen)
        with pytest.raises(ValueError, match="is empty"):
            own.purge(**chosen)
    wrong: Any = own.cancel
    with pytest.raises(ValueError, match="is empty"):
        wrong(accepted_after=None)
    with pytest.raises(TypeError, match=r"`service`: .* filters are `services`"):
        wrong(service="cidery.echo")
    with pytest.raises(ValueError, match="`pending_reasons` is 'PAUSE', not one of `DUE_LATER`, "):
        own.cancel(pending_reasons="PAUSE")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`states` is 'GONE', not one of `PENDING`, `RUNNING`, "):
        own.cancel(states=["FAILED", "GONE"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="`ended_after` is 2026-01-01T00:00:00, which has no time"):
        own.cancel(ended_after=datetime.datetime(2026, 1, 1))
    with pytest.raises(TypeError, match="`ended_after` is '2026', not a `datetime`"):
        wrong(ended_after="2026")
    with pytest.raises(TypeError, match="`root_cid` is 5, not a `str`"):
        wrong(root_cid=5)
    with pytest.raises(TypeError, match="`metadata` is 1, not a `str`"):
        wrong(metadata={"n": 1})
    with pytest.raises(ValueError, match="`dead_letter` is False, not `True`: omit it"):
        wrong(dead_letter=False)
    with pytest.raises(ValueError, match="`filter_expression` is empty"):
        wrong(filter_expression=" ")
    with pytest.raises(TypeError, match="`filter_expression` cannot be combined with other"):
        wrong(filter_expression="state = FAILED", states="FAILED")
    with pytest.raises(InvalidArgument, match="column 1: `sevice` is not a field: did you mean"):
        own.invocations(filter_expression="sevice = a")
    for change in (own.cancel, own.retry, own.purge):
        with pytest.raises(TypeError, match="give CIDs, or filters such as `services=`; the"):
            change()
        with pytest.raises(TypeError, match="give CIDs or filters, not both"):
            change(waiting[0], states="PENDING")
    assert own.get(waiting[0]).state is State.PENDING


def reason_of(change: Change) -> str:
    return change.error.reason if change.error is not None else ""


def test_the_names_of_filters_are_those_of_the_contract() -> None:
    reasons = outcome_pb2.PendingReason.keys()
    assert [f"PENDING_REASON_{name}" for name in get_args(PendingReason)] == reasons[1:]
    assert list(get_args(StateName)) == [state.value for state in State]
    assert [f"STATE_{state.value}" for state in State] == outcome_pb2.State.keys()[1:]
    for names, kind in (
        (DataFormatName, DataFormat),
        (OnDeadlineName, OnDeadline),
        (OnExhaustedName, OnExhausted),
    ):
        assert list(get_args(names)) == [member.value for member in kind]


FAILED: FilterOptions = {"states": "FAILED"}
STEPS = {
    "CancelInvocations": lambda: operations.cancel((), FAILED, "", False),
    "RetryInvocations": lambda: operations.retry((), FAILED, None, False),
    "PurgeInvocations": lambda: operations.purge((), FAILED, False),
}


@pytest.mark.parametrize("name", STEPS)
def test_all_pages_are_processed(name: str) -> None:
    response = getattr(invocation_pb2, f"{name}Response")
    steps = STEPS[name]()
    tokens, changes = ["a", "b", ""], []
    unary = next(steps)
    seen = []
    with pytest.raises(StopIteration) as ended:
        for token in tokens:
            assert unary.method == name
            assert unary.request.filter == build_filter({"states": "FAILED"})
            seen.append(unary.request.page_token)
            change = invocation_pb2.InvocationChange(cid=new_cid())
            changes.append(Change.from_proto(change))
            answer = Reply(response(changes=[change], next_page_token=token))
            unary = steps.send(answer)
    assert ended.value.value == changes
    assert seen == ["", "a", "b"]


def test_the_asyncio_client_behaves_like_the_blocking_one(own: Client) -> None:
    waiting = due_later(own, 2)
    gone = failed(own)

    async def calls() -> None:
        async with AsyncClient(own.node) as client:
            assert cids_of(await client.invocations(states="PENDING")) == set(waiting)
            assert cids_of(await client.cancel(states="PENDING")) == set(waiting)
            assert cids_of(await client.retry(states="FAILED")) == {gone}
            assert cids_of(await client.purge(states="CANCELLED", dry_run=True)) == set(waiting)
            assert cids_of(await client.purge(states="CANCELLED")) == set(waiting)
            assert await client.invocations(states="CANCELLED") == []
            assert sum(each.count for each in await client.summarize()) == 2
            (change,) = await client.purge(waiting[0])
            assert reason_of(change) == "RESULT_EXPIRED"

    asyncio.run(calls())
