"""A service as a worker announces and runs it: its declaration, and its handler's life."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import sys
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cidery._errors.exceptions import (
    Cancelled,
    CideryError,
    InvalidArgument,
    output_invalid,
    undeclared,
)
from cidery._protocol.messages import read_json
from cidery._protocol.options import DataFormat, duration
from cidery._service.context import current_cid, current_service
from cidery._service.driver import awaited, blocking
from cidery._service.request import Outgoing, Request
from cidery._service.service import Service, class_of, lifecycle
from cidery._sio.conversion import converted
from cidery._sio.declaration import CsvOptions, Elements, EmptyStrings, Sio, UnknownKeys
from cidery._sio.local_checks import beyond
from cidery._sio.model_declarations import elements_of
from cidery._sio.model_fields import is_model, list_of
from cidery._sio.model_instances import instance
from cidery._sio.validation import admitted, answered, check_input, check_output
from cidery._values.bunch import Bunch
from cidery.v1 import service_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cidery._protocol.operations import Steps
    from cidery._service.context import Facts, Platform

_log = logging.getLogger("cidery.worker")
_SIDES = ("input", "output")
_HOOKS = ("before_handle", "validate_input", "validate_output", "after_handle", "finalize_handle")


@dataclass(frozen=True)
class Definition:
    """One service."""

    cls: type[Service]
    name: str
    sio: Sio
    models: dict[str, Any]
    """The classes that the sides are declared by, where they are."""

    @classmethod
    def of(cls, declared: Any) -> Definition:
        """Reads what a class, or a decorated function, declares; raises with its name and place."""
        service = class_of(declared)
        # Classes of the compatibility layer read their declarations by rules of their own.
        make = getattr(service, "_declare", declared_by_class)
        with _naming(service):
            sio, models = make(service)
            _refuse_hooks_never_awaited(service)
        return cls(service, service.service_name, sio, models)

    @functools.cached_property
    def is_async(self) -> bool:
        """Whether its handler is a coroutine."""
        return inspect.iscoroutinefunction(self.cls.handle)

    def to_proto(self) -> service_pb2.ServiceDeclaration:
        """As the contract writes it; raises with its name and place what cannot be written."""
        with _naming(self.cls):
            return self._proto()

    def _proto(self) -> service_pb2.ServiceDeclaration:
        cls = self.cls
        options = service_pb2.ServiceOptions(
            idempotent=cls.idempotent,
            concurrency=cls.concurrency,
            queue_length=cls.queue_length,
            pending_limit=cls.pending_limit,
        )
        for name in ("timeout", "attempt_timeout", "retention", "failure_retention"):
            given = getattr(cls, name)
            if given is not None:
                getattr(options, name).CopyFrom(duration(given, name))
        if cls.retry_policy is not None:
            options.retry_policy.CopyFrom(cls.retry_policy.to_proto())
        document = (cls.__dict__.get("__doc__") or "").strip().partition("\n")[0]
        return service_pb2.ServiceDeclaration(
            name=self.name,
            description=cls.description or document,
            sio=self.sio.to_proto(),
            options=options,
        )

    @functools.cached_property
    def _beyond(self) -> Sio:
        """What of the declaration no node checks."""
        return beyond(self.sio)

    def _admitted(self, payload: Any) -> Any:
        """What came in, checked as far as no node did."""
        if self._beyond.input is None:
            return payload
        found = check_input(self._beyond, payload)
        # By the whole declaration: it knows whether something that is quoted may be a secret.
        return admitted(self.sio, payload).value if found.violations else found.value

    def _answered(self, value: Any) -> Any:
        """What goes out, checked as far as no node does; documents are the handler's own."""
        if not isinstance(value, (dict, list)) or self._beyond.output is None:
            return value
        found = check_output(self._beyond, value)
        # What a node would find goes with it: it does not get to see the value.
        return answered(self.sio, value).value if found.violations else found.value

    @functools.cached_property
    def _translate(self) -> Callable[[Facts], Steps[Facts]] | None:
        """Classes of the compatibility layer are told some things in words of their own."""
        translate: Callable[[Facts], Steps[Facts]] | None = getattr(self.cls, "_translated", None)
        return translate

    def bound(self, facts: Facts, platform: Platform) -> Service:
        """A handler for one invocation."""
        payload = facts.raw
        if facts.data_format is DataFormat.JSON and isinstance(payload, (str, bytes)):
            payload = read_json(payload)
        self.cls._admit(payload)
        given = converted(self.sio.input, self._admitted(payload))
        given = self.cls._received(self.sio.input, given)
        model = self.models.get("input")
        if model is not None:
            given = instance(model, given)
        service = self.cls.__new__(self.cls)
        service.is_async = self.is_async  # type: ignore[misc]
        request = Request(facts, Bunch.of(payload), given)
        service._bind(facts, platform, request, Outgoing(self.sio.output))
        init = self.cls.__init__
        if init is not object.__init__:
            init(service)
        return service

    def run(self, facts: Facts, platform: Platform) -> tuple[Any, Service]:
        """Runs a handler that is a function: the response as a plain value."""
        with _Named(facts):
            if self._translate is not None:
                facts = blocking(platform, self._translate(facts))
            service = self.bound(facts, platform)
            life = lifecycle(service)
            try:
                step = next(life)
                while True:
                    try:
                        done = step()
                        if type(done) is types.CoroutineType:
                            done.close()
                            raise TypeError(_never_awaited(step.__name__))
                    except BaseException as error:
                        step = life.throw(error)
                    else:
                        step = life.send(done)
            except StopIteration as end:
                return self._answered(end.value), service

    async def run_async(self, facts: Facts, platform: Platform) -> tuple[Any, Service]:
        """Runs a handler that is a coroutine."""
        with _Named(facts):
            if self._translate is not None:
                facts = await awaited(platform, self._translate(facts))
            service = self.bound(facts, platform)
            life = lifecycle(service)
            try:
                step = next(life)
                while True:
                    try:
                        done = step()
                        if inspect.isawaitable(done):
                            done = await done
                    except BaseException as error:
                        step = life.throw(error)
                    else:
                        step = life.send(done)
            except StopIteration as end:
                return self._answered(end.value), service


class _Named:
    """Has what a handler logs carry its CID."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def __enter__(self) -> None:
        self._cid = current_cid.set(self._facts.cid)
        self._service = current_service.set(self._facts.service)

    def __exit__(self, *_: object) -> None:
        current_cid.reset(self._cid)
        current_service.reset(self._service)


def named(cls: type[Service]) -> str:
    """A service by its name, its class and its file, for whoever has to look for it."""
    where = f"{cls.__module__}.{cls.__qualname__}"
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return f"`{cls.service_name}` (`{where}`{f' in {file}' if file else ''})"


@contextlib.contextmanager
def _naming(cls: type[Service]) -> Iterator[None]:
    """Has whatever is wrong with a declaration say whose it is."""
    try:
        yield
    except Exception as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{named(cls)}: {error}") from error


def _refuse_hooks_never_awaited(cls: type[Service]) -> None:
    if inspect.iscoroutinefunction(cls.handle):
        return
    for name in _HOOKS:
        if inspect.iscoroutinefunction(getattr(cls, name)):
            raise TypeError(_never_awaited(name))


def _never_awaited(name: str) -> str:
    return f"`{name}` is a coroutine, and `handle` is a function: nobody would await it"


def declared_by_class(cls: type[Service]) -> tuple[Sio, dict[str, Any]]:
    """What `input` and `output`, or `class SimpleIO`, declare."""
    simple_io = getattr(cls, "SimpleIO", None)
    where: Any = cls if simple_io is None else simple_io
    sides: dict[str, Elements | None] = {}
    models: dict[str, Any] = {}
    for side in _SIDES:
        declared = getattr(where, side, None)
        if simple_io is not None:
            declared = by_requirement(simple_io, side, declared)
        if is_model(declared) or list_of(declared):
            models[side] = declared
            sides[side] = elements_of(declared, is_output=side == "output")
        else:
            sides[side] = None if declared is None else Elements.of_any(declared)
    sio = Sio(
        input=sides["input"],
        output=sides["output"],
        response_elem=getattr(where, "response_elem", None) or "",
        unknown_keys=getattr(where, "unknown_keys", None) or UnknownKeys.DROP,
        csv=_csv_of(where),
        empty_strings=getattr(where, "empty_strings", None) or EmptyStrings.REFUSE,
    )
    return sio, models


def _csv_of(where: Any) -> CsvOptions | None:
    csv = getattr(where, "csv", None)
    return csv if isinstance(csv, CsvOptions) else None


def by_requirement(simple_io: Any, side: str, declared: Any) -> Any:
    """`input_required` and `input_optional`, as one declaration."""
    required = getattr(simple_io, f"{side}_required", None)
    optional = getattr(simple_io, f"{side}_optional", None)
    if required is None and optional is None:
        return declared
    if declared is not None:
        raise ValueError(
            f"cannot provide `{side}_required` or `{side}_optional` if `{side}` is given"
        )
    must = Elements.of_any(required or ()).elements
    names = {element.name for element in must}
    may = [e.optional() for e in Elements.of_any(optional or ()).elements if e.name not in names]
    return [*must, *may]


def failure_of(error: BaseException, service: str, cid: str) -> CideryError:
    """What callers get of what a handler raised. The traceback is for the log."""
    if isinstance(error, CideryError):
        return error
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
        return Cancelled("the service was cancelled", reason="CANCELLED")
    # In the text as well: the format of a program's own log may not have them.
    extra = {"cid": cid, "service": service}
    _log.error("`%s` failed, CID %s", service, cid, exc_info=error, extra=extra)
    return undeclared(error)


def cannot_be_carried(error: TypeError | InvalidArgument) -> CideryError:
    """What callers get of a response that no message can hold."""
    if isinstance(error, InvalidArgument):
        return output_invalid(error.message, error.violations)
    return output_invalid(str(error))
