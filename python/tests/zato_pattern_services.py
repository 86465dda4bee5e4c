"""Services of Zato that use patterns, and their callbacks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from cidery import Client
from cidery.zato._exceptions import BadRequest
from cidery.zato._service import Service as ModelService

WAIT = 20.0
Calls = Callable[..., Any]


class Hears(ModelService):
    """Records its inputs."""

    name = "patterns.model.hears"
    heard: list[Any] = []
    more = threading.Condition()

    def handle(self) -> None:
        assert self.request.raw == self.request.payload
        assert set(self.request.input) <= set(self.request.payload)
        with Hears.more:
            Hears.heard.append((self.name, self.in_reply_to, self.request.payload))
            Hears.more.notify_all()

    @staticmethod
    def of(service: Any, count: int, found_by: Callable[[Any], bool]) -> list[Any]:
        """Waits for a number of recorded inputs that match."""

        def found() -> list[Any]:
            return [p for name, _, p in Hears.heard if name == service.name and found_by(p)]

        with Hears.more:
            assert Hears.more.wait_for(lambda: len(found()) >= count, WAIT), Hears.heard
        return found()


class HearsAsWell(Hears):
    name = "patterns.model.hears-as-well"


class HearsAsync(Hears):
    name = "patterns.model.hears-async"

    async def handle(self) -> None:  # type: ignore[override]
        Hears.handle(self)


class HearsAll(Hears):
    name = "patterns.model.hears-all"


class HearsAllAsWell(Hears):
    name = "patterns.model.hears-all-as-well"


class HearsWithRequired(Hears):
    """Declares its input as required."""

    name = "patterns.model.hears-with-required"

    class SimpleIO:
        input_required = "source", "target", "ok"
        input_optional = "phase"


class Target(ModelService):
    name = "patterns.model.target"

    def handle(self) -> None:
        given = self.request.payload
        if given.get("bad"):
            raise BadRequest(self.cid, "that is bad")
        if given.get("breaks"):
            raise ValueError("undeclared")
        self.response.payload = {"got": given, "cid": self.cid, "environ": self.environ}


class Echo(ModelService):
    name = "patterns.model.echo"

    def handle(self) -> None:
        self.response.payload = self.request.payload


class OtherTarget(Target):
    name = "patterns.model.other-target"


class Flaky(ModelService):
    """Fails a configured number of times."""

    name = "patterns.model.flaky"
    failures = 0
    calls: list[float] = []

    def handle(self) -> None:
        Flaky.calls.append(time.monotonic())
        if len(Flaky.calls) <= Flaky.failures:
            if self.request.payload.get("bad"):
                raise BadRequest(self.cid, "that is bad")
            raise ValueError("undeclared")
        self.response.payload = {"calls": len(Flaky.calls), "cid": self.cid}


class Calling(ModelService):
    """Runs a function of the test as a handler."""

    name = "patterns.model.calling"
    does: Calls = staticmethod(lambda service: None)

    def handle(self) -> None:
        self.response.payload = {"did": Calling.does(self), "cid": self.cid}


class CallingAsync(ModelService):
    name = "patterns.model.calling-async"

    async def handle(self) -> None:
        self.response.payload = {"did": await Calling.does(self), "cid": self.cid}


SERVED = (
    Hears,
    HearsAsWell,
    HearsAsync,
    HearsAll,
    HearsAllAsWell,
    HearsWithRequired,
    Echo,
    Target,
    OtherTarget,
    Flaky,
    Calling,
    CallingAsync,
)


def runs_in(service: Any, client: Client) -> Calls:
    def does(function: Calls) -> Any:
        Calling.does = staticmethod(function)
        return client.invoke(service, {}, timeout=WAIT)["did"]

    return does


def of_cid(cid: str) -> Callable[[Any], bool]:
    return lambda payload: payload.get("cid") == cid


def of_source(source: str) -> Callable[[Any], bool]:
    return lambda payload: payload.get("source") == source


def silence() -> None:
    """Resets the recorded inputs and failures."""
    with Hears.more:
        Hears.heard.clear()
    Flaky.failures, Flaky.calls = 0, []
