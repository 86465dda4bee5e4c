"""`cidery.testing` with coroutines: each pair of functions and coroutines, in each kind of test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cidery import AsyncContext, AsyncService, Call, Context, NotFound, Service, service, testing


class Price(Service):
    def handle(self) -> dict[str, int]:
        return {"price": 5}


class SlowPrice(AsyncService):
    async def handle(self) -> dict[str, int]:
        await asyncio.sleep(0)
        return {"price": 5}


@service
async def function_price(ctx: AsyncContext) -> dict[str, int]:
    await asyncio.sleep(0)
    return {"price": 5}


async def mocked_price(payload: Any) -> dict[str, int]:
    await asyncio.sleep(0)
    return {"price": 5}


class Sum(Service):
    def handle(self) -> dict[str, int]:
        joined = self.fan_out([Call("price"), Call("price")]).join()
        prices = [self.invoke("price"), *(outcome.result() for outcome in joined)]
        return {"total": sum(each.price for each in prices)}


@service
def function_sum(ctx: Context) -> Any:
    return {"total": ctx.invoke("price").price * 3}


class AsyncSum(AsyncService):
    async def handle(self) -> dict[str, int]:
        joined = await self.fan_out([Call("price"), Call("price")]).join()
        invoked = await asyncio.gather(self.invoke("price"))
        return {"total": sum(each.price for each in [*invoked, *(o.result() for o in joined)])}


class Outer(AsyncService):
    async def handle(self) -> Any:
        return await self.invoke("sum")


OUTERS = [Sum, function_sum, AsyncSum]
INNERS = [Price, SlowPrice, function_price, mocked_price]


def in_a_function(tested: Any, invokes: dict[Any, Any]) -> Any:
    return testing.run(tested, invokes=invokes)


def in_a_coroutine(tested: Any, invokes: dict[Any, Any]) -> Any:
    async def test() -> Any:
        return testing.run(tested, invokes=invokes)

    return asyncio.run(test())


def awaited(tested: Any, invokes: dict[Any, Any]) -> Any:
    async def test() -> Any:
        return await testing.run_async(tested, invokes=invokes)

    return asyncio.run(test())


@pytest.mark.parametrize("run", [in_a_function, in_a_coroutine, awaited])
@pytest.mark.parametrize("inner", INNERS)
@pytest.mark.parametrize("outer", OUTERS)
def test_functions_and_coroutines_invoke_one_another(
    outer: Any, inner: Any, run: Callable[..., Any]
) -> None:
    assert run(outer, {"price": inner}) == {"total": 15}
    # A coroutine, then any, then any.
    assert run(Outer, {"sum": outer, "price": inner}) == {"total": 15}


def test_nested_coroutines_share_the_loop_of_the_test() -> None:
    async def test() -> None:
        gate = asyncio.Event()

        class Waits(AsyncService):
            async def handle(self) -> Any:
                await gate.wait()
                return {"ok": True}

        class Opens(AsyncService):
            async def handle(self) -> Any:
                gate.set()

        class Both(AsyncService):
            async def handle(self) -> Any:
                waited, _ = await asyncio.gather(self.invoke(Waits), self.invoke(Opens))
                return waited

        invokes = {Waits: Waits, Opens: Opens}
        assert await testing.run_async(Both, invokes=invokes) == {"ok": True}

    asyncio.run(test())


def test_a_trial_that_is_awaited_has_the_calls_and_the_failures() -> None:
    async def test() -> None:
        trial = await testing.trial_async(AsyncSum, invokes={"price": SlowPrice})
        assert [each.service for each in trial.invoked] == ["price"]
        (group,) = trial.groups
        assert [member.service for member in group.members] == ["price", "price"]
        with pytest.raises(NotFound) as caught:
            await testing.run_async(Outer, invokes={"sum": NotFound("SUM_UNKNOWN", "no sum")})
        assert caught.value.reason == "SUM_UNKNOWN"
        with pytest.raises(testing.NotMocked, match="invokes `sum`"):
            await testing.run_async(Outer)
        with pytest.raises(TypeError, match="did you mean `invokes`"):
            await testing.run_async(Outer, invoke={})  # type: ignore[call-arg]

    asyncio.run(test())
