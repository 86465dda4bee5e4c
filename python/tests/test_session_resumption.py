"""Session resumption: a worker whose stream breaks loses nothing."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from proxy import Proxy

from cidery import Client, EventKind, Service, Worker
from cidery.testing import Node

WAIT = 20.0


class Long(Service):
    name = "resume.long"
    begun = threading.Event()
    cut = threading.Event()

    def handle(self) -> Any:
        self.emit({"n": 1})
        self.begun.set()
        assert self.cut.wait(WAIT)
        self.emit({"n": 2})
        return {"attempt": self.attempt, "nested": self.invoke("cidery.echo", {"a": 1})}


def test_running_handlers_continue_when_the_stream_breaks(node: Node, client: Client) -> None:
    proxy = Proxy(node.address)
    worker = Worker(Long, node=proxy.address).start()
    try:
        before = worker.id
        cid = client.invoke_async(Long)
        assert Long.begun.wait(WAIT)
        proxy.cut()
        # A nested call would fail with the connection, since it may have been dispatched.
        assert proxy.again.wait(WAIT)
        Long.cut.set()
        events = list(client.results(cid))
        assert client.result(cid, WAIT) == {"attempt": 1, "nested": {"a": 1}}
        items = [event.payload.n for event in events if event.kind is EventKind.ITEM]
        assert items == [1, 2], "each item is taken once"
        assert [e.kind for e in events].count(EventKind.STARTED) == 1
        assert worker.id == before, "it is the same worker"
        assert proxy.connections >= 2
    finally:
        worker.stop()
        proxy.close()


def test_a_broken_stream_leaks_no_tasks(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    proxy = Proxy(node.address)
    worker = Worker(Long, node=proxy.address).start()
    try:
        proxy.cut()
        assert proxy.again.wait(WAIT)
        # Tasks that never finish are reported when they are collected.
        gc.collect()
    finally:
        worker.stop()
        proxy.close()
    # Only messages about tasks: gRPC logs late events of a loop that an earlier worker closed.
    messages = [record.getMessage() for record in caplog.records if record.name == "asyncio"]
    assert [message for message in messages if message.startswith("Task ")] == []
