"""The connection of a client: a channel that is opened at first use, and its stubs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cidery._protocol.channel import Stubs

if TYPE_CHECKING:
    from cidery._errors.exceptions import CideryError
    from cidery._protocol.security.tls import Stamp, Tls

_OF_TRANSPORT = frozenset({"TLS_FAILED", "CONNECT_FAILED", "TRANSPORT"})


class Connection:
    """The stubs of a client, over a channel that is opened at first use. Thread-safe.

    gRPC reads the files of TLS once for a channel. Where the transport fails, and the files have
    changed since, further calls use another channel.
    """

    def __init__(self, node: str, open_channel: Callable[[], Any], tls: Tls | None = None) -> None:
        self.node = node
        self._open_channel = open_channel
        self._tls = tls
        self._stamp: Stamp = ()
        self._opened: tuple[Any, Stubs] | None = None
        # Other calls may go on over these.
        self._replaced: list[Any] = []
        self._is_closed = False
        self._lock = threading.Lock()

    @property
    def channel(self) -> Any:
        """The channel; a `RuntimeError` once the client is closed."""
        return self._open()[0]

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        return getattr(self._open()[1], method)

    def close(self) -> list[Any]:
        """Refuses further calls; returns the channels to close."""
        with self._lock:
            self._is_closed = True
            opened, self._opened = self._opened, None
            channels, self._replaced = self._replaced, []
        return channels if opened is None else [*channels, opened[0]]

    def generation(self) -> int:
        """How often the channel was replaced."""
        return len(self._replaced)

    def is_replaced(self, failure: CideryError, generation: int) -> bool:
        """Replaces the channel of a call that failed, if the files of TLS have changed.

        `generation` is that of the channel. Returns whether the node may accept the call now: it
        refused a certificate, and there is another one.
        """
        if self._tls is None or failure.reason not in _OF_TRANSPORT:
            return False
        with self._lock:
            is_last = self._opened is not None and generation == self.generation()
            if is_last and not self._is_closed and self._tls.has_changed_since(self._stamp):
                self._replace()
            return failure.reason == "TLS_FAILED" and generation < self.generation()

    def _replace(self) -> None:
        opened = self._opened
        try:
            self._opened = self._open_now()
        except OSError:
            # A file is being replaced. The next failure tries again.
            return
        if opened is not None:
            self._replaced.append(opened[0])

    def _open_now(self) -> tuple[Any, Stubs]:
        # Before they are read: a change meanwhile is seen the next time.
        stamp = () if self._tls is None else self._tls.stamp()
        channel = self._open_channel()
        self._stamp = stamp
        return channel, Stubs(channel, self.node)

    def _open(self) -> tuple[Any, Stubs]:
        opened = self._opened
        if opened is not None:
            return opened
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the client is closed")
            if self._opened is None:
                self._opened = self._open_now()
            return self._opened


class AsyncConnection(Connection):
    """The same for asyncio: it belongs to the event loop of its first use."""

    _loop: asyncio.AbstractEventLoop | None = None

    def _open(self) -> tuple[Any, Stubs]:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise RuntimeError(
                "this `AsyncClient` belongs to the event loop that used it first: create another"
                " one in this loop, such as by `async with AsyncClient() as client`"
            )
        return super()._open()
