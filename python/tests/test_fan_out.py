"""A fan-out: concurrent members, and the maximum number of members across a crash of the node."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from cidery import (
    AsyncService,
    Call,
    Client,
    Event,
    NotFound,
    Outcome,
    RetryPolicy,
    Service,
    State,
    Worker,
)
from cidery.testing import Node

MEMBERS = 10_000
# Every tenth member fails; the node is killed after 500 outcomes.
FAILING = 10
BEFORE = 500
WAIT = 120.0
# The number of members that wait for one another.
PARTIES = 20
Serve = Callable[..., Worker]


class Member(Service):
    """Returns or fails; members of the second half wait for the crash."""

    name = "fan-out.member"
    begun = 0
    counting = threading.Lock()
    goes_on = threading.Event()

    def handle(self) -> Any:
        with self.counting:
            Member.begun += 1
            is_free = Member.begun <= BEFORE
        if not is_free:
            self.goes_on.wait(WAIT)
        n = self.request.payload.n
        if n % FAILING == 0:
            raise NotFound("NONE", f"no {n}")
        return {"n": n}


class Fans(Service):
    """Runs all members and returns their outcomes."""

    name = "fan-out.fans"
    groups: list[str] = []
    accepted = threading.Event()

    def handle(self) -> Any:
        calls = [Call(Member, {"n": n}) for n in range(MEMBERS)]
        group = self.fan_out(calls, on_final=Hears, once="all")
        self.groups.append(group.cid)
        self.accepted.set()
        return [[outcome.cid, said(outcome)] for outcome in group.join()]


class Hears(Service):
    """Records its inputs."""

    name = "fan-out.hears"
    received: list[Any] = []
    hears = threading.Event()

    def handle(self) -> None:
        self.received.append(self.request.payload)
        self.hears.set()


def said(outcome: Outcome) -> Any:
    """The outcome of a member in a compact form."""
    return outcome.result().n if outcome.error is None else outcome.error.message


EXPECTED = [f"no {n}" if n % FAILING == 0 else n for n in range(MEMBERS)]
STATES = [State.FAILED if n % FAILING == 0 else State.SUCCEEDED for n in range(MEMBERS)]


class Follows:
    """Follows a group from its start, in a thread."""

    def __init__(self, client: Client, group: str) -> None:
        self.events: list[Event] = []
        self.seen_before = threading.Event()
        self._following = threading.Thread(target=self._follow, args=(client.results(group),))
        self._following.start()

    def _follow(self, events: Iterable[Event]) -> None:
        for event in events:
            self.events.append(event)
            if len(self.events) > BEFORE // 2:
                self.seen_before.set()

    def ended(self) -> list[Event]:
        self._following.join(WAIT)
        assert not self._following.is_alive()
        return self.events


def check_events(events: list[Event], group: str, members: list[str]) -> None:
    """The terminal events: of each member once, then of the group."""
    ends = [event for event in events if event.kind.is_last]
    assert collections.Counter(event.cid for event in ends) == collections.Counter(
        [*members, group]
    )
    assert ends[-1].cid == group
    by_cid = {event.cid: event for event in ends}
    assert [by_cid[cid].kind.value for cid in members] == [state.value.lower() for state in STATES]


class Meets(Service):
    """Finishes when all members run."""

    name = "fan-out.meets"
    barrier = threading.Barrier(PARTIES)

    def handle(self) -> Any:
        self.barrier.wait(WAIT / 4)


class MeetsAsync(AsyncService):
    name = "fan-out.meets-async"
    begun = 0

    async def handle(self) -> Any:
        MeetsAsync.begun += 1
        while MeetsAsync.begun < PARTIES:
            await self.sleep(0.01)


@pytest.mark.parametrize("meets", [Meets, MeetsAsync])
def test_members_run_concurrently(meets: Any, serve: Serve, client: Client) -> None:
    serve(meets, max_in_flight=PARTIES)
    never = RetryPolicy(max_attempts=1)
    group = client.invoke_batch([Call(meets, {}, retry_policy=never)] * PARTIES)
    assert [outcome.state for outcome in group.join(WAIT / 2)] == [State.SUCCEEDED] * PARTIES


@pytest.fixture
def lets_members_end() -> Iterator[None]:
    yield
    # Otherwise they would block the worker from stopping after a failure.
    Member.goes_on.set()


@pytest.mark.slow
@pytest.mark.usefixtures("lets_members_end")
def test_ten_thousand_members_have_one_outcome_each_after_a_crash() -> None:
    with Node() as node, node.client(tries=100) as client:
        with Worker(Member, Fans, Hears, node=node.address):
            cid = client.invoke_async(Fans)
            assert Fans.accepted.wait(WAIT)
            group = Fans.groups[0]
            follows = Follows(client, group)
            assert follows.seen_before.wait(WAIT)
            status = client.get(group).message.group
            assert BEFORE // 2 <= status.ended <= BEFORE, "it is not the middle"
            node.kill()
            Member.goes_on.set()
            node.start()
            answered = client.result(cid, wait=WAIT)
            assert Hears.hears.wait(WAIT)
            members = [member for member, _ in answered]
            assert [each for _, each in answered] == EXPECTED
            assert set(Fans.groups) == {group}, "an attempt had a group of its own"
            check_events(follows.ended(), group, members)
            # A late follower gets the same events.
            check_events(list(client.results(group)), group, members)
            assert len(client.invocations(group_cid=group, limit=2 * MEMBERS)) == MEMBERS
        check_callback(group, members)


def check_callback(group: str, members: list[str]) -> None:
    """All outcomes, once and in request order."""
    (received,) = Hears.received
    assert (received.group_cid, received.members, received.truncated) == (group, MEMBERS, False)
    assert (received.failed, received.succeeded) == (STATES.count(State.FAILED), 9 * MEMBERS // 10)
    assert [outcome.position for outcome in received.outcomes] == list(range(MEMBERS))
    assert [outcome.cid for outcome in received.outcomes] == members
    assert [outcome.state for outcome in received.outcomes] == [state.value for state in STATES]
