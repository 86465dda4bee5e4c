"""A supervisor of worker processes, for CPU-bound handlers.

A socket connects it with each worker process: over it a worker reports that it serves, and its end
tells the worker that the supervisor has exited.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from types import FrameType

_log = logging.getLogger("cidery.run")
_INITIAL_BACKOFF = 0.5
_MAX_BACKOFF = 30.0
_SERVING = b"s"


class ParentProcess:
    """The supervisor, as seen by a worker process."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._socket = socket.socket(fileno=fd)

    def notify_serving(self) -> None:
        """Reports that this process serves."""
        # `watch` handles a supervisor that has exited.
        with contextlib.suppress(OSError):
            self._socket.send(_SERVING)

    def watch(self) -> None:
        """Terminates this process when the supervisor exits."""
        threading.Thread(target=self._watch, name="cidery-parent", daemon=True).start()

    def _watch(self) -> None:
        # The supervisor never writes: this returns when the socket is closed.
        with contextlib.suppress(OSError):
            self._socket.recv(1)
        _log.warning("the supervisor has exited")
        os.kill(os.getpid(), signal.SIGTERM)


class Supervisor:
    """Keeps a number of worker processes running until it is stopped."""

    def __init__(self, command: list[str], name: str, count: int) -> None:
        name = name or f"worker-{os.getpid()}"
        self._stop_requested = threading.Event()
        self._has_served = threading.Event()
        self._children = [
            _ChildProcess([*command, "--name", f"{name}-{n + 1}"], f"{name}-{n + 1}", self)
            for n in range(count)
        ]
        self._exit_code = 0
        self._signals = 0

    def run(self) -> int:
        """Supervises until stopped; returns the exit code: 0, that of a process that could not
        start, or 128 and the number of a second signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        threads = [threading.Thread(target=child.supervise) for child in self._children]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self._exit_code

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop_requested.is_set()

    def wait(self, seconds: float) -> None:
        """Waits, unless it is asked to stop."""
        self._stop_requested.wait(seconds)

    def record_serving(self) -> None:
        """Records that a process serves: the services are valid."""
        self._has_served.set()

    def give_up_on(self, code: int) -> bool:
        """Stops all if a process failed before any has served: the others would fail as well."""
        if code <= 0 or self._has_served.is_set():
            return False
        self._exit_code = max(self._exit_code, code)
        self._stop()
        return True

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        # Counted first: the next signal may interrupt this handler.
        self._signals += 1
        if self._signals == 1:
            self._stop()
            _log.info("received %s: stopping", name)
            return
        _log.warning("received %s again: stopping now", name)
        self._exit_code = 128 + number
        # A worker process stops at once at its second SIGTERM.
        self._terminate()

    def _stop(self) -> None:
        self._stop_requested.set()
        self._terminate()

    def _terminate(self) -> None:
        for child in self._children:
            child.terminate()


class _ChildProcess:
    """A worker process, restarted with backoff when it exits."""

    def __init__(self, command: list[str], name: str, supervisor: Supervisor) -> None:
        self._command = command
        self._name = name
        self._supervisor = supervisor
        self._process: subprocess.Popen[bytes] | None = None

    def terminate(self) -> None:
        """Sends SIGTERM."""
        if self._process is not None:
            self._process.terminate()

    def supervise(self) -> None:
        """Starts the process, and restarts it with exponential backoff."""
        backoff = _INITIAL_BACKOFF
        while not self._supervisor.is_stopping:
            began = time.monotonic()
            code = self._run()
            if self._supervisor.is_stopping or self._supervisor.give_up_on(code):
                return
            if time.monotonic() - began > _MAX_BACKOFF:
                backoff = _INITIAL_BACKOFF
            _log.error("`%s` exited with code %d; restarting in %g s", self._name, code, backoff)
            self._supervisor.wait(backoff)
            backoff = min(backoff * 2, _MAX_BACKOFF)

    def _run(self) -> int:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                fd = theirs.fileno()
                command = [*self._command, "--parent-fd", str(fd)]
                try:
                    self._process = subprocess.Popen(command, pass_fds=[fd])
                except OSError as error:
                    _log.error("`%s` cannot be started: %s", self._name, error)
                    return 1
            _log.info("`%s` is process %d", self._name, self._process.pid)
            # The stop was requested before the process existed.
            if self._supervisor.is_stopping:
                self.terminate()
            if ours.recv(1) == _SERVING:
                self._supervisor.record_serving()
            return self._process.wait()
