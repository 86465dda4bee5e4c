"""Operations as generators without I/O: they yield calls and are sent the replies."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from cidery._errors.exceptions import CideryError
from cidery._protocol.result_cursor import Followed
from cidery._protocol.results import Event

T = TypeVar("T")


@dataclass(frozen=True)
class Unary:
    """A call that is to be made."""

    method: str
    request: Any
    timeout: float | None
    is_safe: Callable[[CideryError], bool]
    cid: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    waits: bool = False
    """Whether it waits for something to happen: a handler that does gives its seat to others, and
    waits no longer than its outcome is wanted."""


@dataclass(frozen=True)
class Answer:
    """What came of it, and how often it was tried."""

    message: Any
    tried: int = 1


Steps = Generator[Unary, Answer, T]

# Two calls that are none of one request and one answer. The request of the first is a `Follow`, and
# it ends with the stream; the request of the second is how long it lasts, and only handlers make
# it.
FOLLOW = "StreamResults"
PAUSE = "Pause"


@dataclass(frozen=True)
class Follow:
    """A stream that is to be read to its end, and who takes each event as it comes."""

    followed: Followed
    take: Callable[[Event], None]
