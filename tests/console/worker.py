"""A worker for the tests of the console: a process with the Python SDK."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType

from node import Node

PROGRAM = """
import importlib
import json
import sys
from cidery import Service, Worker

folder, module, names, options = json.loads(sys.argv[1])
sys.path.insert(0, folder)
found = importlib.import_module(module)
declared = [one for one in vars(found).values() if getattr(one, "__module__", None) == module]
services = [one for one in declared if isinstance(one, type) and issubclass(one, Service)]
if names:
    services = [one for one in services if one.__name__ in names]
with Worker(*services, **options):
    print("serving", flush=True)
    sys.stdin.read()
"""


class Worker:
    """A worker of a node: the services of a module in this folder, or those of the names given.

    Its services are there once it is entered. It ends without a word, as a crash does.
    """

    def __init__(self, node: Node, module: str, *names: str, **options: object) -> None:
        python = Path(os.environ["CIDERY_SDK"]) / "python"
        given = {"node": node.address, **options}
        arguments = json.dumps([str(Path(__file__).parent), module, names, given])
        self.command = [str(python), "-c", PROGRAM, arguments]

    def __enter__(self) -> Worker:
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "serving\n":
            self.kill()
            raise RuntimeError("the worker did not start: its failure is on standard error")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()
