"""What a handler is told of its invocation, and what it can ask of the platform."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

if TYPE_CHECKING:
    import concurrent.futures

    from cidery._protocol.operations import Answer, Unary
    from cidery._protocol.options import DataFormat
    from cidery._protocol.results import Progress
    from cidery.v1 import invocation_pb2

T = TypeVar("T")

current_cid: contextvars.ContextVar[str] = contextvars.ContextVar("cidery_cid", default="-")
current_service: contextvars.ContextVar[str] = contextvars.ContextVar("cidery_service", default="-")


@dataclass(frozen=True)
class Facts:
    """What is known of an invocation before its handler runs."""

    cid: str
    service: str
    raw: Any
    """The input as it came: a dict, a list, a scalar; text of a document."""
    data_format: DataFormat
    attempt: int = 1
    until: float | None = None
    """When the handler must have answered, on the monotonic clock."""
    metadata: dict[str, str] = field(default_factory=dict)
    parent_cid: str = ""
    root_cid: str = ""
    in_reply_to: str = ""
    in_reply_to_service: str = ""
    in_reply_to_attempt: int = 0
    asynchronous: bool = False
    last_progress: Progress | None = None
    principal: str = ""
    path: str = ""
    """Of a nested call: the services from the invocation's own to this one."""
    traceparent: str = ""

    @property
    def seconds_left(self) -> float | None:
        """How long the handler has, still."""
        return None if self.until is None else max(0.0, self.until - time.monotonic())


class Platform(Protocol):
    """One dispatch's way to the node, or what stands for it in a test."""

    @property
    def cancelled(self) -> threading.Event:
        """Set once the outcome is not wanted any more."""

    @property
    def token(self) -> str:
        """What names the dispatch: its outcome can be given by it from outside."""

    def call(self, unary: Unary) -> concurrent.futures.Future[Answer]:
        """Makes a nested call."""

    def follow_up(self, request: invocation_pb2.InvokeAsyncRequest) -> None:
        """Keeps it, to be accepted together with the outcome."""

    def serves(self, service: str) -> bool:
        """Whether this process serves a service."""

    def progress(self, progress: Progress) -> None:
        """Tells how far it is."""

    def emit(self, item: Any) -> None:
        """Gives an item out."""


class Told(Generic[T]):
    """Something that a service is told: read as an attribute.

    No property: who writes a service may have an attribute, or a method, of the same name.
    """

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read
        self.__doc__ = read.__doc__

    @overload
    def __get__(self, service: None, owner: type) -> Told[T]: ...

    @overload
    def __get__(self, service: object, owner: type) -> T: ...

    def __get__(self, service: object | None, owner: type) -> Told[T] | T:
        return self if service is None else self._read(service)


class CidLogger(logging.LoggerAdapter):  # type: ignore[type-arg]
    """A logger whose records carry `cid` and `service`."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Adds what the record carries."""
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs


class CidFilter(logging.Filter):
    """Gives every record `cid` and `service`: those of the handler that logs it, or `-`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Adds them."""
        if not hasattr(record, "cid"):
            record.cid = current_cid.get()
        if not hasattr(record, "service"):
            record.service = current_service.get()
        return True
