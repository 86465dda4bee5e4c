"""What a large store costs: the first screen, and the processor time of a node with a console.

Ratios and shares depend on the machine: `scripts/test --soak` measures them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TIMEOUT_MS, WIDE
from node import Node
from playwright.sync_api import Browser, BrowserContext, Page, expect

pytestmark = pytest.mark.soak
MANY = 100_000
LOADS = 7


def usable_after(browser: Browser, node: Node, path: str, ready: str) -> float:
    """The median of the milliseconds until a screen is there, in new browsers."""
    taken = []
    for _ in range(LOADS):
        context = browser.new_context(viewport=WIDE, base_url=node.url)
        page = context.new_page()
        page.goto("about:blank")
        start = time.monotonic()
        page.goto(path, wait_until="commit")
        page.wait_for_selector(ready)
        taken.append(1000 * (time.monotonic() - start))
        context.close()
    return statistics.median(taken)


def test_the_first_screen_does_not_depend_on_how_much_is_stored(
    browser: Browser, tmp_path: Path
) -> None:
    few, many = Node(data=tmp_path / "few"), Node(data=tmp_path / "many")
    try:
        few.fill(100)
        many.fill(MANY)
        settle(many)
        for path, ready in [
            ("/", ".tile .tile-value"),
            ("/console/invocations", ".virtual-space .row .badge"),
        ]:
            one, other = (usable_after(browser, node, path, ready) for node in (few, many))
            print(f"{path}: {one:.0f} ms with 100 invocations, {other:.0f} ms with {MANY}")
            assert other <= 1.5 * one + 20
    finally:
        few.stop()
        many.stop()


def settle(node: Node) -> None:
    """Waits until all invocations have ended."""
    pending = {"filterExpression": "state = (PENDING OR RUNNING)"}
    while int(node.call("InvocationService/SummarizeInvocations", pending).get("total", 0)) > 0:
        time.sleep(0.5)


def processor_seconds(node: Node) -> float:
    fields = Path(f"/proc/{node.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.fails
def test_an_open_console_costs_little(
    open_context: Callable[..., BrowserContext], tmp_path: Path
) -> None:
    node = Node(data=tmp_path)
    try:
        node.fill(MANY)
        settle(node)
        page: Page = open_context(node).new_page()
        for path in ("/", "/console/services", "/console/invocations"):
            page.goto(path)
            expect(page.locator("main .loading, main .skeleton-tile")).to_have_count(0)
            idle = cost(node, page, is_seen=False)
            seen = cost(node, page, is_seen=True)
            print(f"{path}: {100 * (seen - idle):.2f} % of a core")
            assert seen - idle <= 0.01
    finally:
        node.stop()


def cost(node: Node, page: Page, is_seen: bool, seconds: float = 20) -> float:
    """The share of a core that a node takes while a page is open, or offline."""
    page.context.set_offline(not is_seen)
    page.wait_for_timeout(1000)
    before = processor_seconds(node)
    start = time.monotonic()
    page.wait_for_timeout(1000 * seconds)
    return (processor_seconds(node) - before) / (time.monotonic() - start)


def test_a_hundred_thousand_rows_scroll_smoothly(
    open_context: Callable[..., BrowserContext], tmp_path: Path
) -> None:
    node = Node(data=tmp_path)
    try:
        node.fill(MANY)
        settle(node)
        page = open_context(node).new_page()
        page.goto("/console/invocations")
        expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", str(MANY + 20 + 1))
        grid = page.get_by_role("grid")
        # The longest frame while it scrolls by whole pages, in milliseconds.
        longest = grid.evaluate(
            """async (grid) => {
              let last = performance.now(), longest = 0;
              for (let step = 0; step < 120; step += 1) {
                grid.scrollTop += grid.clientHeight;
                await new Promise(requestAnimationFrame);
                longest = Math.max(longest, performance.now() - last);
                last = performance.now();
              }
              return longest;
            }"""
        )
        print(f"longest frame: {longest:.0f} ms")
        grid.evaluate("(grid) => { grid.scrollTop = grid.scrollHeight }")
        # A hundred pages, one after the other: a token leads to the next one alone.
        expect(page.locator(".row-loading")).to_have_count(0, timeout=4 * TIMEOUT_MS)
        assert page.locator(".virtual-space .row").count() < 60
        page.close()
    finally:
        node.stop()
