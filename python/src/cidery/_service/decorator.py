"""The `service` decorator: services from functions."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from cidery._service.naming import automatic_name
from cidery._service.service import Service
from cidery._sio.model_fields import is_model, list_item_model
from cidery._values.later import Later

F = TypeVar("F", bound=Callable[..., Any])


def service(name: str | None = None, **options: Any) -> Callable[[F], F]:
    """Declares a function as a service.

    A parameter named `ctx` gets the service (`ctx.invoke`, `ctx.cid`, …), another one the input. A
    parameter or a result that is annotated with a model declares it.

    >>> from cidery import service, testing
    >>> @service("greet.hello", input="name", output="greeting")
    ... def hello(input):
    ...     return {"greeting": f"Hello, {input.name}"}
    >>> testing.run(hello, {"name": "Ann"}).greeting
    'Hello, Ann'
    """

    def decorate(function: F) -> F:
        cls = _class_from_function(function, name, options)
        # The function stays callable, and refers to its service.
        function.service_class = cls  # type: ignore[attr-defined]
        function.service_name = cls.service_name  # type: ignore[attr-defined]
        return function

    return decorate


def _class_from_function(
    function: Callable[..., Any], name: str | None, options: dict[str, Any]
) -> type[Service]:
    hints = inspect.get_annotations(function, eval_str=True)
    parameters = list(inspect.signature(function).parameters)
    inputs = [parameter for parameter in parameters if parameter != "ctx"]
    if len(inputs) > 1:
        raise TypeError(f"`{function.__name__}` takes `ctx` and one input, not {inputs}")
    for side, hint in (
        ("input", hints.get(inputs[0]) if inputs else None),
        ("output", hints.get("return")),
    ):
        hint = _without_later(hint)
        if side not in options and (is_model(hint) or list_item_model(hint)):
            options[side] = hint

    def arguments(self: Service) -> list[Any]:
        return [self if each == "ctx" else self.request.input for each in parameters]

    if inspect.iscoroutinefunction(function):

        async def handle(self: Service) -> Any:
            return await function(*arguments(self))
    else:

        def handle(self: Service) -> Any:  # type: ignore[misc]
            return function(*arguments(self))

    body = {
        "__module__": function.__module__,
        "__doc__": function.__doc__,
        "name": name or automatic_name(function.__module__, function.__name__.replace("_", "-")),
        "handle": handle,
        **options,
    }
    return type(function.__name__, (Service,), body)


def _without_later(hint: Any) -> Any:
    """The other type of `Model | Later`."""
    others = [each for each in typing.get_args(hint) if each is not Later]
    is_union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return others[0] if is_union and len(others) == 1 else hint
