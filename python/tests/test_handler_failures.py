"""Failures of handlers: calls end even if one cannot be encoded, and the log has the reason."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from typing import Any, cast

import pytest

from cidery import (
    Aborted,
    AsyncService,
    Client,
    Internal,
    InvalidArgument,
    NotFound,
    RetryPolicy,
    Service,
    Violation,
    Worker,
)
from cidery._errors.status_details import from_failure, to_failure

Serve = Callable[..., Worker]
WAIT = 20.0


class Unsayable(NotFound):
    def __init__(self) -> None:
        """A failure without the attributes of its base class."""


UNSAYABLE: dict[str, Callable[[], NotFound | InvalidArgument | Aborted]] = {
    "a path": lambda: InvalidArgument(
        "INVALID_ARGUMENT", "no", violations=[Violation(cast(Any, 5), "is odd")]
    ),
    "a description": lambda: InvalidArgument(
        "INVALID_ARGUMENT", "no", violations=[Violation("/a", cast(Any, KeyError("b")))]
    ),
    "a wait": lambda: Aborted("ABORTED", "again", retry_after=cast(Any, "soon")),
    "no text": lambda: NotFound("NOT_FOUND", "\ud800"),
    "nothing": Unsayable,
}


class Stammers(Service):
    name = "py.stammers"
    retry_policy = RetryPolicy(max_attempts=1)

    def handle(self) -> Any:
        raise UNSAYABLE[self.request.payload.what]()


class Smokes(Service):
    name = "py.smokes"
    retry_policy = RetryPolicy(max_attempts=1)

    def handle(self) -> Any:
        if self.request.payload.declared:
            raise NotFound("NOT_FOUND", "no such thing")
        raise ValueError("the disk is on fire \ud800")


class StammersAsync(AsyncService):
    name = "py.stammers-async"
    retry_policy = RetryPolicy(max_attempts=1)

    async def handle(self) -> Any:
        raise UNSAYABLE[self.request.payload.what]()


@pytest.mark.parametrize("what", UNSAYABLE)
@pytest.mark.parametrize("stammers", [Stammers, StammersAsync])
def test_a_failure_that_cannot_be_encoded_still_ends_the_call(
    stammers: type[Service],
    what: str,
    serve: Serve,
    client: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = serve(stammers)
    with pytest.raises(Internal) as caught:
        client.invoke(stammers, {"what": what})
    assert caught.value.reason == "HANDLER_FAILED"
    # gRPC logs late events of an event loop that an earlier worker closed.
    wanted = "cidery.worker", logging.ERROR
    (record,) = [each for each in caplog.records if (each.name, each.levelno) == wanted]
    assert vars(record)["cid"] == caught.value.cid
    # Both exceptions are logged: the handler's and that of the encoding.
    assert type(UNSAYABLE[what]()).__name__ in caplog.text
    assert "During handling of the above exception" in caplog.text
    with pytest.raises(Internal):
        client.result(client.invoke_async(stammers, {"what": what}), wait=WAIT)
    assert worker.in_flight == 0


def test_a_failure_accepts_an_exception_as_message_and_numbers_as_facts() -> None:
    error = NotFound("NOT_FOUND", cast(Any, KeyError("a")), facts=cast(Any, {"limit": 5}))
    assert (error.message, error.facts) == ("'a'", {"limit": "5"})
    assert from_failure(to_failure(error)).facts["limit"] == "5"


def test_a_traceback_is_shown_by_explain_and_not_sent_to_the_caller(
    serve: Serve, client: Client
) -> None:
    with serve(Smokes):
        cid = client.invoke_async("py.smokes", declared=False)
        with pytest.raises(Internal) as caught:
            client.result(cid, wait=WAIT)
        assert "fire" not in str(caught.value)
        (attempt,) = client.explain(cid).message.attempts
        assert "ValueError: the disk is on fire" in attempt.trace
        assert "in handle" in attempt.trace
        # A declared failure has no traceback.
        cid = client.invoke_async("py.smokes", declared=True)
        with pytest.raises(NotFound):
            client.result(cid, wait=WAIT)
        (attempt,) = client.explain(cid).message.attempts
        assert attempt.trace == ""


def test_a_reason_comes_before_the_message() -> None:
    error = NotFound("GONE", "there is none", retryable=True)
    assert (error.reason, error.message, str(error)) == (
        "GONE",
        "there is none",
        "GONE: there is none",
    )
    assert InvalidArgument("BAD", violations=[Violation("/a", "is odd")]).message == "`/a`: is odd"
    assert NotFound().reason == "NOT_FOUND"
    with pytest.raises(ValueError, match=r'`NotFound\("REASON", "message"\)`'):
        NotFound("there is none", "really")
    restored = pickle.loads(pickle.dumps(error))
    assert vars(restored) == vars(error)
    assert restored.args == error.args


@pytest.mark.parametrize("text", ["order 5 does not exist", "nothing", "nichts für uns", "5"])
def test_a_text_that_is_no_reason_is_the_message(text: str) -> None:
    error = NotFound(text)
    assert (error.reason, error.message) == ("NOT_FOUND", text)
    assert not from_failure(to_failure(error)).is_retryable


def test_a_reason_of_another_program_is_passed_through() -> None:
    failure = to_failure(NotFound("GONE", "gone"))
    failure.reason = "order.gone"
    received = from_failure(failure)
    assert received.reason == "order.gone"
    assert (
        to_failure(received).reason == pickle.loads(pickle.dumps(received)).reason == "order.gone"
    )
