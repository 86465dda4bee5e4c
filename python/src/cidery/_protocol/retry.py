"""Retries with exponential backoff: which failures are safe to retry, and when.

The rules are equal to those of the Rust client.
"""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING

from cidery._errors.exceptions import CLASS_BY_KIND, CideryError, ConnectFailed
from cidery._errors.kind import Kind
from cidery._protocol.security.tls import handshake_failed, is_tls

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("cidery.client")

MAX_ATTEMPTS = 8  # For some five seconds, as long as a node restarts.
_INITIAL_BACKOFF = 0.1
_MAX_BACKOFF = 2.0
_TRANSPORT_SLACK = 0.5
# Ten years. gRPC overflows with much longer timeouts and treats them as past.
_MAX_TIMEOUT = 10 * 366 * 86_400.0
QUIET_SECONDS = 1.0
"""Retries within this time are not logged: most end with success."""

_NOT_DISPATCHED_REASONS = frozenset({"NODE_STOPPING", "NO_WORKER", "QUEUE_FULL"})
_TRANSIENT_REASONS = _NOT_DISPATCHED_REASONS | {"CONNECT_FAILED", "PENDING_LIMIT"}
_TRANSPORT_KINDS = frozenset({Kind.UNAVAILABLE, Kind.UNKNOWN, Kind.INTERNAL, Kind.CANCELLED})
# The messages of gRPC for calls that were not sent. A connection that breaks later has the same
# code, `UNAVAILABLE`, but the call may have had effects.
_CONNECT_FAILURE_TEXTS = (
    "failed to connect",
    "connections to all",
    "dns resolution",
    "name resolution",
)


def connect_failed(node: str, cid: str | None = None, cause: str = "") -> ConnectFailed:
    """The failure to reach a node; `cause` is the text of the transport."""
    message = (
        f"no node answers at {node}; start one with `cidery serve`, or give another address"
        " (`CIDERY_NODE`, `--node`)"
    )
    facts = {"transport": cause} if cause else None
    return ConnectFailed("CONNECT_FAILED", message, cid=cid, facts=facts)


def classify(error: CideryError, node: str) -> CideryError:
    """Classifies a transport failure by whether the request was sent to the node."""
    if error.reason != "TRANSPORT" or error.kind is not Kind.UNAVAILABLE:
        return error
    message = error.message.lower()
    failed = handshake_failed(node, error.message) if is_tls(node) else None
    if failed is not None:
        return failed
    if any(text in message for text in _CONNECT_FAILURE_TEXTS):
        return connect_failed(node, error.cid, error.message)
    return CLASS_BY_KIND[Kind.UNKNOWN]("TRANSPORT", error.message, cid=error.cid)


def is_connect_failure(error: CideryError) -> bool:
    """Whether the node could not be reached."""
    return isinstance(error, ConnectFailed)


def not_dispatched(service: str) -> Callable[[CideryError], bool]:
    """A predicate: whether a call of a service failed before it was dispatched.

    The node reports the service that it could not dispatch, since a handler may fail with the same
    reason because of a nested call.
    """

    def predicate(error: CideryError) -> bool:
        is_reported = (
            error.reason in _NOT_DISPATCHED_REASONS and error.facts.get("service") == service
        )
        return is_reported or is_connect_failure(error)

    return predicate


def never_retry(_: CideryError) -> bool:
    """A predicate that refuses each retry: the caller of the operation retries itself."""
    return False


def is_transport_failure(error: CideryError) -> bool:
    """Whether the transport failed, and not the call."""
    return error.kind in _TRANSPORT_KINDS and error.reason == "TRANSPORT"


def is_safe_to_retry(error: CideryError) -> bool:
    """Whether a failure is safe to retry for calls that are accepted once, by their CID or key."""
    return error.reason in _TRANSIENT_REASONS or is_transport_failure(error)


def log_waiting(error: CideryError) -> None:
    """Logs that a call is retried. Without a configured log, it is on standard error."""
    _log.warning("%s; retrying for some seconds", error)


class RetryState:
    """The attempts of one call and the backoff between them.

    `timeout` is that of the call in seconds, for all its attempts: none begins after it.
    """

    def __init__(
        self,
        max_attempts: int,
        is_retryable: Callable[[CideryError], bool],
        timeout: float | None = None,
    ) -> None:
        self.attempts = 1
        self._timeout = timeout
        self._max_attempts = max_attempts
        self._is_retryable = is_retryable
        self._backoff = _INITIAL_BACKOFF
        self._began = time.monotonic()
        self._is_logged = False

    @property
    def seconds_left(self) -> float | None:
        """The rest of the timeout; `None` without one."""
        if self._timeout is None:
            return None
        return max(0.0, self._timeout - (time.monotonic() - self._began))

    @property
    def transport_timeout(self) -> float | None:
        """The timeout that gRPC enforces, longer than that of the node: a client that ends a call
        itself never reads the status with its reason and CID."""
        left = self.seconds_left
        return None if left is None or left > _MAX_TIMEOUT else left + _TRANSPORT_SLACK

    def next_delay(self, error: CideryError) -> float:
        """The delay before the next attempt in seconds; raises the failure if there is none.

        Logs once what it waits for, if the call is retried for longer than a second.
        """
        if not self._is_retryable(error) or self.attempts >= self._max_attempts:
            raise error
        requested = min(error.retry_after or 0.0, _MAX_BACKOFF)
        delay = max(self._backoff * random.uniform(0.5, 1.0), requested)
        left = self.seconds_left
        if left is not None and delay >= left:
            raise error
        self.attempts += 1
        if not self._is_logged and time.monotonic() - self._began >= QUIET_SECONDS:
            self._is_logged = True
            log_waiting(error)
        self._backoff = min(self._backoff * 2, _MAX_BACKOFF)
        return delay
