"""What a handler is told of its invocation, and what it can ask of the platform."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, overload

if TYPE_CHECKING:
    import concurrent.futures

    from cidery._protocol.options import DataFormat
    from cidery._protocol.results import Progress
    from cidery._protocol.steps import Operation, Reply, UnaryCall
    from cidery.v1 import invocation_pb2

T = TypeVar("T")


@dataclass(frozen=True)
class InvocationInfo:
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

    def call(self, call: UnaryCall) -> concurrent.futures.Future[Reply]:
        """Makes a nested call."""

    def follow_up(self, request: invocation_pb2.InvokeAsyncRequest) -> None:
        """Keeps it, to be accepted together with the outcome."""

    def serves(self, service: str) -> bool:
        """Whether this process serves a service."""

    def progress(self, progress: Progress) -> None:
        """Tells how far it is."""

    def emit(self, item: Any) -> None:
        """Gives an item out."""


class ReadOnly(Generic[T]):
    """Something that a service is told: read as an attribute.

    No property: who writes a service may have an attribute, or a method, of the same name.
    """

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read
        self.__doc__ = read.__doc__

    @overload
    def __get__(self, service: None, owner: type) -> ReadOnly[T]: ...

    @overload
    def __get__(self, service: object, owner: type) -> T: ...

    def __get__(self, service: object | None, owner: type) -> ReadOnly[T] | T:
        return self if service is None else self._read(service)


class Caller(Protocol):
    """A running handler on whose behalf nested calls are made: a `Service`."""

    service_name: ClassVar[str]
    is_async: ClassVar[bool]
    _info: InvocationInfo
    _platform: Platform

    @property
    def _is_cancelled(self) -> bool:
        """Whether the outcome is not wanted any more."""

    def _drive(self, operation: Operation[Any]) -> Any:
        """Carries out an operation; awaited where the handler is a coroutine."""
