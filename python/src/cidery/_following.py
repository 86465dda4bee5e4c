"""Reading result streams: one that breaks is opened again, after the last event that was seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import grpc

from cidery._again import Tries, may_be_said_again, told_apart
from cidery._details import from_rpc

if TYPE_CHECKING:
    from cidery._protocol import Stubs
    from cidery._results import Event, Followed

Metadata = tuple[tuple[str, str], ...]


def follow(stubs: Stubs, followed: Followed, metadata: Metadata, times: int) -> Iterator[Event]:
    """The events up to the last one, however often the stream breaks.

    `times` is how often in a row it is opened in all without an event that came.
    """
    tries = Tries(times, may_be_said_again)
    while not followed.has_ended:
        try:
            for message in stubs.StreamResults(followed.request(), metadata=metadata):
                tries = Tries(times, may_be_said_again)
                yield followed.note(message)
            return
        except grpc.RpcError as error:
            failure = told_apart(from_rpc(error))
        time.sleep(tries.pause(failure))


async def follow_async(
    stubs: Stubs, followed: Followed, metadata: Metadata, times: int
) -> AsyncIterator[Event]:
    """The same for asyncio."""
    tries = Tries(times, may_be_said_again)
    while not followed.has_ended:
        try:
            async for message in stubs.StreamResults(followed.request(), metadata=metadata):
                tries = Tries(times, may_be_said_again)
                yield followed.note(message)
            return
        except grpc.RpcError as error:
            failure = told_apart(from_rpc(error))
        await asyncio.sleep(tries.pause(failure))
