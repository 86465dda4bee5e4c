"""`isolation = "process"`: handlers in processes, which are killed when they do not end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_process import Run

from cidery import AsyncService, CideryError, Client, EventKind, Service
from cidery._service.definition import Definition
from cidery.testing import Node

WAIT = 20.0

SERVICES = """
import os, pathlib, time
from cidery import Service

class Fast(Service):
    name = "isolated.fast"
    isolation = "process"
    def handle(self):
        self.logger.info("runs in %d", os.getpid())
        self.emit({"a": 1})
        self.progress(0.5, "half")
        return {"pid": os.getpid(), "cid": self.cid, "nested": self.invoke("isolated.other", x=1)}

class Other(Service):
    name = "isolated.other"
    def handle(self):
        return {"pid": os.getpid(), "payload": self.request.payload}

class Stuck(Service):
    name = "isolated.stuck"
    isolation = "process"
    timeout = 0.2
    def handle(self):
        pathlib.Path(self.request.payload.begun).write_text(str(os.getpid()))
        time.sleep(60)

class Asked(Service):
    name = "isolated.asked"
    isolation = "process"
    timeout = 0.2
    def handle(self):
        self.cancelled.wait(60)
        self.logger.info("was cancelled")

class Dies(Service):
    name = "isolated.dies"
    isolation = "process"
    def handle(self):
        os._exit(7)

class Raises(Service):
    name = "isolated.raises"
    isolation = "process"
    def handle(self):
        raise ValueError("no")

class Timed(Service):
    name = "isolated.timed"
    timeout = 10
    def handle(self):
        return {"pid": os.getpid(), "parent": os.getppid()}

class Untimed(Service):
    name = "isolated.untimed"
    def handle(self):
        return {"pid": os.getpid(), "parent": os.getppid()}
"""


def wait_until_gone(pid: int) -> None:
    """Waits until a process has ended, and its parent knows."""
    deadline = time.monotonic() + WAIT
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("isolated") / "isolated_services.py"
    file.write_text(SERVICES)
    return file


@pytest.fixture(scope="module")
def run(node: Node, module: Path) -> Iterator[Run]:
    run = Run(node.address, module)
    run.wait_for("serving 8 services")
    yield run
    assert run.stop() == 0


def test_a_handler_runs_in_a_process_with_all_of_its_context(run: Run, client: Client) -> None:
    cid = client.invoke_async("isolated.fast")
    events = [event.kind for event in client.results(cid)]
    assert EventKind.ITEM in events
    assert EventKind.PROGRESS in events
    got = client.result(cid, wait=WAIT)
    assert got.cid == cid
    assert got.pid != run.process.pid
    assert got.nested == {"pid": run.process.pid, "payload": {"x": 1}}
    line = run.wait_for(f"runs in {got.pid}")
    assert "INFO isolated.fast: runs in" in line
    assert f"cid={cid}" in line
    # The process is reused.
    assert client.invoke("isolated.fast").pid == got.pid


def test_an_exception_is_a_failure_with_a_traceback_in_the_log(run: Run, client: Client) -> None:
    with pytest.raises(CideryError) as caught:
        client.invoke("isolated.raises")
    assert caught.value.reason == "HANDLER_FAILED"
    run.wait_for("ERROR cidery.worker: `isolated.raises` failed")
    assert run.wait_for("ValueError: no")


def test_a_process_that_exits_is_a_failure(run: Run, client: Client) -> None:
    with pytest.raises(CideryError, match="exited with code 7"):
        client.invoke("isolated.dies")
    assert run.wait_for("`isolated.dies` failed")


def test_a_handler_is_asked_to_stop_at_its_timeout(run: Run, client: Client) -> None:
    with pytest.raises(CideryError) as caught:
        client.invoke("isolated.asked")
    assert caught.value.reason == "DEADLINE_EXCEEDED"
    assert run.wait_for("was cancelled")


def test_a_handler_that_does_not_stop_is_killed(run: Run, client: Client, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    # The process exists: its start does not count.
    client.invoke("isolated.fast")
    with pytest.raises(CideryError) as caught:
        client.invoke("isolated.stuck", {"begun": str(begun)})
    assert caught.value.reason == "DEADLINE_EXCEEDED"
    assert run.wait_for("`isolated.stuck`, CID")
    assert run.wait_for("its process is killed")
    wait_until_gone(int(begun.read_text()))


def test_a_timeout_of_a_thread_is_a_line_at_start(run: Run) -> None:
    line = run.wait_for("a timeout ends the call, not the function")
    assert "`isolated.timed`: a timeout" in line


def test_processes_isolate_handlers_with_a_timeout(
    node: Node, client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "isolated_by_default.py"
    file.write_text(SERVICES.replace('"isolated.', '"by-default.'))
    run = Run(node.address, file, "--processes", "2", "--drain", "5")
    try:
        run.wait_for("serving 8 services", times=2)
        timed = client.invoke("by-default.timed")
        untimed = client.invoke("by-default.untimed")
    finally:
        code = run.stop()
    # One is the child of a worker, the other one is a worker, the child of the supervisor.
    assert untimed.parent == run.process.pid
    assert timed.parent not in (run.process.pid, untimed.parent)
    assert not any("a timeout ends the call" in line for line in run.lines)
    assert code == 0


def test_a_declaration_that_cannot_be_isolated_is_refused() -> None:
    class Local(Service):
        isolation = "process"

        def handle(self) -> None:
            pass

    class Coroutine(AsyncService):
        isolation = "process"

        async def handle(self) -> None:
            pass

    class Unknown(Service):
        isolation = "container"  # type: ignore[assignment]

        def handle(self) -> None:
            pass

    for service, why in (
        (Local, "local to a function"),
        (Coroutine, "a coroutine is cancelled"),
        (Unknown, "not one of `thread`, `process`"),
    ):
        with pytest.raises((TypeError, ValueError), match=why):
            Definition.of(service)
