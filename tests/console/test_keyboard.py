"""Without a mouse: screens by two letters, lists by j and k, a call, and a change of many."""

from __future__ import annotations

from node import Node
from playwright.sync_api import Page, expect

NAME = "() => document.activeElement.ariaLabel || document.activeElement.textContent"
IS_SEEN = """() => {
  const focused = document.activeElement;
  const { outlineStyle, boxShadow } = getComputedStyle(focused.closest(".filter-box") ?? focused);
  return focused === document.body || outlineStyle !== "none" || boxShadow !== "none";
}"""


def test_screens_are_opened_by_keys(page: Page) -> None:
    page.goto("/console/services")
    title = page.get_by_role("heading", level=1)
    expect(title).to_have_text("Services")
    for letter, name in [
        ("i", "Invocations"),
        ("d", "Dead letters"),
        ("w", "Workers"),
        ("o", "Overview"),
        ("s", "Services"),
    ]:
        page.keyboard.press("g")
        page.keyboard.press(letter)
        expect(title).to_have_text(name)


def test_a_row_is_found_and_opened(page: Page, node: Node) -> None:
    cids = [node.start("customer.get", {"cust_id": number}) for number in (1, 2)]
    for cid in cids:
        node.wait(cid)
    page.goto("/console/invocations?filter=service+%3D+customer.get")
    expect(page.locator(".virtual-space .row").nth(1)).to_be_visible()
    for key in "jj":
        page.keyboard.press(key)
    expect(page.locator(".row.cursor .cell-cid")).to_have_text(cids[0][-12:])
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.locator(".cid-line")).to_contain_text(cids[1])
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", level=1)).to_have_text("Invocations")


def test_a_service_is_found_and_called(page: Page) -> None:
    page.goto("/console/services")
    expect(page.get_by_role("link", name="demo.count")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("customer.get")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("customer.get")
    invoke = page.get_by_role("button", name="Invoke")
    expect(invoke).to_be_visible()
    invoke.focus()
    page.keyboard.press("Enter")
    field = page.get_by_label("cust_id")
    field.focus()
    page.keyboard.type("7")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("region", name="response")).to_contain_text("Alexis Smith")


def test_every_control_of_a_screen_is_reached_by_tab(page: Page, node: Node) -> None:
    node.wait(node.start("customer.get", {"cust_id": 1}))
    page.goto("/console/invocations")
    expect(page.locator(".virtual-space .row").first).to_be_visible()
    page.evaluate("() => document.body.focus()")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(NAME))
        # What has the focus is seen to have it.
        outline = page.evaluate(IS_SEEN)
        assert outline, seen[-1]
    for name in [
        "Skip to the content",
        "Overview",
        "Live",
        "Change all that match",
        "Filter",
        "Invocations",
    ]:
        assert name in seen, (name, seen)
