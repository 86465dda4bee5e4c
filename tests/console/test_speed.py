"""What a large store costs: the first screen, and the processor time of a node with a console.

Ratios and shares depend on the machine: `scripts/test --soak` measures them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import TIMEOUT_MS, WIDE
from node import BATCH, BINARY, Node
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

pytestmark = pytest.mark.soak
FEW, MANY = 300, 100_000
LOADS = 9
# Calls per second of a busy node; turns with a console and without one, and their length.
RATE, ROUNDS, SECONDS = 100, 5, 8


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from filled(tmp_path_factory.mktemp("few"), FEW)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from filled(tmp_path_factory.mktemp("many"), MANY)


def filled(data: Path, count: int) -> Iterator[Node]:
    """A node with as many invocations, which have all ended."""
    node = Node(data=data)
    node.fill(count)
    pending = {"filterExpression": "state = (PENDING OR RUNNING)"}
    while int(node.call("InvocationService/SummarizeInvocations", pending).get("total", 0)) > 0:
        time.sleep(0.5)
    yield node
    node.stop()


@pytest.fixture(scope="module")
def bare() -> Iterator[Node]:
    node = Node(demo=False)
    yield node
    node.stop()


def usable_after(browser: Browser, node: Node, path: str, ready: str) -> float:
    """The milliseconds until a screen is there, in a new browser."""
    context = browser.new_context(viewport=WIDE, base_url=node.url)
    page = context.new_page()
    page.goto("about:blank")
    start = time.monotonic()
    page.goto(path, wait_until="commit")
    page.wait_for_selector(ready)
    taken = 1000 * (time.monotonic() - start)
    context.close()
    return taken


def medians(browser: Browser, nodes: list[Node], path: str, ready: str) -> list[float]:
    """Nodes take turns, so that what else the machine does weighs on all of them."""
    rounds = [[usable_after(browser, node, path, ready) for node in nodes] for _ in range(LOADS)]
    return [statistics.median(of) for of in zip(*rounds, strict=True)]


def test_the_first_screen_does_not_depend_on_how_much_is_stored(
    browser: Browser, bare: Node, many: Node
) -> None:
    one, other = medians(browser, [bare, many], "/", ".tile .tile-value")
    ratio = other / one
    print(f"/: {one:.0f} ms of an empty node, {other:.0f} ms with {MANY}: {ratio:.2f}")
    assert ratio <= 1.5


def test_a_list_does_not_depend_on_how_much_is_stored(
    browser: Browser, few: Node, many: Node
) -> None:
    # An empty list draws no rows: one that fills a page as well is what compares.
    path, ready = "/console/invocations", ".virtual-space .row .badge"
    one, other = medians(browser, [few, many], path, ready)
    ratio = other / one
    print(f"{path}: {one:.0f} ms with {FEW} invocations, {other:.0f} ms with {MANY}: {ratio:.2f}")
    assert ratio <= 1.5


def processor_seconds(node: Node) -> float:
    fields = Path(f"/proc/{node.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def busy(many: Node) -> Iterator[Node]:
    """A node that is called at a fixed rate, whether or not a console is open."""
    command = [str(BINARY), "bench", "cidery.echo", "--json", '{"reading": 1}']
    command += ["--node", many.address, "--rate", str(RATE), "--duration", "1h"]
    caller = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(2)
    assert caller.poll() is None, "the caller has ended"
    yield many
    caller.terminate()
    caller.wait()


@pytest.mark.parametrize("path", ["/", "/console/services", "/console/invocations"])
def test_an_open_console_costs_a_busy_node_little(
    open_context: Callable[..., BrowserContext], busy: Node, path: str
) -> None:
    page = open_context(busy).new_page()
    # What the calls cost varies more than what a console does: turns, and the median of the
    # differences of neighbours.
    shares = [(cost(busy, page, "about:blank"), cost(busy, page, path)) for _ in range(ROUNDS)]
    without = statistics.median(share for share, _ in shares)
    more = statistics.median(seen - unseen for unseen, seen in shares)
    print(f"{path}: {100 * more:.2f} % of a core, beside {100 * without:.1f} % for {RATE} calls/s")
    assert more <= 0.01


def cost(node: Node, page: Page, path: str) -> float:
    """The share of a core that a node takes while a page is open, without loading it."""
    page.goto(path)
    expect(page.locator("main .loading, main .skeleton-tile")).to_have_count(0)
    page.wait_for_timeout(1000)
    before = processor_seconds(node)
    start = time.monotonic()
    page.wait_for_timeout(1000 * SECONDS)
    return (processor_seconds(node) - before) / (time.monotonic() - start)


def test_a_hundred_thousand_rows_scroll_as_smoothly_as_few(
    open_context: Callable[..., BrowserContext], few: Node, many: Node
) -> None:
    one, other = (
        scrolled(open_context(node).new_page(), rows) for node, rows in ((few, FEW), (many, MANY))
    )
    print(f"frames while it scrolls, in ms: {one} with {FEW} rows, {other} with {MANY}")
    # A machine that is busy has single long frames with any list.
    assert other[0] <= 2 * one[0] + 5
    assert other[1] <= 2 * one[1] + 20


def test_the_last_of_a_hundred_thousand_rows_is_reached(
    open_context: Callable[..., BrowserContext], many: Node
) -> None:
    page = open_context(many).new_page()
    grid = listed(page, MANY)
    grid.evaluate("(grid) => { grid.scrollTop = grid.scrollHeight }")
    # A hundred pages, one after the other: a token leads to the next one alone.
    expect(page.locator(".row-loading")).to_have_count(0, timeout=4 * TIMEOUT_MS)
    assert page.locator(".virtual-space .row").count() < 60


def listed(page: Page, rows: int) -> Locator:
    """The list, once it knows how long it is: the invocations, their groups, and the heading."""
    page.goto("/console/invocations")
    grid = page.get_by_role("grid")
    groups = -(-rows // BATCH)
    expect(grid).to_have_attribute("aria-rowcount", str(rows + groups + 1))
    return grid


def scrolled(page: Page, rows: int) -> tuple[float, float]:
    """The median and the 95th percentile of the frames while a list scrolls, page by page."""
    taken = listed(page, rows).evaluate(
        """async (grid) => {
          const frames = [];
          let last = performance.now();
          for (let step = 0; step < 240; step += 1) {
            const end = grid.scrollHeight - grid.clientHeight;
            grid.scrollTop = grid.scrollTop >= end ? 0 : grid.scrollTop + grid.clientHeight;
            await new Promise(requestAnimationFrame);
            frames.push(performance.now() - last);
            last = performance.now();
          }
          return frames.sort((a, b) => a - b);
        }"""
    )
    page.close()
    return round(taken[len(taken) // 2], 1), round(taken[len(taken) * 95 // 100], 1)
