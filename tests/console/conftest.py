"""Fixtures: a node that all tests share, and pages whose errors fail a test."""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from node import Node
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Route,
    WebError,
    expect,
    sync_playwright,
)
from worker import Worker

# A folder of files in place of those in the binary: what is changed there is seen without a build.
ASSETS = os.environ.get("CIDERY_CONSOLE_ASSETS")
CHROMIUM = os.environ.get("CIDERY_CHROMIUM", "/usr/bin/chromium")
# Nothing takes as long: a machine that is busy with other tests does.
TIMEOUT_MS = 30_000
# Contexts that wait for the next test: as many as a module has kinds of.
FREE_CONTEXTS = 6
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


def use_assets(context: BrowserContext) -> None:
    def answer(route: Route) -> None:
        file = Path(
            str(ASSETS), re.sub(".*/console/(@[^/]+/)?", "", urlsplit(route.request.url).path)
        )
        if file.is_file():
            kind = mimetypes.guess_type(file)[0]
            route.fulfill(body=file.read_bytes(), content_type=kind)
        else:
            route.continue_()

    if ASSETS:
        context.route("**/console/**", answer)


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

    def of_error(self, error: WebError) -> None:
        self.errors.append(str(error.error))

    def of_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob"):
            self.hosts.add(url.netloc)


class Contexts:
    """Contexts of a browser that are used by one test after the other.

    The files of the console stay in the caches of a context, and their code compiled: that is most
    of what it takes to open a page for the first time. Nothing else stays.
    """

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        # The latest one is the last.
        self.free: list[tuple[str, BrowserContext]] = []

    def take(self, options: dict[str, Any]) -> BrowserContext:
        key = repr(options)
        for at, (name, context) in enumerate(self.free):
            if name == key:
                del self.free[at]
                return context
        context = self.browser.new_context(**options)
        context.set_default_timeout(TIMEOUT_MS)
        use_assets(context)
        return context

    def give_back(self, options: dict[str, Any], context: BrowserContext) -> None:
        for page in context.pages:
            page.close()
        context.set_storage_state({"cookies": [], "origins": []})
        self.free.append((repr(options), context))
        # Their node may have ended.
        while len(self.free) > FREE_CONTEXTS:
            self.free.pop(0)[1].close()


@pytest.fixture(scope="session")
def contexts(browser: Browser) -> Contexts:
    return Contexts(browser)


@pytest.fixture
def open_context(
    contexts: Contexts, request: pytest.FixtureRequest
) -> Iterator[Callable[..., BrowserContext]]:
    """Opens browsers as of other people: without what others stored. Their errors fail the test."""
    opened: list[tuple[dict[str, Any], BrowserContext]] = []
    watch = Watch()
    watch.refusals = refusals(request.node.get_closest_marker("fails"))
    listeners: dict[Any, Callable[[Any], None]] = {
        "console": watch.of_console,
        "weberror": watch.of_error,
        "request": watch.of_request,
    }

    def open_context(node: Node, **more: object) -> BrowserContext:
        watch.own.add(node.address)
        options = {"viewport": WIDE, "base_url": node.url, **more}
        context = contexts.take(options)
        for event, listener in listeners.items():
            context.on(event, listener)
        opened.append((options, context))
        return context

    yield open_context
    for options, context in opened:
        for event, listener in listeners.items():
            context.remove_listener(event, listener)
        contexts.give_back(options, context)
    assert watch.errors == []
    assert watch.hosts <= watch.own, "a request left the host"


def read_now(page: Page) -> None:
    """Lets a page read what it shows at once, as when one comes back to its tab."""
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")


@pytest.fixture
def page(node: Node, open_context: Callable[..., BrowserContext]) -> Page:
    return open_context(node).new_page()
