"""Patterns of handlers: many services at once in the background, one service again and again."""

from __future__ import annotations

import random
from collections.abc import Coroutine, Generator, Iterator
from typing import TYPE_CHECKING, Any

from cidery._errors.exceptions import CideryError
from cidery._errors.kind import Kind
from cidery._protocol import operations
from cidery._protocol.batch import AcceptedGroup, AsyncGroup, Group, Outcome, accept_batch
from cidery._protocol.messages import invoke_request, read_response
from cidery._protocol.options import (
    Options,
    RetryPolicy,
    refuse_background_options,
    seconds,
    service_name,
)
from cidery._protocol.retry import never_retry
from cidery._protocol.steps import Operation, UnaryCall
from cidery._service.nested_calls import once_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cidery._protocol.batch import BatchOptions, Member
    from cidery._protocol.options import Seconds
    from cidery._service.context import Caller

RETRY_POLICY = RetryPolicy(max_attempts=5, initial_interval=0.1, multiplier=2.0, max_interval=2.0)
"""How `invoke_with_retry` repeats a call unless it is told otherwise."""
_MAX_ATTEMPTS = 10_000


class FanOut:
    """A fan-out of a handler that is a coroutine: awaited, it is an `AsyncGroup`.

    It can be joined at once: `await self.fan_out(calls).join()`.
    """

    def __init__(self, fan_out: Coroutine[Any, Any, AsyncGroup]) -> None:
        # Made at once, so that Python says it where nobody awaits it.
        self._fan_out = fan_out

    def __await__(self) -> Generator[Any, None, AsyncGroup]:
        return self._fan_out.__await__()

    async def join(self, timeout: Seconds | None = None) -> list[Outcome]:
        """Has it accepted, and waits until all members have ended: `AsyncGroup.join`."""
        group = await self._fan_out
        return await group.join(timeout)


def fan_out(
    caller: Caller, members: Iterable[Member], options: Options, batch_options: BatchOptions
) -> Any:
    """A group, or with a coroutine what a group is awaited of."""
    once = batch_options.pop("once", None)
    if once is not None:
        if batch_options.get("idempotency_key"):
            raise TypeError("`once` makes an idempotency key: it is one or the other")
        batch_options["idempotency_key"] = once_key(caller, once)
    if not caller.is_async:
        accepted: AcceptedGroup = caller._drive(accept_batch(members, options, batch_options))
        return Group(accepted, caller._drive)

    async def fan_out() -> AsyncGroup:
        accepted = await caller._drive(accept_batch(members, options, batch_options))
        return AsyncGroup(accepted, caller._drive)

    return FanOut(fan_out())


def with_retry(caller: Caller, target: Any, payload: Any, options: Options) -> Operation[Any]:
    """Invokes a service, again where a repeat may mend it and comes in time."""
    policy = options.retry_policy or RETRY_POLICY
    options = options.updated({"retry_policy": None})
    refuse_background_options(options)
    request = invoke_request(service_name(target), payload, options)
    intervals = _backoff_intervals(policy)
    while True:
        try:
            # What never began is repeated here, and by nobody else.
            reply = yield UnaryCall("Invoke", request, None, never_retry)
            return read_response(reply.message, options).payload
        except CideryError as error:
            delay = _retry_delay(caller, next(intervals, None), error)
            if delay is None:
                raise
        yield from operations.sleep(delay)


def _backoff_intervals(policy: RetryPolicy) -> Iterator[float]:
    """The longest wait before each repeat."""
    interval, longest = seconds(policy.initial_interval), seconds(policy.max_interval)
    for _ in range(min(policy.max_attempts, _MAX_ATTEMPTS) - 1):
        interval = min(interval, longest)
        yield interval
        interval *= max(policy.multiplier, 1.0)


def _retry_delay(caller: Caller, interval: float | None, error: CideryError) -> float | None:
    """How long to wait before the next call; nothing where there is none."""
    if interval is None or not _is_retryable(error) or caller._is_cancelled:
        return None
    delay = max(interval * random.random(), error.retry_after or 0.0)
    remaining = caller._info.seconds_left
    return delay if remaining is None or delay < remaining else None


def _is_retryable(error: CideryError) -> bool:
    """Whether a repeat may help. What someone cancelled stays cancelled."""
    if error.kind is Kind.CANCELLED:
        return error.retryable is True
    return error.is_retryable
