"""The process of an isolated handler: runs one handler at a time, and is killed if it does not end.

`isolation` starts it. The dispatch arrives over a pipe; progress, items, log records and the result
are sent back over it. Nested calls go to the node directly, by the token of the dispatch.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import logging
import logging.handlers
import os
import queue
import signal
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any

from cidery._client import transport
from cidery._client.blocking import Client
from cidery._protocol.steps import SLEEP, Reply, UnaryCall
from cidery._service.definition import Definition
from cidery._service.log_context import CidFilter
from cidery._worker.dispatch import DispatchPlatform, info_from_dispatch, run_handler
from cidery.v1 import worker_pb2


@dataclass(frozen=True)
class ProcessOptions:
    """What a process needs to reach its node and its services."""

    node: str
    api_key: Any = None
    ca: Any = None
    cert: Any = None
    key: Any = None
    insecure: bool = False
    log_level: int = logging.WARNING
    has_zato_layer: bool = False


@dataclass(frozen=True)
class Job:
    """A dispatch, and the class that handles it."""

    module: str
    qualname: str
    served: frozenset[str]
    dispatch: bytes


def main(pipe: Pipe, options: ProcessOptions) -> None:
    """Runs handlers until the pipe is closed."""
    # A terminal sends it to all processes; the worker decides when this one ends. Not `SIG_IGN`,
    # which programs that a handler starts would inherit.
    signal.signal(signal.SIGINT, lambda *_: None)
    if options.has_zato_layer:
        importlib.import_module("cidery.zato").install()
    _IsolatedProcess(pipe, options).run()


class _RunningJob:
    """A job, which can be cancelled before and while its handler runs."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._platform: DispatchPlatform | None = None
        self._is_cancelled = False
        self._lock = threading.Lock()

    def begin(self, platform: DispatchPlatform) -> None:
        """Sets what is cancelled."""
        with self._lock:
            self._platform = platform
            is_cancelled = self._is_cancelled
        if is_cancelled:
            platform.cancel()

    def cancel(self) -> None:
        """Cancels the handler."""
        with self._lock:
            self._is_cancelled = True
            platform = self._platform
        if platform is not None:
            platform.cancel()


class _IsolatedProcess:
    """The link to the worker: stands for the connection of a dispatch."""

    def __init__(self, pipe: Pipe, options: ProcessOptions) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        # At most one: the worker sends a job when the one before has ended.
        self._jobs: queue.SimpleQueue[_RunningJob | None] = queue.SimpleQueue()
        self._is_busy = False
        self._client = Client(
            options.node,
            api_key=options.api_key,
            ca=options.ca,
            cert=options.cert,
            key=options.key,
            insecure=options.insecure,
        )
        handler = _PipeHandler(self.send)
        handler.addFilter(CidFilter())
        root = logging.getLogger()
        root.addHandler(handler)
        root.setLevel(options.log_level)

    def run(self) -> None:
        """Runs the jobs in the main thread, while another one reads the pipe."""
        threading.Thread(target=self._read, name="cidery-pipe", daemon=True).start()
        while True:
            running = self._jobs.get()
            if running is None:
                return
            self._run_job(running)

    def _read(self) -> None:
        running: _RunningJob | None = None
        while True:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                break
            if isinstance(message, Job):
                self._is_busy = True
                running = _RunningJob(message)
                self._jobs.put(running)
            elif running is not None:
                running.cancel()
        if self._is_busy:
            # The worker has exited: the result has no receiver, and the handler may never end.
            os._exit(1)
        self._jobs.put(None)

    def _run_job(self, running: _RunningJob) -> None:
        job = running.job
        dispatch = worker_pb2.Dispatch.FromString(job.dispatch)
        info = info_from_dispatch(dispatch)
        definition = _definition(job.module, job.qualname)
        link: Any = self
        platform = DispatchPlatform(link, info, dispatch.token, job.served)
        running.begin(platform)
        result = run_handler(definition, info, platform, dispatch.token)
        self._is_busy = False
        self.send("result", result.SerializeToString())

    def send(self, kind: str, content: Any) -> None:
        """Sends a message to the worker."""
        with self._lock:
            self._pipe.send((kind, content))

    # The part of a connection that a dispatch uses.

    def call(self, call: UnaryCall) -> concurrent.futures.Future[Reply]:
        """Makes a nested call, and waits for it: a call that blocks ends with the process."""
        future: concurrent.futures.Future[Reply] = concurrent.futures.Future()
        try:
            if call.method == SLEEP:
                threading.Event().wait(call.request)
                future.set_result(Reply(None))
            else:
                client = self._client
                future.set_result(
                    transport.call_with_retry(
                        client._stubs, call, client._credential, client._max_attempts
                    )
                )
        except Exception as error:
            future.set_exception(error)
        return future

    def send_progress(self, request: worker_pb2.ServeRequest) -> None:
        """Reports progress."""
        self.send("progress", request.SerializeToString())

    def send_item(self, item: worker_pb2.DispatchItem) -> None:
        """Sends an item."""
        self.send("item", item.SerializeToString())


class _PipeHandler(logging.handlers.QueueHandler):
    """Sends log records to the worker, which handles them."""

    def __init__(self, send: Any) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self._send = send

    def enqueue(self, record: logging.LogRecord) -> None:
        """Sends a record, which `prepare` has made independent of this process."""
        self._send("log", vars(record))


def _definition(module: str, qualname: str) -> Definition:
    # The main module of the worker has another name here.
    name = "__mp_main__" if module == "__main__" else module
    found: Any = importlib.import_module(name)
    for part in qualname.split("."):
        found = getattr(found, part)
    return Definition.of(found)
