"""The event loop of coroutine handlers, in a thread of its own."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from cidery._worker.dispatch import failure_result, run_handler_async

if TYPE_CHECKING:
    from cidery._service.context import InvocationInfo
    from cidery._service.definition import Definition
    from cidery._worker.connection import Connection
    from cidery._worker.dispatch import DispatchPlatform


class HandlerLoop:
    """Runs coroutine handlers on one event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        # Handlers to start, posted by the connection's thread.
        self._posted: collections.deque[Callable[[], None]] = collections.deque()
        self._wakeup_scheduled = False

    def run(
        self,
        definition: Definition,
        info: InvocationInfo,
        platform: DispatchPlatform,
        token: str,
        connection: Connection,
    ) -> Callable[[], None]:
        """Starts a handler, whose result goes to the connection; returns a function that cancels
        it."""
        loop = self._ensure_loop()
        tasks: list[asyncio.Task[None]] = []

        async def run() -> None:
            connection.send_result(await run_handler_async(definition, info, platform, token))

        def ended(task: asyncio.Task[None]) -> None:
            # The task was cancelled before it started.
            if task.cancelled():
                connection.send_result(failure_result(token, asyncio.CancelledError(), info))

        def start() -> None:
            task = loop.create_task(run())
            task.add_done_callback(ended)
            tasks.append(task)

        def cancel() -> None:
            for task in tasks:
                task.cancel()

        self._posted.append(start)
        if not self._wakeup_scheduled:
            self._wakeup_scheduled = True
            loop.call_soon_threadsafe(self._start_posted)
        return lambda: _call_soon(loop, cancel)

    def _start_posted(self) -> None:
        # Reset first: a handler that is posted from now on wakes the loop again.
        self._wakeup_scheduled = False
        while self._posted:
            self._posted.popleft()()

    def close(self) -> None:
        """Stops the loop; a handler that is started later gets a new one."""
        with self._lock:
            loop, self._loop = self._loop, None
        # Posted handlers were handed back to the node.
        self._posted.clear()
        self._wakeup_scheduled = False
        if loop is not None:
            _call_soon(loop, loop.stop)

    def _ensure_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = self._loop = asyncio.new_event_loop()
                thread = threading.Thread(
                    target=_run_loop, args=(loop,), name="cidery-handlers", daemon=True
                )
                thread.start()
            return self._loop


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    # The loop is closed once the worker has stopped.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call)


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()
