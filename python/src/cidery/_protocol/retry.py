"""Doing something again that failed and does no harm when it is done twice: what may be, and when.

The rules are those of the Rust client.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from cidery._errors.exceptions import BY_KIND, CideryError, Unavailable
from cidery._errors.kind import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

TRIES = 8  # For some five seconds, as long as a node restarts.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0

_BEFORE = frozenset({"NODE_STOPPING", "NO_WORKER", "QUEUE_FULL"})
_NOT_NOW = _BEFORE | {"CONNECT_FAILED", "PENDING_LIMIT"}
_BROKEN = frozenset({Kind.UNAVAILABLE, Kind.UNKNOWN, Kind.INTERNAL, Kind.CANCELLED})
# How gRPC says that it has not sent anything. A connection that breaks later is as `UNAVAILABLE`
# to it, and the call may have had effects.
_NOT_SENT = ("failed to connect", "connections to all", "dns resolution", "name resolution")


class NotSent(Unavailable):
    """The node was not reached. It never says so itself: a handler that hands on such a failure has
    run."""


def told_apart(error: CideryError) -> CideryError:
    """A failure of the transport, by whether anything was sent."""
    if error.reason != "TRANSPORT" or error.kind is not Kind.UNAVAILABLE:
        return error
    message = error.message.lower()
    if any(text in message for text in _NOT_SENT):
        return NotSent(error.message, reason="CONNECT_FAILED", cid=error.cid)
    return BY_KIND[Kind.UNKNOWN](error.message, reason="TRANSPORT", cid=error.cid)


def never_sent(error: CideryError) -> bool:
    """Whether the node was not reached."""
    return isinstance(error, NotSent)


def never_began(service: str) -> Callable[[CideryError], bool]:
    """Whether a call of a service failed before it was dispatched: the node said so of that
    service, or was not reached.

    A handler may hand on what became of its own calls: the node names the service that its answer
    is about.
    """

    def began_not(error: CideryError) -> bool:
        said = error.reason in _BEFORE and error.facts.get("service") == service
        return said or never_sent(error)

    return began_not


def never(_: CideryError) -> bool:
    """Whoever makes the call repeats it, if anybody does."""
    return False


def is_transport(error: CideryError) -> bool:
    """Whether the connection failed, and not what it was used for."""
    return error.kind in _BROKEN and error.reason == "TRANSPORT"


def may_be_said_again(error: CideryError) -> bool:
    """Whether what has a name of its own may be said again: it is accepted once."""
    return error.reason in _NOT_NOW or is_transport(error)


class Tries:
    """The tries of one call: how long to wait before the next one, if there is one."""

    def __init__(self, tries: int, is_safe: Callable[[CideryError], bool]) -> None:
        self.tried = 1
        self._tries = tries
        self._is_safe = is_safe
        self._pause = _FIRST_PAUSE

    def pause(self, error: CideryError) -> float:
        """The seconds before the next try; raises the failure where there is none."""
        if not self._is_safe(error) or self.tried >= self._tries:
            raise error
        self.tried += 1
        asked = min(error.retry_after or 0.0, _LONGEST_PAUSE)
        pause = max(self._pause * random.uniform(0.5, 1.0), asked)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return pause
