"""`Service` with Zato's semantics.

Differences from `cidery.Service`: declarations are read by Zato's rules (`_simple_io`); `accept`
can refuse a call; what `handle` returns is not the response; the parameter names of `invoke` are
reserved; exceptions are not retried.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from cidery._errors.exceptions import InvalidArgument, Violation
from cidery._protocol.options import RetryPolicy, service_name
from cidery._protocol.steps import Operation
from cidery._service import nested_calls
from cidery._service.base import Hook
from cidery._service.context import ReadOnly
from cidery._service.handler_calls import Invoker
from cidery._service.request import Request
from cidery._service.response import HandlerResponse
from cidery._service.service import Service as CideryService
from cidery._sio import constructors as elements
from cidery._sio.conversion import Input
from cidery._sio.declaration import Elements, Sio
from cidery._values.later import Later
from cidery.zato import _exceptions
from cidery.zato._arguments import InvokeArguments
from cidery.zato._callback_inputs import translate_info
from cidery.zato._environ import from_metadata, given_cid, to_metadata
from cidery.zato._model import call_after_created
from cidery.zato._names.absent import INSTEAD, refuse_attribute
from cidery.zato._patterns import Patterns
from cidery.zato._request import ZatoRequest
from cidery.zato._response import ZatoResponse
from cidery.zato._simple_io import Declaration, fill_defaults, read_declaration

if TYPE_CHECKING:
    from cidery._service.context import InvocationInfo, Platform

_INTERNAL_PREFIX = "server.service.internal."
_log = logging.getLogger("cidery.zato")


ELEMENTS: dict[str, Any] = {
    "AsIs": elements.AsIs,
    "Bool": elements.Bool,
    "Boolean": elements.Bool,
    "CSV": elements.Csv,
    "Date": elements.Date,
    "DateTime": elements.DateTime,
    "Decimal": elements.Decimal,
    "Dict": elements.Dict,
    "DictList": elements.DictList,
    "Float": elements.Float,
    "Int": elements.Int,
    "Integer": elements.Int,
    "List": elements.List,
    "ListOfDicts": elements.DictList,
    "Nested": elements.AsIs,
    "Opaque": elements.AsIs,
    "Secret": elements.Secret,
    "Text": elements.Text,
    "UTC": elements.DateTime,
    "UUID": elements.Uuid,
    "Unicode": elements.Text,
}


class Service(CideryService):
    """A service of Zato."""

    # An exception ends the invocation, as in Zato.
    retry_policy: ClassVar[RetryPolicy | None] = RetryPolicy(max_attempts=1)
    impl_name: ClassVar[str] = ""
    _has_typed_responses: ClassVar[bool] = False
    _request_class: ClassVar[type[Request[Any]]] = ZatoRequest
    _response_class: ClassVar[type[HandlerResponse]] = ZatoResponse
    _declaration: ClassVar[Declaration | None] = None
    _has_logged_return: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.impl_name = f"{cls.__module__}.{cls.__qualname__}"
        # The default name of a service of Zato itself has no prefix.
        cls.name = cls.service_name = cls.name.replace(_INTERNAL_PREFIX, "")

    def accept(self) -> Any:
        """Whether the service takes the call."""
        return True

    @ReadOnly
    def environ(self) -> dict[str, Any]:
        """The metadata of the call, with the values that the caller gave. Hooks can add to it."""
        own = vars(self)
        if "_environ" not in own:
            own["_environ"] = from_metadata(self.metadata)
        environ: dict[str, Any] = own["_environ"]
        return environ

    @ReadOnly
    def cid(self) -> str:
        """The CID of the invocation, or the one that its caller gave."""
        return given_cid(self.metadata) or self._info.cid

    @ReadOnly
    def data_format(self) -> str:
        """The format of the input."""
        return self.request.data_format.value

    def __getattr__(self, name: str) -> NoReturn:
        # Called only for what is found nowhere else.
        if name.startswith("_"):
            raise AttributeError(name)
        refuse_attribute("self", name, INSTEAD)

    @classmethod
    def get_name(cls) -> str:
        """The name of the service."""
        return cls.service_name

    @classmethod
    def get_impl_name(cls) -> str:
        """The name of the class, with its module."""
        return cls.impl_name

    # Zato's signatures: `zato_name=` and `name=` are not part of the payload.

    def invoke(  # type: ignore[override]
        self, zato_name: Any, *args: Any, **given: Any
    ) -> Any:
        """Invokes a service with Zato's parameters; other keywords are the payload."""
        return self._drive(self._invoke_operation(zato_name, args, given))

    def invoke_async(  # type: ignore[override]
        self, name: Any, *args: Any, **given: Any
    ) -> Any:
        """Invokes a service in the background; returns its CID."""
        arguments = InvokeArguments.for_invoke_async(*args, **given)
        return self._drive(
            nested_calls.invoke_async(self, name, arguments.payload, arguments.options)
        )

    def with_options(self, *, environ: Any = None, **options: Any) -> Invoker:
        """An invoker with default options; all keywords of its calls are the payload."""
        if environ:
            options["metadata"] = {**(options.get("metadata") or {}), **to_metadata(environ)}
        return super().with_options(**options)

    @ReadOnly
    def patterns(self) -> Patterns:
        """Fan-out, parallel execution and invoke-retry."""
        return Patterns(self)

    def _invoke_operation(
        self, service: Any, args: tuple[Any, ...], given: dict[str, Any]
    ) -> Operation[Any]:
        # A whole tree of calls has one CID.
        if given_cid(self.metadata) and not given.get("cid"):
            given["cid"] = given_cid(self.metadata)
        arguments = InvokeArguments.for_invoke(*args, **given)
        return _exceptions.translate_failures(
            arguments.read(
                nested_calls.invoke_for_response(
                    self, service_name(service), arguments.payload, arguments.options
                )
            )
        )

    def _drive(self, operation: Operation[Any]) -> Any:
        return super()._drive(_exceptions.translate_failures(operation))

    def _bind(
        self, info: InvocationInfo, platform: Platform, request: Request, response: HandlerResponse
    ) -> None:
        super()._bind(info, platform, request, response)
        declaration = type(self)._declaration
        if declaration is not None:
            response.default = declaration.output_default  # type: ignore[attr-defined]
            if "input" in declaration.models:
                call_after_created(self, request.input, request.payload)

    def _lifecycle(self, arguments: tuple[Any, ...]) -> Generator[Hook, Any, Any]:
        if type(self).accept is not Service.accept:
            accepted = yield self.accept, ()
            if not accepted:
                message = f"`{self.service_name}` does not accept the call"
                raise _exceptions.BadRequest(self.cid, message)
        return (yield from super()._lifecycle(arguments))

    def _take_returned(self, returned: Any) -> None:
        """Takes a deferred response only: Zato ignores what `handle` returns."""
        cls = type(self)
        if isinstance(returned, (Later, GeneratorType)):
            # A generator is refused as a response: its body would never run.
            self.response.payload = returned
        elif not cls._has_logged_return:
            cls._has_logged_return = True
            what = f"`{self.service_name}`: the value that `handle` returns is not its response"
            _log.warning("%s, as in Zato: assign it to `self.response.payload`", what)

    @classmethod
    def _describe_missing_handle(cls) -> str:
        verbs = sorted(name for name in dir(cls) if name.startswith("handle_"))
        return (
            f"has only `{verbs[0]}`, a handler of one HTTP verb: name it `handle`" if verbs else ""
        )

    @classmethod
    def _translate_info(cls, info: InvocationInfo) -> Operation[InvocationInfo]:
        """Translates the input of a callback to Zato's form."""
        return translate_info(info)

    @classmethod
    def _read_declaration(cls, service: type[Service]) -> tuple[Sio, dict[str, Any]]:
        """Reads a declaration by Zato's rules."""
        known = service.__dict__.get("_declaration")
        if known is not None:
            return known.sio, known.models
        add = getattr(service, "before_add_to_store", None)
        if add is not None and not add(_log):
            raise TypeError("`before_add_to_store` has refused it")
        service._declaration = declaration = read_declaration(service)
        return declaration.sio, declaration.models

    @classmethod
    def _check_payload(cls, payload: Any) -> None:
        """Enforces required elements if there is a payload."""
        required = cls._declaration.required if cls._declaration is not None else ()
        if not required or not payload:
            return
        rows = [("", payload)]
        if isinstance(payload, list):
            rows = [(f"/{index}", row) for index, row in enumerate(payload)]
        violations = [
            Violation(f"{path}/{name}", "is required", "MISSING")
            for path, row in rows
            if isinstance(row, dict)
            for name in required
            if name not in row
        ]
        if violations:
            raise InvalidArgument(reason="INPUT_INVALID", violations=violations)

    @classmethod
    def _convert_input(cls, declared: Elements | None, given: Any) -> Any:
        """Drops undeclared keys, and fills in the defaults of the layer."""
        if declared is None or cls._declaration is None or "input" in cls._declaration.models:
            return given
        names = {element.name for element in declared.elements}
        for row in given if isinstance(given, list) else [given]:
            if isinstance(row, Input):
                for name in [name for name in row if name not in names]:
                    del row[name]
        fill_defaults(given, cls._declaration.defaults)
        return given
