"""The connection of a client: a channel that is opened at first use, and its stubs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from cidery._protocol.channel import Stubs


class Connection:
    """The stubs of a client, over a channel that is opened at first use. Thread-safe."""

    def __init__(self, node: str, open_channel: Callable[[], Any]) -> None:
        self.node = node
        self._open_channel = open_channel
        self._opened: tuple[Any, Stubs] | None = None
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

    def close(self) -> Any:
        """Refuses further calls; returns the channel to close, `None` if it was not opened."""
        with self._lock:
            self._is_closed = True
            opened, self._opened = self._opened, None
        return None if opened is None else opened[0]

    def _open(self) -> tuple[Any, Stubs]:
        opened = self._opened
        if opened is not None:
            return opened
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the client is closed")
            if self._opened is None:
                channel = self._open_channel()
                self._opened = channel, Stubs(channel, self.node)
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
