"""The overview: what it says of a node leads to where it can be seen and put right."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from node import Node
from playwright.sync_api import BrowserContext, Page, Route, expect


@pytest.fixture(scope="module")
def failing() -> Iterator[Node]:
    """A node with a service that fails, and one that is paused."""
    node = Node()
    for number in range(20):
        one = {"message": f"number {number}"}
        node.wait(node.start("demo.fail", one, retryPolicy={"maxAttempts": 1}))
    node.call("AdminService/PauseService", {"service": "demo.count"})
    held = {"onExhausted": "ON_EXHAUSTED_HOLD", "retryPolicy": {"maxAttempts": 1}}
    node.start("demo.flaky", {"failures": 9}, **held)
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


def test_tiles_are_as_many_before_the_first_answer(
    failing: Node, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(failing).new_page()
    waiting: list[Route] = []
    page.route("**/cidery.v1.AdminService/GetStatus", lambda route: waiting.append(route))
    page.goto("/")
    expect(page.locator(".skeleton-tile").first).to_be_visible()
    before = page.locator(".tile").count()
    for route in waiting:
        route.continue_()
    page.unroute("**/cidery.v1.AdminService/GetStatus")
    expect(page.locator(".skeleton-tile")).to_have_count(0)
    expect(page.locator(".tile")).to_have_count(before)


def test_sentences_have_no_marks_of_code(
    failing: Node, open_context: Callable[..., BrowserContext]
) -> None:
    policy = {"maxAttempts": 2, "initialInterval": "0.1s", "maxInterval": "0.1s"}
    message = {"message": "no `till` is open", "code": "UNAVAILABLE"}
    cid = failing.start("demo.fail", message, retryPolicy=policy)
    failing.wait(cid)
    page = open_context(failing).new_page()
    for path, shown in {
        "/": "Failing, last hour",
        "/console/dead-letters": "no till is open",
        f"/console/invocations/{cid}?tab=events": "retry scheduled",
        "/console/services": "demo.fail",
        "/console/services/demo.fail": "Simple IO",
        "/console/invoke?service=demo.fail": "message",
        "/console/invocations?filter=failure_message+%3A+till": "no till is open",
    }.items():
        page.goto(path)
        expect(page.locator("main")).to_contain_text(shown)
        expect(page.locator("main .loading, main .skeleton-tile")).to_have_count(0)
        # A document is shown as it is.
        read = page.locator("main").evaluate(
            "main => [...main.querySelectorAll('pre')].map((one) => one.remove()) && main.innerText"
        )
        assert "`" not in read, path


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


def test_services_count_attempts_after_which_nothing_has_ended(page: Page) -> None:
    page.goto("/console/services")
    row = page.get_by_role("row").filter(has_text="demo.flaky")
    share = row.get_by_title("1 of 1 attempt failed")
    expect(share).to_have_text(re.compile("^100"))
    expect(share).to_have_class("tone-bad")
