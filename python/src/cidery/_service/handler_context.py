"""The context of a running handler: its invocation, its progress, and its calls.

Services derive from it, and functions get it as `ctx`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from cidery._errors.exceptions import Cancelled
from cidery._protocol.call_types import HandlerDefaultOptions
from cidery._protocol.options import OPTION_NAMES, Options, split_call
from cidery._protocol.progress import Progress
from cidery._protocol.tracing.trace_context import TRACEPARENT, current_trace
from cidery._service.context import InvocationInfo, Platform, ReadOnly
from cidery._service.driver import drive, drive_async
from cidery._service.handler_calls import AsyncInvoker, HandlerCalls, Invoker
from cidery._service.log_context import CidLogger
from cidery._service.request import Request
from cidery._service.response import HandlerResponse
from cidery._values.later import Later
from cidery._values.plain import to_plain

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping

    from typing_extensions import Unpack

    from cidery._protocol.steps import Operation
    from cidery._service.context import Caller

# That of a sum of fractions.
_ROUNDING_ERROR = 1e-6
_NO_NAMES: frozenset[str] = frozenset()


class BaseContext:
    """The base of `Context` and `AsyncContext`."""

    service_name: ClassVar[str] = ""
    """The name of the service, explicit or by default."""

    request: Request[Any]
    response: HandlerResponse
    logger: CidLogger

    # Read-only attributes.

    @ReadOnly
    def cid(self) -> str:
        """The CID of the invocation."""
        return self._info.cid

    @ReadOnly
    def in_reply_to(self) -> str:
        """For a callback: the CID of the invocation that it is called for; else empty."""
        return self._info.in_reply_to

    @ReadOnly
    def attempt(self) -> int:
        """The number of the attempt, from 1."""
        return self._info.attempt

    @ReadOnly
    def metadata(self) -> dict[str, str]:
        """The metadata of the call."""
        return self._info.metadata

    @ReadOnly
    def traceparent(self) -> str:
        """The W3C trace context for calls that are made past this handler's own; or empty.

        Calls of the handler, and of a `Client` in it, carry it by themselves.
        """
        return dict(current_trace()).get(TRACEPARENT, "")

    @ReadOnly
    def principal(self) -> str:
        """The principal that asked: the caller from outside. Empty where authentication is off."""
        return self._info.principal

    @ReadOnly
    def acting_principal(self) -> str:
        """The principal that makes the call: the caller, or the worker whose handler calls."""
        return self._info.acting_principal

    @ReadOnly
    def facts(self) -> InvocationInfo:
        """The invocation in full."""
        return self._info

    @ReadOnly
    def last_progress(self) -> Progress | None:
        """The last progress of the previous attempt."""
        return self._info.last_progress

    @ReadOnly
    def cancelled(self) -> threading.Event:
        """Set when the handler is cancelled; wait on it instead of sleeping."""
        return self._platform.cancelled

    @ReadOnly
    def is_cancelled(self) -> bool:
        """Whether the handler is cancelled."""
        return self._is_cancelled

    @ReadOnly
    def seconds_left(self) -> float | None:
        """The time until the deadline."""
        return self._info.seconds_left

    @ReadOnly
    def error(self) -> BaseException | None:
        """The failure, for `after_handle` and `finalize_handle`."""
        return self._error

    # Progress and async completion.

    def progress(self, fraction: float | None = None, message: str = "", value: Any = None) -> None:
        """Reports progress, which restarts the timeout of the attempt.

        `fraction` is from 0 to 1; anything else raises a `ValueError`, except rounding errors.
        """
        if fraction is not None:
            if not -_ROUNDING_ERROR <= fraction <= 1 + _ROUNDING_ERROR:
                raise ValueError(f"the fraction of a progress report is {fraction}: not 0 to 1")
            fraction = min(max(fraction, 0.0), 1.0)
        self._platform.progress(Progress(fraction, message, to_plain(value)))

    def emit(self, item: Any) -> None:
        """Emits an item to the followers of the invocation."""
        self._platform.emit(to_plain(item))

    def later(self) -> Later:
        """Defers the outcome: return the result of this method from `handle`.

        The process that gets its `cid` and `token` gives the outcome by `Client.complete`.
        """
        return Later(self._info.cid, self._platform.token)

    # Internals, used by the definition and the nested calls.

    _info: InvocationInfo
    _platform: Platform
    _error: BaseException | None
    is_async: ClassVar[bool] = False
    _request_class: ClassVar[type[Request[Any]]] = Request
    _response_class: ClassVar[type[HandlerResponse]] = HandlerResponse

    @property
    def _is_cancelled(self) -> bool:
        return self._platform.cancelled.is_set()

    def _bind(
        self, facts: InvocationInfo, platform: Platform, request: Request, response: HandlerResponse
    ) -> None:
        self._info = facts
        self._platform = platform
        self.request = request
        self.response = response
        self._error = None
        extra = {"cid": facts.cid, "service": facts.service}
        self.logger = CidLogger(logging.getLogger(self.service_name), extra)

    def _split(
        self,
        service: Any,
        args: tuple[Any, ...],
        inline: Mapping[str, Any],
        valid: Iterable[str],
    ) -> tuple[Any, Options]:
        options, payload = split_call(
            Options(), service, args, inline, reserved=OPTION_NAMES, valid=valid
        )
        return payload, options


class Context(BaseContext, Invoker):
    """The context of a handler that is a function: the parameter `ctx` of `@service`."""

    def with_options(self, **options: Unpack[HandlerDefaultOptions]) -> Invoker:
        """An invoker with default options; all keywords of its calls are the payload."""
        return _InvokerWithOptions(
            self, Options().updated(options, HandlerDefaultOptions.__annotations__)
        )

    def sleep(self, seconds: float = 1.0) -> Any:
        """Sleeps; raises `Cancelled` as soon as the handler is cancelled."""
        if self.is_async:
            return asyncio.sleep(seconds)
        if self._platform.cancelled.wait(seconds):
            raise Cancelled("CANCELLED", "the service was cancelled")
        return None

    def _caller(self) -> Caller:
        return self

    def _drive(self, operation: Operation[Any]) -> Any:
        # A `Service` whose `handle` is a coroutine awaits its calls, unknown to type checkers.
        drive_operation = drive_async if self.is_async else drive
        return drive_operation(self._platform, operation)


class AsyncContext(BaseContext, AsyncInvoker):
    """The context of a handler that is a coroutine, which awaits its calls."""

    def with_options(self, **options: Unpack[HandlerDefaultOptions]) -> AsyncInvoker:
        """An invoker with default options; all keywords of its calls are the payload."""
        return _AsyncInvokerWithOptions(
            self, Options().updated(options, HandlerDefaultOptions.__annotations__)
        )

    def sleep(self, seconds: float = 1.0) -> Coroutine[Any, Any, None]:
        """Sleeps, while other coroutines run."""
        return asyncio.sleep(seconds)

    def _caller(self) -> Caller:
        return self

    def _drive(self, operation: Operation[Any]) -> Any:
        return drive_async(self._platform, operation)


def _name_methods(context: type, *bases: type) -> None:
    """Names the inherited methods by the public class, in the messages of Python's errors."""
    for base in bases:
        for name, method in vars(base).items():
            if inspect.isfunction(method) and not name.startswith("_"):
                method.__qualname__ = f"{context.__name__}.{name}"


_name_methods(Context, BaseContext, Invoker)
_name_methods(AsyncContext, AsyncInvoker)


class _WithOptions(HandlerCalls):
    """A caller and the default options of its calls; all keywords of its calls are the payload."""

    def __init__(self, caller: Caller, options: Options) -> None:
        self._bound_caller = caller
        self._options = options

    def _caller(self) -> Caller:
        return self._bound_caller

    def _split(
        self,
        service: Any,
        args: tuple[Any, ...],
        inline: Mapping[str, Any],
        valid: Iterable[str],
    ) -> tuple[Any, Options]:
        options, payload = split_call(
            self._options, service, args, inline, reserved=_NO_NAMES, valid=valid
        )
        return payload, options


class _InvokerWithOptions(_WithOptions, Invoker):
    """The invoker of a handler that is a function."""


class _AsyncInvokerWithOptions(_WithOptions, AsyncInvoker):
    """The invoker of a handler that is a coroutine."""
