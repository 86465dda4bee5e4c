"""The timeout of a call limits its retries, whatever is absent: the node or a worker."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import grpc
import pytest

from cidery import ConnectFailed
from cidery._client.transport import call_with_retry, call_with_retry_async
from cidery._protocol import operations
from cidery._protocol.options import Options
from cidery._protocol.security.credential import NO_CREDENTIAL
from cidery._protocol.steps import UnaryCall


class Unreachable(grpc.RpcError):
    """The failure of gRPC to connect."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "failed to connect to all addresses"

    def trailing_metadata(self) -> tuple[()]:
        return ()


class Stubs:
    """A node that no call reaches; it records the timeouts of the attempts."""

    node = "127.0.0.1:9"

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []

    def generation(self) -> int:
        return 0

    def is_replaced(self, failure: Exception, generation: int) -> bool:
        return False

    def __getattr__(self, method: str) -> Any:
        def fail(request: Any, *, timeout: float | None, metadata: Any) -> Any:
            self.timeouts.append(timeout)
            raise Unreachable

        return fail


def invoke_call(timeout: float | None) -> UnaryCall:
    return next(operations.invoke("a.service", {}, Options(timeout=timeout)))


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The delays between the attempts: a sleep only advances the clock."""
    delays: list[float] = []

    async def sleep_async(seconds: float) -> None:
        delays.append(seconds)

    monkeypatch.setattr("time.sleep", delays.append)
    monkeypatch.setattr("asyncio.sleep", sleep_async)
    monkeypatch.setattr("cidery._protocol.retry.time.monotonic", lambda: 100.0 + sum(delays))
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    return delays


def fail(stubs: Any, timeout: float | None) -> None:
    with pytest.raises(ConnectFailed):
        call_with_retry(stubs, invoke_call(timeout), NO_CREDENTIAL, 8)


def fail_async(stubs: Any, timeout: float | None) -> None:
    with pytest.raises(ConnectFailed):
        asyncio.run(call_with_retry_async(stubs, invoke_call(timeout), NO_CREDENTIAL, 8))


@pytest.mark.parametrize("fails", [fail, fail_async])
def test_no_attempt_begins_after_the_timeout(slept: list[float], fails: Any) -> None:
    stubs = Stubs()
    fails(stubs, 1.0)
    assert slept == [0.1, 0.2, 0.4]
    # Each attempt has the rest of the time, and the slack of the transport.
    assert stubs.timeouts == pytest.approx([1.5, 1.4, 1.2, 0.8])
    slept.clear()
    fails(stubs, 0.0)
    assert slept == []


def test_without_a_timeout_the_number_of_attempts_is_the_limit(slept: list[float]) -> None:
    stubs = Stubs()
    fail(stubs, None)
    assert stubs.timeouts == [None] * 8
    assert sum(slept) == pytest.approx(7.1)
