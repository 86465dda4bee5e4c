"""Without a mouse: screens by two letters, lists by j and k, a call, and a change of many."""

from __future__ import annotations

from node import Node
from playwright.sync_api import Locator, Page, expect

NAME = "() => document.activeElement.ariaLabel || document.activeElement.textContent"
IS_SEEN = """() => {
  const focused = document.activeElement;
  const { outlineStyle, boxShadow } = getComputedStyle(focused.closest(".filter-box") ?? focused);
  return focused === document.body || outlineStyle !== "none" || boxShadow !== "none";
}"""


def tab_to(page: Page, control: Locator) -> None:
    """Presses Tab until the control has the focus."""
    expect(control).to_be_visible()
    for _ in range(40):
        if control.evaluate("control => control === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError("it is not reached by Tab")


def test_screens_are_opened_by_keys(page: Page) -> None:
    page.goto("/console/services")
    title = page.get_by_role("heading", level=1)
    expect(title).to_have_text("Services")
    for letter, name in [
        ("i", "Invocations"),
        ("d", "Dead letters"),
        ("w", "Workers"),
        ("n", "Invoke"),
        ("p", "Operations"),
        ("g", "Groups"),
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
    tab_to(page, page.get_by_role("button", name="Invoke"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("cust_id"))
    page.keyboard.type("7")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("region", name="response")).to_contain_text("Alexis Smith")


def test_some_are_chosen_and_changed(page: Page, node: Node) -> None:
    options = {"delay": "3600s", "metadata": {"test": "keyboard"}}
    cids = [node.start("customer.get", {"cust_id": 1}, **options) for _ in range(3)]
    page.goto("/console/invocations?filter=metadata.test+%3D+keyboard")
    expect(page.locator(".virtual-space .row")).to_have_count(3)
    # The first two: the last one that was accepted is the first.
    for key in "jxjx":
        page.keyboard.press(key)
    expect(page.locator(".row.chosen")).to_have_count(2)
    page.keyboard.press("x")
    expect(page.locator(".row.chosen")).to_have_count(1)
    page.keyboard.press("x")
    tab_to(page, page.locator(".picked").get_by_role("button", name="Cancel…"))
    page.keyboard.press("Enter")
    # A dialog without a field has the focus on its first button, which changes nothing.
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".dialog-actions").get_by_role("button").first).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Cancel: 2 changed")).to_be_visible()
    states = [node.state(cid) for cid in cids]
    assert states == ["STATE_PENDING", "STATE_CANCELLED", "STATE_CANCELLED"]


def test_all_that_match_are_changed(page: Page, node: Node) -> None:
    options = {"metadata": {"test": "all keys"}, "retryPolicy": {"maxAttempts": 1}}
    cid = node.start("demo.fail", {"message": "keys"}, **options)
    node.wait(cid)
    page.goto("/console/invocations?filter=metadata.test+%3D+%22all+keys%22")
    expect(page.locator(".virtual-space .row")).to_have_count(1)
    tab_to(page, page.get_by_role("button", name="Change all that match"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Retry…")).to_be_focused()
    page.keyboard.press("Enter")
    # The counted dialog opens with the focus in its first field.
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Change the inputs")).to_be_focused()
    tab_to(page, dialog.get_by_role("button", name="Retry 1 invocation"))
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("status")).to_contain_text("1 changed of 1 matched")
    assert "retriedAs" in node.wait(cid)


def test_an_invocation_is_retried_by_a_letter(page: Page, node: Node) -> None:
    cid = node.start("demo.fail", {"message": "keys"}, retryPolicy={"maxAttempts": 1})
    node.wait(cid)
    page.goto(f"/console/invocations/{cid}")
    expect(page.locator(".screen-title .badge")).to_have_text("Failed")
    page.keyboard.press("e")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("code")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("r")
    expect(page.locator(".cid-line")).not_to_contain_text(cid)
    expect(page.locator(".facts").first).to_contain_text(cid[-12:])
    page.keyboard.press("u")
    expect(page.get_by_role("heading", level=1)).to_have_text("Invocations")


def test_the_theme_is_changed_by_a_letter(page: Page) -> None:
    page.goto("/console/services")
    expect(page.get_by_role("button", name="Theme: system")).to_be_visible()
    page.keyboard.press("t")
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"


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
