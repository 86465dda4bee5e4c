"""Calls from the form: violations at their fields, other clients, live events, the history."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from conftest import NARROW, WIDE
from node import Node
from playwright.sync_api import BrowserContext, Page, expect


def opened(page: Page, service: str) -> Page:
    page.goto(f"/console/invoke?service={service}")
    expect(page.get_by_role("button", name="Invoke", exact=True)).to_be_visible()
    return page


def result(page: Page) -> str:
    return page.get_by_role("region", name="response").inner_text()


def test_the_form_invokes_a_service(page: Page) -> None:
    opened(page, "customer.get")
    page.get_by_label("cust_id").fill("1")
    page.get_by_role("button", name="Invoke", exact=True).click()
    expect(page.locator(".result").get_by_text("Succeeded")).to_be_visible()
    assert json.loads(result(page)) == {"cust_id": 1, "cust_name": "Alexis Smith"}


@pytest.mark.fails
def test_violations_are_shown_at_their_fields(page: Page) -> None:
    opened(page, "customer.import")
    page.get_by_role("button", name="Add").click()
    items = page.locator(".item")
    items.nth(0).get_by_label("cust_id").fill("1")
    items.nth(0).get_by_label("cust_name").fill("Ann")
    items.nth(1).get_by_label("cust_id").fill("one")
    items.nth(1).get_by_label("since").fill("yesterday")
    page.get_by_role("button", name="Invoke", exact=True).click()
    wrong = items.nth(1).get_by_label("cust_id")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(wrong).to_be_focused()
    # Its outline is that of a fault, also while it is focused.
    colours = "wrong => [getComputedStyle(wrong).outlineColor, getComputedStyle(wrong).borderColor]"
    outline, border = wrong.evaluate(colours)
    assert outline == border
    right = items.nth(0).get_by_label("cust_id")
    assert (
        right.evaluate("right => right.focus() ?? getComputedStyle(right).outlineColor") != border
    )
    field = items.nth(1).locator('[data-name="cust_id"]')
    expect(field.locator(".field-fault")).to_contain_text("not a whole number")
    expect(items.nth(1).locator('[data-name="since"] .field-fault')).not_to_be_empty()
    expect(items.nth(0).locator(".field-fault").first).to_be_empty()
    # What is corrected is not marked any more.
    wrong.fill("2")
    expect(field.locator(".field-fault")).to_be_empty()


def test_json_keeps_all_digits(page: Page) -> None:
    opened(page, "cidery.echo")
    editor = page.get_by_label("Input as JSON")
    editor.fill('{"id": 12345678901234567890, "price": 1.10}')
    editor.press("Control+Enter")
    expect(page.locator(".result").get_by_text("Succeeded")).to_be_visible()
    assert '"id": 12345678901234567890' in result(page)
    assert '"price": 1.10' in result(page)
    editor.fill('{"id": }')
    page.get_by_role("button", name="Invoke", exact=True).click()
    expect(page.locator(".input-editor .field-fault")).to_contain_text("line 1, column 8")


def test_the_form_and_the_json_are_the_same_input(page: Page) -> None:
    opened(page, "customer.get")
    page.get_by_label("cust_id").fill("12345678901234567890")
    page.get_by_role("tab", name="JSON").click()
    editor = page.get_by_label("Input as JSON")
    expect(editor).to_have_value('{\n  "cust_id": 12345678901234567890\n}')
    editor.fill('{"cust_id": 7}')
    page.get_by_role("tab", name="Form").click()
    expect(page.get_by_label("cust_id")).to_have_value("7")
    page.get_by_role("tab", name="JSON").click()
    editor.fill('{"other": 7}')
    page.get_by_role("tab", name="Form").click()
    expect(
        page.get_by_text("The form has no", exact=False).or_(
            page.get_by_text("cannot show this input")
        )
    ).to_be_visible()


def test_a_call_in_the_background_is_followed_live(page: Page, node: Node) -> None:
    opened(page, "demo.count")
    page.get_by_label("to").fill("3")
    page.get_by_role("button", name="In the background").click()
    events = page.locator(".events li")
    expect(events.filter(has_text="succeeded")).to_be_visible()
    # The heading and the history tell the end as well.
    expect(page.locator(".result-head .badge")).to_have_text("Succeeded")
    expect(page.locator(".past-calls").get_by_role("img", name="succeeded")).to_be_visible()
    names = page.locator(".event-name").all_inner_texts()
    assert names == ["accepted", "started", "item", "item", "item", "succeeded"]
    page.get_by_role("link", name="Open the invocation").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("demo.count")


def test_a_background_call_that_fails_says_so(page: Page) -> None:
    opened(page, "demo.fail")
    page.get_by_text("Options of the call").click()
    page.get_by_label("Attempts", exact=True).fill("1")
    page.get_by_role("button", name="In the background").click()
    expect(page.locator(".result-head .badge")).to_have_text("Failed")
    expect(page.locator(".past-calls").get_by_role("img", name="DEMO_FAILED")).to_be_visible()


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_result_of_a_long_form_is_seen(
    node: Node, open_context: Callable[..., BrowserContext], viewport: dict[str, int]
) -> None:
    page = open_context(node, viewport=viewport).new_page()
    opened(page, "customer.import")
    page.get_by_role("tab", name="JSON").click()
    rows = [{"cust_id": number, "cust_name": f"name {number}"} for number in range(12)]
    page.get_by_label("Input as JSON").fill(json.dumps(rows))
    page.get_by_role("tab", name="Form").click()
    expect(page.locator(".item")).to_have_count(12)
    # From the first field, and from the button below the last one.
    page.get_by_label("cust_id").first.press("Control+Enter")
    expect(page.locator(".result-head .badge")).to_have_text("Succeeded")
    expect(page.locator(".result-head .badge")).to_be_in_viewport()
    page.get_by_role("button", name="Invoke", exact=True).click()
    expect(page.locator(".result-head .badge")).to_have_text("Succeeded")
    expect(page.locator(".result-head .badge")).to_be_in_viewport()


@pytest.mark.fails
def test_a_text_that_is_left_empty_is_absent(page: Page) -> None:
    opened(page, "customer.import")
    page.get_by_label("cust_id").fill("1")
    page.get_by_role("button", name="Invoke", exact=True).click()
    field = page.locator('[data-name="cust_name"]')
    expect(field.locator(".field-fault")).to_contain_text("is required")
    # One that was written as an empty text stays one.
    page.get_by_role("tab", name="JSON").click()
    editor = page.get_by_label("Input as JSON")
    editor.fill('[{"cust_id": 1, "cust_name": ""}]')
    page.get_by_role("tab", name="Form").click()
    expect(page.get_by_label("cust_name")).to_have_value("")
    page.get_by_role("tab", name="JSON").click()
    assert json.loads(editor.input_value()) == [{"cust_id": 1, "cust_name": ""}]


def test_a_synchronous_call_can_be_cancelled(page: Page) -> None:
    opened(page, "demo.sleep")
    page.get_by_role("tab", name="JSON").click()
    page.get_by_label("Input as JSON").fill('{"seconds": 60}')
    page.get_by_role("button", name="Invoke", exact=True).click()
    page.locator(".result").get_by_role("button", name="Cancel").click()
    expect(page.locator(".result").get_by_text("Cancelled")).to_be_visible()


def test_a_call_is_copied_for_other_clients(
    node: Node, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(node, permissions=["clipboard-read", "clipboard-write"]).new_page()
    opened(page, "customer.get")
    page.get_by_label("cust_id").fill("7")
    read = "() => navigator.clipboard.readText()"
    expected = {
        "curl": [f"curl {node.url}/invoke/customer.get", """--json '{"cust_id":7}'"""],
        "grpcurl": ["-plaintext", f"{node.address} customer.Service/Get"],
        "Python": [f'Client("{node.address}")', 'client.invoke("customer.get", {"cust_id": 7})'],
        "cidery": [f"cidery invoke customer.get --node {node.address} --json"],
    }
    for tool, parts in expected.items():
        page.get_by_role("button", name="Copy as").click()
        page.get_by_role("menuitem", name=tool, exact=True).click()
        expect(page.get_by_text(f"Copied the call for {tool}")).to_be_visible()
        text = page.evaluate(read)
        assert all(part in text for part in parts), text


def test_the_history_has_no_secrets(page: Page) -> None:
    opened(page, "cidery.echo")
    page.get_by_label("Input as JSON").fill(
        '{"user": "ann", "password": "hunter2", "nested": {"api_key": "k-1"}}'
    )
    page.get_by_role("button", name="Invoke", exact=True).click()
    past = page.get_by_role("button", name="ann", exact=False).filter(has_text="user")
    expect(past).to_be_visible()
    stored = page.evaluate("() => JSON.stringify({...localStorage})")
    assert "ann" in stored
    assert "hunter2" not in stored
    assert "k-1" not in stored
    page.get_by_label("Input as JSON").fill("{}")
    past.click()
    expect(page.get_by_label("Input as JSON")).to_have_value(
        '{"user":"ann","password":"…","nested":{"api_key":"…"}}'
    )
    page.get_by_role("button", name="Forget them").click()
    assert "ann" not in page.evaluate("() => JSON.stringify({...localStorage})")
