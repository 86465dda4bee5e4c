"""A fan-out: members run at the same time; and as many as there can be, of which some fail, over a
node that is killed, and for who comes late."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from cidery import Call, Client, Event, NotFound, Outcome, RetryPolicy, Service, State, Worker
from cidery.testing import Node

MEMBERS = 10_000
# Every so many of them fail, and so many end before the node is killed.
FAILING = 10
BEFORE = 500
WAIT = 120.0
# So many that wait for one another.
PARTIES = 20
Serve = Callable[..., Worker]


class Member(Service):
    """Answers, or fails, and the more so only once it is let: so that the middle is the middle."""

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
            raise NotFound(f"no {n}", reason="NONE")
        return {"n": n}


class Fans(Service):
    """Has all of them run, and answers with what they came to."""

    name = "fan-out.fans"
    groups: list[str] = []
    accepted = threading.Event()

    def handle(self) -> Any:
        calls = [(Member, {"n": n}) for n in range(MEMBERS)]
        group = self.fan_out(calls, on_final=Hears, once="all")
        self.groups.append(group.cid)
        self.accepted.set()
        return [[outcome.cid, said(outcome)] for outcome in group.join()]


class Hears(Service):
    """Keeps what it is told."""

    name = "fan-out.hears"
    told: list[Any] = []
    hears = threading.Event()

    def handle(self) -> None:
        self.told.append(self.request.payload)
        self.hears.set()


def said(outcome: Outcome) -> Any:
    """What a member came to, as short as it can be told."""
    return outcome.response.n if outcome.error is None else outcome.error.message


EXPECTED = [f"no {n}" if n % FAILING == 0 else n for n in range(MEMBERS)]
STATES = [State.FAILED if n % FAILING == 0 else State.SUCCEEDED for n in range(MEMBERS)]


class Follows:
    """Follows a group from its beginning, in a thread of its own."""

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
    """The end of each member, once, and then that of the group."""
    ends = [event for event in events if event.kind.is_last]
    assert collections.Counter(event.cid for event in ends) == collections.Counter(
        [*members, group]
    )
    assert ends[-1].cid == group
    by_cid = {event.cid: event for event in ends}
    assert [by_cid[cid].kind.value for cid in members] == [state.value.lower() for state in STATES]


class Meets(Service):
    """Ends once all members are there."""

    name = "fan-out.meets"
    barrier = threading.Barrier(PARTIES)

    def handle(self) -> Any:
        self.barrier.wait(WAIT / 4)


class MeetsAsync(Service):
    name = "fan-out.meets-async"
    begun = 0

    async def handle(self) -> Any:
        MeetsAsync.begun += 1
        while MeetsAsync.begun < PARTIES:
            await self.sleep(0.01)


@pytest.mark.parametrize("meets", [Meets, MeetsAsync])
def test_members_run_at_the_same_time(meets: Any, serve: Serve, client: Client) -> None:
    serve(meets, max_in_flight=PARTIES)
    never = RetryPolicy(max_attempts=1)
    group = client.invoke_batch([Call(meets, {}, retry_policy=never)] * PARTIES)
    assert [outcome.state for outcome in group.join(WAIT / 2)] == [State.SUCCEEDED] * PARTIES


@pytest.fixture
def lets_members_end() -> Iterator[None]:
    yield
    # Or they keep a worker that stops because of what failed.
    Member.goes_on.set()


@pytest.mark.slow
@pytest.mark.usefixtures("lets_members_end")
def test_ten_thousand_have_one_outcome_each_though_the_node_is_killed() -> None:
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
            answered = client.result(cid, WAIT)
            assert Hears.hears.wait(WAIT)
            members = [member for member, _ in answered]
            assert [each for _, each in answered] == EXPECTED
            assert set(Fans.groups) == {group}, "an attempt had a group of its own"
            check_events(follows.ended(), group, members)
            # Whoever comes late is told the same.
            check_events(list(client.results(group)), group, members)
            assert len(client.invocations(group_cid=group, limit=2 * MEMBERS)) == MEMBERS
        check_told(group, members)


def check_told(group: str, members: list[str]) -> None:
    """All of it was told once, in the order of the requests."""
    (told,) = Hears.told
    assert (told.group_cid, told.members, told.truncated) == (group, MEMBERS, False)
    assert (told.failed, told.succeeded) == (STATES.count(State.FAILED), 9 * MEMBERS // 10)
    assert [outcome.position for outcome in told.outcomes] == list(range(MEMBERS))
    assert [outcome.cid for outcome in told.outcomes] == members
    assert [outcome.state for outcome in told.outcomes] == [state.value for state in STATES]
