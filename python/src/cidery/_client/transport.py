"""Carrying out what is asked over a channel, once more where that does no harm.

A call that failed is made again; a result stream that broke is opened again, after the last event
that was seen. Each is there for threads and for asyncio.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import grpc

from cidery._errors.status_details import from_rpc
from cidery._protocol.retry import Tries, may_be_said_again, told_apart
from cidery._protocol.steps import FOLLOW, Answer

if TYPE_CHECKING:
    from cidery._protocol.channel import Stubs
    from cidery._protocol.result_cursor import Followed
    from cidery._protocol.results import Event
    from cidery._protocol.steps import Unary

Metadata = tuple[tuple[str, str], ...]


def made(stubs: Stubs, unary: Unary, metadata: Metadata, times: int) -> Answer:
    """What came of a call that is made so many times at most."""
    metadata = (*metadata, *unary.metadata)
    if unary.method == FOLLOW:
        for event in follow(stubs, unary.request.followed, metadata, times):
            unary.request.take(event)
        return Answer(None)
    tries = Tries(times, unary.is_safe)
    method = getattr(stubs, unary.method)
    while True:
        try:
            message = method(unary.request, timeout=unary.timeout, metadata=metadata)
            return Answer(message, tries.tried)
        except grpc.RpcError as error:
            failure = told_apart(from_rpc(error, unary.cid))
        time.sleep(tries.pause(failure))


async def made_async(stubs: Stubs, unary: Unary, metadata: Metadata, times: int) -> Answer:
    """The same for asyncio."""
    metadata = (*metadata, *unary.metadata)
    if unary.method == FOLLOW:
        async for event in follow_async(stubs, unary.request.followed, metadata, times):
            unary.request.take(event)
        return Answer(None)
    tries = Tries(times, unary.is_safe)
    method = getattr(stubs, unary.method)
    while True:
        try:
            message = await method(unary.request, timeout=unary.timeout, metadata=metadata)
            return Answer(message, tries.tried)
        except grpc.RpcError as error:
            failure = told_apart(from_rpc(error, unary.cid))
        await asyncio.sleep(tries.pause(failure))


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
