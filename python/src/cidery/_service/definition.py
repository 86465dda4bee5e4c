"""A service as a worker announces and runs it: its declaration, and its handler's life."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import sys
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cidery._protocol.options import DataFormat, duration
from cidery._service.class_declaration import declared_by_class
from cidery._service.driver import awaited, blocking
from cidery._service.log_context import LogContext
from cidery._service.request import Request
from cidery._service.response import Outgoing
from cidery._service.service import Service, class_of, lifecycle
from cidery._sio.conversion import converted
from cidery._sio.declaration import Sio
from cidery._sio.local_checks import beyond
from cidery._sio.model_instances import instance
from cidery._sio.validation import admitted, answered, check_input, check_output
from cidery._values.bunch import Bunch
from cidery._values.json_codec import read_json
from cidery.v1 import service_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cidery._protocol.steps import Steps
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
        with LogContext(facts):
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
        with LogContext(facts):
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
