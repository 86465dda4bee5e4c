"""The cursor of a result stream: where to resume after the stream breaks."""

from __future__ import annotations

from cidery._protocol.results import Event
from cidery.v1 import invocation_pb2


class ResultCursor:
    """The position in a result stream: a broken stream is reopened after the last event seen.

    The stream of a group has events of its members as well. Their positions are kept even after
    they have ended, or the node would send their events again.
    """

    def __init__(self, cids: list[str], *, wait_for_accept: bool = False) -> None:
        self._open = dict.fromkeys(cids)
        self._sequences: dict[str, int] = {}
        self._wait_for_accept = wait_for_accept

    @property
    def is_finished(self) -> bool:
        """Whether no event can follow."""
        return not self._open

    def request(self) -> invocation_pb2.StreamResultsRequest:
        """The request for events after this position."""
        return invocation_pb2.StreamResultsRequest(
            cids=list(self._open),
            after_sequences=self._sequences,
            wait_for_accept=self._wait_for_accept,
        )

    def record(self, message: invocation_pb2.StreamResultsResponse) -> Event:
        """Decodes an event and advances the position."""
        event = Event.from_proto(message)
        if event.sequence > self._sequences.get(event.cid, 0):
            self._sequences[event.cid] = event.sequence
        if event.kind.is_last:
            self._open.pop(event.cid, None)
        return event
