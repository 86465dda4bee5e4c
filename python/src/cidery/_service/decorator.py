"""The `service` decorator: services from functions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypedDict, TypeVar, overload

from cidery._protocol.call_types import CallSignatures, In, Out, P
from cidery._protocol.options import unknown_option
from cidery._service.base import BaseService
from cidery._service.class_declaration import automatic_name, without_later
from cidery._service.service import AsyncService, Service
from cidery._sio.annotations import Unresolved, annotation, local_names
from cidery._sio.model_fields import is_model, list_item_model, type_name

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cidery._protocol.options import OnExhausted, OnExhaustedName, RetryPolicy, Seconds
    from cidery._service.handler_context import AsyncContext, Context
    from cidery._sio.declaration import CsvOptions
    from cidery._sio.element import EmptyStrings, UnknownKeys
    from cidery._values.later import Later

    Returned: TypeAlias = Out | Later
    Coroutined: TypeAlias = Coroutine[Any, Any, Out]
    Awaited: TypeAlias = Coroutined[Out | Later]

R = TypeVar("R")


class ServiceOptions(TypedDict, total=False):
    """The options of a service that is a function: the attributes of a service class."""

    input: Any
    output: Any
    response_elem: str | None
    unknown_keys: UnknownKeys | None
    empty_strings: EmptyStrings | None
    csv: CsvOptions | None
    description: str
    idempotent: bool
    timeout: Seconds | None
    attempt_timeout: Seconds | None
    retry_policy: RetryPolicy | None
    on_exhausted: OnExhausted | OnExhaustedName | None
    concurrency: int
    queue_length: int
    retention: Seconds | None
    failure_retention: Seconds | None
    pending_limit: int
    rate: float
    burst: int
    isolation: Literal["thread", "process"] | None


class ServiceFunction(CallSignatures[In, Out], Generic[P, R, In, Out]):
    """A function that is a service. It is invoked like a service class, and stays callable."""

    service_name: str
    """The name of the service."""

    def __init__(self, function: Callable[P, R], cls: type[BaseService[Any, Any]]) -> None:
        self._function = function
        self.service_class = cls
        self.service_name = cls.service_name
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function, without a node."""
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<service {self.service_name}>"


class ServiceDecorator:
    """Declares a function as a service: `@service`, or `@service("its.name", timeout=5)`.

    The default name is `my-module.my-function`. The options are the attributes of a service class,
    such as `timeout` and `retry_policy`. A parameter named `ctx` gets the context (`ctx.invoke`,
    `ctx.cid`, …): a `Context`, or an `AsyncContext` if the function is a coroutine. Another
    parameter gets the input. A parameter or a result that is annotated with a class with typed
    fields declares the input or the output. Type checkers expect `ctx` as the first parameter.

    >>> from dataclasses import dataclass
    >>> from cidery import service, testing
    >>> @dataclass
    ... class Person:
    ...     name: str
    >>> @dataclass
    ... class Greeting:
    ...     text: str
    >>> @service("greet.hello")
    ... def hello(person: Person) -> Greeting:
    ...     return Greeting(f"Hello, {person.name}")
    >>> testing.run(hello, Person("Ann")).text
    'Hello, Ann'
    """

    def __init__(
        self,
        name: str | None = None,
        options: ServiceOptions | None = None,
        on_declared: Callable[[Any], object] | None = None,
    ) -> None:
        self._name = name
        self._options = options or {}
        self._on_declared = on_declared

    # The first matching signature decides: coroutines first, and the context before the input.

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[[AsyncContext], Awaited[Out]], /
    ) -> ServiceFunction[[AsyncContext], Coroutined[Out], Any, Out]: ...

    @overload
    def __call__(
        self, function: Callable[[AsyncContext, In], Awaited[Out]], /
    ) -> ServiceFunction[[AsyncContext, In], Coroutined[Out], In, Out]: ...

    @overload
    def __call__(
        self, function: Callable[[In], Awaited[Out]], /
    ) -> ServiceFunction[[In], Coroutined[Out], In, Out]: ...

    @overload
    def __call__(
        self, function: Callable[[], Awaited[Out]], /
    ) -> ServiceFunction[[], Coroutined[Out], Any, Out]: ...

    @overload
    def __call__(
        self, function: Callable[[Context], Returned[Out]], /
    ) -> ServiceFunction[[Context], Out, Any, Out]: ...

    @overload
    def __call__(
        self, function: Callable[[Context, In], Returned[Out]], /
    ) -> ServiceFunction[[Context, In], Out, In, Out]: ...

    @overload
    def __call__(
        self, function: Callable[[In], Returned[Out]], /
    ) -> ServiceFunction[[In], Out, In, Out]: ...

    @overload
    def __call__(
        self, function: Callable[[], Returned[Out]], /
    ) -> ServiceFunction[[], Out, Any, Out]: ...

    @overload
    def __call__(
        self, name: str | None = None, /, **options: Unpack[ServiceOptions]
    ) -> ServiceDecorator: ...

    def __call__(self, name: Any = None, /, **options: Any) -> Any:
        """Declares a function, or returns a decorator with a name and options."""
        if name is None or isinstance(name, str):
            given: Any = {**self._options, **options}
            return ServiceDecorator(name or self._name, given, self._on_declared)
        if not inspect.isfunction(name):
            what = f"`{type_name(name)}`" if inspect.isclass(name) else repr(name)
            raise TypeError(
                f"`@service` declares a function as a service, by default or by its name, not"
                f" {what}; a class is one if it derives from `Service`"
            )
        cls = _class_from_function(name, self._name, dict(self._options), local_names(1))
        declared: ServiceFunction[..., Any, Any, Any] = ServiceFunction(name, cls)
        if self._on_declared is not None:
            self._on_declared(declared)
        return declared


service = ServiceDecorator()


def _class_from_function(
    function: Callable[..., Any],
    name: str | None,
    options: dict[str, Any],
    names: Mapping[str, Any],
) -> type[BaseService[Any, Any]]:
    """The class of a function.

    An error of its declaration is raised where the service is used, so that it affects no other
    service of its module.
    """
    parameters = list(inspect.signature(function).parameters)
    inputs = [parameter for parameter in parameters if parameter != "ctx"]
    annotations: dict[str, Any] = {}
    invalid: TypeError | None = None
    try:
        _check_declaration(function, inputs, options)
        annotations = _declared_sides(function, inputs, options, names)
    except TypeError as error:
        invalid = error
        options = {}
    for side, hint in annotations.items():
        if is_model(hint) or list_item_model(hint):
            options[side] = hint
    context = annotation(function, "ctx", names)

    def arguments(self: BaseService[Any, Any]) -> list[Any]:
        return [self if each == "ctx" else self.request.input for each in parameters]

    base: type[BaseService[Any, Any]] = Service
    if inspect.iscoroutinefunction(function):
        base = AsyncService

        async def handle(self: Any) -> Any:
            return await function(*arguments(self))
    else:

        def handle(self: Any) -> Any:  # type: ignore[misc]
            return function(*arguments(self))

    body = {
        "__module__": function.__module__,
        "__doc__": function.__doc__,
        "name": name or automatic_name(function.__module__, function.__name__.replace("_", "-")),
        "handle": handle,
        "_annotations": {**annotations, "ctx": context},
        "_invalid": invalid,
        **options,
    }
    return type(function.__name__, (base,), body)


def _check_declaration(
    function: Callable[..., Any], inputs: list[str], options: Mapping[str, Any]
) -> None:
    for each in options:
        if each not in ServiceOptions.__annotations__:
            raise TypeError(unknown_option(each, ServiceOptions.__annotations__))
    if len(inputs) > 1:
        names = ", ".join(f"`{name}`" for name in inputs)
        raise TypeError(
            f"`{function.__name__}` takes `ctx` and one input, not {names}: give a class with these"
            " as its fields, such as a dataclass"
        )


def _declared_sides(
    function: Callable[..., Any],
    inputs: list[str],
    options: Mapping[str, Any],
    names: Mapping[str, Any],
) -> dict[str, Any]:
    """The annotations of the input and the output, where no option declares them."""
    annotated = {"input": inputs[0] if inputs else None, "output": "return"}
    found = {
        side: without_later(annotation(function, name, names))
        for side, name in annotated.items()
        if side not in options
    }
    for side, hint in found.items():
        if isinstance(hint, Unresolved):
            raise TypeError(
                f"its {side} is annotated with `{hint}`, and `{hint.name}` does not exist at run"
                " time: import it outside of `if TYPE_CHECKING`, and define it before the function"
            )
    return found
