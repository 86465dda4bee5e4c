"""Services and models of Zato, shared by the tests of the layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cidery import CideryError
from cidery.zato._exceptions import BadRequest
from cidery.zato._model import Model
from cidery.zato._service import Service as ModelService

WAIT = 20.0
Calls = Callable[..., Any]


def reason_of(call: Calls) -> Calls:
    """A handler that returns the reason of the failure of a call which it handles itself."""

    def handles(self: Any) -> str:
        try:
            return f"no failure: {call(self)}"
        except CideryError as error:
            return error.reason

    return handles


class Echo(ModelService):
    name = "model.echo"

    def handle(self) -> None:
        self.response.payload = self.request.payload


class Sees(ModelService):
    name = "model.sees"

    def handle(self) -> None:
        self.response.payload = {
            "cid": self.cid,
            "environ": self.environ,
            "raw": self.request.raw,
            "in_reply_to": self.in_reply_to,
            "payload": self.request.payload,
        }


class Wrapped(ModelService):
    name = "model.wrapped"

    class SimpleIO:
        output = "a"

    def handle(self) -> None:
        self.response.payload.a = "1"


class Slow(ModelService):
    name = "model.slow"

    def handle(self) -> None:
        self.sleep(WAIT)


class Fails(ModelService):
    name = "model.fails"

    def handle(self) -> None:
        if self.request.payload.get("bad"):
            raise BadRequest(self.cid, "that is bad")
        raise ValueError("undeclared")


class Recurses(ModelService):
    name = "model.recurses"

    def handle(self) -> None:
        self.response.payload = self.invoke(self.name)


CALLED: list[tuple[str, str, str, Any]] = []


class Done(ModelService):
    name = "model.done"

    def handle(self) -> None:
        CALLED.append((self.name, self.cid, self.in_reply_to, self.request.payload))


class Convention(ModelService):
    name = "model.convention"

    def handle(self) -> None:
        self.response.payload = {"cid": self.invoke_async("model.sees", {"x": 1})}


class ConventionCallback(Done):
    name = "model.convention-async-callback"


class Calling(ModelService):
    """Runs a function of the test as a handler."""

    name = "model.calling"
    does: Callable[[Any], Any] = staticmethod(lambda service: None)

    def handle(self) -> None:
        self.response.payload = {"did": type(self).does(self)}


SERVED = (
    Echo,
    Sees,
    Wrapped,
    Slow,
    Fails,
    Recurses,
    Done,
    Convention,
    ConventionCallback,
    Calling,
)


@dataclass(init=False)
class Customer(Model):
    name: str
    age: int | None = None


def made(model: Any, **fields: Any) -> Any:
    blank = model()
    for name, value in fields.items():
        setattr(blank, name, value)
    return blank
