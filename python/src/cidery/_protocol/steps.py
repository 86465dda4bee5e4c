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
    """A call that is to be made."""

    method: str
    request: Any
    timeout: float | None
    is_retryable: Callable[[CideryError], bool]
    cid: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    blocks: bool = False
    """Whether it waits for something to happen: a handler that does gives its seat to others, and
    waits no longer than its outcome is wanted."""


@dataclass(frozen=True)
class Reply:
    """What came of it, and how often it was tried."""

    message: Any
    attempts: int = 1


Operation = Generator[UnaryCall, Reply, T]

# Two calls that are none of one request and one answer. The request of the first is a `Follow`, and
# it ends with the stream; the request of the second is how long it lasts, and only handlers make
# it.
STREAM_RESULTS = "StreamResults"
SLEEP = "Sleep"


@dataclass(frozen=True)
class FollowStream:
    """A stream that is to be read to its end, and who takes each event as it comes."""

    cursor: ResultCursor
    on_event: Callable[[Event], None]
