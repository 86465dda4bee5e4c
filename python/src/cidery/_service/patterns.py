"""Patterns for handlers: fan-out and retries."""

from __future__ import annotations

import random
from collections.abc import Coroutine, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic

from cidery._errors.exceptions import CideryError
from cidery._errors.kind import Kind
from cidery._protocol import operations
from cidery._protocol.batch import AcceptedGroup, AsyncGroup, Group, Outcome, accept_batch
from cidery._protocol.call_types import Out
from cidery._protocol.messages import invoke_request, read_response
from cidery._protocol.options import (
    Options,
    RetryPolicy,
    seconds,
    service_name,
)
from cidery._protocol.retry import never_retry
from cidery._protocol.steps import Operation, UnaryCall
from cidery._service.nested_calls import once_key, refuse_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cidery._protocol.batch import HandlerBatchOptions, Member
    from cidery._protocol.options import Seconds
    from cidery._service.context import Caller

RETRY_POLICY = RetryPolicy(max_attempts=5, initial_interval=0.1, multiplier=2.0, max_interval=2.0)
"""The default retry policy of `invoke_with_retry`."""


class FanOut(Generic[Out]):
    """A fan-out of a coroutine handler: awaiting it returns an `AsyncGroup`.

    It can be joined directly: `await self.fan_out(calls).join()`.
    """

    def __init__(self, fan_out: Coroutine[Any, Any, AsyncGroup[Out]]) -> None:
        # Created at once, so that Python warns about a coroutine that is never awaited.
        self._fan_out = fan_out

    def __await__(self) -> Generator[Any, None, AsyncGroup[Out]]:
        return self._fan_out.__await__()

    async def join(self, timeout: Seconds | None = None) -> list[Outcome[Out]]:
        """Accepts the batch and waits for all members, like `AsyncGroup.join`."""
        group = await self._fan_out
        return await group.join(timeout)


def fan_out(
    caller: Caller,
    members: Iterable[Member[Any]],
    options: Options,
    batch_options: HandlerBatchOptions,
) -> Any:
    """A `Group`, or a `FanOut` if the handler is a coroutine."""
    once = batch_options.pop("once", None)
    if once is not None:
        if batch_options.get("idempotency_key"):
            raise TypeError("`once` sets the idempotency key: give one of the two")
        batch_options["idempotency_key"] = once_key(caller, once)
    if not caller.is_async:
        accepted: AcceptedGroup = caller._drive(accept_batch(members, options, batch_options))
        return Group(accepted, caller._drive)

    async def fan_out() -> AsyncGroup[Any]:
        accepted = await caller._drive(accept_batch(members, options, batch_options))
        return AsyncGroup(accepted, caller._drive)

    return FanOut(fan_out())


def with_retry(caller: Caller, target: Any, payload: Any, options: Options) -> Operation[Any]:
    """Invokes a service; retries failures that a retry may fix before the deadline."""
    policy = options.retry_policy or RETRY_POLICY
    options = options.updated({"retry_policy": None})
    refuse_options(options)
    request = invoke_request(service_name(target), payload, options)
    intervals = _backoff_intervals(policy)
    while True:
        try:
            # This loop retries, the transport does not.
            reply = yield UnaryCall("Invoke", request, None, never_retry)
            return read_response(reply.message, options, target).payload
        except CideryError as error:
            delay = _retry_delay(caller, next(intervals, None), error)
            if delay is None:
                raise
        yield from operations.sleep(delay)


def _backoff_intervals(policy: RetryPolicy) -> Iterator[float]:
    """The maximum delay before each retry."""
    interval, longest = seconds(policy.initial_interval), seconds(policy.max_interval)
    for _ in range(policy.max_attempts - 1):
        interval = min(interval, longest)
        yield interval
        interval *= policy.multiplier


def _retry_delay(caller: Caller, interval: float | None, error: CideryError) -> float | None:
    """The delay before the next attempt; `None` if there is none."""
    if interval is None or not _is_retryable(error) or caller._is_cancelled:
        return None
    delay = max(interval * random.random(), error.retry_after or 0.0)
    remaining = caller._info.seconds_left
    return delay if remaining is None or delay < remaining else None


def _is_retryable(error: CideryError) -> bool:
    """Whether a retry may succeed. A cancelled call stays cancelled."""
    if error.kind is Kind.CANCELLED:
        return error.retryable is True
    return error.is_retryable
