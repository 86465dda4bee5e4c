"""The base classes of services: `Service`, and `AsyncService` for coroutines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from cidery._protocol.typed import Input, Output
from cidery._service.base import BaseService
from cidery._service.handler_context import AsyncContext, Context

if TYPE_CHECKING:
    from cidery._values.later import Later


class Service(BaseService[Input, Output], Context, Generic[Input, Output]):
    """A service: `handle` implements it.

    `Service[Place, Order]` takes a `Place` and returns an `Order`: classes with typed fields, lists
    of one, or `None`. A `Service` without types is declared by its attributes `input` and `output`,
    or takes and returns any value.

    Its name is `name`, or `my-module.get-customer` by its module and class. Services whose `handle`
    is a coroutine derive from `AsyncService`.

    >>> from dataclasses import dataclass
    >>> from cidery import Service, testing
    >>> @dataclass
    ... class Place:
    ...     sku: str
    >>> @dataclass
    ... class Order:
    ...     total: int
    >>> class PlaceOrder(Service[Place, Order]):
    ...     def handle(self, input: Place) -> Order:
    ...         return Order(total=len(input.sku))
    >>> testing.run(PlaceOrder, Place("pen")).total
    3
    """

    if TYPE_CHECKING:
        # Any parameters: with one it gets the input, without any it reads `self.request.input`.
        def handle(self, *args: Any, **kwargs: Any) -> Output | Later | None:
            """Handles the invocation."""


class AsyncService(BaseService[Input, Output], AsyncContext, Generic[Input, Output]):
    """A service whose `handle` is a coroutine, which awaits its calls.

    Otherwise the same as `Service`.
    """

    if TYPE_CHECKING:

        async def handle(self, *args: Any, **kwargs: Any) -> Output | Later | None:
            """Handles the invocation."""
