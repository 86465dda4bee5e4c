"""What a worker logs about failures that the author of a service has to fix, and no caller."""

from __future__ import annotations

import datetime
import logging
import math
from collections.abc import Callable
from typing import Any

import pytest

from cidery import (
    AsyncService,
    CideryError,
    Client,
    DateTime,
    Float,
    Int,
    Internal,
    NotFound,
    RetryPolicy,
    Service,
    Worker,
)

Serve = Callable[..., Worker]


class Takes(Service):
    name = "log.takes"
    input = Int("a"), Int("b")

    def handle(self) -> Any:
        return {}


class Nan(Service):
    name = "log.nan"
    output = Float("ratio")

    def handle(self) -> Any:
        return {"ratio": math.nan}


class Undeclared(Service):
    """The node validates it."""

    name = "log.undeclared"
    output = DateTime("at"), Int("count")

    def handle(self) -> Any:
        return {"at": datetime.datetime(2026, 1, 31), "count": "many"}


class Unserializable(Service):
    name = "log.unserializable"

    def handle(self) -> Any:
        return {"lock": iter(())}


class Unawaited(AsyncService):
    name = "log.unawaited"

    async def handle(self) -> Any:
        return self.invoke(Takes, {"a": 1, "b": 2})


class Misuses(Service):
    name = "log.misuses"

    def handle(self) -> Any:
        return self.invoke(Takes, {"a": "x"})


class Unknown(Service):
    name = "log.unknown"

    def handle(self) -> Any:
        try:
            return self.invoke("log.no-such")
        except NotFound as error:
            assert error.reason == "SERVICE_UNKNOWN"
            raise


class Reports(Service):
    name = "log.reports"

    def handle(self) -> Any:
        raise Internal("DISK_FULL", "the disk is full")


class Declines(Service):
    name = "log.declines"

    def handle(self) -> Any:
        raise NotFound("CUSTOMER_UNKNOWN", "there is no such customer")


LOGGED: list[tuple[type[Service | AsyncService], str, list[str]]] = [
    (Nan, "OUTPUT_INVALID", ["OUTPUT_INVALID: `/ratio`: is nan"]),
    (
        Undeclared,
        "OUTPUT_INVALID",
        ["does not match the declaration", "\n  `/at`: ", "\n  `/count`: "],
    ),
    (Unserializable, "OUTPUT_INVALID", ["the response of `log.unserializable`: `/lock` is "]),
    (
        Unawaited,
        "OUTPUT_INVALID",
        ["of `log.unawaited`: the payload is a coroutine", "`await`?"],
    ),
    (
        Misuses,
        "NESTED_CALL_REFUSED",
        [
            "an invalid call of `log.takes`: INPUT_INVALID: ",
            "\n  `/a`: ",
            "\n  `/b`: ",
            "in handle",
        ],
    ),
    (Unknown, "NESTED_CALL_REFUSED", ["call of `log.no-such`: SERVICE_UNKNOWN", "in handle"]),
    (Reports, "DISK_FULL", ["DISK_FULL: the disk is full", "in handle"]),
]


@pytest.mark.parametrize(("failing", "reason", "texts"), LOGGED)
def test_a_failure_of_a_service_itself_is_logged_where_it_runs(
    failing: Any,
    reason: str,
    texts: list[str],
    serve: Serve,
    client: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serve(failing, Takes), pytest.raises(CideryError) as caught:
        client.invoke(failing)
    assert caught.value.reason == reason
    (record,) = [each for each in caplog.records if each.name == "cidery.worker"]
    assert record.levelno == logging.ERROR
    fields = vars(record)
    assert (fields["cid"], fields["service"]) == (caught.value.cid, failing.name)
    message = logging.Formatter().format(record)
    assert message.startswith(f"`{failing.name}` failed, CID {caught.value.cid}: ")
    for text in texts:
        assert text in message


class Odd(Service):
    name = "log.odd"
    retry_policy = RetryPolicy(max_attempts=2, initial_interval=0.001)

    def handle(self) -> Any:
        raise ValueError("odd")


def test_an_attempt_that_is_retried_is_a_warning(
    serve: Serve, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(Odd):
        cid = client.invoke_async(Odd)
        with pytest.raises(Internal):
            client.result(cid, wait=20)
    levels = [each.levelno for each in caplog.records if each.name == "cidery.worker"]
    assert levels == [logging.WARNING, logging.ERROR]


def test_a_failure_for_the_caller_is_not_logged(
    serve: Serve, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(Declines), pytest.raises(NotFound):
        client.invoke(Declines)
    assert [each for each in caplog.records if each.name == "cidery.worker"] == []
