"""Isolated handlers (`isolation = "process"`): each runs in a process, which can be killed.

A thread cannot be stopped: a function that is past its timeout goes on, with its side effects. A
process is asked to stop when the call is cancelled, and is killed at the end of the grace period.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import sys
import threading
from multiprocessing.connection import Connection as Pipe
from typing import TYPE_CHECKING, Any

from cidery._errors.exceptions import Cancelled, Internal
from cidery._errors.status_details import to_failure
from cidery._worker.isolated_process import Job, ProcessOptions, main
from cidery.v1 import worker_pb2

if TYPE_CHECKING:
    from cidery._service.definition import Definition
    from cidery._worker.connection import Connection

_log = logging.getLogger("cidery.worker")

GRACE_SECONDS = 4.5
"""How long a cancelled handler may go on: a bit less than the grace period of a node (5 s), after
which its outcome is void."""
_MAX_IDLE = 8
# Not `fork`: a process of gRPC has threads.
_context = multiprocessing.get_context("spawn")


class _Process:
    """A process and the pipe to it."""

    def __init__(self, options: ProcessOptions) -> None:
        self.pipe, theirs = _context.Pipe()
        self._process = _context.Process(
            target=main, args=(theirs, options), name="cidery-isolated", daemon=True
        )
        self._process.start()
        theirs.close()

    @property
    def exit_code(self) -> int | None:
        """The exit code, once it has ended."""
        self._process.join(GRACE_SECONDS)
        return self._process.exitcode

    def kill(self) -> None:
        """Kills it."""
        self._process.kill()

    def close(self) -> None:
        """Ends it: it exits when its pipe is closed."""
        self.pipe.close()


class IsolatedHandlers:
    """Runs handlers in processes, which are reused. One runs for each call in flight."""

    def __init__(self, options: ProcessOptions) -> None:
        self._options = options
        self._idle: list[_Process] = []
        self._is_closed = False
        self._lock = threading.Lock()

    def run(
        self,
        definition: Definition,
        dispatch: worker_pb2.Dispatch,
        served: frozenset[str],
        connection: Connection,
    ) -> _IsolatedCall:
        """A call that `execute` runs."""
        cls = definition.cls
        job = Job(cls.__module__, cls.__qualname__, served, dispatch.SerializeToString())
        return _IsolatedCall(self, job, dispatch, connection)

    def take(self) -> _Process:
        """An idle process, or a new one."""
        with self._lock:
            # A worker that was stopped can be started again.
            self._is_closed = False
            if self._idle:
                return self._idle.pop()
        return _Process(self._options)

    def put(self, process: _Process) -> None:
        """Keeps an idle process for the next call."""
        with self._lock:
            if not self._is_closed and len(self._idle) < _MAX_IDLE:
                self._idle.append(process)
                return
        process.close()

    def close(self) -> None:
        """Ends the idle processes, and the others after their calls."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()


class _IsolatedCall:
    """One call in a process."""

    def __init__(
        self,
        handlers: IsolatedHandlers,
        job: Job,
        dispatch: worker_pb2.Dispatch,
        connection: Connection,
    ) -> None:
        self._handlers = handlers
        self._job = job
        self._dispatch = dispatch
        self._connection = connection
        self._process: _Process | None = None
        self._is_cancelled = False
        self._has_ended = False
        self._lock = threading.Lock()

    def execute(self) -> None:
        """Runs the handler, and sends its result; blocks until it has ended."""
        try:
            process = self._handlers.take()
        except OSError as error:
            self._send_failure(Internal("HANDLER_FAILED", f"no process can be started: {error}"))
            return
        try:
            with self._lock:
                self._process = process
                process.pipe.send(self._job)
            if self._is_cancelled:
                self.cancel()
            self._forward(process.pipe)
        except (EOFError, OSError):
            self._end()
            self._send_failure(self._failure_of(process))
            process.close()
            return
        self._end()
        self._handlers.put(process)

    def cancel(self) -> None:
        """Asks the handler to stop, and kills its process after the grace period."""
        with self._lock:
            self._is_cancelled = True
            process = self._process
            if process is None or self._has_ended:
                return
            # The reader of the pipe notices that the process has ended.
            with contextlib.suppress(OSError):
                process.pipe.send("cancel")
        timer = threading.Timer(GRACE_SECONDS, self._kill)
        timer.daemon = True
        timer.start()

    def _kill(self) -> None:
        with self._lock:
            process = self._process
            if process is None or self._has_ended:
                return
            _log.warning(
                "`%s`, CID %s: its handler has not ended %g s after it was cancelled: its process"
                " is killed",
                self._dispatch.service,
                self._dispatch.cid,
                GRACE_SECONDS,
            )
            process.kill()

    def _end(self) -> None:
        with self._lock:
            self._has_ended = True

    def _forward(self, pipe: Pipe) -> None:
        """Passes the messages of the handler on, up to its result."""
        while True:
            kind, content = pipe.recv()
            if kind == "log":
                record = logging.makeLogRecord(content)
                logging.getLogger(record.name).handle(record)
            elif kind == "progress":
                self._connection.send_progress(worker_pb2.ServeRequest.FromString(content))
            elif kind == "item":
                self._connection.send_item(worker_pb2.DispatchItem.FromString(content))
            else:
                self._connection.send_result(worker_pb2.DispatchResult.FromString(content))
                return

    def _failure_of(self, process: _Process) -> Any:
        code = process.exit_code
        if self._is_cancelled:
            return Cancelled("CANCELLED", "the service was cancelled")
        _log.error(
            "`%s` failed, CID %s: its process has exited with code %s",
            self._dispatch.service,
            self._dispatch.cid,
            code,
        )
        return Internal("HANDLER_FAILED", f"the process of the handler has exited with code {code}")

    def _send_failure(self, failure: Any) -> None:
        result = worker_pb2.DispatchResult(token=self._dispatch.token, failure=to_failure(failure))
        self._connection.send_result(result)


def has_zato_layer() -> bool:
    """Whether Zato's imports resolve to the layer in this process."""
    return any(type(finder).__module__ == "cidery.zato" for finder in sys.meta_path)
