"""The types of services and of their calls: mypy (strict) and pyright check the assertions, and the
tests run them.

`assert_type` fails if a type degrades to `Any`. A line with `type: ignore` asserts that both report
an error there.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from typing_extensions import assert_type

from cidery import (
    Accepted,
    AsyncClient,
    AsyncContext,
    AsyncService,
    Call,
    Cancelled,
    Client,
    Group,
    InvalidArgument,
    Later,
    Outcome,
    Response,
    Service,
    ServiceRef,
    Worker,
    service,
    testing,
)

WAIT = 20.0


@dataclasses.dataclass
class Place:
    sku: str
    count: int = 1


@dataclasses.dataclass
class Order:
    sku: str
    total: int


class PlaceOrder(Service[Place, Order]):
    name = "typed.place"

    def handle(self, input: Place) -> Order:  # noqa: A002
        assert_type(self.request.input, Place)
        return Order(input.sku, 2 * input.count)


class PlaceAll(Service[list[Place], list[Order]]):
    name = "typed.place-all"

    def handle(self) -> list[Order]:
        orders = [self.invoke(PlaceOrder, each) for each in self.request.input]
        assert_type(orders, list[Order])
        assert_type(self.invoke_with_retry(PlaceOrder, Place("pen")), Order)
        assert_type(self.with_options(timeout=5).invoke(PlaceOrder, Place("pen")), Order)
        cid = self.invoke_async(PlaceOrder, Place("pen"))
        assert_type(cid, Accepted)
        for outcome in self.fan_out([Call(PlaceOrder, Place("pen"))]).join():
            assert_type(outcome.result(), Order)
        return orders


class Forward(AsyncService[Place, Order]):
    name = "typed.forward"

    async def handle(self, input: Place) -> Order:  # noqa: A002
        order = await self.invoke(place, input)
        assert_type(order, Order)
        assert_type(await self.invoke(total_of, order), Order)
        assert_type(await self.invoke_async(Ping), Accepted)
        (outcome,) = await self.fan_out([Call(PlaceOrder, input)]).join()
        assert_type(outcome, Outcome[Order])
        return outcome.result()


class Ping(Service[None, None]):
    name = "typed.ping"

    def handle(self) -> None:
        assert_type(self.request.input, None)
        assert self.request.input is None


@service("typed.double")
def double(input: Order) -> Order:  # noqa: A002
    return Order(input.sku, 2 * input.total)


@service("typed.total-of")
async def total_of(ctx: AsyncContext, input: Order) -> Order | Later:  # noqa: A002
    assert_type(await ctx.invoke(double, input), Order)
    return input


class WrongResult(Service[Place, Order]):
    def handle(self, input: Place) -> str:  # type: ignore[override] # noqa: A002
        return input.sku


place = ServiceRef("typed.place", Place, Order)
ping = ServiceRef("typed.ping", None, None)
assert_type(place, ServiceRef[Place, Order])
assert_type(ping, ServiceRef[None, None])


@pytest.fixture
def served(serve: Callable[..., Worker]) -> Worker:
    return serve(PlaceOrder, PlaceAll, Forward, Ping, double, total_of)


def test_calls_of_a_client_have_the_types_of_the_service(served: Worker, client: Client) -> None:
    order = client.invoke(PlaceOrder, Place("pen", 3))
    assert_type(order, Order)
    assert order == Order("pen", 6)
    assert_type(client.invoke(place, Place("pen"), timeout=5), Order)
    assert_type(client.with_options(timeout=5).invoke(place, Place("pen")), Order)
    assert_type(client.invoke(double, order), Order)
    assert_type(client.invoke(total_of, order), Order)
    assert_type(client.invoke(PlaceAll, [Place("pen")]), list[Order])
    assert client.invoke(PlaceAll, [Place("pen", 2)]) == [Order("pen", 4)]
    assert client.invoke(Forward, Place("pen")) == Order("pen", 2)
    response = client.call(place, Place("pen"))
    assert_type(response, Response[Order])
    assert_type(response.payload, Order)
    assert response.payload == Order("pen", 2)


def test_results_have_the_type_that_is_given(served: Worker, client: Client) -> None:
    cid = client.invoke_async(place, Place("pen", 4))
    result = client.result(cid, Order, wait=WAIT)
    assert_type(result, Order)
    assert result == Order("pen", 8)
    (outcome,) = client.invoke_batch([("typed.place", {"sku": "pen"})]).join(WAIT)
    assert outcome.result() == {"sku": "pen", "total": 2}
    assert_type(outcome.result(Order), Order)
    assert outcome.result(Order) == Order("pen", 2)


def test_batches_have_the_types_of_their_services(served: Worker, client: Client) -> None:
    group = client.invoke_batch([Call(place, Place("pen")), Call(PlaceOrder, Place("cup"))])
    assert_type(group, Group[Order])
    outcomes = group.join(WAIT)
    assert_type(outcomes[0].response, Order | None)
    assert_type(outcomes[0].result(), Order)
    assert [outcome.result() for outcome in outcomes] == [Order("pen", 2), Order("cup", 2)]
    assert outcomes[0].result(Order) == Order("pen", 2)


def test_a_batch_of_several_services_has_the_types_of_all(served: Worker, client: Client) -> None:
    group = client.invoke_batch([Call(place, Place("pen")), Call(Ping)])
    first, second = group.join(WAIT)
    assert first.result() == Order("pen", 2)
    assert second.result() is None


def test_events_and_invocations_have_payloads_of_a_type(served: Worker, client: Client) -> None:
    cid = client.invoke_async(place, Place("pen", 4))
    last = list(client.results(cid))[-1]
    assert_type(last.payload_as(Order), Order)
    assert last.payload_as(Order) == Order("pen", 8)
    assert_type(client.get(cid).payload_as(Order), Order)
    assert client.get(cid).payload_as(Order) == Order("pen", 8)
    cancelled = client.invoke_async(place, Place("pen"), delay=3600)
    client.cancel(cancelled)
    with pytest.raises(Cancelled):
        list(client.results(cancelled))[-1].payload_as(Order)
    with pytest.raises(Cancelled):
        client.get(cancelled).payload_as(Order)


def test_a_service_may_have_no_input_and_no_output(served: Worker, client: Client) -> None:
    assert_type(client.call(Ping), Response[None])
    assert client.call(Ping).payload is None
    assert client.call(ping).payload is None
    client.invoke(Ping, timeout=WAIT)
    client.invoke(ping, timeout=WAIT, metadata={"a": "b"})
    assert client.invoke("typed.ping") == {}


def test_calls_of_the_asyncio_client_have_their_types(served: Worker) -> None:
    async def calls() -> None:
        async with AsyncClient(served.node) as client:
            assert_type(await client.invoke(PlaceOrder, Place("pen")), Order)
            assert_type(await client.invoke(place, Place("pen")), Order)
            assert_type(await client.invoke(total_of, Order("pen", 1)), Order)
            assert_type(await client.call(place, Place("pen")), Response[Order])
            cid = await client.invoke_async(PlaceOrder, Place("pen"))
            assert_type(cid, Accepted)
            result = await client.result(cid, Order, wait=WAIT)
            assert_type(result, Order)
            assert result == Order("pen", 2)

    asyncio.run(calls())


def test_the_harness_has_the_types_of_the_service() -> None:
    order = testing.run(PlaceOrder, Place("pen"))
    assert_type(order, Order)
    assert order == Order("pen", 2)
    assert_type(testing.run(double, order), Order)
    assert (
        testing.run(Forward, Place("a"), invokes={place: order, total_of: order, Ping: {}}) == order
    )


def test_a_payload_of_another_type_is_an_error(served: Worker, client: Client) -> None:
    with pytest.raises(InvalidArgument):
        client.invoke(PlaceOrder, 5)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument):
        client.invoke(place, 5)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument):
        client.invoke(double, 5)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument):
        client.invoke_async(place, 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="did you mean `timeout`"):
        client.invoke(place, Place("pen"), tiemout=5)  # type: ignore[call-arg]
    for call in (client.invoke, client.invoke_async, Call):
        for each in (PlaceOrder, place):
            with pytest.raises(TypeError, match=r"`typed\.place` takes a payload of type `Place`"):
                call(each)
    with pytest.raises(TypeError, match=r"`typed\.double` takes .* `Order`, and none is given"):
        client.invoke(double)
    with pytest.raises(
        TypeError, match=r"`typed\.place-all` takes a payload of type `list\[Place\]`"
    ):
        client.invoke(PlaceAll, timeout=5)
    with pytest.raises(TypeError, match="the payload is an argument, such as `\\(PlaceOrder, "):
        client.invoke(PlaceOrder, sku="pen")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="`delay` is an option of `invoke_async`"):
        client.invoke(place, Place("pen"), delay=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="`retrys` is not an option"):
        client.with_options(retrys=5)  # type: ignore[call-arg]
    # An option of `@service` is reported where the service is used, not at the declaration.
    service("typed.misspelt", tiemout=5)  # type: ignore[call-overload]
    misspelt: dict[str, Any] = {"tiemout": 5}
    nothing = service("typed.misspelt", **misspelt)(lambda: None)
    with pytest.raises(TypeError, match="`tiemout` is not an option; did you mean `timeout`"):
        testing.run(nothing)


@service("typed.paid")
async def paid(ctx: AsyncContext, input: Order) -> Order:  # noqa: A002
    return Order(input.sku, input.total + 1)


@service("typed.twice-paid")
async def twice_paid(ctx: AsyncContext, input: Order) -> Order:  # noqa: A002
    # Called as a function, it has the declared type of the result.
    once = await paid(ctx, input)
    assert_type(once, Order)
    return await paid(ctx, once)


def test_a_coroutine_that_is_called_as_a_function_returns_its_declared_type() -> None:
    assert testing.run(twice_paid, Order("pen", 1)).total == 3
