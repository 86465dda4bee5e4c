"""The pytest plugin: fixtures with a node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cidery._client.blocking import Client
from cidery.testing._node import Node


@pytest.fixture
def cidery_node() -> Iterator[Node]:
    """A node with an empty store, for one test."""
    with Node() as node:
        yield node


@pytest.fixture
def cidery_client(cidery_node: Node) -> Iterator[Client]:
    """A client of `cidery_node`."""
    with cidery_node.client() as client:
        yield client
