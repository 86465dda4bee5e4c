"""The `service` decorator: services from functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, overload

from cidery._service.base import BaseService
from cidery._service.class_declaration import automatic_name, without_later
from cidery._service.service import AsyncService, Service
from cidery._sio.model_fields import is_model, list_item_model

F = TypeVar("F", bound=Callable[..., Any])


@overload
def service(function: F, /) -> F: ...


@overload
def service(name: str | None = None, /, **options: Any) -> Callable[[F], F]: ...


def service(name: Any = None, /, **options: Any) -> Any:
    """Declares a function as a service: `@service`, or `@service("its.name", timeout=5)`.

    The default name is `my-module.my-function`. A parameter named `ctx` gets the context
    (`ctx.invoke`, `ctx.cid`, …): a `Context`, or an `AsyncContext` if the function is a coroutine.
    Another parameter gets the input. A parameter or a result that is annotated with a class with
    typed fields declares the input or the output. Type checkers expect `ctx` as the first
    parameter.

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
    if inspect.isfunction(name):
        return _decorate(name, None, options)
    if name is not None and not isinstance(name, str):
        raise TypeError(
            f"`@service` declares a function as a service, by default or by its name, not {name!r};"
            " a class is one if it derives from `Service`"
        )
    return lambda function: _decorate(function, name, options)


def _decorate(function: Any, name: str | None, options: dict[str, Any]) -> Any:
    if not inspect.isfunction(function):
        raise TypeError(
            f"`@service` declares a function as a service, not {function!r}; a class is one if it"
            " derives from `Service`"
        )
    cls = _class_from_function(function, name, options)
    # The function stays callable, and refers to its service.
    function.service_class = cls  # type: ignore[attr-defined]
    function.service_name = cls.service_name  # type: ignore[attr-defined]
    return function


def _class_from_function(
    function: Callable[..., Any], name: str | None, options: dict[str, Any]
) -> type[BaseService[Any, Any]]:
    hints = inspect.get_annotations(function, eval_str=True)
    parameters = list(inspect.signature(function).parameters)
    inputs = [parameter for parameter in parameters if parameter != "ctx"]
    if len(inputs) > 1:
        names = ", ".join(f"`{name}`" for name in inputs)
        raise TypeError(
            f"`{function.__name__}` takes `ctx` and one input, not {names}: give a class with these"
            " as its fields, such as a dataclass"
        )
    annotations = {
        "input": hints.get(inputs[0]) if inputs else None,
        "output": without_later(hints.get("return")),
    }
    annotations = {side: hint for side, hint in annotations.items() if side not in options}
    for side, hint in annotations.items():
        if is_model(hint) or list_item_model(hint):
            options[side] = hint

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
        "_annotations": {**annotations, "ctx": hints.get("ctx")},
        **options,
    }
    return type(function.__name__, (base,), body)
