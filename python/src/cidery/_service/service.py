"""Services as their authors write them: a class with `handle`.

Everything a handler can do is here: read what came in, invoke others, answer, tell how far it is.
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
from cidery._values.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Unpack

    from cidery._protocol.batch import BatchOptions, Member
    from cidery._protocol.options import RetryPolicy, Seconds
    from cidery._sio.declaration import CsvOptions, Elements
    from cidery._sio.element import EmptyStrings, UnknownKeys

_NO_NAMES: frozenset[str] = frozenset()


class Service:
    """A service: `handle` is what it does.

    Its name is `name`, or by its module and class: `my-module.get-customer`. With `async def
    handle` everything that asks the node for something is awaited.
    """

    name: ClassVar[str] = ""
    service_name: ClassVar[str] = ""
    """The name that it has in the end."""

    # What it declares: elements, names, or a class with typed fields.
    input: ClassVar[Any] = None
    output: ClassVar[Any] = None
    response_elem: ClassVar[str | None] = None
    unknown_keys: ClassVar[UnknownKeys | None] = None
    empty_strings: ClassVar[EmptyStrings | None] = None
    csv: ClassVar[CsvOptions | None] = None

    # What it asks of the nodes that serve it. A call's own value beats these.
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
        # A subclass of a service is another service.
        name = cls.__dict__.get("name") or automatic_name(cls.__module__, cls.__name__)
        cls.name = cls.service_name = name

    def handle(self) -> Any:
        """Does the work. What it answers is the response, unless that was set before."""
        raise NotImplementedError(f"`{self.service_name}` has no `handle`")

    # Hooks, in the order in which they run. The first two can stop it by raising.

    def before_handle(self) -> Any:
        """Runs first."""

    def validate_input(self) -> Any:
        """Runs before `handle`: raises what is wrong with the input."""

    def validate_output(self) -> Any:
        """Runs after `handle`: raises what is wrong with the response."""

    def after_handle(self) -> Any:
        """Runs after it, also after a failure (`self.error`); can change the response."""

    def finalize_handle(self) -> Any:
        """Runs last, whatever happened."""

    # What it is told.

    @ReadOnly
    def cid(self) -> str:
        """The CID of the invocation."""
        return self._info.cid

    @ReadOnly
    def in_reply_to(self) -> str:
        """Of a callback: the CID of the invocation whose outcome it is; else empty."""
        return self._info.in_reply_to

    @ReadOnly
    def attempt(self) -> int:
        """The number of the attempt, from 1."""
        return self._info.attempt

    @ReadOnly
    def metadata(self) -> dict[str, str]:
        """What the caller sent along."""
        return self._info.metadata

    @ReadOnly
    def facts(self) -> InvocationInfo:
        """All that is known of the invocation."""
        return self._info

    @ReadOnly
    def last_progress(self) -> Progress | None:
        """The last progress of the attempt before."""
        return self._info.last_progress

    @ReadOnly
    def cancelled(self) -> threading.Event:
        """Set once the outcome is not wanted any more: wait on it instead of sleeping."""
        return self._platform.cancelled

    @ReadOnly
    def is_cancelled(self) -> bool:
        """Whether the outcome is not wanted any more."""
        return self._is_cancelled

    @ReadOnly
    def seconds_left(self) -> float | None:
        """How long it has, still."""
        return self._info.seconds_left

    @ReadOnly
    def error(self) -> BaseException | None:
        """Why it failed, for `after_handle` and `finalize_handle`."""
        return self._error

    # What it can ask for.

    def with_options(self, **options: Any) -> Invoker:
        """Invokes with options, and has all keywords be the payload."""
        return Invoker(self, Options().updated(options))

    def invoke(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Invokes a service, by name or class, and waits for its response.

        Keywords are the payload where there is no other, and options (`timeout`, …) where there
        is. The response is a dict with dot access, mostly; a failure is raised.
        """
        options, payload = split_call(Options(), payload, inline, reserved=OPTION_NAMES)
        return self._drive(nested_calls.invoke(self, service, payload, options))

    def invoke_async(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Has a service run in the background; answers with its CID.

        `callback` (a service, or several) is invoked with the response; where none is named,
        `<this service>-async-callback` is, if there is one. `once="label"` has it accepted once,
        however often this handler is attempted; `with_outcome=True` together with this handler's
        response, and not at all where it fails.
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
        """Has many services run in the background, all of them or none: answers with a `Group`.

        Members are pairs of a service and a payload, or `Call`s with options; the same service may
        be there as often as wanted. `self.fan_out([...]).join()` waits for all of them and answers
        with their outcomes in this order; the handler's seat is free meanwhile. `on_each` (a
        service, or several) is invoked with the outcome of each member, `on_final` with all of
        them. `once="label"` has the group accepted once, however often this handler is attempted.
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
        """Has many services run in the background, each on its own.

        The outcome of each goes to `on_each`. It is a `fan_out` that nobody needs to wait for.
        """
        return self.fan_out(members, **batch_options)

    def invoke_with_retry(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Invokes a service as `invoke` does, again where it fails in a way that a repeat may mend.

        `retry_policy` says how often, and how long it waits in between; by default 5 calls in all,
        after 100 ms, then twice as long each time, at most 2 s, each wait a random part of that.
        No call begins after this handler's deadline. The last failure is raised.
        """
        options, payload = split_call(Options(), payload, inline, reserved=OPTION_NAMES)
        return self._drive(patterns.with_retry(self, service, payload, options))

    def progress(self, fraction: float | None = None, message: str = "", value: Any = None) -> None:
        """Tells how far it is: a sign of life, from which its timeout runs anew."""
        self._platform.progress(Progress(fraction, message, plain(value)))

    def emit(self, item: Any) -> None:
        """Gives an item out, to whoever follows the invocation."""
        self._platform.emit(plain(item))

    def later(self) -> Later:
        """Has somebody else give the outcome: `return` what this answers.

        Whoever gets its `cid` and `token` calls `Client.complete` with them.
        """
        return Later(self._info.cid, self._platform.token)

    def sleep(self, seconds: float = 1.0) -> Any:
        """Waits; raises `Cancelled` as soon as the outcome is not wanted any more.

        With `async def handle` it is awaited, and other coroutines run meanwhile.
        """
        if self.is_async:
            return asyncio.sleep(seconds)
        if self._platform.cancelled.wait(seconds):
            raise Cancelled("the service was cancelled", reason="CANCELLED")
        return None

    # How it is run.

    _info: InvocationInfo
    _platform: Platform
    _error: BaseException | None
    is_async: ClassVar[bool] = False

    _companions: ClassVar[tuple[type[Service], ...]] = ()
    """What is served wherever it is: another layer may need services of its own."""

    @classmethod
    def _check_payload(cls, payload: Any) -> None:
        """Refuses what no node could: it knows less of the rules of another layer."""

    @classmethod
    def _convert_input(cls, declared: Elements | None, given: Any) -> Any:
        """The input as handlers read it."""
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
    """Invokes on behalf of a handler, with options; all keywords are the payload."""

    def __init__(self, service: Service, options: Options) -> None:
        self._service = service
        self._options = options

    def invoke(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """As `Service.invoke`."""
        options, payload = split_call(self._options, payload, inline, reserved=_NO_NAMES)
        return self._service._drive(nested_calls.invoke(self._service, service, payload, options))

    def invoke_async(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """As `Service.invoke_async`."""
        options, payload = split_call(self._options, payload, inline, reserved=_NO_NAMES)
        call = nested_calls.invoke_async(self._service, service, payload, options)
        return self._service._drive(call)

    def fan_out(self, members: Iterable[Member], **batch_options: Unpack[BatchOptions]) -> Any:
        """As `Service.fan_out`: the options are those of members that have none of their own."""
        return patterns.fan_out(self._service, members, self._options, batch_options)

    def parallel(self, members: Iterable[Member], **batch_options: Unpack[BatchOptions]) -> Any:
        """As `Service.parallel`."""
        return self.fan_out(members, **batch_options)

    def invoke_with_retry(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """As `Service.invoke_with_retry`."""
        options, payload = split_call(self._options, payload, inline, reserved=_NO_NAMES)
        return self._service._drive(patterns.with_retry(self._service, service, payload, options))


def service_class_of(declared: Any) -> type[Service]:
    """The class of a service that is given as one, or as a decorated function."""
    found = getattr(declared, "service_class", declared)
    if isinstance(found, type) and issubclass(found, Service):
        return found
    raise TypeError(f"{declared!r} is no service")


def lifecycle(service: Service) -> Generator[Callable[[], Any], Any, Any]:
    """The hooks and the handler in their order; ends with the response, or with the failure."""
    outcome: BaseException | None = None
    try:
        yield service.before_handle
        yield service.validate_input
        returned = yield service.handle
        if returned is not None:
            service.response.payload = returned
        # There is nothing to validate yet: the node does, once it comes.
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
