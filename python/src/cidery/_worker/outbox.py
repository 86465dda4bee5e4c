"""The outbox of a worker's stream: batches results that wait together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from cidery.v1 import worker_pb2

# How many results go into one message, and how many bytes of them, at most.
_MOST = 64
_MOST_BYTES = 64 * 1024

Request = worker_pb2.ServeRequest
Result = worker_pb2.DispatchResult
# Results are put into a message when it is sent: each copy of one costs time.
Said = Request | Result


class Outgoing:
    """What goes to the node: results that wait go together, once it has said that it reads that.

    A message of its own costs more than what is in it.
    """

    def __init__(self, outbox: asyncio.Queue[Said | None]) -> None:
        self.outbox = outbox
        self.joins = False

    async def messages(self) -> AsyncIterator[Request]:
        """All that is said, until nothing more is."""
        said = await self.outbox.get()
        while said is not None:
            following: Said | None = _NOTHING
            if isinstance(said, Request):
                yield said
            elif self.joins:
                # What other handlers have answered meanwhile comes in.
                await asyncio.sleep(0)
                several, following = self._joined(said)
                yield several
            else:
                yield Request(result=said)
            said = await self.outbox.get() if following is _NOTHING else following

    def _joined(self, first: Result) -> tuple[Request, Said | None]:
        """The results that wait behind one, and what comes then and cannot go with them."""
        results = [first]
        left = _MOST_BYTES - first.ByteSize()
        following: Said | None = _NOTHING
        while not self.outbox.empty() and len(results) < _MOST:
            following = self.outbox.get_nowait()
            if not isinstance(following, Result):
                break
            left -= following.ByteSize()
            if left < 0:
                break
            results.append(following)
            following = _NOTHING
        if len(results) == 1:
            return Request(result=first), following
        return Request(results=results), following


_NOTHING = Request()
