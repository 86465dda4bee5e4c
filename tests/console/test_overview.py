"""The overview: what it says of a node leads to where it can be seen and put right."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from node import Node
from playwright.sync_api import BrowserContext, Page, expect


@pytest.fixture(scope="module")
def failing() -> Iterator[Node]:
    """A node with a service that fails, and one that is paused."""
    node = Node()
    for number in range(20):
        one = {"message": f"number {number}"}
        node.wait(node.start("demo.fail", one, retryPolicy={"maxAttempts": 1}))
    node.call("AdminService/PauseService", {"service": "demo.count"})
    yield node
    node.stop()


@pytest.fixture
def page(failing: Node, open_context: Callable[..., BrowserContext]) -> Page:
    page = open_context(failing).new_page()
    page.goto("/")
    expect(page.get_by_role("heading", name="What needs an operator")).to_be_visible()
    return page


def test_what_needs_an_operator_leads_there(page: Page, failing: Node) -> None:
    reasons = page.locator(".panel").filter(has_text="What needs an operator")
    expect(reasons).not_to_contain_text("`")
    paused = reasons.get_by_role("listitem").filter(has_text="SERVICES_PAUSED")
    link = paused.get_by_role("link", name="cidery service resume demo.count")
    expect(link.locator("code")).to_be_visible()
    broken = reasons.get_by_role("listitem").filter(has_text="SERVICE_FAILING")
    dead = broken.get_by_role("link", name="cidery dead-letters")
    expect(dead).to_have_attribute("href", "/console/dead-letters")
    # The CID of the example is a link.
    broken.locator("a[href^='/console/invocations/']").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("demo.fail")
    page.go_back()
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("demo.count")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def test_numbers_lead_to_lists_that_have_as_many(page: Page, failing: Node) -> None:
    def tile(label: str) -> str:
        found = page.get_by_role("link").filter(has=page.locator(".tile-label", has_text=label))
        return str(found.get_attribute("href"))

    status = failing.call("AdminService/GetStatus", {})
    expect(page.locator(".tile").filter(has_text="Failed").locator(".tile-value")).to_have_text(
        status["failedInvocations"]
    )
    page.goto(tile("Failed"))
    expect(page.locator(".screen-title .number")).to_have_text(status["failedInvocations"])
    page.goto("/")
    # Handlers that run are no stored invocations: services have their numbers.
    assert tile("Running") == "/console/services"
