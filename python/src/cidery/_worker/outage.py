"""The log of an outage: what a worker says while its node cannot be reached."""

from __future__ import annotations

import logging
import time

_log = logging.getLogger("cidery.worker")
_LOG_INTERVAL = 60.0
"""The shortest interval between two lines of one outage, in seconds."""


class Outage:
    """The time since the worker lost its node."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._since: float | None = None
        self._last_logged: float | None = None

    def failed(self, error: Exception) -> None:
        """Logs the first failure to connect, and then one a minute."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if self._last_logged is not None and now - self._last_logged < _LOG_INTERVAL:
            return
        self._last_logged = now
        _log.warning(
            "not connected to %s: %s; retrying every few seconds until the node answers",
            self._node,
            error,
        )

    def connected(self) -> None:
        """Logs the end of an outage."""
        if self._since is not None:
            away = time.monotonic() - self._since
            _log.info("connected to %s again, after %.0f s", self._node, away)
        self._since = self._last_logged = None
