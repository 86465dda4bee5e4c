"""What Zato documents of fan-out and parallel execution, by the lines of the inventory.

The names of the tests start with the line of the inventory. Where Zato's code differs from its
documentation, the tests follow the documentation.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zato_pattern_services
from run_process import Run
from zato_pattern_services import (
    SERVED,
    WAIT,
    Calling,
    CallingAsync,
    Calls,
    Echo,
    Hears,
    HearsAll,
    HearsAllAsWell,
    HearsAsWell,
    HearsAsync,
    HearsWithRequired,
    OtherTarget,
    Target,
    of_cid,
    of_source,
    runs_in,
)
from zato_services import reason_of

from cidery import (
    AlreadyExists,
    Client,
    InvalidArgument,
    State,
    Worker,
    new_cid,
    testing,
)
from cidery._protocol.steps import Reply
from cidery.testing import Node
from cidery.v1 import invocation_pb2, outcome_pb2
from cidery.zato import _callback_inputs as callback_inputs
from cidery.zato._service import Service as ModelService


@pytest.fixture(scope="module")
def worker(node: Node) -> Iterator[Worker]:
    with Worker(*SERVED, node=node.address) as worker:
        yield worker


@pytest.fixture(params=[Calling, CallingAsync], ids=["function", "coroutine"])
def both(request: pytest.FixtureRequest, worker: Worker, client: Client) -> Calls:
    """Runs a function as a handler, in a thread or as a coroutine; returns its result."""
    return runs_in(request.param, client)


@pytest.fixture
def does(worker: Worker, client: Client) -> Calls:
    return runs_in(Calling, client)


@pytest.fixture(autouse=True)
def silence() -> None:
    zato_pattern_services.silence()


TWO = {"patterns.model.target": {"a": 1}, "patterns.model.other-target": {"b": 2}}


def test_line_112_there_are_three_patterns() -> None:
    class Has(ModelService):
        def handle(self) -> Any:
            self.response.payload = [
                hasattr(self.patterns, n) for n in ("invoke_retry", "fanout", "parallel")
            ]

    assert testing.run(Has) == [True, True, True]


# Fan-out and parallel execution.


def test_line_116_all_targets_run_before_their_callbacks(both: Calls, client: Client) -> None:
    cid = both(lambda self: self.patterns.fanout.invoke(TWO, HearsAll.name))
    (received,) = Hears.of(HearsAll, 1, lambda payload: payload["data"][0]["cid"] == cid)
    assert [each["target"] for each in received["data"]] == list(TWO)
    assert [each["response"]["got"] for each in received["data"]] == [{"a": 1}, {"b": 2}]
    assert client.get(cid, wait=WAIT).payload.succeeded == 2


def test_line_116_several_callbacks_get_each_outcome_and_all_outcomes(does: Calls) -> None:
    def fans_out(self: Any) -> Any:
        each, final = [Hears, HearsAsWell.name, HearsAsync], [HearsAll.name, HearsAllAsWell]
        return self.patterns.fanout.invoke(TWO, final, each)

    cid = does(fans_out)
    for service in (Hears, HearsAsWell, HearsAsync):
        assert {p["target"] for p in Hears.of(service, 2, of_cid(cid))} == set(TWO)
    for service in (HearsAll, HearsAllAsWell):
        (received,) = Hears.of(service, 1, of_source(Calling.name))
        assert received["on_target"] == [Hears.name, HearsAsWell.name, HearsAsync.name]
        assert received["on_final"] == [HearsAll.name, HearsAllAsWell.name]


def test_line_117_targets_run_in_parallel(both: Calls, client: Client) -> None:
    cid = both(lambda self: self.patterns.parallel.invoke(TWO, Hears.name))
    received = Hears.of(Hears, 2, of_cid(cid))
    assert {p["response"]["got"].get("a") for p in received} == {1, None}
    assert client.get(cid, wait=WAIT).message.group.on_final == []


@pytest.mark.parametrize("own", ["1632-5754-5628-5197", "", "a cid of my own, with /"])
def test_line_118_callbacks_get_the_given_cid(own: str, does: Calls) -> None:
    own = own and f"{own} {new_cid()}"
    given = own or new_cid()
    answered = does(
        lambda self: self.patterns.fanout.invoke(TWO, HearsAll.name, Hears.name, cid=given)
    )
    assert answered == given
    assert len(Hears.of(Hears, 2, of_cid(given))) == 2
    (received,) = Hears.of(HearsAll, 1, lambda payload: payload["data"][0]["cid"] == given)
    assert len(received["data"]) == 2


def test_line_118_a_repeated_cid_is_the_same_fan_out_or_refused(
    does: Calls, client: Client
) -> None:
    own = f"twice {new_cid()}"

    def fans_out(targets: Any) -> Any:
        return does(lambda self: self.patterns.parallel.invoke(targets, Hears.name, own))

    assert fans_out(TWO) == fans_out(TWO) == own
    assert len(Hears.of(Hears, 2, of_cid(own))) == 2
    with pytest.raises(AlreadyExists) as caught:
        fans_out({Target.name: {"other": 1}})
    assert caught.value.reason == "IDEMPOTENCY_MISMATCH"


def test_line_119_a_fan_out_outlives_workers_and_node() -> None:
    with Node() as node, node.client(tries=60) as client:
        with Worker(*SERVED, node=node.address):
            pass
        with Worker(Calling, node=node.address):
            Calling.does = staticmethod(
                lambda self: self.patterns.fanout.invoke(TWO, HearsAll, Hears)
            )
            cid = client.invoke(Calling)["did"]
        assert client.get(cid).state is State.RUNNING
        node.kill()
        node.start()
        with Worker(*SERVED, node=node.address):
            assert len(Hears.of(Hears, 2, of_cid(cid))) == 2
            Hears.of(HearsAll, 1, lambda payload: payload["data"][0]["cid"] == cid)


def test_line_121_on_target_gets_the_documented_input(does: Calls, client: Client) -> None:
    before = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    cid = does(lambda self: self.patterns.parallel.invoke({Target: {"a": 1}}, Hears))
    (received,) = Hears.of(Hears, 1, of_cid(cid))
    requested = datetime.datetime.fromisoformat(received.pop("req_ts_utc"))
    answered = datetime.datetime.fromisoformat(received.pop("resp_ts_utc"))
    # This process and the node share a clock.
    assert before <= requested <= answered <= before + datetime.timedelta(seconds=WAIT)
    (member,) = client.invocations(group_cid=cid)
    # A target gets only its own payload.
    response = {"got": {"a": 1}, "cid": member.cid, "environ": {}}
    assert received == {
        "source": Calling.name,
        "target": Target.name,
        "response": response,
        "ok": True,
        "exception": None,
        "cid": cid,
        "phase": "on-target",
    }
    (in_reply_to,) = [to for name, to, _ in Hears.heard if name == Hears.name]
    assert in_reply_to == member.cid


def test_line_121_on_target_gets_the_text_of_a_failure(does: Calls) -> None:
    def fans_out(self: Any) -> Any:
        targets = [(Target, {"bad": 1}), (Target, {"breaks": 1})]
        return self.patterns.parallel.invoke(targets, Hears)

    received = Hears.of(Hears, 2, of_cid(does(fans_out)))
    texts = sorted(p["exception"] for p in received)
    failed, refused = texts
    assert failed.startswith("HANDLER_FAILED: the service failed; ")
    assert refused == "INVALID_ARGUMENT: that is bad"
    assert {(p["ok"], p["response"]) for p in received} == {(False, None)}


def test_line_121_on_final_gets_the_documented_input(does: Calls) -> None:
    cid = does(lambda self: self.patterns.fanout.invoke(TWO, HearsAll, Hears))
    (received,) = Hears.of(HearsAll, 1, lambda payload: payload["data"][0]["cid"] == cid)
    each = {payload["target"]: payload for payload in Hears.of(Hears, 2, of_cid(cid))}
    assert received.keys() == {"phase", "source", "req_ts_utc", "on_target", "on_final", "data"}
    assert isinstance(received["req_ts_utc"], datetime.datetime)
    assert (received["phase"], received["source"]) == ("on-final", Calling.name)
    assert (received["on_target"], received["on_final"]) == ([Hears.name], [HearsAll.name])
    # The dicts equal the inputs of `on_target`, in the order of the targets.
    assert received["data"] == [each[target] for target in TWO]
    first = datetime.datetime.fromisoformat(received["data"][0]["req_ts_utc"])
    assert abs(first - received["req_ts_utc"]) < datetime.timedelta(seconds=1)


def test_line_121_a_callback_can_declare_its_input(does: Calls, client: Client) -> None:
    cid = does(lambda self: self.patterns.parallel.invoke({Target: {}}, HearsWithRequired))
    (member,) = client.invocations(group_cid=client.get(cid, wait=WAIT).cid)
    (callback,) = [c for c in client.invocations(limit=1_000) if c.in_reply_to == member.cid]
    client.result(callback.cid, wait=WAIT)
    with pytest.raises(InvalidArgument):
        client.result(client.invoke_async(HearsWithRequired, {"phase": "x"}), wait=WAIT)


def test_line_121_targets_start_at_once_and_may_repeat(does: Calls) -> None:
    def fans_out(self: Any) -> Any:
        targets = ((Target.name, {"n": n}) for n in range(20))
        return self.patterns.fanout.invoke(targets, HearsAll)

    began = time.monotonic()
    cid = does(fans_out)
    assert time.monotonic() - began < 2.0, "200 ms for each would be 4 s"
    (received,) = Hears.of(HearsAll, 1, lambda payload: payload["data"][0]["cid"] == cid)
    assert [each["response"]["got"]["n"] for each in received["data"]] == list(range(20))


@pytest.mark.parametrize("payload", ["", None, {}, 0])
def test_line_55_an_absent_payload_is_the_empty_dict(payload: Any, does: Calls) -> None:
    cid = does(lambda self: self.patterns.parallel.invoke({Target: payload}, Hears))
    (received,) = Hears.of(Hears, 1, of_cid(cid))
    assert received["response"]["got"] == {}


def test_line_123_a_failing_target_does_not_affect_the_others(does: Calls) -> None:
    def fans_out(self: Any) -> Any:
        targets = [(Target, {"bad": 1}), (OtherTarget, {}), (Target, {"a": 1})]
        return self.patterns.fanout.invoke(targets, HearsAll)

    cid = does(fans_out)
    (received,) = Hears.of(HearsAll, 1, lambda payload: payload["data"][0]["cid"] == cid)
    assert [each["ok"] for each in received["data"]] == [False, True, True]


def test_line_123_an_unknown_name_is_refused_and_nothing_runs(does: Calls, client: Client) -> None:
    calls: list[Calls] = [
        lambda self: self.patterns.fanout.invoke({"no.such": {}, Target: {}}, HearsAll),
        lambda self: self.patterns.fanout.invoke({Target: {}}, "no.such"),
        lambda self: self.patterns.parallel.invoke({Target: {}}, "no.such"),
    ]
    before = len(client.invocations(limit=1_000))
    for call in calls:
        assert does(reason_of(call)) == "SERVICE_UNKNOWN"
    assert len(client.invocations(limit=1_000)) == before


def test_line_123_a_fan_out_without_targets_ends_at_once(does: Calls) -> None:
    does(lambda self: self.patterns.fanout.invoke({}, HearsAll, Hears))
    (received,) = Hears.of(HearsAll, 1, of_source(Calling.name))
    assert (received["data"], received["on_target"]) == ([], [Hears.name])
    assert isinstance(received["req_ts_utc"], datetime.datetime)


def test_line_123_two_in_one_request_do_not_collide(does: Calls) -> None:
    def twice(self: Any) -> Any:
        return [self.patterns.parallel.invoke({Target: {"n": n}}, Hears) for n in range(2)]

    first, second = does(twice)
    assert first != second
    for cid, n in ((first, 0), (second, 1)):
        (received,) = Hears.of(Hears, 1, of_cid(cid))
        assert received["response"]["got"] == {"n": n}


def test_line_123_a_fan_out_can_be_joined(does: Calls) -> None:
    def waits(self: Any) -> Any:
        outcomes = self.fan_out([(Target, {"a": 1}), (Target, {"bad": 1})]).join()
        return [outcome.ok for outcome in outcomes]

    assert does(waits) == [True, False]


# Callbacks of other callers than `self.patterns`.


def test_callbacks_of_a_client_batch_are_translated_in_the_same_way(
    worker: Worker, client: Client
) -> None:
    group = client.invoke_batch([(Target.name, {"a": 1})], on_each=Hears, on_final=HearsAll)
    (received,) = Hears.of(Hears, 1, of_cid(group.cid))
    assert (received["target"], received["source"], received["ok"]) == (Target.name, "", True)
    (final,) = Hears.of(HearsAll, 1, lambda p: p["data"][0]["cid"] == group.cid)
    assert final["on_final"] == [HearsAll.name]


def test_a_similar_payload_is_not_translated(worker: Worker, client: Client) -> None:
    looks = {**CALLBACK, "cid": new_cid()}
    final = {"group_cid": new_cid(), "outcomes": []}
    for payload in (looks, final, {**looks, "cid": ""}, {**final, "group_cid": ""}):
        # As an input and as a response.
        client.result(client.invoke_async(Hears, payload), wait=WAIT)
        client.result(client.invoke_async(Echo, payload, callback=HearsAll), wait=WAIT)
        expected = dict(payload)
        assert Hears.of(Hears, 1, lambda heard, e=expected: heard == e)  # type: ignore[misc]
        assert Hears.of(HearsAll, 1, lambda heard, e=expected: heard == e)  # type: ignore[misc]


CALLBACK = {
    "group_cid": new_cid(),
    "position": 0,
    "cid": new_cid(),
    "service": "x.y",
    "state": "SUCCEEDED",
    "accept_time": "2026-01-02T03:04:05Z",
    "end_time": "2026-01-02T03:04:06.5Z",
}


def test_callbacks_of_a_removed_group_lack_its_fields() -> None:
    class Callback(ModelService):
        name = "patterns.model.received"

        def handle(self) -> Any:
            self.response.payload = self.request.payload

    received = testing.run(Callback, CALLBACK, in_reply_to=str(CALLBACK["cid"]))
    assert (received.source, received.cid, received.target) == (
        "",
        CALLBACK["group_cid"],
        "x.y",
    )
    assert (received.req_ts_utc, received.resp_ts_utc) == (
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:06.500000",
    )
    assert "truncated" not in received
    final = {
        "group_cid": CALLBACK["group_cid"],
        "outcomes": [{**CALLBACK, "truncated": True}],
    }
    received = testing.run(
        Callback, {**final, "truncated": True}, in_reply_to=str(CALLBACK["group_cid"])
    )
    assert (received.on_target, received.on_final) == ([], [Callback.name])
    assert (received.req_ts_utc, received.truncated) == ("2026-01-02T03:04:05+00:00", True)
    assert (received.data[0].response, received.data[0].truncated) == (None, True)


def test_a_group_is_fetched_once_per_process() -> None:
    cid = new_cid()
    first, second = callback_inputs._get_group(cid), callback_inputs._get_group(cid)
    assert next(first).request.cid == cid
    found = outcome_pb2.Invocation(cid=cid, state=outcome_pb2.STATE_SUCCEEDED)
    found.idempotency_key = callback_inputs.idempotency_key("a.source", "a/cid")
    response = invocation_pb2.GetInvocationResponse(invocation=found)
    with pytest.raises(StopIteration) as known:
        first.send(Reply(response))
    assert (known.value.value.source, known.value.value.cid) == ("a.source", "a/cid")
    with pytest.raises(StopIteration) as again:
        next(second)
    assert again.value.value is known.value.value


def test_the_group_cache_is_bounded() -> None:
    groups = callback_inputs._GroupCache()
    for n in range(callback_inputs._MAX_CACHED_GROUPS + 5):
        groups.put(str(n), callback_inputs._FanOutGroup(str(n)))
    assert groups.get("4") is None
    assert groups.get("5") == callback_inputs._FanOutGroup("5")
    assert len(groups._groups) == callback_inputs._MAX_CACHED_GROUPS


def test_a_name_that_exceeds_the_key_limit_is_omitted() -> None:
    class Long(ModelService):
        name = "a" * 230

        def handle(self) -> Any:
            self.response.payload = self.patterns.parallel.invoke({Target: {}}, Hears)

    trial = testing.trial(Long)
    (group,) = trial.groups
    assert (group.request.idempotency_key, trial.payload) == ("", group.cid)
    assert (group.on_each, group.members[0].service) == ((Hears.name,), Target.name)


MODULE = """
from zato.server.service import Service

class Source(Service):
    name = 'documented.source'
    def handle(self):
        targets = {'documented.one': {'n': 1}, 'documented.two': {'n': 2}}
        cid = self.patterns.fanout.invoke(targets, ['documented.final'], 'documented.each')
        self.response.payload = {'cid': cid}

class One(Service):
    name = 'documented.one'
    def handle(self):
        self.response.payload = {'n': self.request.payload['n'] * 2}

class Two(One):
    name = 'documented.two'

class Each(Service):
    name = 'documented.each'
    def handle(self):
        payload = self.request.payload
        self.logger.info('%s of %s by %s', payload['phase'], payload['target'], payload['source'])

class Final(Service):
    name = 'documented.final'
    def handle(self):
        data = self.request.payload['data']
        self.logger.info('in all: %s', [each['response']['n'] for each in data])
"""


def test_a_module_of_the_documentation_runs_unchanged(
    node: Node, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "documented.py").write_text(MODULE)
    run = Run(node.address, "--zato", tmp_path)
    run.wait_for("serving")
    group = client.invoke("documented.source").cid
    client.result(group, wait=WAIT)
    assert run.wait_for("on-target of documented.one by documented.source")
    assert run.wait_for("on-target of documented.two by documented.source")
    assert run.wait_for("in all: [2, 4]")
    assert run.stop() == 0
