"""A thread pool without an upper limit, for handlers that are functions.

Not a `ThreadPoolExecutor`: a handler keeps its thread while it waits for a nested call, so a fixed
size deadlocks a chain of services; and its threads would block the exit of the process.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]


class ThreadPool:
    """Runs jobs, each in a thread of its own; idle threads are reused."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._idle_threads = 0
        self._lock = threading.Lock()

    def submit(self, job: Job) -> None:
        """Runs a job in an idle thread, or in a new one."""
        with self._lock:
            is_new = self._idle_threads == 0
            if not is_new:
                self._idle_threads -= 1
        self._jobs.put(job)
        if is_new:
            threading.Thread(target=self._run_jobs, name=self._name, daemon=True).start()

    def close(self) -> None:
        """Ends the idle threads; the others end after their jobs."""
        with self._lock:
            idle, self._idle_threads = self._idle_threads, 0
        for _ in range(idle):
            self._jobs.put(None)

    def _run_jobs(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            job()
            with self._lock:
                self._idle_threads += 1
