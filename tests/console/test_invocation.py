"""One invocation: followed, cancelled, retried with an edit; hostile outputs are text."""

from __future__ import annotations

import base64
import re

import pytest
from node import Node
from playwright.sync_api import Page, Route, expect

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
    assert all(re.fullmatch(r"[1-9]0*(\.0+)? m?s", tick) for tick in ticks[1:]), ticks
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


def test_an_outcome_is_given_from_outside(page: Page, node: Node) -> None:
    # No demo service answers "later": the page is told that this one did.
    cid = node.start("demo.sleep", {"seconds": 300})
    sent: list[dict[str, object]] = []

    def deferred(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        body["invocation"]["waitingForCompletion"] = True
        route.fulfill(response=answer, json=body)

    def completed(route: Route) -> None:
        sent.append(route.request.post_data_json)
        route.fulfill(json={"state": "STATE_SUCCEEDED"})

    page.route("**/cidery.v1.InvocationService/GetInvocation", deferred)
    page.route("**/cidery.v1.InvocationService/CompleteInvocation", completed)
    opened(page, cid, "demo.sleep")
    expect(page.locator(".notice")).to_contain_text("until its outcome is given from outside")
    page.get_by_role("button", name="Complete…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Token").fill("t-1")
    dialog.get_by_label("Response, JSON").fill('{"paid": true}')
    dialog.get_by_role("button", name="Complete", exact=True).click()
    expect(page.get_by_text("Completed")).to_be_visible()
    page.unroute_all(behavior="wait")
    assert [(one["cid"], one["token"]) for one in sent] == [(cid, "t-1")]
    assert base64.b64decode(str(sent[0]["document"])) == b'{"paid": true}'
