"""A real node for tests: its binary, on a port of its own, with a store that goes with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from cidery._client.blocking import Client

_SAYS = "listening on "


def binary() -> str:
    """Where the node's binary is: `CIDERY_BINARY`, where pip put it, or on the path."""
    beside = Path(sysconfig.get_path("scripts")) / "cidery"
    found = os.environ.get("CIDERY_BINARY") or (str(beside) if beside.exists() else None)
    found = found or shutil.which("cidery")
    if found is None:
        raise FileNotFoundError("there is no `cidery` on the path, and no CIDERY_BINARY")
    return found


class Node:
    """A node that runs until it is stopped, or killed and started again on the same store.

    `arguments` go to `cidery serve`; `demo` adds the demo services.
    """

    def __init__(self, *arguments: str, demo: bool = False) -> None:
        self._arguments = [*arguments, *(["--demo"] if demo else [])]
        self._binary = binary()
        self._folder = tempfile.TemporaryDirectory(prefix="cidery-")
        self._process: subprocess.Popen[str] | None = None
        self.address = "127.0.0.1:0"
        self.start()

    def start(self) -> Node:
        """Starts it, on the address that it had before."""
        command = [self._binary, "serve", "--listen", self.address, "--data-dir", self._folder.name]
        # What it logs goes where the tests' own output goes.
        self._process = subprocess.Popen(
            [*command, *self._arguments], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line.startswith(_SAYS):
            self.kill()
            raise RuntimeError(f"the node did not start; it said {line!r}")
        self.address = line.removeprefix(_SAYS)
        return self

    def client(self, **options: Any) -> Client:
        """A client of it."""
        return Client(self.address, **options)

    def kill(self) -> None:
        """Ends it as a crash does."""
        self._end(kill=True)

    def stop(self) -> None:
        """Ends it, and its store."""
        self._end(kill=False)
        self._folder.cleanup()

    def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
        else:
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
