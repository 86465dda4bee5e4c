"""A worker for tests of the console: a program with the Python SDK, in a process."""

from __future__ import annotations

import os
import subprocess
import textwrap
from pathlib import Path

from node import Node

PYTHON = Path(os.environ.get("CIDERY_SDK", "."), "python")


class Serving:
    """Serves what the source declares, until it is stopped."""

    def __init__(self, node: Node, source: str, services: str, **options: object) -> None:
        given = "".join(f", {name}={value!r}" for name, value in options.items())
        head = "import sys, threading\nfrom cidery import Worker, service\n"
        program = f"""
            with Worker({services}, node={node.address!r}{given}):
                print("serving", flush=True)
                sys.stdin.read()
        """
        program = head + textwrap.dedent(source) + textwrap.dedent(program)
        self.process = subprocess.Popen(
            [str(PYTHON), "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line != "serving\n":
            self.stop()
            raise RuntimeError("the worker did not start: its failure is on standard error")

    def stop(self) -> None:
        """Ends it without a word, as a crash does."""
        self.process.kill()
        self.process.communicate()
