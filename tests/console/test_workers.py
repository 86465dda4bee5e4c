"""Workers: their builds and credits, who is away, and what is paused; also on narrow pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from conftest import NARROW
from node import Node
from playwright.sync_api import BrowserContext, Page, expect
from worker import Worker

BUILD = "2026.11.30-shop-7f3c9a1d"


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def shop(node: Node) -> Iterator[Worker]:
    """A worker of which one of eight credits is in use."""
    with Worker(node, "shop_services", name="shop-1", build_id=BUILD, max_in_flight=8) as shop:
        node.start("shop.order", {"item": "pen"})
        yield shop


def opened(page: Page, path: str, title: str) -> None:
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_have_text(title)


def test_a_worker_is_shown_with_its_build_and_credits(page: Page, shop: Worker) -> None:
    opened(page, "/console/workers", "Workers")
    row = page.get_by_role("row").filter(has_text="shop-1")
    expect(row).to_contain_text("Connected")
    expect(row).to_contain_text(BUILD)
    expect(row).to_contain_text("1 of 8")
    expect(row.get_by_role("meter", name="Credits in use")).to_have_attribute("value", "1")
    expect(page.locator(".screen-title")).to_contain_text("1 worker, 1 of 8 credits used")
    row.get_by_role("link", name="shop.stock").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("shop.stock")
    expect(page.locator(".plain-list")).to_contain_text(BUILD)


def test_a_worker_fits_a_narrow_page(
    shop: Worker, node: Node, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(node, viewport=NARROW).new_page()
    opened(page, "/console/workers", "Workers")
    row = page.get_by_role("row").filter(has_text="shop-1")
    for text in ("shop-1", BUILD, "1 of 8", "shop.order", "shop.stock"):
        part = row.get_by_text(text, exact=True).first
        expect(part).to_be_visible()
        box = part.bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= box["x"] + box["width"] <= NARROW["width"], text
        shown = part.evaluate("part => [part.scrollWidth, part.clientWidth]")
        assert shown[0] <= shown[1] or shown[1] == 0, text
    wrap = page.locator(".table-wrap").evaluate("wrap => [wrap.scrollWidth, wrap.clientWidth]")
    assert wrap[0] <= wrap[1]


@pytest.mark.parametrize("width", [1024, 1280, 1440])
@pytest.mark.parametrize("path", ["services", "dead-letters", "workers", "operations"])
def test_tables_are_as_wide_as_their_place(
    shop: Worker, node: Node, open_context: Callable[..., BrowserContext], path: str, width: int
) -> None:
    long = "the register of customers did not answer within the time that it has " * 2
    held = {"onExhausted": "ON_EXHAUSTED_HOLD", "retryPolicy": {"maxAttempts": 1}}
    node.start("demo.fail", {"code": "UNAVAILABLE", "message": long}, **held)
    node.wait(node.start("demo.fail", {"message": long}, retryPolicy={"maxAttempts": 1}))
    retry = {"action": {"retry": {}}, "filterExpression": f'failure_message : "{long}"'}
    node.call("OperationService/StartOperation", retry)
    page = open_context(node, viewport={"width": width, "height": 800}).new_page()
    page.goto(f"/console/{path}")
    wrap = page.locator(".table-wrap")
    expect(wrap.get_by_role("row").nth(1)).to_be_visible()
    sizes = wrap.evaluate("wrap => [wrap.scrollWidth, wrap.clientWidth]")
    assert sizes[0] <= sizes[1] + 1, sizes
    # There is room: the rows are no stacks.
    expect(wrap.get_by_role("columnheader").first).to_be_in_viewport()


def test_a_worker_has_the_end_of_its_id_and_its_address(
    shop: Worker, node: Node, page: Page
) -> None:
    [worker] = node.call("AdminService/ListWorkers", {})["workers"]
    opened(page, "/console/workers", "Workers")
    cell = page.get_by_role("row").filter(has_text="shop-1").get_by_role("cell").first
    expect(cell).to_have_text(f"shop-1{worker['id'][-12:]}{worker['peer']}")
    expect(cell.get_by_title(worker["id"])).to_have_text(worker["id"][-12:])


def test_rows_are_stacked_where_their_place_is_narrow(
    node: Node, open_context: Callable[..., BrowserContext]
) -> None:
    held = {"onExhausted": "ON_EXHAUSTED_HOLD", "retryPolicy": {"maxAttempts": 1}}
    node.start("demo.fail", {"code": "UNAVAILABLE", "message": "the `till` is closed"}, **held)
    # The navigation is beside the table: what is left is less than its columns need.
    page = open_context(node, viewport={"width": 800, "height": 800}).new_page()
    page.goto("/console/dead-letters")
    row = page.get_by_role("row").filter(has_text="Held")
    assert row.evaluate("row => getComputedStyle(row).display") == "flex"
    # Its message says what to do, and is without the marks of code.
    expect(row.get_by_role("link", name="the till is closed")).to_be_visible()
    # A menu is not cut off by its table.
    row.get_by_role("button", name="Change").click()
    item = page.get_by_role("menuitem", name="Release…")
    expect(item).to_be_focused()
    button = row.get_by_role("button", name="Change").bounding_box()
    shown = item.bounding_box()
    assert button
    assert shown
    assert 0 <= shown["y"] - button["y"] - button["height"] < 20
    page.keyboard.press("Escape")
    expect(item).to_be_hidden()


def test_a_service_is_paused_and_resumed_and_disabled(page: Page, node: Node, shop: Worker) -> None:
    opened(page, "/console/services/shop.stock", "shop.stock")
    health = page.locator(".screen-title .badge")
    expect(health).to_have_text("Serving")
    page.get_by_role("button", name="Pause…").click()
    dialog = page.get_by_role("dialog")
    reason = dialog.get_by_label("Reason, shown to callers")
    expect(reason).to_be_focused()
    reason.fill("inventory of 30 November")
    dialog.get_by_label("Synchronous calls go on").check()
    dialog.get_by_role("button", name="Pause", exact=True).click()
    expect(health).to_have_text("Paused")
    expect(page.locator(".notice")).to_contain_text("inventory of 30 November")
    control = node.call("DiscoveryService/GetService", {"service": "shop.stock"})["service"][
        "control"
    ]
    assert control["paused"]
    assert control["backgroundOnly"]
    page.get_by_role("button", name="Resume").click()
    expect(health).to_have_text("Serving")
    page.get_by_role("button", name="Disable…").click()
    dialog.get_by_role("button", name="Disable", exact=True).click()
    expect(health).to_have_text("Disabled")
    page.get_by_role("button", name="Enable").click()
    expect(health).to_have_text("Serving")


def test_a_worker_that_is_lost_is_away(page: Page, node: Node) -> None:
    options = {"name": "shop-2", "build_id": "old", "max_in_flight": 3}
    with Worker(node, "shop_services", "Stock", **options):
        opened(page, "/console/workers", "Workers")
        row = page.get_by_role("row").filter(has_text="shop-2")
        expect(row).to_contain_text("Connected")
    expect(row).to_contain_text("Away")
    page.goto("/")
    tile = page.get_by_role("link").filter(has=page.locator(".tile-label", has_text="Workers"))
    expect(tile).to_contain_text("1 away")
