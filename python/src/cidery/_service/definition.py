"""Definitions: a service as a worker announces and runs it."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import sys
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cidery._protocol.options import (
    DataFormat,
    OnExhausted,
    RetryPolicy,
    duration,
    enum_value,
    not_one_of,
)
from cidery._protocol.tracing.handler_span import handler_span
from cidery._protocol.tracing.trace_context import handled_trace
from cidery._protocol.typed import build_typed
from cidery._service.base import BaseService, service_class_of
from cidery._service.class_declaration import (
    input_parameter,
    read_class_declaration,
    unused_annotations,
)
from cidery._service.driver import drive, drive_async
from cidery._service.handler_context import AsyncContext, Context
from cidery._service.log_context import LogContext
from cidery._service.service import AsyncService, Service
from cidery._sio.annotations import Unresolved
from cidery._sio.conversion import to_python_types
from cidery._sio.declaration import Sio
from cidery._sio.local_checks import local_part
from cidery._sio.model_fields import type_name
from cidery._sio.validation import check_input, check_output, validated_input, validated_output
from cidery._values.bunch import Bunch
from cidery._values.json_codec import parse_json
from cidery.v1 import service_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cidery._protocol.steps import Operation
    from cidery._service.context import InvocationInfo, Platform

_log = logging.getLogger("cidery.worker")
_HOOKS = ("before_handle", "validate_input", "validate_output", "after_handle", "finalize_handle")


@dataclass(frozen=True)
class Definition:
    """A service: its class and its declaration."""

    cls: type[BaseService[Any, Any]]
    name: str
    sio: Sio
    models: dict[str, Any]
    """The models that declare the input and the output, where they do."""

    @classmethod
    def of(cls, declared: Any) -> Definition:
        """Reads a class or a decorated function; errors name the service and its location."""
        service = service_class_of(declared)
        # Services of Zato have declaration rules of their own.
        read = getattr(service, "_read_declaration", read_class_declaration)
        with _with_location(service):
            if service._invalid is not None:
                raise service._invalid
            sio, models = read(service)
            input_parameter(service.handle)
            _check_coroutines(service)
            _check_isolation(service)
        return cls(service, service.service_name, sio, models)

    @functools.cached_property
    def is_async(self) -> bool:
        """Whether the handler is a coroutine."""
        return inspect.iscoroutinefunction(self.cls.handle)

    @functools.cached_property
    def _outlives_its_timeout(self) -> bool:
        """Whether it declares a timeout, and a thread would go on after it."""
        has_timeout = self.cls.timeout is not None or self.cls.attempt_timeout is not None
        return has_timeout and not self.is_async

    def is_isolated(self, *, by_default: bool) -> bool:
        """Whether its handler runs in a process: as declared, or by default if it has a timeout."""
        if self.cls.isolation is not None:
            return self.cls.isolation == "process"
        return by_default and self._outlives_its_timeout

    def goes_on_in_its_thread(self, *, is_isolated_by_default: bool) -> bool:
        """Whether the handler goes on after its timeout."""
        is_isolated = self.is_isolated(by_default=is_isolated_by_default)
        return self._outlives_its_timeout and not is_isolated

    @functools.cached_property
    def _takes_input(self) -> bool:
        """Whether `handle` gets the input as a parameter."""
        return input_parameter(self.cls.handle) is not None

    def retries(self, info: InvocationInfo) -> bool:
        """Whether attempts are left, as far as the policy of the service says."""
        policy = self.cls.retry_policy or RetryPolicy()
        return info.asynchronous and info.attempt < policy.max_attempts

    def warn_of_unused_annotations(self) -> None:
        """Logs the annotations of the handler that cannot declare its input or output."""
        for side, hint in unused_annotations(self.cls, self.sio).items():
            if isinstance(hint, Unresolved):
                _log.warning(
                    "%s: `%s` does not exist at run time and cannot declare its %s, which is not"
                    " validated: give the types as `Service[Input, Output]`",
                    describe_class(self.cls),
                    hint.name,
                    side,
                )
                continue
            _log.warning(
                "%s: `%s` cannot declare its %s, which is not validated: give a class with typed"
                " fields, a list of one, or `Any`",
                describe_class(self.cls),
                type_name(hint),
                side,
            )

    def to_proto(self) -> service_pb2.ServiceDeclaration:
        """Encodes it for the contract; errors name the service and its location."""
        with _with_location(self.cls):
            return self._proto()

    def _proto(self) -> service_pb2.ServiceDeclaration:
        cls = self.cls
        options = service_pb2.ServiceOptions(
            idempotent=cls.idempotent,
            concurrency=cls.concurrency,
            queue_length=cls.queue_length,
            pending_limit=cls.pending_limit,
            rate=cls.rate,
            burst=cls.burst,
        )
        for name in ("timeout", "attempt_timeout", "retention", "failure_retention"):
            value = getattr(cls, name)
            if value is not None:
                getattr(options, name).CopyFrom(duration(value, name))
        if cls.retry_policy is not None:
            options.retry_policy.CopyFrom(cls.retry_policy.to_proto())
        if cls.on_exhausted is not None:
            on_exhausted = enum_value(OnExhausted, cls.on_exhausted, "on_exhausted")
            options.on_exhausted = on_exhausted.to_proto()
        # The first paragraph, on one line: by convention it is the summary.
        document = inspect.cleandoc(cls.__dict__.get("__doc__") or "").partition("\n\n")[0]
        document = " ".join(document.split())
        return service_pb2.ServiceDeclaration(
            name=self.name,
            description=cls.description or document,
            sio=self.sio.to_proto(),
            options=options,
        )

    @functools.cached_property
    def _local_sio(self) -> Sio:
        """The part of the declaration that no node validates."""
        return local_part(self.sio)

    def _check_local_input(self, payload: Any) -> Any:
        """Validates the part of the input that no node validates."""
        if self._local_sio.input is None:
            return payload
        found = check_input(self._local_sio, payload)
        # By the whole declaration: it knows whether a quoted value may be a secret.
        return validated_input(self.sio, payload).value if found.violations else found.value

    def _check_local_output(self, value: Any) -> Any:
        """Validates the part of the output that no node validates; documents are not validated."""
        if not isinstance(value, (dict, list)) or self._local_sio.output is None:
            return value
        found = check_output(self._local_sio, value)
        # Adds the violations that the node would find: the value is never sent to it.
        return validated_output(self.sio, value).value if found.violations else found.value

    @functools.cached_property
    def _translate_info(self) -> Callable[[InvocationInfo], Operation[InvocationInfo]] | None:
        """The hook of Zato's services that translates the input of callbacks."""
        translate: Callable[[InvocationInfo], Operation[InvocationInfo]] | None = getattr(
            self.cls, "_translate_info", None
        )
        return translate

    def instantiate(self, info: InvocationInfo, platform: Platform) -> BaseService[Any, Any]:
        """Creates the handler of an invocation."""
        payload = info.raw
        if info.data_format is DataFormat.JSON and isinstance(payload, (str, bytes)):
            payload = parse_json(payload)
        self.cls._check_payload(payload)
        value = to_python_types(self.sio.input, self._check_local_input(payload))
        value = self.cls._convert_input(self.sio.input, value)
        model = self.models.get("input")
        if model is not None:
            value = build_typed(model, value)
        service = self.cls.__new__(self.cls)
        service.is_async = self.is_async  # type: ignore[misc]
        request = self.cls._request_class(info, Bunch.of(payload), value)
        service._bind(info, platform, request, self.cls._response_class(self.sio.output))
        init = self.cls.__init__
        if init is not object.__init__:
            init(service)
        return service

    def run(self, info: InvocationInfo, platform: Platform) -> tuple[Any, BaseService[Any, Any]]:
        """Runs a handler that is a function; returns the response as a plain value."""
        with LogContext(info), _span_of(info):
            if self._translate_info is not None:
                info = drive(platform, self._translate_info(info))
            service = self.instantiate(info, platform)
            arguments = (service.request.input,) if self._takes_input else ()
            steps = service._lifecycle(arguments)
            try:
                hook, given = next(steps)
                while True:
                    try:
                        result = hook(*given)
                        if type(result) is types.CoroutineType:
                            result.close()
                            raise TypeError(_unawaited_message(hook.__name__))
                    except BaseException as error:
                        hook, given = steps.throw(error)
                    else:
                        hook, given = steps.send(result)
            except StopIteration as end:
                return self._check_local_output(end.value), service

    async def run_async(
        self, info: InvocationInfo, platform: Platform
    ) -> tuple[Any, BaseService[Any, Any]]:
        """Runs a handler that is a coroutine."""
        with LogContext(info), _span_of(info):
            if self._translate_info is not None:
                info = await drive_async(platform, self._translate_info(info))
            service = self.instantiate(info, platform)
            arguments = (service.request.input,) if self._takes_input else ()
            steps = service._lifecycle(arguments)
            try:
                hook, given = next(steps)
                while True:
                    try:
                        result = hook(*given)
                        if inspect.isawaitable(result):
                            result = await result
                    except BaseException as error:
                        hook, given = steps.throw(error)
                    else:
                        hook, given = steps.send(result)
            except StopIteration as end:
                return self._check_local_output(end.value), service


def _span_of(info: InvocationInfo) -> contextlib.AbstractContextManager[None]:
    """The span in which a handler runs."""
    attributes = {
        "cidery.cid": info.cid,
        "cidery.service": info.service,
        "cidery.attempt": info.attempt,
    }
    trace = handled_trace(info.traceparent, info.tracestate)
    return handler_span(f"handle {info.service}", trace, attributes)


def describe_class(cls: type[BaseService[Any, Any]]) -> str:
    """Describes a service in error messages: its name, its class and its file."""
    where = f"{cls.__module__}.{cls.__qualname__}"
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return f"`{cls.service_name}` (`{where}`{f' in {file}' if file else ''})"


@contextlib.contextmanager
def _with_location(cls: type[BaseService[Any, Any]]) -> Iterator[None]:
    """Prefixes errors of a declaration with its service."""
    try:
        yield
    except Exception as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{describe_class(cls)}: {error}") from error


def _check_coroutines(cls: type[BaseService[Any, Any]]) -> None:
    context = (cls._annotations or {}).get("ctx")
    if inspect.iscoroutinefunction(cls.handle):
        if context is Context:
            raise TypeError("it is a coroutine: its `ctx` is an `AsyncContext`, not a `Context`")
        # Services of Zato have one base class, whatever their `handle`.
        if issubclass(cls, Service) and not hasattr(cls, "_read_declaration"):
            raise TypeError("`handle` is a coroutine: derive from `AsyncService`, not `Service`")
        return
    if context is AsyncContext:
        raise TypeError("it is no coroutine: its `ctx` is a `Context`, not an `AsyncContext`")
    if issubclass(cls, AsyncService):
        raise TypeError("`handle` of an `AsyncService` is a coroutine: `async def handle`")
    for name in _HOOKS:
        if inspect.iscoroutinefunction(getattr(cls, name)):
            raise TypeError(_unawaited_message(name))


def _check_isolation(cls: type[BaseService[Any, Any]]) -> None:
    if cls.isolation not in (None, "thread", "process"):
        raise ValueError(not_one_of(cls.isolation, "isolation", ("thread", "process")))
    if cls.isolation != "process":
        return
    if inspect.iscoroutinefunction(cls.handle):
        raise TypeError("`isolation`: a coroutine is cancelled where it awaits, without a process")
    if "<locals>" in cls.__qualname__:
        raise TypeError("`isolation`: a process imports the class, which is local to a function")


def _unawaited_message(name: str) -> str:
    return f"`{name}` is a coroutine and `handle` is a function: it would never be awaited"
