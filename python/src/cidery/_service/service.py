"""The base class of services.

It is the API of a handler: input, nested calls, response, progress.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, ClassVar

from cidery._errors.exceptions import Cancelled, output_invalid
from cidery._protocol.options import OPTION_NAMES, Options, split_call
from cidery._protocol.results import Progress
from cidery._protocol.steps import Operation
from cidery._service import nested_calls, patterns
from cidery._service.context import InvocationInfo, Platform, ReadOnly
from cidery._service.driver import drive, drive_async
from cidery._service.log_context import CidLogger
from cidery._service.naming import automatic_name
from cidery._service.request import Request
from cidery._service.response import HandlerResponse
from cidery._values.later import Later
from cidery._values.plain import to_plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Unpack

    from cidery._protocol.batch import BatchOptions, Member
    from cidery._protocol.options import RetryPolicy, Seconds
    from cidery._sio.declaration import CsvOptions, Elements
    from cidery._sio.element import EmptyStrings, UnknownKeys

_NO_NAMES: frozenset[str] = frozenset()


class Service:
    """A service: `handle` implements it.

    Its name is `name`, or `my-module.get-customer` by its module and class. With `async def handle`
    all calls to the node are awaited.
    """

    name: ClassVar[str] = ""
    service_name: ClassVar[str] = ""
    """The name of the service, explicit or by default."""

    # The declaration: elements, names, or a class with typed fields.
    input: ClassVar[Any] = None
    output: ClassVar[Any] = None
    response_elem: ClassVar[str | None] = None
    unknown_keys: ClassVar[UnknownKeys | None] = None
    empty_strings: ClassVar[EmptyStrings | None] = None
    csv: ClassVar[CsvOptions | None] = None

    # The options of the service. An option of a call takes precedence.
    description: ClassVar[str] = ""
    idempotent: ClassVar[bool] = False
    timeout: ClassVar[Seconds | None] = None
    attempt_timeout: ClassVar[Seconds | None] = None
    retry_policy: ClassVar[RetryPolicy | None] = None
    concurrency: ClassVar[int] = 0
    queue_length: ClassVar[int] = 0
    retention: ClassVar[Seconds | None] = None
    failure_retention: ClassVar[Seconds | None] = None
    pending_limit: ClassVar[int] = 0

    request: Request
    response: HandlerResponse
    logger: CidLogger

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A subclass of a service is a service of its own, with a name of its own.
        name = cls.__dict__.get("name") or automatic_name(cls.__module__, cls.__name__)
        cls.name = cls.service_name = name

    def handle(self) -> Any:
        """Handles the invocation. The returned value is the response, unless it is `None`."""
        raise NotImplementedError(f"`{self.service_name}` has no `handle`")

    # Hooks, in the order in which they run. The first two can refuse the input by raising.

    def before_handle(self) -> Any:
        """Runs first."""

    def validate_input(self) -> Any:
        """Runs before `handle`; raises for an invalid input."""

    def validate_output(self) -> Any:
        """Runs after `handle`; raises for an invalid response."""

    def after_handle(self) -> Any:
        """Runs after `validate_output`, also after a failure (`self.error`); can change the
        response."""

    def finalize_handle(self) -> Any:
        """Runs last, always."""

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

    # Nested calls, progress and async completion.

    def with_options(self, **options: Any) -> Invoker:
        """An invoker with default options; all keywords of its calls are the payload."""
        return Invoker(self, Options().updated(options))

    def invoke(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Invokes a service, by name or class, and waits for its response.

        Keywords are options (`timeout`, …) with a payload argument, and the payload without one.
        The response is usually a dict with dot access; a failure is raised.
        """
        options, payload = split_call(Options(), payload, inline, reserved=OPTION_NAMES)
        return self._drive(nested_calls.invoke(self, service, payload, options))

    def invoke_async(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Invokes a service in the background; returns its CID.

        `callback` (a service, or several) is invoked with the response; the default is `<this
        service>-async-callback` if that service exists. `once="label"` accepts the call once,
        however often this handler is retried; `with_outcome=True` accepts it together with the
        response of this handler, or not at all if the handler fails.
        """
        options, payload = split_call(Options(), payload, inline, reserved=OPTION_NAMES)
        return self._drive(nested_calls.invoke_async(self, service, payload, options))

    def fan_out(
        self,
        members: Iterable[Member],
        *,
        on_each: Any = None,
        on_final: Any = None,
        once: str | None = None,
        cid: str | None = None,
        idempotency_key: str | None = None,
        retention: Seconds | None = None,
    ) -> Any:
        """Invokes many services in the background; returns a `Group`. Accepts all or none.

        Members are pairs of a service and a payload, or `Call`s with options; a service may occur
        more than once. `self.fan_out([...]).join()` waits for all outcomes and returns them in
        request order; the handler releases its permit meanwhile. `on_each` (a service, or several)
        is invoked with the outcome of each member, `on_final` with all outcomes. `once="label"`
        accepts the group once, however often this handler is retried.
        """
        batch_options: BatchOptions = {
            "on_each": on_each,
            "on_final": on_final,
            "once": once,
            "cid": cid,
            "idempotency_key": idempotency_key,
            "retention": retention,
        }
        return patterns.fan_out(self, members, Options(), batch_options)

    def parallel(self, members: Iterable[Member], **batch_options: Unpack[BatchOptions]) -> Any:
        """Invokes many services in the background, without a common end.

        Each outcome goes to `on_each`. The same as `fan_out`, for callers that do not join.
        """
        return self.fan_out(members, **batch_options)

    def invoke_with_retry(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Invokes a service like `invoke`, and retries failures that a retry may fix.

        `retry_policy` sets the number of attempts and the backoff; the default is 5 attempts with
        full jitter, from 100 ms, doubling up to 2 s. No attempt begins after the deadline of this
        handler. The last failure is raised.
        """
        options, payload = split_call(Options(), payload, inline, reserved=OPTION_NAMES)
        return self._drive(patterns.with_retry(self, service, payload, options))

    def progress(self, fraction: float | None = None, message: str = "", value: Any = None) -> None:
        """Reports progress, which restarts the timeout of the attempt."""
        self._platform.progress(Progress(fraction, message, to_plain(value)))

    def emit(self, item: Any) -> None:
        """Emits an item to the followers of the invocation."""
        self._platform.emit(to_plain(item))

    def later(self) -> Later:
        """Defers the outcome: return the result of this method from `handle`.

        The process that gets its `cid` and `token` gives the outcome by `Client.complete`.
        """
        return Later(self._info.cid, self._platform.token)

    def sleep(self, seconds: float = 1.0) -> Any:
        """Sleeps; raises `Cancelled` as soon as the handler is cancelled.

        With `async def handle` it is awaited, and other coroutines run meanwhile.
        """
        if self.is_async:
            return asyncio.sleep(seconds)
        if self._platform.cancelled.wait(seconds):
            raise Cancelled("the service was cancelled", reason="CANCELLED")
        return None

    # Internals, used by the definition and the nested calls.

    _info: InvocationInfo
    _platform: Platform
    _error: BaseException | None
    is_async: ClassVar[bool] = False

    _companions: ClassVar[tuple[type[Service], ...]] = ()
    """Services that a worker serves along with this one."""

    @classmethod
    def _check_payload(cls, payload: Any) -> None:
        """A hook of Zato's services: refuses a payload by rules that no node knows."""

    @classmethod
    def _convert_input(cls, declared: Elements | None, given: Any) -> Any:
        """A hook of Zato's services: changes the converted input."""
        return given

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

    def _drive(self, operation: Operation[Any]) -> Any:
        drive_operation = drive_async if self.is_async else drive
        return drive_operation(self._platform, operation)


class Invoker:
    """Makes nested calls with default options; all keywords of its calls are the payload."""

    def __init__(self, service: Service, options: Options) -> None:
        self._service = service
        self._options = options

    def invoke(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Like `Service.invoke`."""
        options, payload = split_call(self._options, payload, inline, reserved=_NO_NAMES)
        return self._service._drive(nested_calls.invoke(self._service, service, payload, options))

    def invoke_async(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Like `Service.invoke_async`."""
        options, payload = split_call(self._options, payload, inline, reserved=_NO_NAMES)
        call = nested_calls.invoke_async(self._service, service, payload, options)
        return self._service._drive(call)

    def fan_out(self, members: Iterable[Member], **batch_options: Unpack[BatchOptions]) -> Any:
        """Like `Service.fan_out`; the options are defaults of the members."""
        return patterns.fan_out(self._service, members, self._options, batch_options)

    def parallel(self, members: Iterable[Member], **batch_options: Unpack[BatchOptions]) -> Any:
        """Like `Service.parallel`."""
        return self.fan_out(members, **batch_options)

    def invoke_with_retry(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Like `Service.invoke_with_retry`."""
        options, payload = split_call(self._options, payload, inline, reserved=_NO_NAMES)
        return self._service._drive(patterns.with_retry(self._service, service, payload, options))


def service_class_of(declared: Any) -> type[Service]:
    """The class of a service that is given as a class or as a decorated function."""
    found = getattr(declared, "service_class", declared)
    if isinstance(found, type) and issubclass(found, Service):
        return found
    raise TypeError(f"{declared!r} is not a service")


def lifecycle(service: Service) -> Generator[Callable[[], Any], Any, Any]:
    """The lifecycle of a handler: yields its hooks in order; returns the response or raises."""
    outcome: BaseException | None = None
    try:
        yield service.before_handle
        yield service.validate_input
        returned = yield service.handle
        if returned is not None:
            service.response.payload = returned
        # A response that is given later is validated by the node.
        if not service.response.is_later:
            yield service.validate_output
    except BaseException as error:
        outcome = service._error = error
    for hook in (service.after_handle, service.finalize_handle):
        try:
            yield hook
        except Exception:
            service.logger.exception("hook `%s` failed", hook.__name__)
    if outcome is not None:
        raise outcome
    try:
        return service.response.final_payload()
    except TypeError as error:
        raise output_invalid(str(error)) from error
