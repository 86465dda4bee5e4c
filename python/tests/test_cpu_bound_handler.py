"""A handler that is CPU-bound for a minute, longer than heartbeats and the lease of a worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from run_process import Run

from cidery import Client, EventKind, State
from cidery.testing import Node
from cidery.v1 import admin_pb2

NAME = "burning"
WAIT = 60.0
SECONDS = 60
# Far below the calls that a healthy worker handles, and far above those of a blocked one.
ROUNDS = 20

MODULE = '''
"""What burns, and what is to be answered meanwhile."""

import time

from cidery import Service, service


class Burn(Service):
    name = "burning.burn"

    def handle(self):
        self.emit("begun")
        until = time.monotonic() + self.request.payload.seconds
        number = 0
        while time.monotonic() < until:
            number += 1
        return {"attempt": self.attempt, "cancelled": self.is_cancelled, "burned": number > 0}


class Add(Service):
    name = "burning.add"
    input, output = ("a", "b"), "sum"

    def handle(self):
        return {"sum": self.request.input.a + self.request.input.b}


@service("burning.add-async")
async def add_async(ctx, request):
    return await ctx.invoke("burning.add", a=request.a, b=request.b)


class Count(Service):
    name = "burning.count"

    def handle(self):
        for n in range(self.request.payload.to):
            self.emit(n)
        return {"to": self.request.payload.to}
'''


def worker_of(client: Client) -> Any:
    """The id and the connect time of the worker, as listed by the node."""
    listed = client._stubs.ListWorkers(admin_pb2.ListWorkersRequest()).workers
    (found,) = [worker for worker in listed if worker.name == NAME]
    assert not found.draining
    return found.id, found.connect_time.ToNanoseconds()


@pytest.mark.slow
def test_a_minute_of_cpu_delays_neither_the_stream_nor_other_calls(
    node: Node, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "burning.py").write_text(MODULE)
    run = Run(node.address, tmp_path / "burning.py", "--name", NAME, "--drain", "1")
    try:
        run.wait_for("serving 4 services")
        before = worker_of(client)
        burning = client.invoke_async("burning.burn", seconds=SECONDS)
        # The handler runs, and its items arrive.
        assert any(event.kind is EventKind.ITEM for event in client.results(burning))
        rounds = 0
        while True:
            n = rounds
            assert client.invoke("burning.add", a=n, b=1) == {"sum": n + 1}
            assert client.invoke("burning.add-async", a=n, b=2) == {"sum": n + 2}
            cid = client.invoke_async("burning.count", to=3)
            events = list(client.results(cid))
            items = [event.payload for event in events if event.kind is EventKind.ITEM]
            assert (items, client.result(cid)) == ([0, 1, 2], {"to": 3})
            assert worker_of(client) == before, "it had to connect again"
            # Counts only calls that finished while the handler ran.
            if client.get(burning).state is not State.RUNNING:
                break
            rounds += 1
        answered = client.result(burning, wait=WAIT)
        assert answered == {"attempt": 1, "cancelled": False, "burned": True}
        kinds = [event.kind for event in client.results(burning)]
        assert [kind.value for kind in kinds] == ["accepted", "started", "item", "succeeded"]
        assert rounds >= ROUNDS, rounds
        assert worker_of(client) == before
        assert [line for line in run.lines if " WARNING " in line or " ERROR " in line] == []
    finally:
        assert run.stop() == 0
