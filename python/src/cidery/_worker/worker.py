"""A worker: serves the services of this process to a node."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cidery._errors.exceptions import CideryError, NotFound
from cidery._errors.status_details import to_failure
from cidery._protocol import channel
from cidery._service.decorator import F, service
from cidery._service.definition import Definition, named
from cidery._worker.connection import Line
from cidery._worker.dispatch import DispatchPlatform, answer, facts_of
from cidery._worker.handler_loop import Coroutines
from cidery._worker.thread_pool import Threads
from cidery.v1 import worker_pb2

if TYPE_CHECKING:
    from types import FrameType

_log = logging.getLogger("cidery.worker")

# How large a message it takes: what a node sends at most, and its envelope.
_MAX_MESSAGE_BYTES = 17 << 20
_OF_SERVICE = re.compile(r"/services/(\d+)(/.*)?$")
_CAPABILITIES = (
    worker_pb2.CAPABILITY_RESUME,
    worker_pb2.CAPABILITY_CANCEL,
    worker_pb2.CAPABILITY_HAND_BACK,
    worker_pb2.CAPABILITY_DRAIN,
    worker_pb2.CAPABILITY_LATER,
    worker_pb2.CAPABILITY_BATCHING,
)


class Worker:
    """Serves services to a node.

    `node` is `host:port`, by default what `CIDERY_NODE` says. `max_in_flight` is how many
    dispatches it takes at once; one that waits for a nested call does not count. `drain` is how
    long running handlers have when it stops; what has not ended by then is handed back.
    """

    def __init__(
        self,
        *services: Any,
        node: str | None = None,
        api_key: str | None = None,
        name: str = "",
        build_id: str = "",
        max_in_flight: int = 100,
        drain: float = 30.0,
    ) -> None:
        self.node = channel.address(node)
        self._api_key = api_key
        self._name = name or f"worker-{os.getpid()}"
        self._build_id = build_id
        self._max_in_flight = max(max_in_flight, 1)
        self._drain = drain
        self._definitions: dict[str, Definition] = {}
        self._line: Line | None = None
        self._threads = Threads("cidery-handler")
        self._coroutines = Coroutines()
        for each in services:
            self.add(each)

    def add(self, declared: Any) -> Worker:
        """Adds a service: a class, or a decorated function."""
        definition = Definition.of(declared)
        if definition.name in self._definitions:
            raise ValueError(f"there are two services named `{definition.name}`")
        self._definitions[definition.name] = definition
        for companion in definition.cls._companions:
            if companion.service_name not in self._definitions:
                self.add(companion)
        return self

    def service(self, name: str | None = None, **options: Any) -> Callable[[F], F]:
        """Makes a service of a function, and adds it."""

        def decorate(function: F) -> F:
            made = service(name, **options)(function)
            self.add(made)
            return made

        return decorate

    @property
    def services(self) -> list[str]:
        """The names of its services."""
        return sorted(self._definitions)

    @property
    def id(self) -> str:
        """The id that the node gave it: another one after it could not come back in time."""
        return self._line.worker_id if self._line else ""

    @property
    def in_flight(self) -> int:
        """How many dispatches it has now."""
        return self._line.in_flight if self._line else 0

    def start(self, timeout: float = 30.0) -> Worker:
        """Connects and serves. Returns once the node has welcomed it; raises what it says else.

        A connection that is lost later is made again, and what was handed over is kept meanwhile.
        One that serves already goes on; one that was stopped serves again.
        """
        if self._line is not None and self._line.is_alive:
            return self
        hello = worker_pb2.Hello(
            name=self._name,
            services=[definition.to_proto() for definition in self._definitions.values()],
            max_in_flight=self._max_in_flight,
            capabilities=_CAPABILITIES,
            build_id=self._build_id,
            max_message_bytes=_MAX_MESSAGE_BYTES,
        )
        credentials = channel.credentials(self._api_key)
        self._line = Line(self.node, hello, self._handle, credentials)
        self._line.start()
        self._line.welcomed.result(timeout)
        return self

    def stop(self, drain: float | None = None) -> None:
        """Stops: it takes nothing new, and gives running handlers time to end."""
        line = self._line
        if line is not None and line.is_alive:
            line.drain()
            if not line.wait_idle(self._drain if drain is None else drain):
                line.hand_back()
            line.close()
            line.join(timeout=10.0)
        self._threads.close()
        self._coroutines.close()

    def run(self) -> None:
        """Serves until the process is asked to end (SIGTERM, SIGINT), then stops as `stop` does."""
        asked = threading.Event()

        def ask(number: int, _: FrameType | None) -> None:
            _log.info("asked to end by %s", signal.Signals(number).name)
            asked.set()

        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self.start()
            asked.wait()
            self.stop()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def __enter__(self) -> Worker:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _refused(self, error: CideryError) -> dict[str, str]:
        """Of what a node says of the hello: the services that it refuses, by name, and why."""
        names = list(self._definitions)
        found: dict[str, list[str]] = {}
        for violation in error.violations:
            match = _OF_SERVICE.match(violation.path)
            if match and int(match[1]) < len(names):
                said = str(dataclasses.replace(violation, path=match[2] or ""))
                found.setdefault(names[int(match[1])], []).append(said)
        return {
            name: f"{named(self._definitions[name].cls)}: {'; '.join(said)}"
            for name, said in found.items()
        }

    def _handle(self, dispatch: worker_pb2.Dispatch, line: Line) -> Callable[[], None]:
        """Runs the handler of a dispatch; answers with how to cancel it."""
        token = dispatch.token
        definition = self._definitions.get(dispatch.service)
        if definition is None:
            message = f"this worker does not serve `{dispatch.service}`"
            failure = to_failure(NotFound(message, reason="SERVICE_UNKNOWN"))
            line.end(worker_pb2.DispatchResult(token=token, failure=failure))
            return lambda: None
        facts = facts_of(dispatch)
        platform = DispatchPlatform(line, facts, token, frozenset(self._definitions))
        if not definition.is_async:
            self._threads.run(lambda: line.end(answer(definition, facts, platform, token)))
            return platform.cancel
        stop = self._coroutines.run(definition, facts, platform, token, line)

        def cancel() -> None:
            platform.cancel()
            stop()

        return cancel
