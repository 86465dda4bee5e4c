"""A node for tests: starts the binary on a free port, with a temporary store."""

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
    """The path of the node's binary: `CIDERY_BINARY`, beside the interpreter, or on `PATH`."""
    beside = Path(sysconfig.get_path("scripts")) / "cidery"
    found = os.environ.get("CIDERY_BINARY") or (str(beside) if beside.exists() else None)
    found = found or shutil.which("cidery")
    if found is None:
        raise FileNotFoundError("`cidery` is not on PATH, and CIDERY_BINARY is not set")
    return found


class Node:
    """A node that runs until it is stopped; it can be killed and restarted on the same store.

    `arguments` are passed to `cidery serve`; `demo` adds the demo services.
    """

    def __init__(self, *arguments: str, demo: bool = False) -> None:
        self._arguments = [*arguments, *(["--demo"] if demo else [])]
        self._binary = binary()
        self._folder = tempfile.TemporaryDirectory(prefix="cidery-")
        self._process: subprocess.Popen[str] | None = None
        self.address: str = "127.0.0.1:0"
        self.start()

    def start(self) -> Node:
        """Starts the node; after a restart it listens on the same address."""
        command = [self._binary, "serve", "--listen", self.address, "--data-dir", self._folder.name]
        # Its log goes to the standard error of the tests.
        self._process = subprocess.Popen(
            [*command, *self._arguments], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line.startswith(_SAYS):
            self.kill()
            raise RuntimeError(f"the node did not start; its output was {line!r}")
        self.address = line.removeprefix(_SAYS)
        return self

    def client(self, **options: Any) -> Client:
        """A client of the node."""
        return Client(self.address, **options)

    def kill(self) -> None:
        """Kills the process, as a crash does."""
        self._end(kill=True)

    def stop(self) -> None:
        """Stops the node, and removes its store."""
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
