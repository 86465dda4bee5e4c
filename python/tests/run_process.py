"""`python -m cidery run` as a process, with its log."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

TIMEOUT = 20.0


class Run:
    """A worker process whose log is read continuously."""

    def __init__(self, node: str, *arguments: str | Path) -> None:
        command = [sys.executable, "-W", "error", "-m", "cidery", "run", "--node", node]
        self.process = subprocess.Popen(
            [*command, *map(str, arguments)], stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str, *, times: int = 1) -> str:
        """Waits for a number of log lines with a text; returns the last one."""
        found: list[str] = []

        def is_there() -> bool:
            found[:] = [line for line in self.lines if text in line]
            return len(found) >= times or self.process.poll() is not None

        with self._more:
            self._more.wait_for(is_there, TIMEOUT)
        assert len(found) >= times, f"{text!r} is not in its log:\n{''.join(self.lines)}"
        return found[-1]

    def stop(self) -> int:
        """Sends SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.end()

    def end(self) -> int:
        """Waits until the process has exited."""
        try:
            code = self.process.wait(TIMEOUT)
        finally:
            self.process.kill()
            self._reader.join()
            if self.process.stderr is not None:
                self.process.stderr.close()
        return code

    def wait_for_all(self) -> None:
        """Waits until the process and its children have exited."""
        self._reader.join(TIMEOUT)
        assert not self._reader.is_alive(), f"something still runs:\n{''.join(self.lines)}"

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.lines.append(line)
                self._more.notify_all()
        with self._more:
            self._more.notify_all()
