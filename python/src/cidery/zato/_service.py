"""`Service` with Zato's semantics.

Differences from `cidery.Service`: bare names imply types; required input is enforced only if there
is a payload; a `class SimpleIO` without `response_elem` wraps its response in `response`; the
parameter names of `invoke` are reserved; exceptions are not retried.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

from cidery._errors.exceptions import InvalidArgument, Violation
from cidery._protocol.options import RetryPolicy, service_name
from cidery._protocol.steps import Operation
from cidery._service import nested_calls
from cidery._service.class_declaration import read_class_declaration
from cidery._service.context import ReadOnly
from cidery._service.service import Service as CideryService
from cidery._sio import constructors as elements
from cidery._sio.conversion import Input
from cidery._sio.declaration import Elements, Sio
from cidery._sio.element import Element, EmptyStrings, Type, UnknownKeys
from cidery.zato import _exceptions
from cidery.zato._arguments import InvokeArguments
from cidery.zato._callback_inputs import translate_info
from cidery.zato._patterns import Patterns
from cidery.zato._response import ZatoResponse
from cidery.zato._rows import returns_rows

if TYPE_CHECKING:
    from cidery._service.context import InvocationInfo, Platform
    from cidery._service.request import Request
    from cidery._service.response import HandlerResponse

_RESPONSE_ELEM = "response"
_REQUIRED = "required if there is a payload"
_TEXT_TYPES = (Type.TEXT, Type.SECRET)


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
    _has_typed_responses: ClassVar[bool] = False
    _required: ClassVar[tuple[str, ...]] = ()

    @ReadOnly
    def environ(self) -> dict[str, str]:
        """The metadata of the call."""
        return self.metadata

    @ReadOnly
    def data_format(self) -> str:
        """The format of the input."""
        return self.request.data_format.value

    @classmethod
    def get_name(cls) -> str:
        """The name of the service."""
        return cls.service_name

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

    @ReadOnly
    def patterns(self) -> Patterns:
        """Fan-out, parallel execution and invoke-retry."""
        return Patterns(self)

    def _invoke_operation(
        self, service: Any, args: tuple[Any, ...], given: dict[str, Any]
    ) -> Operation[Any]:
        arguments = InvokeArguments.for_invoke(*args, **given)
        return _exceptions.translate_failures(
            arguments.read(
                nested_calls.invoke(
                    self, service_name(service), arguments.payload, arguments.options
                )
            )
        )

    def _drive(self, operation: Operation[Any]) -> Any:
        return super()._drive(_exceptions.translate_failures(operation))

    def _bind(
        self, info: InvocationInfo, platform: Platform, request: Request, response: HandlerResponse
    ) -> None:
        super()._bind(info, platform, request, ZatoResponse(response._declared))

    @classmethod
    def _translate_info(cls, info: InvocationInfo) -> Operation[InvocationInfo]:
        """Translates the input of a fan-out callback to Zato's form."""
        return translate_info(info)

    @classmethod
    def _read_declaration(cls, service: type[CideryService]) -> tuple[Sio, dict[str, Any]]:
        """Reads a declaration by Zato's rules."""
        sio, models = read_class_declaration(service)
        sio = sio.inferred()
        simple_io = getattr(service, "SimpleIO", None)
        if simple_io is not None and not hasattr(simple_io, "response_elem"):
            # A `Model` is not wrapped.
            is_wrapped = sio.output and "output" not in models
            sio = dataclasses.replace(sio, response_elem=_RESPONSE_ELEM if is_wrapped else "")
        if sio.output is not None and returns_rows(service):
            rows = dataclasses.replace(sio.output, is_list=True)
            sio = dataclasses.replace(sio, output=rows)
        given = sio.input
        if given is not None:
            # Announced as optional: a node always enforces what is required, and the condition
            # cannot be declared.
            service._required = tuple(  # type: ignore[attr-defined]
                element.name for element in given.elements if not element.is_optional
            )
            optional = tuple(map(_optional_with_note, given.elements))
            # Undeclared keys are dropped after the check for a payload, which they count towards.
            kept = dataclasses.replace(given, elements=optional, keys=UnknownKeys.KEEP)
            sio = dataclasses.replace(sio, input=kept)
        return dataclasses.replace(sio, empty_strings=EmptyStrings.ABSENT), models

    @classmethod
    def _check_payload(cls, payload: Any) -> None:
        """Enforces required elements if there is a payload."""
        if not isinstance(payload, dict) or not payload:
            return
        missing = [name for name in cls._required if name not in payload]
        if missing:
            violations = [Violation(f"/{name}", "is required", "MISSING") for name in missing]
            raise InvalidArgument(reason="INPUT_INVALID", violations=violations)

    @classmethod
    def _convert_input(cls, declared: Elements | None, given: Any) -> Any:
        """Drops undeclared keys; an absent string reads as an empty one."""
        if isinstance(given, Input) and declared is not None:
            names = {element.name for element in declared.elements}
            for name in [name for name in given if name not in names]:
                del given[name]
            for element in declared.elements:
                if element.kind in _TEXT_TYPES:
                    given.setdefault(element.name, "")
        return given


def _optional_with_note(element: Element) -> Element:
    """An optional element whose description states the condition for callers."""
    if element.is_optional:
        return element
    about = f"{element.about} ({_REQUIRED})" if element.about else _REQUIRED
    return element.optional().description(about)
