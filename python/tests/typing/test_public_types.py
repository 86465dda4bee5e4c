"""The types of the public names: `mypy --strict` checks the assertions, and the tests run them.

A line with `type: ignore[code]` asserts that mypy reports this error there.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
from collections.abc import Callable
from typing import Any

import pytest
from typing_extensions import assert_type

from cidery import (
    Accepted,
    AsyncClient,
    AsyncContext,
    AsyncService,
    Change,
    CideryError,
    Client,
    Event,
    EventKind,
    Int,
    InvalidArgument,
    Invocation,
    Kind,
    Later,
    NotFound,
    Operation,
    Progress,
    Response,
    RetryPolicy,
    Service,
    State,
    Summary,
    Text,
    Violation,
    Worker,
    service,
    testing,
)
from cidery.v1 import discovery_pb2

Changes = list[Change]
WAIT = 20.0


class Declared(Service):
    """Declares every option."""

    name = "types.declared"
    input = Int("count"), "-note"
    output = Text("said")
    timeout = datetime.timedelta(seconds=5)
    retry_policy = RetryPolicy(max_attempts=1)

    def handle(self) -> None:
        assert_type(self.cid, str)
        assert_type(self.attempt, int)
        assert_type(self.metadata, dict[str, str])
        assert_type(self.is_cancelled, bool)
        assert_type(self.seconds_left, float | None)
        assert_type(self.last_progress, Progress | None)
        assert_type(self.later(), Later)
        # Attributes declared at run time are `Any` to a type checker.
        assert_type(self.request.input.count, Any)
        self.response.payload.said = "x" * self.request.input.count


class Awaits(AsyncService):
    name = "types.awaits"

    async def handle(self) -> dict[str, Any]:
        return {"said": (await self.invoke(Declared, {"count": 2})).said}


@dataclasses.dataclass
class Ask:
    numbers: list[int]


@dataclasses.dataclass
class Total:
    total: int


@service("types.add-up")
def add_up(ask: Ask) -> Total:
    return Total(sum(ask.numbers))


@service("types.echo", input="n")
async def echo(ctx: AsyncContext, request: Any) -> dict[str, Any]:
    ctx.progress(0.5)
    ctx.emit(request.n)
    return {"n": request.n, "cid": ctx.cid}


@pytest.fixture
def served(serve: Callable[..., Worker]) -> Worker:
    worker = serve(Declared, Awaits, add_up, echo)
    assert_type(worker.services, list[str])
    return worker


def test_decorated_functions_keep_their_types() -> None:
    assert_type(add_up(Ask([1, 2])), Total)
    with pytest.raises(AttributeError):
        add_up("1, 2")  # type: ignore[arg-type]
    worker = Worker(add_up)

    @worker.service("types.doubled", timeout=5)
    def doubled(total: Total) -> Total:
        return Total(2 * total.total)

    assert_type(doubled(Total(1)), Total)


def test_results_of_clients_have_their_types(served: Worker, client: Client) -> None:
    assert_type(client.invoke(Declared, {"count": 2}), Any)
    response = client.call("types.declared", {"count": 2}, timeout=5)
    assert_type(response, Response)
    assert_type(response.cid, str)
    cid = client.invoke_async(echo, {"n": 1})
    assert_type(cid, Accepted)
    assert_type(cid.already_accepted, bool)
    for event in client.results([cid]):
        assert_type(event, Event)
        assert_type(event.kind, EventKind)
        assert_type(event.error, CideryError | None)
    assert_type(client.result(cid, wait=WAIT), Any)
    found = client.get(cid, datetime.timedelta(seconds=1))
    assert_type(found, Invocation)
    assert_type(found.state, State)
    assert_type(client.services(), list[discovery_pb2.ServiceSummary])
    assert_type(client.describe(add_up), discovery_pb2.ServiceDescription)
    assert_type(client.with_options(timeout=1), Client)
    with pytest.raises(TypeError):
        client.invoke(payload={}, service="types.declared")  # type: ignore[call-arg]


def test_filters_have_their_types(client: Client) -> None:
    assert_type(client.invocations(services=Declared, states="FAILED"), list[Invocation])
    assert_type(client.cancel(services="types.echo", dry_run=True), Changes)
    assert_type(client.summarize(filter_expression="state = FAILED"), list[Summary])
    operations = client.operations
    assert_type(operations.start("retry", filter_expression="state = EXPIRED"), Operation)
    assert_type(operations.count("purge", states="EXPIRED"), int)
    assert_type(operations.list(states="RUNNING"), list[Operation])
    with pytest.raises(ValueError):
        operations.count("delete", states="EXPIRED")  # type: ignore[arg-type]
    assert_type(client.invocations(metadata={"tenant": "a"}, dead_letter=True), list[Invocation])
    assert_type(client.retry(services=echo, dry_run=True), Changes)
    assert_type(client.purge(states=[State.FAILED], dry_run=True), Changes)
    with pytest.raises(TypeError):
        client.purge(service="types.echo")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        client.purge(ended_before="yesterday")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`states` is 'DONE'"):
        client.invocations(states="DONE")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`pending_reasons` is 'LATER'"):
        client.invocations(pending_reasons="LATER")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`data_format` is 'yaml'"):
        client.invoke("types.echo", "", data_format="yaml")


def test_attributes_of_errors_have_their_types(client: Client) -> None:
    try:
        client.invoke("customer.get", cust_id="x")
    except InvalidArgument as error:
        assert_type(error.kind, Kind)
        assert_type(error.reason, str)
        assert_type(error.cid, str | None)
        assert_type(error.is_retryable, bool)
        assert_type(error.retry_after, float | None)
        assert_type(error.violations, tuple[Violation, ...])
        assert_type(error.violations[0].path, str)
    failure: CideryError = NotFound("GONE", "gone", violations=[Violation("/a", "is odd")])
    assert_type(failure.facts, dict[str, str])
    with pytest.raises(ValueError, match="is not a reason"):
        NotFound("there is none", "really")
    assert NotFound("there is none").message == "there is none"
    with pytest.raises(TypeError):
        NotFound("GONE", "gone", "now")  # type: ignore[call-arg,arg-type]


def test_the_asyncio_client_is_awaited(served: Worker) -> None:
    async def calls() -> None:
        async with AsyncClient(served.node) as client:
            assert_type(client, AsyncClient)
            assert_type(await client.invoke(Awaits), Any)
            assert_type(await client.call(add_up, Ask([1])), Response[Total])
            cid = await client.invoke_async(echo, {"n": 1})
            assert_type(cid, Accepted)
            async for event in client.results(cid):
                assert_type(event, Event)
            assert_type(await client.result(cid, wait=WAIT), Any)
            assert_type(await client.get(cid), Invocation)
            assert_type(await client.purge(cid), Changes)

    asyncio.run(calls())


def test_fixtures_and_trials_have_their_types(
    cidery_node: testing.Node, cidery_client: Client
) -> None:
    assert_type(cidery_node.address, str)
    assert_type(cidery_node.client(), Client)
    assert_type(testing.run(Declared, {"count": 1}), Any)
    trial = testing.trial(echo, {"n": 1})
    assert_type(trial, testing.Trial)
    assert_type(trial.later, Later | None)
    assert_type(trial.progress, list[Progress])
    assert cidery_client.invocations() == []
