"""What the examples of docs/from-zato.md use: services, a model, and functions for handlers."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from typing import Any, Optional

from cidery import Client
from cidery.zato._exceptions import Reportable
from cidery.zato._model import Model
from cidery.zato._service import Service

__all__ = ["CIDS", "Customer", "Entity", "Wrapped", "called_back", "finished", "with_headers"]

WAIT = 20.0
CLIENTS: list[Client] = []
CIDS: list[str] = []
CALLBACKS: queue.Queue[dict[str, Any]] = queue.Queue()


class Wrapped(Service):
    name = "wrapped"

    class SimpleIO:
        output = "a"

    def handle(self) -> None:
        self.response.payload.a = "x"


class Sees(Service):
    name = "sees"

    def handle(self) -> None:
        payload = {"cid": self.cid, "environ": self.environ, "payload": self.request.payload}
        self.response.payload = payload


class Headers(Service):
    name = "headers"

    def handle(self) -> None:
        self.response.headers["x"] = "1"


class Fails(Service):
    name = "fails"

    def handle(self) -> None:
        if "status" in self.request.payload:
            raise Reportable(self.cid, "no", self.request.payload.status)
        raise ValueError("no")


class Slow(Service):
    name = "slow"

    def handle(self) -> None:
        self.sleep(WAIT)


class Recurses(Service):
    name = "recurses"

    def handle(self) -> None:
        self.invoke(self.name)


class Callback(Service):
    name = "callback"

    def handle(self) -> None:
        seen = {"in_reply_to": self.in_reply_to, "environ": self.environ}
        CALLBACKS.put({**seen, "payload": self.request.payload})


class Disabled(Service):
    name = "disabled"

    def handle(self) -> None:
        pass


SERVICES = (Wrapped, Sees, Headers, Fails, Slow, Recurses, Callback, Disabled)


@dataclass(init=False)
class Customer(Model):
    name: str
    tags: Optional[list[str]]  # noqa: UP045
    extra: Optional[dict[str, Any]]  # noqa: UP045
    nick: Optional[str]  # noqa: UP045
    age: Optional[int]  # noqa: UP045

    def after_created(self, ctx: Any) -> None:
        self.was_created = ctx.data == {"name": "a"}


class Entity:
    """An entity of a database: an object with attributes."""

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)


def finished(service: Any, cid: str) -> Any:
    """The response of a background call of `sees`."""
    CIDS.append(cid)
    return CLIENTS[-1].result(cid, wait=WAIT)


def called_back(service: Any, target: str = "sees", **options: Any) -> dict[str, Any]:
    """What the callback of a background call gets."""
    CIDS.append(service.invoke_async(target, **options))
    return CALLBACKS.get(timeout=WAIT)


def with_headers(service: Any) -> dict[str, str]:
    """The headers of a response."""
    headers: dict[str, str] = {}
    service.invoke("headers", zato_response_headers_container=headers)
    return {key: headers[key] for key in ("x",)}
