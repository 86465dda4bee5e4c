"""The types of services: what their inputs and outputs are, for type checkers and at run time."""

from __future__ import annotations

import functools
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeAlias, overload

from cidery._errors.exceptions import CideryError, response_mismatch, summarize
from cidery._protocol.call_types import CallSignatures
from cidery._sio.conversion import to_python_types
from cidery._sio.declaration import Elements, Sio
from cidery._sio.model_declarations import elements_of_model
from cidery._sio.model_fields import concrete_origin, is_model, list_item_model, type_name
from cidery._sio.model_instances import build_instance
from cidery._sio.validation import check_output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import TypeVar

    class Dataclass(Protocol):
        """A dataclass."""

        __dataclass_fields__: ClassVar[dict[str, Any]]

    class AttrsClass(Protocol):
        """A class of attrs."""

        __attrs_attrs__: ClassVar[Any]

    class PydanticModel(Protocol):
        """A model of pydantic."""

        def model_dump(self, *args: Any, **kwargs: Any) -> Any:
            """Converts it to a dict."""

    Model: TypeAlias = Dataclass | AttrsClass | PydanticModel | Mapping[str, object]
    Declared: TypeAlias = Model | Sequence[Model] | None
    """What `declared_type` accepts: a class with typed fields, a list of one, or `None`."""

    Input = TypeVar("Input", bound=Declared, default=Any)
    Output = TypeVar("Output", bound=Declared, default=Any)
else:
    from typing import TypeVar

    Input = TypeVar("Input")
    Output = TypeVar("Output")

NO_VALUE: Any = type(None)
"""The type of a side of a service that has no value: `None` in `Service[None, Order]`."""


class TypedService(CallSignatures[Input, Output], Generic[Input, Output]):
    """The base of all services: binds the types of the input and the output."""

    _has_typed_responses: ClassVar[bool] = True
    """Whether a caller gets responses as the declared type: not those of Zato's services."""


@dataclass(frozen=True, init=False)
class ServiceRef(CallSignatures[Input, Output], Generic[Input, Output]):
    """A service of another program: its name, and the types of its input and output.

    It is invoked like a service class: `client.invoke(place, Place("pen")).total`. A type is a
    class with typed fields, a list of one, or `None` for no value.

    >>> from dataclasses import dataclass
    >>> from cidery import ServiceRef
    >>> @dataclass
    ... class Place:
    ...     sku: str
    >>> @dataclass
    ... class Order:
    ...     total: int
    >>> place = ServiceRef("order.place", Place, Order)
    >>> place.service_name
    'order.place'
    """

    service_name: str
    input: Any
    output: Any

    @overload
    def __init__(self, name: str, input: type[Input], output: type[Output]) -> None: ...

    @overload
    def __init__(
        self: ServiceRef[None, Output],
        name: str,
        input: None,
        output: type[Output],
    ) -> None: ...

    @overload
    def __init__(
        self: ServiceRef[Input, None],
        name: str,
        input: type[Input],
        output: None,
    ) -> None: ...

    @overload
    def __init__(
        self: ServiceRef[None, None],
        name: str,
        input: None,
        output: None,
    ) -> None: ...

    def __init__(self, name: str, input: Any, output: Any) -> None:  # noqa: A002
        object.__setattr__(self, "service_name", name)
        object.__setattr__(self, "input", declared_type(input))
        object.__setattr__(self, "output", declared_type(output))


def declared_type(given: Any) -> Any:
    """The type of a side of a service; raises a `TypeError` if it cannot be declared."""
    if given is None or given is NO_VALUE:
        return NO_VALUE
    if is_declared_type(given) or is_any_dict(given):
        return given
    service = getattr(given, "service_name", None)
    if isinstance(service, str):
        raise TypeError(
            f"`{service}` is a service: give the type of its input or its output instead of it"
        )
    raise TypeError(
        f"`{type_name(given)}` cannot be an input or an output: give a class with typed fields,"
        " such as a dataclass, a list of one, `dict` for any dict, or `None`"
    )


def is_declared_type(declared: Any) -> bool:
    """Whether it is a type with values of its own: a model, a list of models, or no value."""
    return declared is NO_VALUE or is_model(declared) or list_item_model(declared) is not None


def is_any_dict(declared: Any) -> bool:
    """Whether it is `dict`, or `dict[str, Any]`: any dict, which is not declared."""
    return declared is dict or (
        concrete_origin(declared) is dict and typing.get_args(declared)[1] in (Any, object)
    )


def elements_of_type(declared: Any, *, is_output: bool, has_policies: bool = True) -> Elements:
    """The elements of a type, like `elements_of_model`."""
    if declared is NO_VALUE:
        return Elements()
    return elements_of_model(declared, is_output=is_output, has_policies=has_policies)


def build_typed(declared: Any, value: Any, *, is_output: bool = False) -> Any:
    """The value of a type, from a validated and converted value."""
    return None if declared is NO_VALUE else build_instance(declared, value, is_output=is_output)


def typed_response(service: Any, value: Any, cid: str | None = None) -> Any:
    """A response as the declared type of a service, where it has one."""
    declaration = getattr(service, "service_class", service)
    output = getattr(declaration, "output", None)
    if not is_declared_type(output) or not getattr(declaration, "_has_typed_responses", True):
        return value
    wrapper = getattr(declaration, "response_elem", None)
    if wrapper and isinstance(value, dict) and wrapper in value:
        value = value[wrapper]
    return typed_value(output, value, cid, f"response of `{declaration.service_name}`")


def typed_value(
    output: Any, value: Any, cid: str | None = None, described: str = "response"
) -> Any:
    """A value as a type; raises `Internal` / `RESPONSE_MISMATCH` if it does not match.

    Keys that the type does not have are dropped, unless it refuses them: a newer service may return
    them.
    """
    if is_any_dict(output):
        return value
    sio = _output_declaration(declared_type(output))
    found = check_output(sio, value)
    violations, facts = found.violations, found.facts
    if not violations:
        try:
            converted = to_python_types(sio.output, found.value)
            return build_typed(output, converted, is_output=True)
        except CideryError as error:
            violations, facts = list(error.violations), error.facts
    message = f"the {described} is not a valid `{type_name(output)}`: {summarize(violations)}"
    raise response_mismatch(message, violations, facts, cid)


@functools.lru_cache(maxsize=1024)
def _output_declaration(output: Any) -> Sio:
    return Sio(output=elements_of_type(output, is_output=True))
