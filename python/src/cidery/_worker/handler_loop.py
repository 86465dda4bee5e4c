"""The loop for handlers that are coroutines, in a thread of its own: it blocks no stream."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from cidery._worker.dispatch import answer_async, failed

if TYPE_CHECKING:
    from cidery._service.context import Facts
    from cidery._service.definition import Definition
    from cidery._worker.connection import Line
    from cidery._worker.dispatch import DispatchPlatform


class Coroutines:
    """Runs coroutines."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        # What begins next.
        self._posted: collections.deque[Callable[[], None]] = collections.deque()
        self._is_woken = False

    def run(
        self,
        definition: Definition,
        facts: Facts,
        platform: DispatchPlatform,
        token: str,
        line: Line,
    ) -> Callable[[], None]:
        """Runs a coroutine, and tells the line of its end; answers with how to cancel it."""
        loop = self._started()
        tasks: list[asyncio.Task[None]] = []

        async def run() -> None:
            line.end(await answer_async(definition, facts, platform, token))

        def ended(task: asyncio.Task[None]) -> None:
            # It was cancelled before it began.
            if task.cancelled():
                line.end(failed(token, asyncio.CancelledError(), facts))

        def start() -> None:
            task = loop.create_task(run())
            task.add_done_callback(ended)
            tasks.append(task)

        def cancel() -> None:
            for task in tasks:
                task.cancel()

        self._posted.append(start)
        if not self._is_woken:
            self._is_woken = True
            loop.call_soon_threadsafe(self._begin_posted)
        return lambda: _soon(loop, cancel)

    def _begin_posted(self) -> None:
        # Before it looks: what is posted from now on wakes the loop again.
        self._is_woken = False
        while self._posted:
            self._posted.popleft()()

    def close(self) -> None:
        """Ends the loop; what runs later has another one."""
        with self._lock:
            loop, self._loop = self._loop, None
        # What has not begun was handed back; and nothing is to wait for the loop that ends.
        self._posted.clear()
        self._is_woken = False
        if loop is not None:
            _soon(loop, loop.stop)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = self._loop = asyncio.new_event_loop()
                thread = threading.Thread(
                    target=_forever, args=(loop,), name="cidery-handlers", daemon=True
                )
                thread.start()
            return self._loop


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    # The loop is closed once the worker has stopped.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call)


def _forever(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()
