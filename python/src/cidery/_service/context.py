"""The context of a handler: its invocation, and its access to the platform."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, overload

if TYPE_CHECKING:
    import concurrent.futures

    from cidery._protocol.options import DataFormat
    from cidery._protocol.progress import Progress
    from cidery._protocol.steps import Operation, Reply, UnaryCall
    from cidery.v1 import invocation_pb2

T = TypeVar("T")


@dataclass(frozen=True)
class InvocationInfo:
    """An invocation as it is known before its handler runs."""

    cid: str
    service: str
    raw: Any
    """The input before parsing: a dict, a list or a scalar; the text of a document."""
    data_format: DataFormat
    attempt: int = 1
    until: float | None = None
    """The deadline of the handler, on the monotonic clock."""
    metadata: dict[str, str] = field(default_factory=dict)
    parent_cid: str = ""
    root_cid: str = ""
    in_reply_to: str = ""
    in_reply_to_service: str = ""
    in_reply_to_attempt: int = 0
    asynchronous: bool = False
    last_progress: Progress | None = None
    principal: str = ""
    acting_principal: str = ""
    path: str = ""
    """For a nested call: the services from the root of the call chain to this one."""
    traceparent: str = ""
    """The W3C trace context of the call. With OpenTelemetry the handler has a span of its own."""
    tracestate: str = ""

    @property
    def seconds_left(self) -> float | None:
        """The time until the deadline."""
        return None if self.until is None else max(0.0, self.until - time.monotonic())


class Platform(Protocol):
    """The access of a handler to the platform: a dispatch, or a fake in tests."""

    @property
    def cancelled(self) -> threading.Event:
        """Set when the handler is cancelled."""

    @property
    def token(self) -> str:
        """The token of the dispatch: it authorizes giving the outcome later."""

    def call(self, call: UnaryCall) -> concurrent.futures.Future[Reply]:
        """Makes a nested call."""

    def follow_up(self, request: invocation_pb2.InvokeAsyncRequest) -> None:
        """Stores a follow-up, which is accepted together with the outcome."""

    def serves(self, service: str) -> bool:
        """Whether this process serves a service."""

    def progress(self, progress: Progress) -> None:
        """Reports progress."""

    def emit(self, item: Any) -> None:
        """Emits an item."""


class ReadOnly(Generic[T]):
    """A read-only attribute of a service.

    Unlike a property it can be shadowed: the author of a service may define an attribute or a
    method of the same name.
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
        """Whether the handler is cancelled."""

    def _drive(self, operation: Operation[Any]) -> Any:
        """Drives an operation; returns an awaitable if the handler is a coroutine."""
