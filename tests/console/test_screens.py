"""Each screen, empty and filled: it opens, is accessible, fits, and needs nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import NARROW, WIDE
from node import Node
from playwright.sync_api import BrowserContext, Page, expect
from worker import Worker

SCREENS = {
    "/": "Overview",
    "/console/services": "Services",
    "/console/services/customer.get": "customer.get",
    "/console/invoke": "Invoke",
    "/console/invoke?service=customer.import": "Invoke",
    "/console/invocations": "Invocations",
    "/console/groups": "Groups",
    "/console/dead-letters": "Dead letters",
    "/console/operations": "Operations",
    "/console/workers": "Workers",
    "/console/nothing": "No such page",
}
WITH_CHARTS = {"/", "/console/services/customer.get"}
AXE = Path(os.environ.get("CIDERY_CONSOLE_MODULES", "node_modules")) / "axe-core/axe.min.js"


@pytest.fixture(scope="module")
def bare() -> Iterator[Node]:
    """A node that has nothing: no services but its own, and no invocations."""
    node = Node(demo=False)
    yield node
    node.stop()


@pytest.fixture(scope="module")
def filled() -> Iterator[Node]:
    node = Node()
    held = {"onExhausted": "ON_EXHAUSTED_HOLD", "retryPolicy": {"maxAttempts": 1}}
    node.wait(node.start("demo.fail", {"message": "no stock"}, retryPolicy={"maxAttempts": 1}))
    node.start("demo.fail", {"code": "UNAVAILABLE", "message": "down"}, **held)
    node.wait(node.start("demo.count", {"to": 3}, callbacks=["cidery.echo"]))
    node.start("customer.get", {"cust_id": 1}, delay="3600s")
    node.fill(30)
    retry = {"action": {"retry": {}}, "filterExpression": "state = FAILED"}
    node.call("OperationService/StartOperation", retry)
    node.call("AdminService/PauseService", {"service": "demo.sleep", "reason": "ticket 4711"})
    options = {"name": "shop-1", "build_id": "2026.11.30-shop-7f3c9a1d"}
    with Worker(node, "shop_services", "Stock", **options):
        yield node
    node.stop()


def shown(page: Page, path: str, title: str) -> None:
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.locator("main .loading, main .skeleton-tile")).to_have_count(0)
    expect(page.locator("main .failure-box")).to_have_count(0)


@pytest.mark.parametrize("path", [path for path in SCREENS if "customer" not in path])
def test_an_empty_node_has_each_screen(
    bare: Node, open_context: Callable[..., BrowserContext], path: str
) -> None:
    shown(open_context(bare).new_page(), path, SCREENS[path])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", SCREENS)
def test_screens_are_accessible(
    filled: Node, open_context: Callable[..., BrowserContext], path: str, theme: str
) -> None:
    # Axe is a script that the policy of the page does not allow.
    page = open_context(filled, color_scheme=theme, bypass_csp=True).new_page()
    shown(page, path, SCREENS[path])
    assert violations(page) == []


def test_dialogs_and_an_invocation_are_accessible(
    filled: Node, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(filled, bypass_csp=True).new_page()
    shown(page, "/console/dead-letters", "Dead letters")
    page.get_by_role("link", name="no stock").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("demo.fail")
    expect(page.get_by_role("list").filter(has_text="demo.fail").first).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Edit and retry…").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Close").first.click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Go to Invocations")
    assert violations(page) == []


DARK_AND_NARROW = {"color_scheme": "dark", "viewport": {"width": 400, "height": 800}}
LIGHT_AND_WIDE = {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}}


@pytest.mark.parametrize("look", [DARK_AND_NARROW, LIGHT_AND_WIDE], ids=["narrow", "wide"])
@pytest.mark.fails(400, "ERR_FAILED")
def test_states_of_screens_are_accessible(
    filled: Node, open_context: Callable[..., BrowserContext], look: dict[str, Any]
) -> None:
    page = open_context(filled, bypass_csp=True, **look).new_page()
    found: dict[str, list[str]] = {}

    shown(page, "/console/invoke?service=customer.import", "Invoke")
    page.get_by_role("button", name="Add").click()
    page.get_by_label("cust_id").last.fill("one")
    page.get_by_role("button", name="Invoke", exact=True).click()
    expect(page.locator(".field-fault:not(:empty)").first).to_be_visible()
    found["violations in a form"] = violations(page)

    shown(page, "/console/invocations", "Invocations")
    page.keyboard.press("/")
    page.keyboard.type("state = FAILED AND fail")
    expect(page.get_by_role("option").first).to_be_visible()
    found["suggestions"] = violations(page)

    shown(page, "/console/invocations?filter=service+%3D+demo.fail", "Invocations")
    page.get_by_role("button", name="Change all that match").click()
    page.get_by_role("menuitem", name="Retry…").click()
    expect(page.get_by_role("dialog").get_by_role("table")).to_be_visible()
    found["changes of all"] = violations(page)

    for name, criteria in [("failure", "state = FAILED"), ("group", "kind = GROUP")]:
        request = {"filterExpression": criteria, "pageSize": 1}
        listed = filled.call("InvocationService/ListInvocations", request)
        page.goto(f"/console/invocations/{listed['invocations'][0]['cid']}")
        expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
        found[name] = violations(page)
        for tab in page.get_by_role("tab").all():
            tab.click()
            expect(tab).to_have_attribute("aria-selected", "true")
            found[f"{name}, {tab.inner_text()}"] = violations(page)

    page.route("**/cidery.v1.**", lambda route: route.abort())
    page.goto("/")
    expect(page.locator("main .failure-box").first).to_be_visible()
    found["a failing overview"] = violations(page)
    assert {name: of for name, of in found.items() if of} == {}
    assert len(found) >= 9, list(found)


def violations(page: Page) -> list[str]:
    # It stays until the page is left.
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=AXE)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{found['id']}: {node['target']} {node['any'] and node['any'][0]['message']}"
        for found in result["violations"]
        for node in found["nodes"]
    ]


@pytest.mark.parametrize("path", SCREENS)
def test_screens_fit_narrow_pages_and_are_accessible_there(
    filled: Node, open_context: Callable[..., BrowserContext], path: str
) -> None:
    page = open_context(filled, viewport=NARROW, bypass_csp=True).new_page()
    shown(page, path, SCREENS[path])
    widths = page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]
    # What scrolls by itself hides what is wider from the page.
    for part in page.locator(".screen-body, .table-wrap:not(.two *)").all():
        size = part.evaluate("part => [part.scrollWidth, part.clientWidth, part.innerText]")
        assert size[0] <= size[1] + 1, size
    assert violations(page) == []
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("navigation").get_by_role("link", name="Workers").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Workers")


def test_the_theme_is_that_of_the_system_and_of_the_switch(
    node: Node, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(node, color_scheme="dark", viewport=WIDE).new_page()
    shown(page, "/console/services", "Services")
    background = "() => getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.get_by_role("button", name="Theme: system").click()
    light = page.evaluate(background)
    assert light == "rgb(255, 255, 255)" != dark
    page.reload()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert page.evaluate(background) == light


@pytest.mark.fails("ERR_FAILED")
def test_a_node_that_does_not_answer_is_said(
    open_context: Callable[..., BrowserContext],
) -> None:
    node = Node()
    try:
        page = open_context(node).new_page()
        shown(page, "/console/workers", "Workers")
        # The requests fail as they do without a network.
        page.route("**/cidery.v1.**", lambda route: route.abort())
        with page.expect_event("requestfailed"):
            pass
        expect(page.locator(".banner")).to_contain_text("The node does not answer")
        page.unroute("**/cidery.v1.**")
        expect(page.locator(".banner")).to_be_hidden()
    finally:
        node.stop()


@pytest.mark.fails("ERR_FAILED")
@pytest.mark.parametrize(
    "path", [path for path in SCREENS if path not in ("/console/invoke", "/console/nothing")]
)
def test_a_screen_that_cannot_be_read_says_so_and_recovers(
    filled: Node, open_context: Callable[..., BrowserContext], path: str
) -> None:
    page = open_context(filled).new_page()
    page.route("**/cidery.v1.**", lambda route: route.abort())
    page.goto(path)
    expect(page.locator("main .failure-box").first).to_contain_text("the node does not answer")
    expect(page.locator("main .loading, main .skeleton-tile")).to_have_count(0)
    page.unroute("**/cidery.v1.**")
    page.get_by_role("button", name="Try again").first.click()
    expect(page.locator("main .failure-box")).to_have_count(0)
    expect(page.locator("main .charts")).to_have_count(1 if path in WITH_CHARTS else 0)
    for charts in page.locator("main .charts").all():
        expect(charts).to_be_visible()


def seen_again(page: Page) -> None:
    """Lets a page read what it shows at once, as when one comes back to its tab."""
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")


@pytest.mark.fails("ERR_FAILED")
def test_what_is_shown_stays_while_the_node_does_not_answer(
    filled: Node, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(filled).new_page()
    cid = filled.start("demo.sleep", {"seconds": 300}, delay="3600s")
    for path, heading in [
        ("/console/services/customer.get", "Simple IO"),
        (f"/console/invocations/{cid}", "Timeline"),
    ]:
        page.goto(path)
        shown = page.get_by_role("heading", name=heading)
        expect(shown).to_be_visible()
        page.route("**/cidery.v1.**", lambda route: route.abort())
        seen_again(page)
        expect(page.locator(".banner")).to_be_visible()
        expect(shown).to_be_visible()
        page.unroute("**/cidery.v1.**")
        seen_again(page)
        expect(page.locator(".banner")).to_be_hidden()
        expect(page.locator("main .failure-box")).to_have_count(0)
        expect(shown).to_be_visible()


def test_search_is_in_the_address(page: Page) -> None:
    shown(page, "/console/services", "Services")
    page.keyboard.press("/")
    page.keyboard.type("import")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("link", name="customer.import")).to_be_visible()
