"""The cursor of a result stream: where to resume after the stream breaks."""

from __future__ import annotations

from cidery._protocol.results import Event
from cidery.v1 import invocation_pb2


class ResultCursor:
    """What was seen of a result stream: where it breaks it is opened again after that.

    The stream of a group has events of its members, for which nobody asked: what was seen of them
    counts as well, also once they have ended, or they would come again.
    """

    def __init__(self, cids: list[str], *, wait_for_accept: bool = False) -> None:
        self._open = dict.fromkeys(cids)
        self._sequences: dict[str, int] = {}
        self._wait_for_accept = wait_for_accept

    @property
    def is_finished(self) -> bool:
        """Whether nothing can follow."""
        return not self._open

    def request(self) -> invocation_pb2.StreamResultsRequest:
        """Asks for what was not seen yet."""
        return invocation_pb2.StreamResultsRequest(
            cids=list(self._open),
            after_sequences=self._sequences,
            wait_for_accept=self._wait_for_accept,
        )

    def record(self, message: invocation_pb2.StreamResultsResponse) -> Event:
        """Takes an event down."""
        event = Event.from_proto(message)
        if event.sequence > self._sequences.get(event.cid, 0):
            self._sequences[event.cid] = event.sequence
        if event.kind.is_last:
            self._open.pop(event.cid, None)
        return event
