"""What Zato documents of invoke-retry, by the lines of the inventory of its behavior.

The names of the tests start with the line of the inventory. Where Zato's code differs from its
documentation, the tests follow the documentation.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zato_pattern_services
from zato_pattern_services import (
    SERVED,
    WAIT,
    Calling,
    CallingAsync,
    Calls,
    Flaky,
    Hears,
    HearsAsWell,
    Target,
    runs_in,
)

from cidery import (
    Cancelled,
    CideryError,
    Client,
    InvalidArgument,
    NotFound,
    State,
    Unavailable,
    Worker,
    new_cid,
    testing,
)
from cidery.testing import Node
from cidery.zato._exceptions import BadRequest, ZatoException
from cidery.zato._patterns import RETRY_SERVICE
from cidery.zato._retry_service import InvokeRetry
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


def test_line_127_the_first_success_is_the_response(both: Calls) -> None:
    def call(self: Any) -> Any:
        return self.patterns.invoke_retry.invoke(Flaky.name, {"a": 1}, repeats=3, seconds=0.01)

    assert both(call)["calls"] == 1
    # Also on a retry.
    Flaky.failures, Flaky.calls = 2, []
    assert both(call)["calls"] == 3


def test_line_127_repeats_counts_all_attempts_at_a_fixed_interval(
    does: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    Flaky.failures = 9

    def call(self: Any) -> Any:
        try:
            return self.patterns.invoke_retry.invoke(Flaky, repeats=3, seconds=0.2)
        except ZatoException as error:
            return [error.message, self.cid]

    caplog.set_level("WARNING")
    message, cid = does(call)
    what = f"`{Flaky.name}`, retry_seconds:`0.2`, orig_cid:`{cid}`"
    assert message == f"(3/3) Retry limit reached for:{what}"
    first, second, third = Flaky.calls
    assert 0.2 <= second - first < 1.0
    assert 0.2 <= third - second < 1.0
    # Line 131.
    logged = [r.message for r in caplog.records if r.name == Calling.name]
    assert [line.partition(what)[0] for line in logged] == [
        f"({n}/3) Retry failed for:" for n in (1, 2, 3)
    ]
    assert all(", InternalServerError:`HANDLER_FAILED" in line for line in logged)


def test_line_127_minutes_are_converted_and_arguments_passed_to_invoke(does: Calls) -> None:
    Flaky.failures = 1

    def call(self: Any) -> Any:
        return self.patterns.invoke_retry.invoke(
            Flaky, {"bad": 1}, "channel", repeats=2, minutes=0.001, timeout=5
        )

    assert does(call)["calls"] == 2
    assert Flaky.calls[1] - Flaky.calls[0] >= 0.06

    def inline(self: Any) -> Any:
        return self.patterns.invoke_retry.invoke(Target, repeats=1, seconds=1, a=1)

    assert does(inline)["got"] == {"a": 1}


def test_line_127_a_wait_ends_when_the_handler_is_cancelled(worker: Worker, client: Client) -> None:
    Flaky.failures = 9
    Calling.does = staticmethod(
        lambda self: self.patterns.invoke_retry.invoke(Flaky, repeats=3, seconds=60)
    )
    cid = client.invoke_async(Calling, {})
    while not Flaky.calls:
        time.sleep(0.01)
    began = time.monotonic()
    client.cancel(cid)
    with pytest.raises(CideryError):
        client.result(cid, wait=WAIT)
    assert time.monotonic() - began < WAIT / 4


WRONG = [
    ({"seconds": 1}, "`repeats` was not provided (None)"),
    ({"repeats": 0, "seconds": 1}, "`repeats` was not provided (0)"),
    ({"repeats": 2}, "exactly one of seconds:`0` or minutes:`0` must be given"),
    (
        {"repeats": 2, "seconds": 1, "minutes": 1},
        "only one of seconds:`1` and minutes:`1` can be given",
    ),
]
WRONG_CALLBACK = [({"repeats": 2, "seconds": 1}, "`callback` was not provided (None)")]


def said(call: Callable[[Any], Any]) -> str:
    class Says(ModelService):
        def handle(self) -> Any:
            with pytest.raises(ValueError, match="Could not invoke") as caught:
                call(self.patterns.invoke_retry)
            self.response.payload = str(caught.value)

    text: str = testing.run(Says)
    return text


@pytest.mark.parametrize(("given", "why"), WRONG)
def test_line_128_a_missing_argument_is_reported(given: Any, why: str) -> None:
    expected = f"Could not invoke `t`, {why}"
    assert said(lambda retry: retry.invoke("t", **given)) == expected
    assert said(lambda retry: retry.invoke_async("t", callback="c", **given)) == expected


@pytest.mark.parametrize(("given", "why"), WRONG_CALLBACK)
def test_line_128_a_background_retry_needs_a_callback(given: Any, why: str) -> None:
    expected = f"Could not invoke `t`, {why}"
    assert said(lambda retry: retry.invoke("t", async_fallback=True, **given)) == expected
    assert said(lambda retry: retry.invoke_async("t", **given)) == expected


def test_line_128_unknown_names_are_refused(both: Calls) -> None:
    given = {"repeats": 2, "seconds": 1}
    calls = [
        lambda self: self.patterns.invoke_retry.invoke_async("no.such", callback=Hears, **given),
        lambda self: self.patterns.invoke_retry.invoke_async(Target, callback="no.such", **given),
        lambda self: self.patterns.invoke_retry.invoke(
            Target, async_fallback=True, callback=["no.such"], **given
        ),
    ]
    for call in calls:
        with pytest.raises(NotFound) as caught:
            both(call)
        assert caught.value.reason == "SERVICE_UNKNOWN"


def test_line_128_async_fallback_continues_in_the_background(both: Calls, client: Client) -> None:
    Flaky.failures = 2

    def call(self: Any) -> Any:
        return self.patterns.invoke_retry.invoke(
            Flaky, async_fallback=True, callback=Hears, context={"k": 1}, repeats=4, seconds=0.2
        )

    cid = both(call)
    (received,) = Hears.of(Hears, 1, lambda payload: payload["call_cid"] == cid)
    assert (received["ok"], received["response"]["calls"], received["context"]) == (
        True,
        3,
        {"k": 1},
    )
    assert client.get(cid, wait=WAIT).attempt == 2
    first, second, third = Flaky.calls
    assert second - first >= 0.2
    assert third - second >= 0.2
    # If the first attempt succeeds, there is no background retry.
    Flaky.failures, Flaky.calls = 0, []
    assert both(call)["calls"] == 1


@pytest.mark.parametrize("own", [None, "uuid", "1632-5754-5628-5197"])
def test_lines_129_130_a_background_retry_invokes_its_callback(
    own: str | None, both: Calls, client: Client
) -> None:
    Flaky.failures = 2
    given = {None: None, "uuid": new_cid()}.get(own, f"{own} {new_cid()}")

    def call(self: Any) -> Any:
        retry = self.patterns.invoke_retry
        options = {"callback": Hears.name, "repeats": 5, "seconds": 0.2, "context": ["any"]}
        return retry.invoke_async(Flaky.name, {"bad": 1}, cid=given, **options)

    cid = both(call)
    (received,) = Hears.of(Hears, 1, lambda payload: payload["call_cid"] == cid)
    assert given in (None, cid)
    first, second, third = Flaky.calls
    assert 0.2 <= second - first < 1.0
    assert 0.2 <= third - second < 1.0
    requested = datetime.datetime.fromisoformat(received.pop("req_ts_utc"))
    answered = datetime.datetime.fromisoformat(received.pop("resp_ts_utc"))
    assert answered - requested >= datetime.timedelta(seconds=0.4)
    orig_cid, response = received.pop("orig_cid"), received.pop("response")
    assert received.pop("source") in (Calling.name, CallingAsync.name)
    assert received == {
        "ok": True,
        "call_cid": cid,
        "target": Flaky.name,
        "retry_seconds": 0.2,
        "retry_repeats": 5,
        "context": ["any"],
        "exception": None,
    }
    assert orig_cid not in ("", cid)
    if given is None or own == "uuid":
        # The returned CID is that of the target, and has its response.
        assert response == {"calls": 3, "cid": cid}
        assert client.result(cid, wait=WAIT) == response
        assert client.get(cid).attempt == 3


def test_line_130_the_callback_gets_the_text_of_the_last_failure(
    does: Calls, client: Client
) -> None:
    Flaky.failures = 9

    def call(self: Any) -> Any:
        return self.patterns.invoke_retry.invoke_async(
            Flaky, {"bad": 1}, callback=[Hears, HearsAsWell], repeats=3, seconds=0.05
        )

    cid = does(call)
    for service in (Hears, HearsAsWell):
        (received,) = Hears.of(service, 1, lambda payload: payload["call_cid"] == cid)
        assert (received["ok"], received["response"]) == (False, None)
        assert received["exception"].startswith("INVALID_ARGUMENT: that is bad")
        assert received["resp_ts_utc"] > received["req_ts_utc"]
    assert len(Flaky.calls) == 3
    with pytest.raises(InvalidArgument, match="that is bad") as caught:
        client.result(cid, wait=WAIT)
    assert (caught.value.retryable, caught.value.retry_after) == (None, None)


def test_line_130_the_callback_gets_a_cancellation(does: Calls, client: Client) -> None:
    Flaky.failures = 9

    def call(self: Any) -> Any:
        return self.patterns.invoke_retry.invoke_async(Flaky, callback=Hears, repeats=3, seconds=60)

    cid = does(call)
    while not Flaky.calls or client.get(cid).state is not State.PENDING:
        time.sleep(0.01)
    client.cancel(cid, reason="enough")
    (received,) = Hears.of(Hears, 1, lambda payload: payload["call_cid"] == cid)
    assert (received["ok"], len(Flaky.calls)) == (False, 1)


def test_line_131_a_failed_background_attempt_is_logged(
    does: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    Flaky.failures = 1

    def call(self: Any) -> Any:
        retry = self.patterns.invoke_retry
        return [retry.invoke_async(Flaky, callback=Hears, repeats=2, seconds=0.05), self.cid]

    caplog.set_level("WARNING")
    cid, own = does(call)
    Hears.of(Hears, 1, lambda payload: payload["call_cid"] == cid)
    (record,) = [record for record in caplog.records if record.name == RETRY_SERVICE]
    assert record.message.startswith(
        f"(1/2) Retry failed for:`{Flaky.name}`, retry_seconds:`0.05`, orig_cid:`{own}`,"
        " InternalServerError:"
    )
    assert vars(record)["cid"] == cid


def test_line_132_a_background_retry_survives_a_restart() -> None:
    Flaky.failures = 1
    with Node() as node, node.client(tries=60) as client:
        with Worker(*SERVED, node=node.address):
            Calling.does = staticmethod(
                lambda self: self.patterns.invoke_retry.invoke_async(
                    Flaky, callback=Hears, repeats=3, seconds=1
                )
            )
            cid = client.invoke(Calling)["did"]
            while not Flaky.calls or client.get(cid).state is not State.PENDING:
                time.sleep(0.01)
        node.kill()
        node.start()
        with Worker(*SERVED, node=node.address):
            (received,) = Hears.of(Hears, 1, lambda payload: payload["call_cid"] == cid)
        assert received["ok"] is True
        assert client.get(cid, wait=WAIT).attempt == 2


def test_a_background_retry_needs_no_service_of_the_user(worker: Worker) -> None:
    assert worker.services.count(RETRY_SERVICE) == 1
    assert RETRY_SERVICE not in Worker(node="127.0.0.1:9").services


def test_the_harness_records_a_background_retry() -> None:
    class Asks(ModelService):
        def handle(self) -> Any:
            self.response.payload = self.patterns.invoke_retry.invoke_async(
                "a.target", {"n": 1}, callback="a.callback", context=5, repeats=2, minutes=1
            )

    trial = testing.trial(Asks, invokes={"a.target": {}, "a.callback": {}})
    (asked,) = trial.invoked_async
    assert (asked.service, asked.cid) == (RETRY_SERVICE, trial.payload)
    assert (asked.payload.target, asked.payload.args) == ("a.target", [{"n": 1}])
    assert (asked.payload.callbacks, asked.payload.seconds) == (["a.callback"], 60)
    policy = asked.request.retry_policy
    assert (policy.max_attempts, policy.initial_interval.seconds) == (2, 60)
    assert (policy.multiplier, policy.max_interval.seconds) == (1.0, 60)
    assert (asked.callbacks, list(asked.request.failure_callbacks)) == ((), [RETRY_SERVICE])
    # Running it.
    convention = f"{RETRY_SERVICE}-async-callback"
    invokes = {"a.target": {"m": 1}, "a.callback": {}, convention: {}}
    trial = testing.trial(InvokeRetry, asked.payload, invokes=invokes)
    assert trial.payload == {"m": 1}
    (received,) = trial.invoked_async
    assert (received.service, received.with_outcome, received.callbacks) == ("a.callback", True, ())
    assert (received.payload.ok, received.payload.response, received.payload.context) == (
        True,
        {"m": 1},
        5,
    )
    for error in (
        BadRequest("", "bad"),
        Cancelled("CANCELLED", "stop"),
        Unavailable("UNAVAILABLE", "no", retryable=False),
    ):
        with pytest.raises(CideryError) as caught:
            testing.trial(InvokeRetry, asked.payload, invokes={"a.target": error})
        again = caught.value
        assert (again.kind, again.retryable, again.retry_after) == (error.kind, True, 60)


def test_the_harness_does_not_wait_between_retries() -> None:
    class Waits(ModelService):
        def handle(self) -> Any:
            self.response.payload = self.patterns.invoke_retry.invoke("a", repeats=3, minutes=60)

    answers = iter([ValueError("x"), BadRequest("", "y"), {"n": 1}])

    def answer(_: Any) -> Any:
        found = next(answers)
        if isinstance(found, CideryError):
            raise found
        return found

    with pytest.raises(TypeError):
        testing.run(Waits, invokes={"a": answer})
    assert testing.run(Waits, invokes={"a": answer}) == {"n": 1}
