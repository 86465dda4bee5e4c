"""Fixtures: a node that all tests share, and pages whose errors fail a test."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from node import Node
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)
from worker import Worker

CHROMIUM = os.environ.get("CIDERY_CHROMIUM", "/usr/bin/chromium")
# Nothing takes as long: a machine that is busy with other tests does.
TIMEOUT_MS = 30_000
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}
# Chromium runs as root in containers, with little shared memory, and is to call nothing by itself.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
]


def pytest_configure() -> None:
    expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.stop()


@pytest.fixture(scope="session")
def family() -> Iterator[Node]:
    """A node with a worker that serves `family_services.py`."""
    node = Node()
    with Worker(node, "family_services"):
        yield node
    node.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def refusals(marker: pytest.Mark | None) -> re.Pattern[str] | None:
    """What a browser reports of the failures that a test expects: all, unless it names some.

    `fails(401, "ERR_FAILED")` names a status of HTTP, and an error of the browser's network.
    """
    if marker is None:
        return None
    statuses = [f"status of {it} " if isinstance(it, int) else f"net::{it}$" for it in marker.args]
    return re.compile(f"Failed to load resource: .*({'|'.join(statuses)})")


class Watch:
    """What pages of a context reported, and whom they called."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.own: set[str] = set()
        self.refusals: re.Pattern[str] | None = None

    def of_console(self, message: ConsoleMessage) -> None:
        is_refusal = self.refusals is not None and self.refusals.search(message.text)
        if message.type in ("error", "warning") and not is_refusal:
            self.errors.append(message.text)

    def of_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob"):
            self.hosts.add(url.netloc)


@pytest.fixture
def open_context(
    browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Callable[..., BrowserContext]]:
    """Opens browsers as of other people: without what others stored. Their errors fail the test."""
    contexts: list[BrowserContext] = []
    watch = Watch()
    watch.refusals = refusals(request.node.get_closest_marker("fails"))

    def open_context(node: Node, **options: object) -> BrowserContext:
        watch.own.add(node.address)
        context = browser.new_context(**{"viewport": WIDE, "base_url": node.url, **options})  # type: ignore[arg-type]
        context.set_default_timeout(TIMEOUT_MS)
        context.on("console", watch.of_console)
        context.on("weberror", lambda error: watch.errors.append(str(error.error)))
        context.on("request", watch.of_request)
        contexts.append(context)
        return context

    yield open_context
    for context in contexts:
        context.close()
    assert watch.errors == []
    assert watch.hosts <= watch.own, "a request left the host"


@pytest.fixture
def page(node: Node, open_context: Callable[..., BrowserContext]) -> Page:
    return open_context(node).new_page()
