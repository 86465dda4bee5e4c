"""Doing something again that failed and does no harm when it is done twice: what may be, and when.

The rules are those of the Rust client.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from cidery._errors.exceptions import CLASS_BY_KIND, CideryError, Unavailable
from cidery._errors.kind import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ATTEMPTS = 8  # For some five seconds, as long as a node restarts.
_INITIAL_BACKOFF = 0.1
_MAX_BACKOFF = 2.0

_NOT_DISPATCHED_REASONS = frozenset({"NODE_STOPPING", "NO_WORKER", "QUEUE_FULL"})
_TRANSIENT_REASONS = _NOT_DISPATCHED_REASONS | {"CONNECT_FAILED", "PENDING_LIMIT"}
_TRANSPORT_KINDS = frozenset({Kind.UNAVAILABLE, Kind.UNKNOWN, Kind.INTERNAL, Kind.CANCELLED})
# How gRPC says that it has not sent anything. A connection that breaks later is as `UNAVAILABLE`
# to it, and the call may have had effects.
_CONNECT_FAILURE_TEXTS = (
    "failed to connect",
    "connections to all",
    "dns resolution",
    "name resolution",
)


class ConnectFailed(Unavailable):
    """The node was not reached. It never says so itself: a handler that hands on such a failure has
    run."""


def classify(error: CideryError) -> CideryError:
    """A failure of the transport, by whether anything was sent."""
    if error.reason != "TRANSPORT" or error.kind is not Kind.UNAVAILABLE:
        return error
    message = error.message.lower()
    if any(text in message for text in _CONNECT_FAILURE_TEXTS):
        return ConnectFailed(error.message, reason="CONNECT_FAILED", cid=error.cid)
    return CLASS_BY_KIND[Kind.UNKNOWN](error.message, reason="TRANSPORT", cid=error.cid)


def is_connect_failure(error: CideryError) -> bool:
    """Whether the node was not reached."""
    return isinstance(error, ConnectFailed)


def not_dispatched(service: str) -> Callable[[CideryError], bool]:
    """Whether a call of a service failed before it was dispatched: the node said so of that
    service, or was not reached.

    A handler may hand on what became of its own calls: the node names the service that its answer
    is about.
    """

    def predicate(error: CideryError) -> bool:
        is_reported = (
            error.reason in _NOT_DISPATCHED_REASONS and error.facts.get("service") == service
        )
        return is_reported or is_connect_failure(error)

    return predicate


def never_retry(_: CideryError) -> bool:
    """Whoever makes the call repeats it, if anybody does."""
    return False


def is_transport_failure(error: CideryError) -> bool:
    """Whether the connection failed, and not what it was used for."""
    return error.kind in _TRANSPORT_KINDS and error.reason == "TRANSPORT"


def is_safe_to_retry(error: CideryError) -> bool:
    """Whether what has a name of its own may be said again: it is accepted once."""
    return error.reason in _TRANSIENT_REASONS or is_transport_failure(error)


class RetryState:
    """The tries of one call: how long to wait before the next one, if there is one."""

    def __init__(self, max_attempts: int, is_retryable: Callable[[CideryError], bool]) -> None:
        self.attempts = 1
        self._max_attempts = max_attempts
        self._is_retryable = is_retryable
        self._backoff = _INITIAL_BACKOFF

    def next_delay(self, error: CideryError) -> float:
        """The seconds before the next try; raises the failure where there is none."""
        if not self._is_retryable(error) or self.attempts >= self._max_attempts:
            raise error
        self.attempts += 1
        requested = min(error.retry_after or 0.0, _MAX_BACKOFF)
        delay = max(self._backoff * random.uniform(0.5, 1.0), requested)
        self._backoff = min(self._backoff * 2, _MAX_BACKOFF)
        return delay
