"""One invocation: followed, cancelled, retried with an edit; hostile outputs are text."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from node import Node
from playwright.sync_api import BrowserContext, Page, Route, expect
from worker import Worker

ONCE = {"retryPolicy": {"maxAttempts": 1}}


def opened(page: Page, cid: str, service: str) -> None:
    page.goto(f"/console/invocations/{cid}")
    expect(page.get_by_role("heading", level=1)).to_have_text(service)
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()


def test_it_is_followed_until_its_end(page: Page, node: Node) -> None:
    cid = node.start(
        "demo.flaky",
        {"failures": 2},
        callbacks=["cidery.echo"],
        retryPolicy={"maxAttempts": 4, "initialInterval": "0.2s"},
    )
    opened(page, cid, "demo.flaky")
    expect(page.locator(".screen-title .badge")).to_have_text("Succeeded")
    # Two failures, with what was waited for, and the attempt that succeeded.
    current = page.locator(".timeline-rows .current")
    expect(current.locator(".bar-bad")).to_have_count(2)
    expect(current.locator(".bar-good")).to_have_count(1)
    expect(page.locator(".timeline-rows")).to_contain_text("callback")
    ticks = page.locator(".timeline .tick").all_inner_texts()
    assert ticks[0] == "0"
    assert all(re.fullmatch(r"[1-9][05]?0*(\.[05]0?)? m?s", tick) for tick in ticks[1:]), ticks
    expect(page.locator(".attempts > li")).to_have_count(3)
    expect(page.locator(".attempts")).to_contain_text("DEMO_FLAKY")
    page.get_by_role("tab", name="Events").click()
    expect(page.locator(".event-name").first).to_have_text("accepted")
    expect(page.locator(".event-name").last).to_have_text("succeeded")


def test_why_it_waits_is_said_and_it_is_cancelled(page: Page, node: Node) -> None:
    first = node.start("demo.sleep", {"seconds": 300}, concurrencyKey="till-1")
    second = node.start("demo.sleep", {"seconds": 300}, concurrencyKey="till-1")
    opened(page, second, "demo.sleep")
    expect(page.locator(".notice")).to_contain_text("Its concurrency key till-1 is busy")
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_label("Reason, part of the outcome").fill("not needed")
    page.get_by_role("button", name="Cancel the invocation").click()
    expect(page.locator(".screen-title .badge")).to_have_text("Cancelled")
    expect(page.locator(".failure-message")).to_contain_text("not needed")
    page.goto(f"/console/invocations/{first}")
    expect(page.locator(".screen-title .badge")).to_have_text("Running")
    page.keyboard.press("c")
    page.get_by_role("button", name="Cancel the invocation").click()
    expect(page.locator(".screen-title .badge")).to_have_text("Cancelled")
    assert node.state(first) == "STATE_CANCELLED"


@pytest.mark.fails
def test_it_is_retried_with_an_edited_input(page: Page, node: Node) -> None:
    cid = node.start("demo.fail", {"code": "INTERNAL", "message": "wrong"}, **ONCE)
    node.wait(cid)
    opened(page, cid, "demo.fail")
    page.get_by_role("button", name="Edit and retry…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("message")).to_have_value("wrong")
    dialog.get_by_role("tab", name="JSON").click()
    editor = dialog.get_by_label("Input as JSON")
    editor.fill('{"code": "INTERNAL", "retryable": "perhaps"}')
    dialog.get_by_role("button", name="Retry", exact=True).click()
    expect(dialog.locator(".field-fault").first).to_contain_text("retryable")
    editor.fill('{"code": "INTERNAL", "message": "right"}')
    dialog.get_by_role("button", name="Retry", exact=True).click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".failure-message").first).to_have_text("right")
    expect(page.locator(".facts").first).to_contain_text(cid[-12:])
    retried = node.wait(cid)["retriedAs"]
    assert page.url.endswith(retried)


def test_a_held_one_is_released(page: Page, node: Node) -> None:
    cid = node.start(
        "demo.fail",
        {"code": "UNAVAILABLE", "message": "down"},
        onExhausted="ON_EXHAUSTED_HOLD",
        **ONCE,
    )
    opened(page, cid, "demo.fail")
    expect(page.locator(".screen-title .badge")).to_have_text("Held")
    page.get_by_role("button", name="Release").click()
    expect(page.locator(".attempts > li")).to_have_count(2)


HOSTILE = (
    "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
    "\x1b[31mred\x1b[0m \u202egnp.exe javascript:alert(1)"
)


def test_hostile_outputs_are_text(page: Page, node: Node) -> None:
    output = {HOSTILE: HOSTILE, "metadata": [HOSTILE]}
    cid = node.start("cidery.echo", output, metadata={"note": "<b>bold</b>"})
    node.wait(cid)
    opened(page, cid, "cidery.echo")
    region = page.get_by_role("region", name="response")
    expect(region).to_contain_text("<img src=x onerror=")
    expect(region).to_contain_text("\\u202e")
    assert "\u202e" not in region.inner_text()
    assert "\x1b" not in region.inner_text()
    assert page.locator("main img, main script, main b b").count() == 0
    page.get_by_role("tab", name="Details").click()
    expect(page.locator(".tab-panel")).to_contain_text("<b>bold</b>")
    failed = node.start("demo.fail", {"message": HOSTILE}, **ONCE)
    node.wait(failed)
    opened(page, failed, "demo.fail")
    expect(page.locator(".failure-message").first).to_contain_text("<script>")
    expect(page.locator(".failure-message").first).to_contain_text("\\e[31mred")
    page.goto("/console/invocations")
    expect(page.locator(".cell-detail").filter(has_text="<script>").first).to_be_visible()
    assert "owned" not in page.title()


HIDDEN = re.compile("[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u200b-\\u200f\\u2028-\\u202e]")
# All that is read on a page: its title, its texts, and what is said of an element.
READ = """() => [
  document.title,
  document.body.innerText,
  ...[...document.querySelectorAll("option")].map((one) => one.text),
  ...[...document.querySelectorAll("*")].flatMap((one) =>
    ["title", "aria-label", "placeholder", "label"].map((name) => one.getAttribute(name))),
].join(" ")"""


def test_words_of_a_worker_are_text(
    node: Node, open_context: Callable[..., BrowserContext]
) -> None:
    """Its name, its build, its descriptions, items and failures: on each screen that has them."""
    page = open_context(node).new_page()
    names = {"name": f"worker {HOSTILE}", "build_id": f"build {HOSTILE}"}
    with Worker(node, "hostile_services", **names):
        cid = node.start("hostile.words", {"shade": "plain"}, **ONCE)
        node.wait(cid)
        for path, shown in {
            "/console/workers": "worker",
            "/console/services": "Says",
            "/console/services/hostile.words": "build",
            "/console/invoke?service=hostile.words": "Element",
            f"/console/invocations/{cid}": "on worker",
            f"/console/invocations/{cid}?tab=events": "worker",
            "/console/dead-letters": "hostile.words",
            "/console/overview": "hostile.words",
        }.items():
            page.goto(path)
            expect(page.locator("main")).to_contain_text(shown)
            expect(page.locator("main .loading, main .skeleton-tile")).to_have_count(0)
            expect(page.locator("main")).to_contain_text("\\u202e")
            read = page.evaluate(READ)
            assert HIDDEN.findall(read) == [], path
            assert "\\\\u202e" not in read, path


def test_an_outcome_leads_to_the_trace_below(family_page: Page, family: Node) -> None:
    cid = family.start("family.broken", {}, **ONCE)
    family.wait(cid)
    family_page.goto(f"/console/invocations/{cid}?tab=details")
    outcome = family_page.locator(".panel").filter(
        has=family_page.get_by_role("heading", name="Outcome")
    )
    expect(outcome.locator(".failure-message")).to_have_text("the service failed")
    outcome.get_by_role("button", name="Its trace is below").click()
    expect(family_page.get_by_role("tab", name="Attempts")).to_have_attribute(
        "aria-selected", "true"
    )
    trace = family_page.get_by_role("region", name="trace")
    expect(trace).to_be_in_viewport()
    expect(trace).to_contain_text("ZeroDivisionError")


def test_five_megabytes_are_shown_in_part(page: Page, node: Node) -> None:
    cid = node.start("cidery.echo", {"text": "<script>" * 655_360})
    node.wait(cid)
    opened(page, cid, "cidery.echo")
    region = page.get_by_role("region", name="response")
    expect(region).to_contain_text("<script><script>")
    assert len(region.inner_text()) < 300_000
    expect(page.get_by_text("of 5.0 MiB are shown").first).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save response").click()
    assert saved.value.path().stat().st_size > 5 << 20


@pytest.mark.fails
def test_an_unknown_one_is_said(page: Page) -> None:
    page.goto("/console/invocations/01890a5d-ac96-774b-bcce-b302099a8057")
    expect(page.get_by_text("This invocation is not shown")).to_be_visible()


def response_of(invocation: Any) -> Any:
    """What the console sends as a document has a response in the same format."""
    return json.loads(base64.b64decode(invocation["outcome"]["document"]))


@pytest.fixture
def family_page(family: Node, open_context: Callable[..., BrowserContext]) -> Page:
    """A page of the node that has a worker."""
    return open_context(family).new_page()


def test_attempts_of_a_child_are_those_that_it_had(family_page: Page, family: Node) -> None:
    parent = family.wait(family.start("family.parent", {}))
    child = family.wait(parent["childCids"][0])
    assert len(child["attempts"]) == 2
    opened(family_page, parent["cid"], "family.parent")
    row = family_page.locator(".timeline-rows > li").filter(has_text="family.flaky")
    expect(row.locator(".bar-bad")).to_have_count(1)
    expect(row.locator(".bar-good")).to_have_count(1)
    expect(
        row.get_by_role("img", name=re.compile("^attempt 1: the service failed"))
    ).to_be_visible()
    expect(row.get_by_role("img", name=re.compile("^waited for its next attempt"))).to_be_visible()
    row.get_by_role("link").click()
    expect(family_page.get_by_role("heading", level=1)).to_have_text("family.flaky")
    expect(family_page.locator(".attempts > li")).to_have_count(2)


@pytest.mark.fails
def test_attempts_that_cannot_be_read_are_not_made_up(family_page: Page, family: Node) -> None:
    parent = family.wait(family.start("family.parent", {}))
    child = family.wait(parent["childCids"][0])

    def removed(route: Route) -> None:
        if child["cid"] in (route.request.post_data or ""):
            route.abort()
        else:
            route.continue_()

    family_page.route("**/cidery.v1.InvocationService/GetInvocation", removed)
    opened(family_page, parent["cid"], "family.parent")
    row = family_page.locator(".timeline-rows > li").filter(has_text="family.flaky")
    expect(
        row.get_by_role("img", name=re.compile("its attempts are not known here"))
    ).to_be_visible()
    expect(row.locator(".bar-good, .bar-bad")).to_have_count(0)
    family_page.unroute_all(behavior="wait")


def test_a_cancelled_attempt_has_not_failed(family_page: Page, family: Node) -> None:
    cid = family.start("family.wait", {})
    opened(family_page, cid, "family.wait")
    expect(family_page.locator(".screen-title .badge")).to_have_text("Running")
    family_page.keyboard.press("c")
    family_page.get_by_role("button", name="Cancel the invocation").click()
    expect(family_page.locator(".screen-title .badge")).to_have_text("Cancelled")
    current = family_page.locator(".timeline-rows > .current")
    expect(current.locator(".bar-idle")).to_have_count(1)
    expect(current.locator(".bar-bad, .bar-good")).to_have_count(0)
    attempt = family_page.locator(".attempts > li")
    expect(attempt.get_by_role("img", name="cancelled")).to_be_visible()
    expect(attempt.locator(".tone-bad")).to_have_count(0)


def test_a_failure_shows_its_trace(family_page: Page, family: Node) -> None:
    cid = family.start("family.broken", {}, **ONCE)
    family.wait(cid)
    opened(family_page, cid, "family.broken")
    trace = family_page.get_by_role("region", name="trace")
    expect(trace).to_be_visible()
    expect(trace).to_contain_text("ZeroDivisionError: division by zero")
    expect(trace).to_contain_text("family_services.py")


def test_an_outcome_is_given_from_outside(family_page: Page, family: Node) -> None:
    page = family_page
    cid = family.start("family.approve", {})
    opened(page, cid, "family.approve")
    expect(page.locator(".notice")).to_contain_text("until its outcome is given from outside")
    expect(page.locator(".facts").first).to_contain_text("Waits until")
    expect(page.locator(".facts").first).not_to_contain_text("Due")
    # No handler runs meanwhile.
    bars = page.locator(".timeline-rows")
    expect(bars.locator(".bar-wait").last).to_have_attribute(
        "title", re.compile("waits for its outcome")
    )
    expect(bars.locator(".bar-busy")).to_have_count(0)
    # Its handler has emitted the token.
    page.get_by_role("tab", name="Events").click()
    page.locator(".event-detail summary").click()
    item = page.get_by_role("region", name="item").inner_text()
    token = re.search('"token": "([^"]+)"', item)
    assert token is not None, item
    page.get_by_role("button", name="Complete…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Token").fill(token[1])
    dialog.get_by_label("Response, JSON").fill('{"paid": true}')
    dialog.get_by_role("button", name="Complete", exact=True).click()
    expect(page.locator(".screen-title .badge")).to_have_text("Succeeded")
    assert response_of(family.wait(cid)) == {"paid": True}


def test_the_way_back_keeps_the_filter(page: Page, node: Node) -> None:
    cid = node.start("customer.get", {"cust_id": 1}, callbacks=["cidery.echo"])
    node.wait(cid)
    title = page.get_by_role("heading", level=1)
    address = "/console/invocations?filter=service+%3D+customer.get"
    page.goto(address)
    row = page.locator(".virtual-space .row").filter(has_text=cid[-12:])
    for leave in ["u", "Escape", "arrow"]:
        row.get_by_role("link").click()
        expect(title).to_have_text("customer.get")
        if leave == "arrow":
            page.get_by_role("link", name="Back").click()
        else:
            page.keyboard.press(leave)
        expect(title).to_have_text("Invocations")
        assert page.url.endswith(address)
    # From one to another and on, "up" leads to the list, and Escape a step back.
    row.get_by_role("link").click()
    page.locator(".timeline-rows").get_by_role("link", name="cidery.echo").click()
    expect(title).to_have_text("cidery.echo")
    page.get_by_role("tab", name="Details").click()
    page.keyboard.press("Escape")
    expect(title).to_have_text("customer.get")
    page.go_forward()
    expect(title).to_have_text("cidery.echo")
    page.keyboard.press("u")
    expect(title).to_have_text("Invocations")
    assert page.url.endswith(address)
    # A service that was opened there leads back to the invocation, and this one to the list.
    row.get_by_role("link").click()
    page.locator(".facts").get_by_role("link", name="customer.get").click()
    expect(page.get_by_role("heading", name="Served by")).to_be_visible()
    page.get_by_role("link", name="Back").click()
    expect(page.locator(".cid-line")).to_contain_text(cid)
    page.keyboard.press("u")
    expect(title).to_have_text("Invocations")
    assert page.url.endswith(address)


def test_what_was_opened_by_its_address_leads_to_its_list(page: Page, node: Node) -> None:
    cid = node.start("customer.get", {"cust_id": 1})
    node.wait(cid)
    title = page.get_by_role("heading", level=1)
    for leave in ["u", "Escape"]:
        page.goto("about:blank")
        opened(page, cid, "customer.get")
        page.keyboard.press(leave)
        expect(title).to_have_text("Invocations")
        assert page.url.endswith("/console/invocations")


def completed_by_failure(page: Page, node: Node, *, final: bool) -> str:
    cid = node.start("family.approve", {})
    opened(page, cid, "family.approve")
    page.get_by_role("tab", name="Events").click()
    page.locator(".event-detail summary").click()
    item = page.get_by_role("region", name="item").inner_text()
    page.get_by_role("button", name="Complete…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Token").fill(item.split('"')[3])
    dialog.get_by_label("Outcome").select_option("Failure")
    dialog.get_by_label("Code").select_option("INTERNAL")
    dialog.get_by_label("Reason").fill("NOT_PAID")
    dialog.get_by_label("Message").fill("the bank refused")
    dialog.get_by_label("It is final").set_checked(final)
    dialog.get_by_role("button", name="Complete", exact=True).click()
    expect(dialog).to_be_hidden()
    return cid


def test_a_failure_from_outside_is_final(family_page: Page, family: Node) -> None:
    cid = completed_by_failure(family_page, family, final=True)
    expect(family_page.locator(".screen-title .badge")).to_have_text("Failed")
    expect(family_page.locator(".failure-message").first).to_have_text("the bank refused")
    assert family.wait(cid)["outcome"]["failure"]["reason"] == "NOT_PAID"


def test_a_failure_from_outside_may_be_retried(family_page: Page, family: Node) -> None:
    completed_by_failure(family_page, family, final=False)
    # Its handler runs again, and waits again.
    expect(family_page.locator(".facts").first).to_contain_text("Attempt2 of 25")
    expect(family_page.locator(".screen-title .badge")).to_have_text("Awaiting")


def test_an_edited_retry_asks_for_its_secrets(family_page: Page, family: Node) -> None:
    page = family_page
    cid = family.start("family.pay", {"account": "wrong", "pin": "4711", "word": "x"}, **ONCE)
    family.wait(cid)
    opened(page, cid, "family.pay")
    page.get_by_role("button", name="Edit and retry…").click()
    dialog = page.get_by_role("dialog")
    retry = dialog.get_by_role("button", name="Retry", exact=True)
    expect(dialog).to_contain_text("To be entered again: pin, word")
    expect(dialog.get_by_label("pin")).to_have_value("")
    dialog.get_by_label("account").fill("right")
    retry.click()
    faults = dialog.locator(".field-fault:not(:empty)")
    expect(faults).to_have_text(["The node shows no secrets: enter it again."] * 2)
    # The mask is no secret, as raw JSON neither.
    dialog.get_by_role("tab", name="JSON").click()
    editor = dialog.get_by_label("Input as JSON")
    editor.fill('{"account": "right", "pin": "***", "word": "y"}')
    retry.click()
    expect(faults).to_have_text("/pin: The node shows no secrets: enter it again.")
    editor.fill('{"account": "right", "pin": "4711", "word": "y"}')
    retry.click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".screen-title .badge")).to_have_text("Succeeded")
    retried = family.wait(family.wait(cid)["retriedAs"])
    assert response_of(retried) == {"pin_is_right": True, "account": "right"}


def test_an_invocation_is_made_again(family_page: Page, family: Node) -> None:
    page = family_page
    cid = family.start("family.pay", {"account": "a-1", "pin": "1"})
    family.wait(cid)
    opened(page, cid, "family.pay")
    page.get_by_role("button", name="Invoke again…").click()
    expect(page.get_by_label("account")).to_have_value("a-1")
    page.get_by_role("button", name="Invoke", exact=True).click()
    expect(page.locator(".field-fault:not(:empty)")).to_have_count(1)
    page.get_by_label("pin").fill("4711")
    page.get_by_role("button", name="Invoke", exact=True).click()
    expect(page.get_by_role("region", name="response")).to_contain_text('"pin_is_right": true')
    page.go_back()
    expect(page.locator(".cid-line")).to_contain_text(cid)


def test_all_that_is_known_is_shown(page: Page, node: Node) -> None:
    cid = node.start("customer.get", {"cust_id": 7}, callbacks=["cidery.echo"])
    node.wait(cid)
    opened(page, cid, "customer.get")
    page.get_by_role("tab", name="JSON").click()
    raw = page.get_by_role("region", name="invocation")
    expect(raw).to_contain_text(f'"cid": "{cid}"')
    assert json.loads(raw.inner_text())["callbackCids"] == node.wait(cid)["callbackCids"]
    page.get_by_role("tab", name="Details").click()
    details = page.get_by_role("tabpanel")
    for name in ["First attempt", "Ended", "Removed", "Attempts, at most", "Callbacks"]:
        expect(details.get_by_text(name, exact=True)).to_be_visible()
    page.locator(".facts").first.get_by_role("link", name="customer.get").click()
    expect(page.get_by_role("heading", name="Served by")).to_be_visible()
