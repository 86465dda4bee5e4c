"""The connection of a worker: its stream, with reconnects and session resumption.

It has an event loop and a thread of its own, on which no handler runs: a CPU-bound handler cannot
delay heartbeats. A result is kept until the node acknowledges it, since a broken stream may lose
messages in transit.
"""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextlib
import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from cidery._client.transport import call_with_retry_async
from cidery._errors.exceptions import CideryError, Internal, InvalidArgument, Unavailable
from cidery._errors.status_details import from_failure, from_rpc_error
from cidery._protocol.channel import CHANNEL_OPTIONS, Stubs
from cidery._protocol.retry import MAX_ATTEMPTS, classify
from cidery._protocol.security.credential import NO_CREDENTIAL, Credential
from cidery._protocol.security.tls import Stamp, Tls, target
from cidery._protocol.steps import SLEEP, Reply, UnaryCall
from cidery._service.failures import log_own_failure
from cidery._worker.outage import Outage
from cidery._worker.outbox import Outbound, Outbox, Request
from cidery.v1 import worker_pb2, worker_pb2_grpc

_log = logging.getLogger("cidery.worker")

_WELCOME_TIMEOUT = 10.0
# What C core says where it could not write to a stream.
_CORE_ERROR = "Internal error from Core"
# How often a worker that starts asks for the reason of a node that ended the stream at once.
_UNREAD_TRIES = 3
_CLOSE_TIMEOUT = 5.0
_INITIAL_BACKOFF = 0.1
_MAX_BACKOFF = 5.0
# The interval of HTTP/2 keepalive pings, and the timeout of their acknowledgements.
_KEEPALIVE = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)

_EOF: Any = getattr(grpc.aio, "EOF")  # noqa: B009


@dataclass
class InFlightDispatch:
    """A dispatch whose handler runs."""

    cancel: Callable[[], None]
    items: list[worker_pb2.DispatchItem] = field(default_factory=list)
    """The emitted items, which are sent again if the stream breaks."""


class _ReasonUnread(Unavailable):
    """The node ended the stream, and its reason was lost: the next try reads it."""


class Connection:
    """The stream to a node, reopened when it breaks. Its state belongs to its own thread."""

    def __init__(
        self,
        node: str,
        hello: worker_pb2.Hello,
        handle: Callable[[worker_pb2.Dispatch, Connection], Callable[[], None]],
        credential: Credential = NO_CREDENTIAL,
        *,
        tls: Tls | None = None,
        waits_for_node: bool = False,
    ) -> None:
        self._node = node
        self._tls = tls
        self._stamp: Stamp = ()
        self._outage = Outage(node)
        self._hello = hello
        self._handle = handle
        self._credential = credential
        # Whether a node that cannot be reached at first is waited for, as one that is lost later.
        self._waits_for_node = waits_for_node
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="cidery-connection", daemon=True)
        self.welcomed: concurrent.futures.Future[None] = concurrent.futures.Future()
        """Completes when the node welcomes the worker, or refuses it."""
        self.worker_id = ""
        self._session = ""
        self._in_flight: dict[str, InFlightDispatch] = {}
        self._results: dict[str, tuple[InFlightDispatch, worker_pb2.DispatchResult]] = {}
        self._outbox: Outbox | None = None
        self._is_draining = False
        # Whether the node has acknowledged the drain: no dispatch follows.
        self._is_drained = False
        self._is_closed = False
        # Actions that other threads post to the loop.
        self._posted: collections.deque[Callable[[], None]] = collections.deque()
        self._wakeup_scheduled = False
        self._idle = threading.Event()
        self._idle.set()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    @property
    def in_flight(self) -> int:
        """The number of dispatches in flight."""
        return len(self._in_flight)

    @property
    def is_alive(self) -> bool:
        """Whether it is connected or reconnects."""
        return self._thread.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Waits for the end of the thread."""
        self._thread.join(timeout)

    # Called from other threads.

    def call(self, call: UnaryCall) -> concurrent.futures.Future[Reply]:
        """Makes a nested call."""
        return asyncio.run_coroutine_threadsafe(self._call(call), self._loop)

    def send_progress(self, request: Request) -> None:
        """Sends a progress report; it is dropped while there is no stream."""
        self._post(lambda: self._send(request))

    def send_item(self, item: worker_pb2.DispatchItem) -> None:
        """Sends an item, and keeps it in case the stream breaks."""

        def action() -> None:
            in_flight = self._in_flight.get(item.token)
            if in_flight is not None:
                in_flight.items.append(item)
                item.number = len(in_flight.items)
                self._send(Request(item=item))

        self._post(action)

    def send_result(self, result: worker_pb2.DispatchResult) -> None:
        """Sends the result of a dispatch."""

        def action() -> None:
            # The dispatch was handed back or is void: the result is discarded.
            in_flight = self._in_flight.pop(result.token, None)
            if in_flight is not None:
                self._results[result.token] = (in_flight, result)
                self._send(result)
            self._update_idle()

        self._post(action)

    def drain(self) -> None:
        """Tells the node to send no more dispatches."""

        def action() -> None:
            self._is_draining = True
            self._send(Request(drain=worker_pb2.WorkerDrain()))

        self._post(action)

    def wait_idle(self, timeout: float) -> bool:
        """Waits until no dispatch is in flight and the node has acknowledged the drain.

        Dispatches that were in transit when the drain began are waited for as well.
        """
        return self._idle.wait(timeout)

    def hand_back(self) -> None:
        """Hands the dispatches in flight back to the node, and cancels their handlers."""

        def action() -> None:
            in_flight, self._in_flight = self._in_flight, {}
            if in_flight:
                self._send(Request(hand_back=worker_pb2.HandBack(tokens=list(in_flight))))
            for each in in_flight.values():
                each.cancel()
            self._update_idle()

        self._post(action)

    def end_drain(self) -> None:
        """Hands the dispatches in flight back, and waits for none that might be in transit."""
        self.hand_back()

        def action() -> None:
            self._is_drained = True
            self._update_idle()

        self._post(action)

    def close(self) -> None:
        """Closes the stream permanently."""

        def action() -> None:
            self._is_closed = True
            if self._outbox is not None:
                self._outbox.close()
            self._wake.set()

        self._post(action)

    def _post(self, action: Callable[[], None]) -> None:
        self._posted.append(action)
        # The first of several posts wakes the loop for all of them.
        if not self._wakeup_scheduled:
            self._wakeup_scheduled = True
            # The loop is closed once the worker has stopped.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._run_posted)

    def _run_posted(self) -> None:
        # Reset first: an action that is posted from now on wakes the loop again.
        self._wakeup_scheduled = False
        while self._posted:
            self._posted.popleft()()

    # Called in the connection's own thread.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._wake = asyncio.Event()
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

    async def _serve(self) -> None:
        options = (
            *(option for option in CHANNEL_OPTIONS if "receive" not in option[0]),
            ("grpc.max_receive_message_length", self._hello.max_message_bytes),
            *_KEEPALIVE,
        )
        # One that is replaced stays open for the nested calls on it.
        async with contextlib.AsyncExitStack() as channels:
            stub = await self._open_channel(options, channels)
            backoff, unread = _INITIAL_BACKOFF, 0
            while not self._is_closed:
                if self._tls is not None and self._tls.has_changed_since(self._stamp):
                    stub = await self._open_channel(options, channels)
                try:
                    if await self._open_stream(stub):
                        backoff = _INITIAL_BACKOFF
                except CideryError as error:
                    unread = unread + 1 if isinstance(error, _ReasonUnread) else 0
                    can_wait = 0 < unread < _UNREAD_TRIES or (
                        self._waits_for_node and isinstance(error, Unavailable)
                    )
                    if not self.welcomed.done() and not can_wait:
                        self.welcomed.set_exception(error)
                        return
                    self._outage.failed(error)
                    if isinstance(error, InvalidArgument):
                        self._abandon_session()
                self._outbox = None
                self._update_idle()
                if not self._is_closed:
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(
                            self._wake.wait(), backoff * random.uniform(0.5, 1.0)
                        )
                backoff = min(backoff * 2, _MAX_BACKOFF)

    async def _open_channel(
        self, options: Sequence[tuple[str, Any]], channels: contextlib.AsyncExitStack
    ) -> Any:
        """Opens a channel with the files of TLS as they are now; returns the stub of the stream."""
        if self._tls is None:
            channel = grpc.aio.insecure_channel(self._node, options)
        else:
            # Before they are read: a change meanwhile is seen the next time.
            self._stamp = self._tls.stamp()
            credentials = self._tls.credentials()
            channel = grpc.aio.secure_channel(target(self._node), credentials, options)
        await channels.enter_async_context(channel)
        self._stubs = Stubs(channel, self._node)
        return worker_pb2_grpc.WorkerServiceStub(channel)

    def _abandon_session(self) -> None:
        """Drops all dispatches, since the node does not resume the session: the next is new."""
        self._session = ""
        self._results.clear()
        in_flight, self._in_flight = self._in_flight, {}
        for each in in_flight.values():
            each.cancel()

    async def _open_stream(self, stub: Any) -> bool:
        """Opens a stream, sends the hello, and handles messages until the stream ends."""
        outbox = Outbox()
        outbox.put(Request(hello=self._build_hello()))
        stream = stub.Serve(outbox.messages(), metadata=self._credential.metadata())
        try:
            await self._serve_stream(stream, outbox)
        finally:
            # Ends `messages`, which waits for the next message otherwise.
            outbox.close()
        return True

    async def _serve_stream(self, stream: Any, outbox: Outbox) -> None:
        try:
            first = await asyncio.wait_for(stream.read(), _WELCOME_TIMEOUT)
            if first is _EOF or not first.HasField("welcome"):
                # Raises the status of the stream, which has the reason.
                await stream.code()
                raise Unavailable("CONNECT_FAILED", "the node did not welcome the worker")
        except asyncio.TimeoutError:
            stream.cancel()
            message = "the node did not welcome the worker in time"
            raise Unavailable("CONNECT_FAILED", message) from None
        except grpc.RpcError as error:
            failure = classify(from_rpc_error(error), self._node)
            if isinstance(failure, Internal) and _CORE_ERROR in str(failure):
                # The node ended the stream before the hello was written. The failure of that write
                # stands in place of the status, which has the reason: the next try reads it.
                message = "the stream ended before the hello was sent"
                raise _ReasonUnread("CONNECT_FAILED", message) from error
            raise failure from failure.__cause__
        outbox.batches_results = worker_pb2.CAPABILITY_BATCHING in first.welcome.capabilities
        self._resume(first.welcome, outbox)
        self._outage.connected()
        if not self.welcomed.done():
            self.welcomed.set_result(None)
        await self._read_messages(stream)

    def _build_hello(self) -> worker_pb2.Hello:
        hello = worker_pb2.Hello()
        hello.CopyFrom(self._hello)
        hello.session = self._session
        hello.tokens.extend([*self._in_flight, *self._results])
        return hello

    def _resume(self, welcome: worker_pb2.Welcome, outbox: Outbox) -> None:
        """Resumes the session: keeps what the node still knows, and discards the rest."""
        self.worker_id = welcome.worker_id
        self._session = welcome.session
        self._outbox = outbox
        self._is_drained = False
        kept = set(welcome.tokens)
        for token in [token for token in self._results if token not in kept]:
            del self._results[token]
        for token in [token for token in self._in_flight if token not in kept]:
            self._in_flight.pop(token).cancel()
        for in_flight in [*self._in_flight.values(), *(r for r, _ in self._results.values())]:
            for item in in_flight.items:
                self._send(Request(item=item))
        for _, result in self._results.values():
            self._send(result)
        if self._is_draining:
            self._send(Request(drain=worker_pb2.WorkerDrain()))
        if self._is_closed:
            outbox.close()
        self._update_idle()

    async def _read_messages(self, stream: Any) -> None:
        closing: asyncio.TimerHandle | None = None
        try:
            while True:
                if self._is_closed and closing is None:
                    # Reads the stream to its end, so that the node receives all that was sent.
                    closing = self._loop.call_later(_CLOSE_TIMEOUT, stream.cancel)
                message = await stream.read()
                if message is _EOF:
                    break
                self._handle_message(message)
            if not self._is_closed:
                _log.warning("the node ended the stream; reconnecting")
        except grpc.RpcError as error:
            if not self._is_closed:
                lost = "the connection to the node was lost: %s; reconnecting"
                _log.warning(lost, from_rpc_error(error))
        except asyncio.CancelledError:
            if not stream.cancelled():
                raise
        finally:
            if closing is not None:
                closing.cancel()

    def _handle_message(self, message: worker_pb2.ServeResponse) -> None:
        for dispatch in message.dispatches:
            self._accept_dispatch(dispatch)
        kind = message.WhichOneof("message")
        if kind == "dispatch":
            self._accept_dispatch(message.dispatch)
        elif kind == "received":
            for token in message.received.tokens:
                self._results.pop(token, None)
        elif kind == "cancel":
            in_flight = self._in_flight.get(message.cancel.token)
            if in_flight is not None:
                in_flight.cancel()
        elif kind == "refused":
            self._results.pop(message.refused.token, None)
            _log.warning("the node refused a message: %s", from_failure(message.refused.failure))
        elif kind == "output_invalid":
            invalid = message.output_invalid
            log_own_failure(from_failure(invalid.failure), invalid.service, invalid.cid)
        elif kind == "drained":
            self._is_drained = True
            self._update_idle()
        elif kind == "drain":
            _log.info("the node is shutting down; the worker will reconnect")

    def _accept_dispatch(self, dispatch: worker_pb2.Dispatch) -> None:
        token = dispatch.token
        if token in self._in_flight or token in self._results:
            # The node sends a dispatch again that had arrived.
            return
        self._idle.clear()
        self._in_flight[token] = InFlightDispatch(lambda: None)
        self._in_flight[token].cancel = self._handle(dispatch, self)

    def _send(self, message: Outbound) -> None:
        if self._outbox is not None:
            self._outbox.put(message)

    def _update_idle(self) -> None:
        may_get_more = self._outbox is not None and not self._is_drained
        if self._in_flight or may_get_more:
            self._idle.clear()
        else:
            self._idle.set()

    async def _call(self, call: UnaryCall) -> Reply:
        if call.method == SLEEP:
            await asyncio.sleep(call.request)
            return Reply(None)
        return await call_with_retry_async(self._stubs, call, self._credential, MAX_ATTEMPTS)
