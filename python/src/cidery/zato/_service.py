"""`Service` as the model's modules mean it: the same service, with the model's rules of reading.

Where they differ from those of `cidery.Service`: bare names mean types; required input is not
enforced where there is no payload at all; a `class SimpleIO` without `response_elem` wraps its
response in `response`; the reserved words of `invoke` are options; exceptions are not retried.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

from cidery._errors.exceptions import InvalidArgument, Violation
from cidery._protocol.options import RetryPolicy
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
_REQUIRED = "required where there is a payload at all"
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
    """A service of the model."""

    # As in the model: an exception ends it.
    retry_policy: ClassVar[RetryPolicy | None] = RetryPolicy(max_attempts=1)
    _required: ClassVar[tuple[str, ...]] = ()

    @ReadOnly
    def environ(self) -> dict[str, str]:
        """What the caller sent along."""
        return self.metadata

    @ReadOnly
    def data_format(self) -> str:
        """How the input was written."""
        return self.request.data_format.value

    @classmethod
    def get_name(cls) -> str:
        """Its name."""
        return cls.service_name

    # The parameters are the model's: `zato_name=` and `name=` are no payload there.

    def invoke(  # type: ignore[override]
        self, zato_name: Any, *args: Any, **given: Any
    ) -> Any:
        """Invokes a service by the model's parameters; other keywords are the payload."""
        return self._drive(self._invoke_operation(zato_name, args, given))

    def invoke_async(  # type: ignore[override]
        self, name: Any, *args: Any, **given: Any
    ) -> Any:
        """Has a service run in the background; answers with its CID."""
        arguments = InvokeArguments.for_invoke_async(*args, **given)
        return self._drive(
            nested_calls.invoke_async(self, name, arguments.payload, arguments.options)
        )

    @ReadOnly
    def patterns(self) -> Patterns:
        """Fan-out, parallel execution, and one service again and again."""
        return Patterns(self)

    def _invoke_operation(
        self, service: Any, args: tuple[Any, ...], given: dict[str, Any]
    ) -> Operation[Any]:
        arguments = InvokeArguments.for_invoke(*args, **given)
        return _exceptions.translate_failures(
            arguments.read(nested_calls.invoke(self, service, arguments.payload, arguments.options))
        )

    def _drive(self, operation: Operation[Any]) -> Any:
        return super()._drive(_exceptions.translate_failures(operation))

    def _bind(
        self, info: InvocationInfo, platform: Platform, request: Request, response: HandlerResponse
    ) -> None:
        super()._bind(info, platform, request, ZatoResponse(response._declared))

    @classmethod
    def _translate_info(cls, info: InvocationInfo) -> Operation[InvocationInfo]:
        """Reads what a node tells of a fan-out as the model tells it."""
        return translate_info(info)

    @classmethod
    def _read_declaration(cls, service: type[CideryService]) -> tuple[Sio, dict[str, Any]]:
        """Reads a declaration by the model's rules."""
        sio, models = read_class_declaration(service)
        sio = sio.inferred()
        simple_io = getattr(service, "SimpleIO", None)
        if simple_io is not None and not hasattr(simple_io, "response_elem"):
            # A `Model` goes out as it is.
            is_wrapped = sio.output and "output" not in models
            sio = dataclasses.replace(sio, response_elem=_RESPONSE_ELEM if is_wrapped else "")
        if sio.output is not None and returns_rows(service):
            rows = dataclasses.replace(sio.output, is_list=True)
            sio = dataclasses.replace(sio, output=rows)
        given = sio.input
        if given is not None:
            # A node enforces what is required, always; here it depends on whether there is a
            # payload, which no declaration can say but in words.
            service._required = tuple(  # type: ignore[attr-defined]
                element.name for element in given.elements if not element.is_optional
            )
            optional = tuple(map(_optional_with_note, given.elements))
            # A key that is not declared is a payload as well, and is dropped only then.
            kept = dataclasses.replace(given, elements=optional, keys=UnknownKeys.KEEP)
            sio = dataclasses.replace(sio, input=kept)
        return dataclasses.replace(sio, empty_strings=EmptyStrings.ABSENT), models

    @classmethod
    def _check_payload(cls, payload: Any) -> None:
        """Enforces what is required, where there is a payload."""
        if not isinstance(payload, dict) or not payload:
            return
        missing = [name for name in cls._required if name not in payload]
        if missing:
            violations = [Violation(f"/{name}", "is required", "MISSING") for name in missing]
            raise InvalidArgument(reason="INPUT_INVALID", violations=violations)

    @classmethod
    def _convert_input(cls, declared: Elements | None, given: Any) -> Any:
        """What is not declared is dropped; a text that is absent reads as the empty text."""
        if isinstance(given, Input) and declared is not None:
            names = {element.name for element in declared.elements}
            for name in [name for name in given if name not in names]:
                del given[name]
            for element in declared.elements:
                if element.kind in _TEXT_TYPES:
                    given.setdefault(element.name, "")
        return given


def _optional_with_note(element: Element) -> Element:
    """Optional for a node; whoever reads its declaration is told what holds."""
    if element.is_optional:
        return element
    about = f"{element.about} ({_REQUIRED})" if element.about else _REQUIRED
    return element.optional().description(about)
