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
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_SERVES = b"s"


class Parent:
    """The process that started this one."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._socket = socket.socket(fileno=fd)

    def tell_serving(self) -> None:
        """Tells it that this one serves."""
        # Where it is gone, `watch` says so.
        with contextlib.suppress(OSError):
            self._socket.send(_SERVES)

    def watch(self) -> None:
        """Has this one be asked to end once it is gone."""
        threading.Thread(target=self._watch, name="cidery-parent", daemon=True).start()

    def _watch(self) -> None:
        # It says nothing: this waits for its end.
        with contextlib.suppress(OSError):
            self._socket.recv(1)
        _log.warning("the process that started this one is gone")
        os.kill(os.getpid(), signal.SIGTERM)


class Processes:
    """Keeps so many processes serving, until it is asked to end."""

    def __init__(self, command: list[str], name: str, count: int) -> None:
        name = name or f"worker-{os.getpid()}"
        self._asked = threading.Event()
        self._serves = threading.Event()
        self._children = [
            _Child([*command, "--name", f"{name}-{n + 1}"], f"{name}-{n + 1}", self)
            for n in range(count)
        ]
        self._code = 0

    def run(self) -> int:
        """Serves; answers with the exit code: that of a process that could not start, or 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)
        threads = [threading.Thread(target=child.keep) for child in self._children]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self._code

    @property
    def is_ending(self) -> bool:
        """Whether it was asked to end."""
        return self._asked.is_set()

    def pause(self, seconds: float) -> None:
        """Waits, unless it is asked to end."""
        self._asked.wait(seconds)

    def note_serving(self) -> None:
        """Notes that one of them serves: what was named can be served."""
        self._serves.set()

    def gives_up(self, code: int) -> bool:
        """Whether it ends, since one ended with a code before any served: all would."""
        if code <= 0 or self._serves.is_set():
            return False
        self._code = max(self._code, code)
        self._end()
        return True

    def _ask(self, number: int, _: FrameType | None) -> None:
        self._end()
        _log.info("asked to end by %s", signal.Signals(number).name)

    def _end(self) -> None:
        self._asked.set()
        for child in self._children:
            child.ask()


class _Child:
    """One of them: started again whenever it ends without being told to."""

    def __init__(self, command: list[str], name: str, processes: Processes) -> None:
        self._command = command
        self._name = name
        self._processes = processes
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self) -> None:
        """Asks it to end."""
        if self._process is not None:
            self._process.terminate()

    def keep(self) -> None:
        """Starts it, and starts it again after a pause that grows while it does not stay."""
        pause = _FIRST_PAUSE
        while not self._processes.is_ending:
            began = time.monotonic()
            code = self._run()
            if self._processes.is_ending or self._processes.gives_up(code):
                return
            if time.monotonic() - began > _LONGEST_PAUSE:
                pause = _FIRST_PAUSE
            _log.error("`%s` ended with %d; started again in %g seconds", self._name, code, pause)
            self._processes.pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _run(self) -> int:
        ours, its = socket.socketpair()
        with ours:
            with its:
                fd = its.fileno()
                command = [*self._command, "--parent-fd", str(fd)]
                try:
                    self._process = subprocess.Popen(command, pass_fds=[fd])
                except OSError as error:
                    _log.error("`%s` cannot be started: %s", self._name, error)
                    return 1
            _log.info("`%s` is process %d", self._name, self._process.pid)
            # It was asked to end before there was anything to ask.
            if self._processes.is_ending:
                self.ask()
            if ours.recv(1) == _SERVES:
                self._processes.note_serving()
            return self._process.wait()
