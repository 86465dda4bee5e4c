"""Operations: bulk changes that the node makes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from cidery import (
    AlreadyExists,
    AsyncClient,
    CideryError,
    Client,
    DeadlineExceeded,
    NotFound,
    OperationState,
    RetryPolicy,
    State,
    new_cid,
)
from cidery.testing import Node

WAIT = 20.0
ONCE = RetryPolicy(max_attempts=1)
FAILED = "service = demo.fail AND state = FAILED"


@pytest.fixture
def own() -> Iterator[Client]:
    with Node(demo=True) as node, node.client() as client:
        yield client


def due_later(client: Client, count: int) -> list[str]:
    return [client.invoke_async("cidery.echo", {"n": n}, delay=3600) for n in range(count)]


def failed(client: Client, count: int) -> list[str]:
    payload = {"code": "NOT_FOUND", "message": "gone"}
    cids: list[str] = [
        client.invoke_async("demo.fail", payload, retry_policy=ONCE) for _ in range(count)
    ]
    for cid in cids:
        with pytest.raises(CideryError):
            client.result(cid, wait=WAIT)
    return cids


def test_what_failed_is_counted_and_retried_once(own: Client) -> None:
    originals = failed(own, 3)
    assert own.operations.count("retry", filter_expression=FAILED) == 3
    started = own.operations.start("retry", filter_expression=FAILED)
    ended = own.operations.wait(started.id, timeout=WAIT)
    assert (ended.state, ended.action) == (OperationState.SUCCEEDED, "retry")
    assert (ended.matched, ended.processed, ended.changed) == (3, 3, 3)
    assert (ended.refusals, ended.error) == ((), None)
    assert ended.has_ended
    assert ended.end_time is not None
    retried = own.invocations(services="demo.fail", limit=6)
    assert {each.message.retry_of for each in retried} == {"", *originals}
    assert own.operations.get(started.id) == ended
    assert own.operations.list(states="SUCCEEDED") == [ended]
    assert own.operations.list(states=[OperationState.RUNNING, "FAILED"]) == []


def test_a_patch_changes_each_input_and_refusals_say_why(own: Client) -> None:
    [cid] = failed(own, 1)
    patch = {"code": {"no": "text"}}
    started = own.operations.start("retry", patch=patch, services="demo.fail")
    [refusal] = own.operations.wait(started.id, WAIT).refusals
    assert (refusal.reason, refusal.count, refusal.example_cid) == ("INPUT_INVALID", 1, cid)
    patch_of_digits: dict[str, Any] = {"code": None, "n": 2**53 + 1}
    started = own.operations.start("retry", patch=patch_of_digits, services="demo.fail")
    assert own.operations.wait(started.id, WAIT).changed == 1
    [retry] = [each for each in own.invocations() if each.message.retry_of == cid]
    assert "9007199254740993" in str(own.explain(retry.cid).message.input)


def test_pending_ones_are_cancelled_and_ended_ones_purged(own: Client) -> None:
    cids = due_later(own, 2)
    operation_id = new_cid()
    start = dict[str, Any](reason="not needed", operation_id=operation_id, services="cidery.echo")
    started = own.operations.start("cancel", **start)
    assert started.id == operation_id
    assert own.operations.wait(operation_id, WAIT).changed == 2
    assert own.operations.start("cancel", **start).id == operation_id, "started once"
    with pytest.raises(AlreadyExists, match="another request"):
        own.operations.start("purge", operation_id=operation_id, services="cidery.echo")
    assert {own.get(cid).state for cid in cids} == {State.CANCELLED}
    purge = own.operations.start("purge", states="CANCELLED")
    assert own.operations.wait(purge.id, WAIT).changed == 2
    with pytest.raises(NotFound):
        own.get(cids[0])


def test_an_operation_is_waited_for_and_cancelled(own: Client) -> None:
    due_later(own, 3)
    slow = own.operations.start("cancel", max_per_second=1, services="cidery.echo")
    with pytest.raises(DeadlineExceeded):
        own.operations.wait(slow.id, timeout=0.01)
    cancelled = own.operations.cancel(slow.id)
    assert cancelled.state is OperationState.CANCELLED
    assert own.operations.wait(slow.id) == cancelled
    with pytest.raises(NotFound, match="no operation"):
        own.operations.get(new_cid())


def test_wrong_arguments_are_refused_before_the_call(own: Client) -> None:
    with pytest.raises(TypeError, match="give filters"):
        own.operations.start("cancel")
    with pytest.raises(TypeError, match="option of a retry"):
        own.operations.start("cancel", patch={}, states="PENDING")
    with pytest.raises(TypeError, match="option of a cancellation"):
        own.operations.start("retry", reason="x", states="FAILED")
    wrong: Any = "delete"
    with pytest.raises(ValueError, match="`cancel`"):
        own.operations.count(wrong, states="PENDING")


def test_the_asyncio_client_has_operations() -> None:
    async def run() -> None:
        with Node(demo=True) as node:
            async with AsyncClient(node.address) as client:
                await client.invoke_async("cidery.echo", {}, delay=3600)
                operations = client.operations
                assert await operations.count("cancel", services="cidery.echo") == 1
                started = await operations.start("cancel", services="cidery.echo")
                ended = await operations.wait(started.id, WAIT)
                assert ended.changed == 1
                assert await operations.cancel(started.id) == ended
                assert await operations.get(started.id) == ended
                assert await operations.list() == [ended]

    asyncio.run(run())
