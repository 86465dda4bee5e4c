"""A worker for the tests of the console: the Python SDK serves a file of services."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from types import TracebackType

from node import Node

FOLDER = Path(__file__).parent


class Worker:
    """A worker of a node, whose services are there once it is entered."""

    def __init__(self, node: Node, file: str) -> None:
        python = Path(os.environ["CIDERY_SDK"]) / "python"
        self.command = [str(python), "-m", "cidery", "run", str(FOLDER / file), "--node", node.url]

    def __enter__(self) -> Worker:
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        # It logs this once the node has accepted its services.
        log = [self.process.stderr.readline()]
        while " serving " not in log[-1]:
            assert log[-1], f"the worker did not start: {''.join(log)}"
            log.append(self.process.stderr.readline())
        # A pipe that nobody reads would fill up.
        self.reader = threading.Thread(target=self.process.stderr.read)
        self.reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
