"""`cidery.testing`: the harness without a node, and the fixtures with one."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from cidery import (
    Aborted,
    AsyncContext,
    CideryError,
    Client,
    Int,
    InvalidArgument,
    Progress,
    Service,
    Text,
    service,
    testing,
)
from cidery.testing import Node


class Order(Service):
    input = Int("cust_id"), "-note"
    output = Text("name")
    response_elem = "order"

    def handle(self) -> None:
        self.progress(0.5, "half", {"n": 1})
        self.emit({"n": 1})
        found = self.invoke("crm.lookup", cust_id=self.request.input.cust_id)
        self.invoke_async("audit.record", {"cid": self.cid}, callback="audit.done", once="audit")
        self.invoke_async("mail.send", {"to": found.name}, with_outcome=True)
        self.response.payload.name = found.name
        self.response.metadata["served-by"] = "test"


def test_the_calls_of_a_service_are_recorded() -> None:
    trial = testing.trial(
        Order,
        {"cust_id": "7", "zz": 1},
        invokes={"crm.lookup": lambda payload: {"name": f"customer {payload.cust_id}"}},
        cid="01890f5a-7b3c-7def-8123-456789abcdef",
    )
    assert trial.payload.order.name == "customer 7"
    assert trial.metadata == {"served-by": "test"}
    assert trial.ignored == ["zz"]
    assert [(i.service, i.payload) for i in trial.invoked] == [("crm.lookup", {"cust_id": 7})]
    audit, mail = trial.invoked_async
    assert (audit.service, audit.callbacks, audit.with_outcome) == (
        "audit.record",
        ("audit.done",),
        False,
    )
    assert audit.request.idempotency_key.endswith(f"/{Order.service_name}/audit")
    assert (mail.payload, mail.with_outcome) == ({"to": "customer 7"}, True)
    assert trial.items == [{"n": 1}]
    assert trial.progress == [Progress(0.5, "half", {"n": 1})]


def test_nested_calls_can_fail_or_run_another_service() -> None:
    class Lookup(Service):
        name = "crm.lookup"

        def handle(self) -> Any:
            return {"name": self.request.payload.cust_id}

    assert testing.run(Order, {"cust_id": 1}, invokes={"crm.lookup": Lookup}).order.name == "1"
    with pytest.raises(Aborted):
        testing.run(Order, {"cust_id": 1}, invokes={"crm.lookup": Aborted("ABORTED", "again")})
    with pytest.raises(testing.NotMocked, match=r"invokes `crm\.lookup`, and its response is not"):
        testing.run(Order, {"cust_id": 1})


def test_errors_of_python_name_the_public_class() -> None:
    class Reports(Service):
        def handle(self) -> None:
            self.progress(0.5, done=True)  # type: ignore[call-arg]

    class Invokes(Service):
        def handle(self) -> None:
            self.invoke()  # type: ignore[call-arg]

    with pytest.raises(TypeError, match=r"^Context\.progress\(\) got an unexpected keyword"):
        testing.run(Reports)
    with pytest.raises(TypeError, match=r"^Context\.invoke\(\) missing 1 required"):
        testing.run(Invokes)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="`invoke` is not an option; did you mean `invokes`"):
        testing.run(Order, {"cust_id": 1}, invoke={})  # type: ignore[call-arg]


def test_a_call_that_the_test_does_not_answer_ends_the_traceback() -> None:
    class Handles(Service):
        def handle(self) -> None:
            with contextlib.suppress(CideryError):
                self.invoke("crm.lookup")

    with pytest.raises(testing.NotMocked) as caught:
        testing.run(Handles)
    assert (caught.traceback[-1].name, caught.traceback[-1].path) == ("handle", Path(__file__))


def test_an_invalid_input_is_refused() -> None:
    with pytest.raises(InvalidArgument) as caught:
        testing.run(Order, {"cust_id": []})
    assert [(v.path, v.reason) for v in caught.value.violations] == [("/cust_id", "WRONG_TYPE")]


def test_an_undeclared_exception_is_raised_unchanged() -> None:
    class Breaks(Service):
        def handle(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        testing.run(Breaks)


def test_coroutine_handlers_run() -> None:
    @service(input=Int("n"))
    async def doubles(ctx: AsyncContext, request: Any) -> Any:
        await asyncio.sleep(0)
        response = await ctx.invoke("x", n=request.n)
        return {"n": response.n * 2}

    assert testing.run(doubles, {"n": 2}, invokes={"x": lambda payload: payload}) == {"n": 4}


def test_the_fixtures_run_a_node_for_one_test(cidery_node: Node, cidery_client: Client) -> None:
    assert cidery_client.node == cidery_node.address
    assert cidery_client.invocations() == []
    cid = cidery_client.invoke_async("cidery.echo", {"a": 1})
    cidery_node.kill()
    cidery_node.start()
    # The accepted invocation is on disk.
    assert cidery_client.with_options().result(cid, wait=20) == {"a": 1}


@pytest.mark.parametrize("fraction", [25, 1.01, -0.5, float("nan")])
def test_a_fraction_of_progress_is_from_0_to_1(fraction: float) -> None:
    class Reports(Service):
        def handle(self) -> Any:
            self.progress(fraction)

    with pytest.raises(ValueError, match=f"is {fraction}: not 0 to 1"):
        testing.run(Reports)


def test_a_rounding_error_of_progress_is_ignored() -> None:
    class Reports(Service):
        def handle(self) -> Any:
            for fraction in (0, 1, 1.0000000000000002, -1e-12):
                self.progress(fraction)

    assert [each.fraction for each in testing.trial(Reports).progress] == [0, 1, 1, 0]
