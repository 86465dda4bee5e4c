"""The worker: serves the services of this process to a node."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Callable
from typing import Any

from cidery._errors.exceptions import CideryError, NotFound
from cidery._errors.status_details import to_failure
from cidery._protocol import channel
from cidery._protocol.security.credential import ApiKey, Credential
from cidery._protocol.security.tls import FilePath, Tls
from cidery._service.decorator import ServiceDecorator
from cidery._service.definition import Definition, describe_class
from cidery._worker.connection import Connection
from cidery._worker.dispatch import DispatchPlatform, info_from_dispatch, run_handler
from cidery._worker.handler_loop import HandlerLoop
from cidery._worker.isolated_process import ProcessOptions
from cidery._worker.isolation import IsolatedHandlers, has_zato_layer
from cidery._worker.stop_signals import StopSignals
from cidery._worker.thread_pool import ThreadPool
from cidery.v1 import worker_pb2

_log = logging.getLogger("cidery.worker")

# The largest message that it accepts: the payload limit of a node, and an envelope.
_MAX_MESSAGE_BYTES = 17 << 20
_SERVICE_PATH = re.compile(r"/services/(\d+)(/.*)?$")
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

    `node` is an address as of `Client`, by default `CIDERY_NODE`; so are `api_key`, and the
    files `ca`, `cert` and `key`. `max_in_flight` limits concurrent dispatches; one that waits
    for a nested call does not count. `drain` is the time that running handlers have when the
    worker stops; dispatches that are unfinished by then are handed back to the node.
    """

    def __init__(
        self,
        *services: Any,
        node: str | None = None,
        api_key: ApiKey | None = None,
        ca: FilePath | None = None,
        cert: FilePath | None = None,
        key: FilePath | None = None,
        insecure: bool = False,
        name: str = "",
        build_id: str = "",
        max_in_flight: int = 100,
        drain: float = 30.0,
    ) -> None:
        self.node = channel.address(node)
        self._tls = Tls.of(self.node, ca, cert, key)
        self._credential = Credential.of(
            self.node, api_key, has_tls=self._tls is not None, insecure=insecure
        )
        self._name = name or f"worker-{os.getpid()}"
        self._build_id = build_id
        self._max_in_flight = max(max_in_flight, 1)
        self._drain = drain
        self._definitions: dict[str, Definition] = {}
        self._companions: set[str] = set()
        self._connection: Connection | None = None
        self._threads = ThreadPool("cidery-handler")
        self._handler_loop = HandlerLoop()
        self._isolates_by_default = False
        self._isolated_handlers = IsolatedHandlers(
            ProcessOptions(
                node=self.node,
                api_key=api_key,
                ca=ca,
                cert=cert,
                key=key,
                insecure=insecure,
                log_level=logging.getLogger().getEffectiveLevel(),
                has_zato_layer=has_zato_layer(),
            )
        )
        for each in services:
            self.add(each)

    def add(self, declared: Any) -> Worker:
        """Adds a service: a class or a decorated function."""
        definition = Definition.of(declared)
        if definition.name in self._definitions.keys() - self._companions:
            raise ValueError(f"there are two services named `{definition.name}`")
        # A service of the author takes precedence over a companion of the same name.
        self._companions.discard(definition.name)
        self._definitions[definition.name] = definition
        for companion in definition.cls._companions:
            if companion.service_name not in self._definitions:
                self._definitions[companion.service_name] = Definition.of(companion)
                self._companions.add(companion.service_name)
        return self

    @property
    def service(self) -> ServiceDecorator:
        """The decorator `service`, which adds the function to this worker as well."""
        return ServiceDecorator(on_declared=self.add)

    @property
    def services(self) -> list[str]:
        """The names of the services, sorted."""
        return sorted(self._definitions)

    @property
    def id(self) -> str:
        """The id that the node assigned; it changes when the session could not be resumed."""
        return self._connection.worker_id if self._connection else ""

    @property
    def in_flight(self) -> int:
        """The number of dispatches in flight."""
        return self._connection.in_flight if self._connection else 0

    def start(self, timeout: float = 30.0) -> Worker:
        """Connects and serves. Returns once the node has welcomed the worker; raises its refusal.

        A lost connection is reopened, and the dispatches in flight are kept. Starting a running
        worker has no effect; a stopped one can be started again.
        """
        if self._connection is not None and self._connection.is_alive:
            return self
        self._connect().welcomed.result(timeout)
        self._warn_of_declarations()
        return self

    def _start_unless_stopped(self, signals: StopSignals) -> bool:
        """Starts, and waits for the node without a limit, unless a signal arrives before; returns
        whether it serves."""
        welcomed = self._connect(waits_for_node=True).welcomed
        if signals.wait_for(welcomed):
            return False
        welcomed.result()
        self._warn_of_declarations()
        return True

    def _connect(self, *, waits_for_node: bool = False) -> Connection:
        hello = worker_pb2.Hello(
            name=self._name,
            services=[definition.to_proto() for definition in self._definitions.values()],
            max_in_flight=self._max_in_flight,
            capabilities=_CAPABILITIES,
            build_id=self._build_id,
            max_message_bytes=_MAX_MESSAGE_BYTES,
        )
        connection = Connection(
            self.node,
            hello,
            self._handle,
            self._credential,
            tls=self._tls,
            waits_for_node=waits_for_node,
        )
        self._connection = connection
        connection.start()
        return connection

    def _warn_of_declarations(self) -> None:
        """Logs what services declare and do not get."""
        for definition in self._definitions.values():
            definition.warn_of_unused_annotations()
        names = [
            each.name
            for each in self._definitions.values()
            if each.goes_on_in_its_thread(is_isolated_by_default=self._isolates_by_default)
        ]
        if names:
            _log.warning(
                "%s: a timeout ends the call, not the function, which goes on in its thread with"
                " its side effects: check `is_cancelled`, wait with `sleep`, or set"
                ' `isolation = "process"`',
                ", ".join(f"`{name}`" for name in sorted(names)),
            )

    def stop(self, drain: float | None = None) -> None:
        """Stops: accepts no dispatches, and waits for running handlers up to the drain time."""
        connection = self._connection
        if connection is not None and connection.is_alive:
            connection.drain()
            if not connection.wait_idle(self._drain if drain is None else drain):
                connection.hand_back()
            connection.close()
            connection.join(timeout=10.0)
        self._threads.close()
        self._isolated_handlers.close()
        self._handler_loop.close()

    def stop_now(self) -> None:
        """Ends the wait of a running `stop`: the dispatches in flight are handed back to the node.

        Does not block, so that a signal handler can call it.
        """
        if self._connection is not None:
            self._connection.end_drain()

    def run(self) -> None:
        """Serves until SIGTERM or SIGINT, then stops like `stop`. A second signal ends the drain,
        and raises `SystemExit` with 128 and its number.

        The worker may start before its node: it waits for it, and logs a warning.
        """
        signals = StopSignals(_log, self.stop_now)
        with signals.handled():
            if self._start_unless_stopped(signals):
                signals.wait()
                signals.log_drain(self.in_flight, self._drain)
            self.stop()
        if signals.exit_code:
            raise SystemExit(signals.exit_code)

    def __enter__(self) -> Worker:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _refused_services(self, error: CideryError) -> dict[str, str]:
        """The services that the node refused, by name, with the violations."""
        names = list(self._definitions)
        found: dict[str, list[str]] = {}
        for violation in error.violations:
            match = _SERVICE_PATH.match(violation.path)
            if match and int(match[1]) < len(names):
                reasons = str(dataclasses.replace(violation, path=match[2] or ""))
                found.setdefault(names[int(match[1])], []).append(reasons)
        return {
            name: f"{describe_class(self._definitions[name].cls)}: {'; '.join(reasons)}"
            for name, reasons in found.items()
        }

    def _handle(self, dispatch: worker_pb2.Dispatch, connection: Connection) -> Callable[[], None]:
        """Runs the handler of a dispatch; returns a function that cancels it."""
        token = dispatch.token
        definition = self._definitions.get(dispatch.service)
        if definition is None:
            message = f"this worker does not serve `{dispatch.service}`"
            failure = to_failure(NotFound("SERVICE_UNKNOWN", message))
            connection.send_result(worker_pb2.DispatchResult(token=token, failure=failure))
            return lambda: None
        if definition.is_isolated(by_default=self._isolates_by_default):
            served = frozenset(self._definitions)
            call = self._isolated_handlers.run(definition, dispatch, served, connection)
            self._threads.submit(call.execute)
            return call.cancel
        info = info_from_dispatch(dispatch)
        platform = DispatchPlatform(connection, info, token, frozenset(self._definitions))
        if not definition.is_async:
            self._threads.submit(
                lambda: connection.send_result(run_handler(definition, info, platform, token))
            )
            return platform.cancel
        stop = self._handler_loop.run(definition, info, platform, token, connection)

        def cancel() -> None:
            platform.cancel()
            stop()

        return cancel
