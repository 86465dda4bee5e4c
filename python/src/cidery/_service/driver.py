"""Carrying out what a handler does step by step: in a thread, or on a loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import TYPE_CHECKING, Any

from cidery._errors.exceptions import Cancelled

if TYPE_CHECKING:
    from cidery._protocol.steps import Steps, Unary
    from cidery._service.context import Platform


def blocking(platform: Platform, steps: Steps[Any]) -> Any:
    """Carries out steps, and waits for each."""
    try:
        unary = next(steps)
        while True:
            unary = _carried_out(platform, steps, unary)
    except StopIteration as done:
        return done.value


def _carried_out(platform: Platform, steps: Steps[Any], unary: Unary) -> Unary:
    try:
        answer = platform.call(unary).result()
    except concurrent.futures.CancelledError:
        # It only waited, and the outcome is not wanted any more.
        return steps.throw(Cancelled("the service was cancelled", reason="CANCELLED"))
    except Exception as error:
        return steps.throw(error)
    return steps.send(answer)


async def awaited(platform: Platform, steps: Steps[Any]) -> Any:
    """Carries out steps, and awaits each."""
    try:
        unary = next(steps)
        while True:
            try:
                answer = await asyncio.wrap_future(platform.call(unary))
            except Exception as error:
                unary = steps.throw(error)
            else:
                unary = steps.send(answer)
    except StopIteration as done:
        return done.value
