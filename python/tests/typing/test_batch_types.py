"""The types of groups: `mypy --strict` checks the assertions, and the tests run them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from typing_extensions import assert_type

from cidery import AsyncClient, AsyncGroup, Call, CideryError, Client, Group, Outcome, State

WAIT = 20.0


def test_groups_of_the_client_have_their_types(client: Client) -> None:
    group = client.invoke_batch([("cidery.echo", {}), Call("cidery.echo", a=1)])
    assert_type(group, Group)
    assert_type(group.cid, str)
    assert_type(group.members, tuple[str, ...])
    assert_type(group.already_accepted, bool)
    outcomes = group.join(WAIT)
    assert_type(outcomes, list[Outcome])
    assert_type(outcomes[0].state, State | None)
    assert_type(outcomes[0].error, CideryError | None)
    assert_type(outcomes[0].ok, bool)
    assert_type(outcomes[0].metadata, dict[str, str])
    response: Any = outcomes[0].result()
    assert response == {}
    with pytest.raises(TypeError):
        client.invoke_batch(["cidery.echo"])  # type: ignore[list-item]


def test_groups_of_the_asyncio_client_have_their_types(client: Client) -> None:
    async def calls() -> None:
        async with AsyncClient(client.node) as other:
            group = await other.invoke_batch([("cidery.echo", {})], on_each=[], retention=60)
            assert_type(group, AsyncGroup)
            assert_type(await group.join(), list[Outcome])

    asyncio.run(calls())
