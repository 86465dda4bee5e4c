"""The base classes of services: `Service`, and `AsyncService` for coroutines."""

from __future__ import annotations

from cidery._protocol.typed import In, Out
from cidery._service.base import BaseService
from cidery._service.handler_context import AsyncContext, Context


class Service(BaseService[In, Out], Context):
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


class AsyncService(BaseService[In, Out], AsyncContext):
    """A service whose `handle` is a coroutine, which awaits its calls.

    Otherwise the same as `Service`.
    """
