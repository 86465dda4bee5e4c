"""The stream of a worker: connects, answers, comes back with its session.

It has an event loop and a thread of its own, and nothing of the user's runs there: a handler that
burns CPU does not keep it from answering. A result is kept until the node says that it has it: a
stream that breaks may lose what was on its way.
"""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextlib
import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from cidery._client.transport import made_async
from cidery._errors.exceptions import CideryError, Unavailable
from cidery._errors.status_details import from_failure, from_rpc
from cidery._protocol.channel import CHANNEL_OPTIONS, Stubs
from cidery._protocol.retry import TRIES, told_apart
from cidery._protocol.steps import PAUSE, Answer, Unary
from cidery._worker.outbox import Outgoing, Request, Said
from cidery.v1 import worker_pb2, worker_pb2_grpc

_log = logging.getLogger("cidery.worker")

_WELCOME_TIMEOUT = 10.0
_CLOSE_TIMEOUT = 5.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
# HTTP/2 PING: how often, and how long the answer may take.
_KEEPALIVE = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)

_EOF: Any = getattr(grpc.aio, "EOF")  # noqa: B009


@dataclass
class Running:
    """A dispatch under way."""

    cancel: Callable[[], None]
    items: list[worker_pb2.DispatchItem] = field(default_factory=list)
    """What it has emitted: the node may not have it."""


class Line:
    """The stream, made again whenever it breaks. All that changes, changes in its thread."""

    def __init__(
        self,
        node: str,
        hello: worker_pb2.Hello,
        handle: Callable[[worker_pb2.Dispatch, Line], Callable[[], None]],
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._node = node
        self._hello = hello
        self._handle = handle
        self._metadata = metadata
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="cidery-line", daemon=True)
        self.welcomed: concurrent.futures.Future[None] = concurrent.futures.Future()
        """Done once the node has welcomed the worker, or said why not."""
        self.worker_id = ""
        self._session = ""
        self._running: dict[str, Running] = {}
        self._results: dict[str, tuple[Running, worker_pb2.DispatchResult]] = {}
        self._outbox: asyncio.Queue[Said | None] | None = None
        self._is_draining = False
        # The node has said that no dispatch follows.
        self._is_drained = False
        self._is_closed = False
        # What other threads have to say.
        self._posted: collections.deque[Callable[[], None]] = collections.deque()
        self._is_woken = False
        self._idle = threading.Event()
        self._idle.set()

    def start(self) -> None:
        """Begins to serve."""
        self._thread.start()

    @property
    def in_flight(self) -> int:
        """How many dispatches are under way."""
        return len(self._running)

    @property
    def is_alive(self) -> bool:
        """Whether it serves, or tries to."""
        return self._thread.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Waits until it has ended."""
        self._thread.join(timeout)

    # From other threads.

    def call(self, unary: Unary) -> concurrent.futures.Future[Answer]:
        """Makes a nested call."""
        return asyncio.run_coroutine_threadsafe(self._called(unary), self._loop)

    def show(self, request: Request) -> None:
        """Says something that is of no use later."""
        self._post(lambda: self._say(request))

    def item(self, item: worker_pb2.DispatchItem) -> None:
        """Sends an item, and keeps it: where the stream breaks it is sent again."""

        def tell() -> None:
            running = self._running.get(item.token)
            if running is not None:
                running.items.append(item)
                item.number = len(running.items)
                self._say(Request(item=item))

        self._post(tell)

    def end(self, result: worker_pb2.DispatchResult) -> None:
        """Sends the result of a dispatch."""

        def tell() -> None:
            # Handed back, or void: nobody wants it.
            running = self._running.pop(result.token, None)
            if running is not None:
                self._results[result.token] = (running, result)
                self._say(result)
            self._note_idle()

        self._post(tell)

    def drain(self) -> None:
        """Takes nothing new."""

        def tell() -> None:
            self._is_draining = True
            self._say(Request(drain=worker_pb2.WorkerDrain()))

        self._post(tell)

    def wait_idle(self, timeout: float) -> bool:
        """Waits until nothing is under way, and nothing more can come.

        What was on its way when the worker said that it drains would be lost otherwise.
        """
        return self._idle.wait(timeout)

    def hand_back(self) -> None:
        """Gives back what is under way, and stops it."""

        def tell() -> None:
            running, self._running = self._running, {}
            if running:
                self._say(Request(hand_back=worker_pb2.HandBack(tokens=list(running))))
            for each in running.values():
                each.cancel()
            self._note_idle()

        self._post(tell)

    def close(self) -> None:
        """Ends the stream, for good."""

        def tell() -> None:
            self._is_closed = True
            if self._outbox is not None:
                self._outbox.put_nowait(None)
            self._wake.set()

        self._post(tell)

    def _post(self, tell: Callable[[], None]) -> None:
        self._posted.append(tell)
        # Whoever is first wakes the loop, for all who come before it looks.
        if not self._is_woken:
            self._is_woken = True
            # The loop is closed once the worker has stopped: then nobody listens.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._hear_posted)

    def _hear_posted(self) -> None:
        # Before it looks: what is posted from now on wakes the loop again.
        self._is_woken = False
        while self._posted:
            self._posted.popleft()()

    # In its own thread.

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
        async with grpc.aio.insecure_channel(self._node, options) as channel:
            self._stubs = Stubs(channel)
            stub = worker_pb2_grpc.WorkerServiceStub(channel)
            pause = _FIRST_PAUSE
            while not self._is_closed:
                try:
                    if await self._connected(stub):
                        pause = _FIRST_PAUSE
                except CideryError as error:
                    if not self.welcomed.done():
                        self.welcomed.set_exception(error)
                        return
                    _log.warning("the worker is not connected; trying again: %s", error)
                self._outbox = None
                self._note_idle()
                if not self._is_closed:
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _connected(self, stub: Any) -> bool:
        """Makes a stream, says hello, and does what the node says until it ends."""
        outbox: asyncio.Queue[Said | None] = asyncio.Queue()
        outbox.put_nowait(Request(hello=self._hello_again()))
        outgoing = Outgoing(outbox)
        stream = stub.Serve(outgoing.messages(), metadata=self._metadata)
        try:
            await self._served(stream, outgoing)
        finally:
            # What sends would wait for ever.
            outbox.put_nowait(None)
        return True

    async def _served(self, stream: Any, outgoing: Outgoing) -> None:
        try:
            first = await asyncio.wait_for(stream.read(), _WELCOME_TIMEOUT)
            if first is _EOF or not first.HasField("welcome"):
                # Its status says why.
                await stream.code()
                raise Unavailable("the node did not welcome the worker", reason="CONNECT_FAILED")
        except asyncio.TimeoutError:
            stream.cancel()
            message = "the node did not welcome the worker in time"
            raise Unavailable(message, reason="CONNECT_FAILED") from None
        except grpc.RpcError as error:
            raise told_apart(from_rpc(error)) from None
        outgoing.joins = worker_pb2.CAPABILITY_BATCHING in first.welcome.capabilities
        self._take_up(first.welcome, outgoing.outbox)
        if not self.welcomed.done():
            self.welcomed.set_result(None)
        await self._listen(stream)

    def _hello_again(self) -> worker_pb2.Hello:
        hello = worker_pb2.Hello()
        hello.CopyFrom(self._hello)
        hello.session = self._session
        hello.tokens.extend([*self._running, *self._results])
        return hello

    def _take_up(self, welcome: worker_pb2.Welcome, outbox: asyncio.Queue[Said | None]) -> None:
        """Goes on with what the node still has; everything else is void."""
        self.worker_id = welcome.worker_id
        self._session = welcome.session
        self._outbox = outbox
        self._is_drained = False
        kept = set(welcome.tokens)
        for token in [token for token in self._results if token not in kept]:
            del self._results[token]
        for token in [token for token in self._running if token not in kept]:
            self._running.pop(token).cancel()
        for running in [*self._running.values(), *(r for r, _ in self._results.values())]:
            for item in running.items:
                self._say(Request(item=item))
        for _, result in self._results.values():
            self._say(result)
        if self._is_draining:
            self._say(Request(drain=worker_pb2.WorkerDrain()))
        if self._is_closed:
            outbox.put_nowait(None)
        self._note_idle()

    async def _listen(self, stream: Any) -> None:
        closing: asyncio.TimerHandle | None = None
        try:
            while True:
                if self._is_closed and closing is None:
                    # Its end is read, so that the node has all that was sent.
                    closing = self._loop.call_later(_CLOSE_TIMEOUT, stream.cancel)
                message = await stream.read()
                if message is _EOF:
                    break
                self._hear(message)
            if not self._is_closed:
                _log.warning("the node ended the worker's stream")
        except grpc.RpcError as error:
            if not self._is_closed:
                _log.warning("the worker's stream broke: %s", from_rpc(error))
        except asyncio.CancelledError:
            if not stream.cancelled():
                raise
        finally:
            if closing is not None:
                closing.cancel()

    def _hear(self, message: worker_pb2.ServeResponse) -> None:
        for dispatch in message.dispatches:
            self._take(dispatch)
        kind = message.WhichOneof("message")
        if kind == "dispatch":
            self._take(message.dispatch)
        elif kind == "received":
            for token in message.received.tokens:
                self._results.pop(token, None)
        elif kind == "cancel":
            running = self._running.get(message.cancel.token)
            if running is not None:
                running.cancel()
        elif kind == "refused":
            self._results.pop(message.refused.token, None)
            _log.warning("the node refused something: %s", from_failure(message.refused.failure))
        elif kind == "drained":
            self._is_drained = True
            self._note_idle()
        elif kind == "drain":
            _log.info("the node stops: the worker will look for it again")

    def _take(self, dispatch: worker_pb2.Dispatch) -> None:
        token = dispatch.token
        if token in self._running or token in self._results:
            # Sent again though it had arrived.
            return
        self._idle.clear()
        self._running[token] = Running(lambda: None)
        self._running[token].cancel = self._handle(dispatch, self)

    def _say(self, request: Said) -> None:
        if self._outbox is not None:
            self._outbox.put_nowait(request)

    def _note_idle(self) -> None:
        may_get_more = self._outbox is not None and not self._is_drained
        if self._running or may_get_more:
            self._idle.clear()
        else:
            self._idle.set()

    async def _called(self, unary: Unary) -> Answer:
        if unary.method == PAUSE:
            await asyncio.sleep(unary.request)
            return Answer(None)
        return await made_async(self._stubs, unary, self._metadata, TRIES)
