"""The drivers of operations for handlers: blocking, and for coroutines."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import TYPE_CHECKING, Any

from cidery._errors.exceptions import Cancelled

if TYPE_CHECKING:
    from cidery._protocol.steps import Operation, UnaryCall
    from cidery._service.context import Platform


def drive(platform: Platform, operation: Operation[Any]) -> Any:
    """Drives an operation, and blocks on each call."""
    try:
        call = next(operation)
        while True:
            call = _send_reply(platform, operation, call)
    except StopIteration as done:
        return done.value


def _send_reply(platform: Platform, operation: Operation[Any], call: UnaryCall) -> UnaryCall:
    try:
        reply = platform.call(call).result()
    except concurrent.futures.CancelledError:
        # The call was cancelled together with the handler.
        return operation.throw(Cancelled("CANCELLED", "the service was cancelled"))
    except Exception as error:
        return operation.throw(error)
    return operation.send(reply)


async def drive_async(platform: Platform, operation: Operation[Any]) -> Any:
    """Drives an operation, and awaits each call."""
    try:
        call = next(operation)
        while True:
            try:
                reply = await asyncio.wrap_future(platform.call(call))
            except Exception as error:
                call = operation.throw(error)
            else:
                call = operation.send(reply)
    except StopIteration as done:
        return done.value
