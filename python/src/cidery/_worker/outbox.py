"""The outbox of a worker's stream: a queue of messages, and the batching of results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from cidery.v1 import worker_pb2

# A batch holds at most this many results, and this many bytes of them.
_MAX_BATCH = 64
_MAX_BATCH_BYTES = 64 * 1024

Request = worker_pb2.ServeRequest
Result = worker_pb2.DispatchResult
# Results are wrapped in a request when they are sent: copying a message costs time.
Outbound = Request | Result


class Outbox:
    """The messages for the node, in order. Not thread-safe: the connection's loop owns it.

    Results that wait together are sent in one message: a message of its own costs more than its
    content.
    """

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Outbound | None] = asyncio.Queue()
        self.batches_results = False
        """Whether the node reads batches: its welcome says so."""

    def put(self, message: Outbound) -> None:
        """Appends a message."""
        self._queue.put_nowait(message)

    def close(self) -> None:
        """Ends `messages` after the messages that are queued."""
        self._queue.put_nowait(None)

    async def messages(self) -> AsyncIterator[Request]:
        """The messages to send, until the outbox is closed."""
        message = await self._queue.get()
        while message is not None:
            next_message: Outbound | None = _UNKNOWN
            if isinstance(message, Request):
                yield message
            elif self.batches_results:
                # Lets results that other handlers have just posted join the batch.
                await asyncio.sleep(0)
                batch, next_message = self._batch(message)
                yield batch
            else:
                yield Request(result=message)
            message = await self._queue.get() if next_message is _UNKNOWN else next_message

    def _batch(self, first: Result) -> tuple[Request, Outbound | None]:
        """A batch of the results that wait, and the message after it if one was taken already."""
        results = [first]
        bytes_left = _MAX_BATCH_BYTES - first.ByteSize()
        next_message: Outbound | None = _UNKNOWN
        while not self._queue.empty() and len(results) < _MAX_BATCH:
            next_message = self._queue.get_nowait()
            if not isinstance(next_message, Result):
                break
            bytes_left -= next_message.ByteSize()
            if bytes_left < 0:
                break
            results.append(next_message)
            next_message = _UNKNOWN
        if len(results) == 1:
            return Request(result=first), next_message
        return Request(results=results), next_message


_UNKNOWN = Request()
