"""Fixtures: a node with the demo services, shared by all tests, and workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cidery import Client, Worker
from cidery.testing import Node


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "slow: takes up to a minute; scripts/test runs it beside the rest"
    )


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    with Node(demo=True) as node:
        yield node


@pytest.fixture(scope="session")
def client(node: Node) -> Iterator[Client]:
    with node.client() as client:
        yield client


@pytest.fixture
def serve(node: Node) -> Iterator[Callable[..., Worker]]:
    """Serves services until the test ends."""
    workers: list[Worker] = []

    def serve(*services: Any, **options: Any) -> Worker:
        worker = Worker(*services, node=node.address, **options)
        workers.append(worker)
        return worker.start()

    yield serve
    for worker in workers:
        worker.stop(drain=5)
