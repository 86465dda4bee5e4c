"""Session resumption: a worker whose stream breaks loses nothing."""

from __future__ import annotations

import gc
import queue
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from proxy import Proxy

from cidery import Client, EventKind, InvalidArgument, Service, Worker
from cidery._errors.status_details import to_failure
from cidery.testing import Node
from cidery.v1 import worker_pb2, worker_pb2_grpc

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
        assert client.result(cid, wait=WAIT) == {"attempt": 1, "nested": {"a": 1}}
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


class Forgetful(worker_pb2_grpc.WorkerServiceServicer):
    """A node that refuses to resume. Its first stream ends after the welcome."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.sessions: queue.Queue[str] = queue.Queue()
        self.stopped = threading.Event()

    def Serve(  # noqa: N802
        self, requests: Iterator[worker_pb2.ServeRequest], context: grpc.ServicerContext
    ) -> Iterator[worker_pb2.ServeResponse]:
        hello = next(requests).hello
        is_first = not self.seen
        self.seen.append(hello.session)
        self.sessions.put(hello.session)
        if hello.session:
            error = to_failure(InvalidArgument("RESUME_MISMATCH", "other services"))
            (info,) = (detail.SerializeToString() for detail in error.details)
            details = b"\x08\x03\x1a" + bytes([len(info)]) + info
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "other services")
        yield worker_pb2.ServeResponse(welcome=worker_pb2.Welcome(session="secret"))
        if not is_first:
            self.stopped.wait(WAIT)


def test_a_worker_that_is_not_resumed_connects_anew() -> None:
    node = Forgetful()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    worker_pb2_grpc.add_WorkerServiceServicer_to_server(node, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    worker = Worker(Long, node=f"127.0.0.1:{port}").start()
    try:
        seen = [node.sessions.get(timeout=WAIT) for _ in range(3)]
    finally:
        node.stopped.set()
        worker.stop(drain=0.1)
        server.stop(None)
    assert seen == ["", "secret", ""]
