"""The transport: makes calls over a channel with retries, blocking and for asyncio.

A failed call is repeated where that is safe; a broken result stream is reopened after the last
event seen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import grpc

from cidery._errors.status_details import from_rpc_error
from cidery._protocol.retry import RetryState, classify, is_safe_to_retry
from cidery._protocol.steps import STREAM_RESULTS, Reply
from cidery._protocol.tracing.trace_context import trace_headers

if TYPE_CHECKING:
    from cidery._client.connection import Connection
    from cidery._protocol.channel import Stubs
    from cidery._protocol.result_cursor import ResultCursor
    from cidery._protocol.results import Event
    from cidery._protocol.security.credential import Credential, Metadata
    from cidery._protocol.steps import UnaryCall


def call_with_retry(
    stubs: Connection, call: UnaryCall, credential: Credential, max_attempts: int
) -> Reply:
    """Makes a call, at most `max_attempts` times and within its timeout."""
    if call.method == STREAM_RESULTS:
        for event in follow(stubs, call.request.cursor, credential, max_attempts, call.metadata):
            call.request.on_event(event)
        return Reply(None)
    state = RetryState(max_attempts, call.is_retryable, call.timeout)
    while True:
        method, generation = getattr(stubs, call.method), stubs.generation()
        metadata = (*credential.metadata(), *trace_headers(call.request), *call.metadata)
        try:
            message = method(call.request, timeout=state.transport_timeout, metadata=metadata)
            return Reply(message, state.attempts)
        except grpc.RpcError as error:
            failure = classify(from_rpc_error(error, call.cid), stubs.node)
        if stubs.is_replaced(failure, generation):
            continue
        time.sleep(state.next_delay(failure))


async def call_with_retry_async(
    stubs: Stubs | Connection, call: UnaryCall, credential: Credential, max_attempts: int
) -> Reply:
    """Makes a call like `call_with_retry`, for asyncio."""
    if call.method == STREAM_RESULTS:
        async for event in follow_async(
            stubs, call.request.cursor, credential, max_attempts, call.metadata
        ):
            call.request.on_event(event)
        return Reply(None)
    state = RetryState(max_attempts, call.is_retryable, call.timeout)
    while True:
        method, generation = getattr(stubs, call.method), stubs.generation()
        metadata = (*credential.metadata(), *trace_headers(call.request), *call.metadata)
        try:
            message = await method(call.request, timeout=state.transport_timeout, metadata=metadata)
            return Reply(message, state.attempts)
        except grpc.RpcError as error:
            failure = classify(from_rpc_error(error, call.cid), stubs.node)
        if stubs.is_replaced(failure, generation):
            continue
        await asyncio.sleep(state.next_delay(failure))


def follow(
    stubs: Connection,
    cursor: ResultCursor,
    credential: Credential,
    max_attempts: int,
    metadata: Metadata = (),
) -> Iterator[Event]:
    """Streams events up to the last one; reopens the stream when it breaks.

    `max_attempts` limits consecutive attempts without an event.
    """
    state = RetryState(max_attempts, is_safe_to_retry)
    while not cursor.is_finished:
        sent = (*credential.metadata(), *trace_headers(), *metadata)
        generation = stubs.generation()
        try:
            for message in stubs.StreamResults(cursor.request(), metadata=sent):
                state = RetryState(max_attempts, is_safe_to_retry)
                yield cursor.record(message)
            return
        except grpc.RpcError as error:
            failure = classify(from_rpc_error(error), stubs.node)
        if stubs.is_replaced(failure, generation):
            continue
        time.sleep(state.next_delay(failure))


async def follow_async(
    stubs: Stubs | Connection,
    cursor: ResultCursor,
    credential: Credential,
    max_attempts: int,
    metadata: Metadata = (),
) -> AsyncIterator[Event]:
    """Streams events up to the last one, for asyncio."""
    state = RetryState(max_attempts, is_safe_to_retry)
    while not cursor.is_finished:
        sent = (*credential.metadata(), *trace_headers(), *metadata)
        generation = stubs.generation()
        try:
            async for message in stubs.StreamResults(cursor.request(), metadata=sent):
                state = RetryState(max_attempts, is_safe_to_retry)
                yield cursor.record(message)
            return
        except grpc.RpcError as error:
            failure = classify(from_rpc_error(error), stubs.node)
        if stubs.is_replaced(failure, generation):
            continue
        await asyncio.sleep(state.next_delay(failure))
