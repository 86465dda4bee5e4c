"""The signals that stop a worker: the first one drains it, the second one ends the drain."""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import queue
import signal
from collections.abc import Callable, Iterator
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Handles the signals. `stop_now` is called for the second one, and for each later one."""

    def __init__(
        self,
        log: logging.Logger,
        stop_now: Callable[[], None],
        numbers: tuple[signal.Signals, ...] = STOP_SIGNALS,
    ) -> None:
        self._numbers = numbers
        self._log = log
        self._stop_now = stop_now
        self._count = 0
        # Unlike the lock of an event, its `put` may interrupt its `get`.
        self._arrived: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.exit_code = 0
        """0, or 128 and the number of the second signal."""

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for the first signal; returns whether it has arrived."""
        if self._count == 0:
            with contextlib.suppress(queue.Empty):
                self._arrived.get(timeout=seconds)
        return self._count > 0

    def wait_for(self, future: concurrent.futures.Future[None]) -> bool:
        """Waits for a future, or for the first signal; returns whether the signal has arrived."""
        future.add_done_callback(lambda _: self._arrived.put(None))
        if self._count == 0:
            self._arrived.get()
        return self._count > 0

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Handles the signals, and restores the previous handlers."""
        before = {number: signal.signal(number, self._handle) for number in self._numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def log_drain(self, in_flight: int, drain: float) -> None:
        """Logs what the stop waits for, if it waits."""
        if in_flight and drain > 0:
            calls = "1 call" if in_flight == 1 else f"{in_flight} calls"
            self._log.info(
                "waiting for %s, at most %g s; press Ctrl-C again to stop now", calls, drain
            )

    def _handle(self, number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        # Counted first: the next signal may interrupt this handler.
        self._count += 1
        if self._count == 1:
            self._log.info("received %s: stopping", name)
            self._arrived.put(None)
            return
        self._log.warning("received %s again: stopping now", name)
        self.exit_code = 128 + number
        self._stop_now()
