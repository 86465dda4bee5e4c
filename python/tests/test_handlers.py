"""Handlers against a real node: cancellation, hooks, coroutines and CPU-bound work."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from cidery import (
    AsyncService,
    Client,
    DeadlineExceeded,
    EventKind,
    InvalidArgument,
    NotFound,
    Service,
    State,
    Worker,
    testing,
)

Serve = Callable[..., Worker]
WAIT = 20.0


class Waits(Service):
    name = "py.waits"

    def handle(self) -> Any:
        self.emit("begun")
        self.sleep(WAIT)


class WaitsAsync(AsyncService):
    name = "py.waits-async"
    ended: list[str] = []

    async def handle(self) -> Any:
        self.emit("begun")
        try:
            await asyncio.sleep(WAIT)
        except asyncio.CancelledError:
            self.ended.append(self.cid)
            raise

    def finalize_handle(self) -> None:
        self.ended.append(f"{self.cid} {self.is_cancelled}")


class NapsLong(AsyncService):
    name = "py.naps-long"

    async def handle(self) -> Any:
        self.emit("begun")
        await self.sleep(WAIT)


@pytest.mark.parametrize("waits", [Waits, WaitsAsync, NapsLong])
def test_a_handler_is_cancelled(
    waits: type[Service] | type[AsyncService], serve: Serve, client: Client
) -> None:
    worker = serve(waits)
    cid = client.invoke_async(waits)
    began = time.monotonic()
    for event in client.results(cid):
        if event.kind is EventKind.ITEM:
            client.cancel(cid)
    assert client.get(cid).state is State.CANCELLED
    assert time.monotonic() - began < 4, "it was not stopped, it ran out"
    assert worker.in_flight == 0
    if waits is WaitsAsync:
        assert WaitsAsync.ended == [cid, f"{cid} True"]


def test_a_passed_deadline_cancels_the_handler(serve: Serve, client: Client) -> None:
    serve(Waits)
    with pytest.raises(DeadlineExceeded):
        client.invoke(Waits, {}, timeout=0.2)


class Hooked(Service):
    name = "py.hooked"
    output = "said", "-error"

    def before_handle(self) -> None:
        self.order = ["before"]

    def validate_input(self) -> None:
        self.order.append("validate input")
        if "refuse" in self.request.payload:
            raise InvalidArgument("REFUSED", "refused")

    def handle(self) -> None:
        self.order.append("handle")
        if "fail" in self.request.payload:
            raise NotFound("NOT_FOUND", "gone")

    def validate_output(self) -> None:
        self.order.append("validate output")
        self.response.payload.said = []

    def after_handle(self) -> None:
        self.order.append("after")
        self.response.payload.said = list(self.order)
        LAST[:] = self.order

    def finalize_handle(self) -> None:
        LAST.append(f"finally {type(self.error).__name__}")
        raise RuntimeError("what fails here is logged")


LAST: list[str] = []


def test_hooks_run_in_their_order_also_after_a_failure(serve: Serve, client: Client) -> None:
    serve(Hooked)
    said = ["before", "validate input", "handle", "validate output", "after"]
    assert client.invoke(Hooked) == {"said": said}
    assert [*said, "finally NoneType"] == LAST
    with pytest.raises(NotFound):
        client.invoke(Hooked, {"fail": 1})
    assert LAST == ["before", "validate input", "handle", "after", "finally NotFound"]
    with pytest.raises(InvalidArgument) as caught:
        client.invoke(Hooked, {"refuse": 1})
    assert caught.value.reason == "REFUSED"
    assert LAST == ["before", "validate input", "after", "finally InvalidArgument"]


HOOKS = ["before_handle", "validate_input", "validate_output", "after_handle", "finalize_handle"]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_coroutine_hook_of_a_function_handler_is_refused(hook: str) -> None:
    class Skips(Service):
        def handle(self) -> Any:
            return {}

    async def refuses(_: Service) -> None:
        raise InvalidArgument("INVALID_ARGUMENT", "refused")

    setattr(Skips, hook, refuses)
    with pytest.raises(TypeError, match=f"Skips`.*`{hook}` is a coroutine"):
        Worker(Skips)


def test_a_hook_that_returns_a_coroutine_fails_the_call() -> None:
    async def refuses() -> None:
        raise InvalidArgument("INVALID_ARGUMENT", "refused")

    class Hides(Service):
        def validate_input(self) -> Any:
            return refuses()

        def handle(self) -> Any:
            raise AssertionError("what is to be validated first is not handled")

    with pytest.raises(TypeError, match="`validate_input` is a coroutine"):
        testing.run(Hides)


class Naps(AsyncService):
    name = "py.naps"

    async def handle(self) -> Any:
        if "wakes" in self.request.payload:
            Naps.woken.set()
            return {}
        self.emit("begun")
        nap = asyncio.ensure_future(self.sleep(WAIT))
        await Naps.woken.wait()
        nap.cancel()
        await self.sleep(0)
        return {"slept": True}

    woken: asyncio.Event


def test_a_sleeping_coroutine_lets_others_run(serve: Serve, client: Client) -> None:
    Naps.woken = asyncio.Event()
    serve(Naps)
    cid = client.invoke_async(Naps)
    for event in client.results(cid):
        if event.kind is EventKind.ITEM:
            client.invoke(Naps, {"wakes": True}, timeout=5)
    assert client.result(cid, wait=WAIT) == {"slept": True}


class Greets(Service):
    name = "py.greets"

    def handle(self) -> Any:
        return {"greeting": "hello"}


class Burns(Service):
    name = "py.burns"

    def handle(self) -> Any:
        BURNING.set()
        until = time.monotonic() + 3
        number = 0
        while time.monotonic() < until:
            number += 1
        return {"number": number}


BURNING = threading.Event()


def test_a_cpu_bound_handler_delays_neither_the_stream_nor_other_calls(
    serve: Serve, client: Client
) -> None:
    worker = serve(Burns, Greets)
    cid = client.invoke_async(Burns)
    assert BURNING.wait(WAIT)
    answered = 0
    while client.get(cid).state is State.RUNNING:
        assert client.invoke(Greets, {}, timeout=2)
        answered += 1
    assert answered > 3
    assert client.result(cid, wait=WAIT).number > 0
    assert client.get(cid).attempt == 1
    assert worker.id
