"""Several worker processes, for handlers that burn CPU: one process looks after the others.

A socket connects it with each of them: by that it hears that they serve, and they that it is gone,
however it ended.
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
    """The process that started this one."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._socket = socket.socket(fileno=fd)

    def notify_serving(self) -> None:
        """Tells it that this one serves."""
        # Where it is gone, `watch` says so.
        with contextlib.suppress(OSError):
            self._socket.send(_SERVING)

    def watch(self) -> None:
        """Has this one be asked to end once it is gone."""
        threading.Thread(target=self._watch, name="cidery-parent", daemon=True).start()

    def _watch(self) -> None:
        # It says nothing: this waits for its end.
        with contextlib.suppress(OSError):
            self._socket.recv(1)
        _log.warning("the process that started this one is gone")
        os.kill(os.getpid(), signal.SIGTERM)


class Supervisor:
    """Keeps so many processes serving, until it is asked to end."""

    def __init__(self, command: list[str], name: str, count: int) -> None:
        name = name or f"worker-{os.getpid()}"
        self._stop_requested = threading.Event()
        self._has_served = threading.Event()
        self._children = [
            _ChildProcess([*command, "--name", f"{name}-{n + 1}"], f"{name}-{n + 1}", self)
            for n in range(count)
        ]
        self._exit_code = 0

    def run(self) -> int:
        """Serves; answers with the exit code: that of a process that could not start, or 0."""
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
        """Whether it was asked to end."""
        return self._stop_requested.is_set()

    def wait(self, seconds: float) -> None:
        """Waits, unless it is asked to end."""
        self._stop_requested.wait(seconds)

    def record_serving(self) -> None:
        """Notes that one of them serves: what was named can be served."""
        self._has_served.set()

    def give_up_on(self, code: int) -> bool:
        """Whether it ends, since one ended with a code before any served: all would."""
        if code <= 0 or self._has_served.is_set():
            return False
        self._exit_code = max(self._exit_code, code)
        self._stop()
        return True

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._stop()
        _log.info("asked to end by %s", signal.Signals(number).name)

    def _stop(self) -> None:
        self._stop_requested.set()
        for child in self._children:
            child.terminate()


class _ChildProcess:
    """One of them: started again whenever it ends without being told to."""

    def __init__(self, command: list[str], name: str, supervisor: Supervisor) -> None:
        self._command = command
        self._name = name
        self._supervisor = supervisor
        self._process: subprocess.Popen[bytes] | None = None

    def terminate(self) -> None:
        """Asks it to end."""
        if self._process is not None:
            self._process.terminate()

    def supervise(self) -> None:
        """Starts it, and starts it again after a pause that grows while it does not stay."""
        backoff = _INITIAL_BACKOFF
        while not self._supervisor.is_stopping:
            began = time.monotonic()
            code = self._run()
            if self._supervisor.is_stopping or self._supervisor.give_up_on(code):
                return
            if time.monotonic() - began > _MAX_BACKOFF:
                backoff = _INITIAL_BACKOFF
            _log.error("`%s` ended with %d; started again in %g seconds", self._name, code, backoff)
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
            # It was asked to end before there was anything to ask.
            if self._supervisor.is_stopping:
                self.terminate()
            if ours.recv(1) == _SERVING:
                self._supervisor.record_serving()
            return self._process.wait()
