"""Operations as generators without I/O: they yield calls and are sent the replies."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from cidery._errors.exceptions import CideryError
from cidery._protocol.result_cursor import ResultCursor
from cidery._protocol.results import Event

T = TypeVar("T")


@dataclass(frozen=True)
class UnaryCall:
    """A call to make."""

    method: str
    request: Any
    timeout: float | None
    """The time for all attempts, in seconds: the node enforces it, and the transport a bit later.
    """
    is_retryable: Callable[[CideryError], bool]
    cid: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    blocks: bool = False
    """Whether the call waits for an event: a handler releases its permit meanwhile, and the call is
    cancelled with the handler."""


@dataclass(frozen=True)
class Reply:
    """The reply to a call, and the number of attempts that it took."""

    message: Any
    attempts: int = 1


Operation = Generator[UnaryCall, Reply, T]

# Two methods that are not unary calls of the node. `STREAM_RESULTS` has a `FollowStream` as its
# request and replies when the stream ends; `SLEEP` has a number of seconds, and only handlers use
# it.
STREAM_RESULTS = "StreamResults"
SLEEP = "Sleep"


@dataclass(frozen=True)
class FollowStream:
    """A stream to read to its end, with a callback for each event."""

    cursor: ResultCursor
    on_event: Callable[[Event], None]
