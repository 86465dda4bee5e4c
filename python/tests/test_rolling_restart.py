"""Rolling restarts: workers that stop under load fail no call."""

from __future__ import annotations

import collections
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, TypeAlias

import grpc

from cidery import AsyncService, CideryError, Client, Service, Worker, new_cid
from cidery.testing import Node
from cidery.v1 import admin_pb2, worker_pb2, worker_pb2_grpc

Request: TypeAlias = worker_pb2.ServeRequest
Response: TypeAlias = worker_pb2.ServeResponse

WORKERS, ROUNDS, CALLERS = 2, 10, 6
PATIENCE = 60.0
DRAIN = 20.0


class Step(Service):
    name = "restarts.step"

    def handle(self) -> Any:
        return {"n": self.request.payload.n}


class Load:
    """Calls continuously from several threads, and records failures."""

    def __init__(self, node: Node) -> None:
        self.answered: collections.Counter[int] = collections.Counter()
        self.failed: list[str] = []
        self._node = node
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(n,)) for n in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _call(self, caller: int) -> None:
        with self._node.client() as client:
            while not self._ended.is_set():
                number = self.answered[caller]
                try:
                    assert client.invoke(Step, {"n": number}) == {"n": number}
                except (CideryError, AssertionError) as error:
                    self.failed.append(str(error))
                self.answered[caller] = number + 1


def test_a_rolling_restart_of_workers_fails_no_call(node: Node) -> None:
    began = time.monotonic()
    workers = [Worker(Step, node=node.address).start() for _ in range(WORKERS)]
    load = Load(node)
    try:
        for turn in range(WORKERS * ROUNDS):
            one = turn % WORKERS
            workers[one].stop(DRAIN)
            workers[one] = Worker(Step, node=node.address).start()
            if time.monotonic() - began > PATIENCE:
                break
    finally:
        load.end()
        for worker in workers:
            worker.stop(DRAIN)
    assert load.failed == []
    assert min(load.answered.values()) > 10, load.answered


class StepAsync(AsyncService):
    name = "restarts.step-async"

    async def handle(self) -> Any:
        return {"n": self.request.payload.n}


def test_a_worker_can_be_started_twice_and_restarted(node: Node, client: Client) -> None:
    worker = Worker(Step, StepAsync, node=node.address, name=new_cid())

    def listed() -> list[Any]:
        workers = client._stubs.ListWorkers(admin_pb2.ListWorkersRequest()).workers
        return [each for each in workers if each.name == worker._name]

    for _ in range(2):
        with worker.start() as same:
            assert same is worker
            assert len(listed()) == 1
            for step in (Step, StepAsync):
                assert client.invoke(step, {"n": 1}) == {"n": 1}


def test_an_idle_worker_stops_at_once(node: Node) -> None:
    worker = Worker(Step, node=node.address).start()
    began = time.monotonic()
    worker.stop(DRAIN)
    assert time.monotonic() - began < DRAIN / 4


class Scripted(worker_pb2_grpc.WorkerServiceServicer):
    """A fake node, which runs a function of the test when the worker drains."""

    def __init__(self, *turns: Callable[[Scripted], Iterator[Response]]) -> None:
        self.heard: queue.SimpleQueue[worker_pb2.DispatchResult] = queue.SimpleQueue()
        self.streams = 0
        self._turns = list(turns)

    def Serve(self, requests: Iterator[Request], context: Any) -> Iterator[Response]:  # noqa: N802
        self.streams += 1
        for request in requests:
            if request.HasField("hello"):
                yield Response(welcome=worker_pb2.Welcome(worker_id="w", session="s"))
            elif request.HasField("drain"):
                yield from self._turns.pop(0)(self)
            elif request.HasField("result"):
                self.heard.put(request.result)

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        server = grpc.server(futures.ThreadPoolExecutor(4))
        worker_pb2_grpc.add_WorkerServiceServicer_to_server(self, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()


def breaks(_: Scripted) -> Iterator[Response]:
    yield Response(drained=worker_pb2.Drained())
    raise ConnectionError


def says_nothing(_: Scripted) -> Iterator[Response]:
    yield Response()


def is_late(_: Scripted) -> Iterator[Response]:
    """A dispatch is in transit when the worker drains."""
    time.sleep(0.2)
    dispatch = worker_pb2.Dispatch(token="t", cid=new_cid(), service=Step.name, attempt=1)
    dispatch.payload.update({"n": 1})
    yield Response(dispatch=dispatch)
    yield Response(drained=worker_pb2.Drained())


def test_a_dispatch_in_transit_at_the_drain_is_answered() -> None:
    scripted = Scripted(is_late)
    with scripted.served() as address:
        Worker(Step, node=address).start().stop(DRAIN)
        assert scripted.heard.get(timeout=DRAIN).payload["n"] == 1


class Gated(Service):
    name = "restarts.gated"
    begun = threading.Event()
    go_on = threading.Event()

    def handle(self) -> None:
        self.begun.set()
        self.go_on.wait(DRAIN)


def test_the_drain_of_one_stream_does_not_apply_to_the_next() -> None:
    def gives_and_breaks(_: Scripted) -> Iterator[Response]:
        dispatch = worker_pb2.Dispatch(token="g", cid=new_cid(), service=Gated.name, attempt=1)
        yield Response(dispatch=dispatch)
        assert Gated.begun.wait(DRAIN)
        yield from breaks(_)

    scripted = Scripted(gives_and_breaks, is_late)
    with scripted.served() as address:
        worker = Worker(Step, Gated, node=address).start()
        # The new stream has a new session, which voids the dispatches in flight.
        worker.stop(DRAIN)
        assert scripted.heard.get(timeout=DRAIN).token == "t"
        assert scripted.streams == 2
        Gated.go_on.set()


def test_a_drain_ends_at_its_timeout_if_the_node_does_not_answer() -> None:
    scripted = Scripted(says_nothing)
    with scripted.served() as address:
        worker = Worker(Step, node=address).start()
        began = time.monotonic()
        worker.stop(0.3)
        assert 0.25 < time.monotonic() - began < DRAIN / 2
