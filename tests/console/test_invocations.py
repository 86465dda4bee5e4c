"""The list of invocations: its filter, any number of rows, and changes of some and of all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from node import Node
from playwright.sync_api import BrowserContext, Page, Route, expect

FAILED = 12
ONCE = {"retryPolicy": {"maxAttempts": 1}}


@pytest.fixture(scope="module")
def busy() -> Iterator[Node]:
    """A node with some failures among many invocations."""
    node = Node()
    node.fill(3000)
    last = [
        node.start("demo.fail", {"message": f"number {number}"}, **ONCE) for number in range(FAILED)
    ]
    for cid in last:
        node.wait(cid)
    yield node
    node.stop()


@pytest.fixture
def page(busy: Node, open_context: Callable[..., BrowserContext]) -> Page:
    return open_context(busy).new_page()


def filtered(page: Page, text: str) -> None:
    field = page.get_by_role("combobox", name="Filter")
    field.fill(text)
    field.press("Enter")


def test_a_filter_is_suggested_and_linked(page: Page) -> None:
    page.goto("/console/invocations")
    expect(page.locator(".virtual .row").nth(5)).to_be_visible()
    field = page.get_by_role("combobox", name="Filter")
    page.keyboard.press("/")
    expect(field).to_be_focused()
    for word, option in [
        ("sta", "state"),
        ("=", None),
        ("fai", "FAILED"),
        ("A", "AND"),
        ("serv", "service"),
        ("=", None),
        ("fail", "demo.fail"),
    ]:
        page.keyboard.type(word)
        if option is None:
            page.keyboard.type(" ")
            continue
        expect(page.get_by_role("option", name=option).first).to_be_visible()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    field.press("Enter")
    expect(page.locator(".screen-title .number")).to_have_text(str(FAILED))
    assert "filter=state+%3D+FAILED+AND+service+%3D+demo.fail" in page.url
    page.reload()
    expect(field).to_have_value("state = FAILED AND service = demo.fail")
    expect(page.locator(".virtual-space .row")).to_have_count(FAILED)
    expect(page.get_by_role("button", name="failed")).to_have_attribute("aria-pressed", "true")


def test_services_are_suggested_once_they_are_known(page: Page) -> None:
    held: list[Route] = []
    page.route("**/cidery.v1.DiscoveryService/ListServices", lambda route: held.append(route))
    page.goto("/console/invocations")
    field = page.get_by_role("combobox", name="Filter")
    field.press_sequentially("service = fail")
    option = page.get_by_role("option", name="demo.fail")
    expect(option).to_have_count(0)
    while not held:
        page.wait_for_timeout(10)
    for route in held:
        route.continue_()
    expect(option.first).to_be_visible()


@pytest.mark.fails
def test_a_wrong_filter_says_where(page: Page) -> None:
    page.goto("/console/invocations")
    filtered(page, "sevice = a")
    expect(page.locator(".filter .field-fault")).to_contain_text("column 1")
    filtered(page, "state = FAILED")
    expect(page.locator(".filter .field-fault")).to_be_empty()
    expect(page.locator(".virtual-space .row").first).to_be_visible()


def test_any_number_of_rows_is_few_elements(page: Page) -> None:
    page.goto("/console/invocations")
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", str(3000 + FAILED + 2))
    grid = page.get_by_role("grid")
    for share in (0.3, 0.7, 1.0):
        grid.evaluate("(grid, share) => { grid.scrollTop = grid.scrollHeight * share }", share)
        expect(page.locator(".row-loading")).to_have_count(0)
        assert page.locator(".virtual-space .row").count() < 60
    # The last one is the first that was accepted.
    expect(page.locator(".virtual-space .row").last).to_contain_text("group of 3")


def test_new_ones_come_in_at_the_top(page: Page, busy: Node) -> None:
    page.goto("/console/invocations?filter=service+%3D+customer.get")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    cid = busy.start("customer.get", {"cust_id": 1})
    expect(page.locator(".virtual-space .row")).to_have_count(1)
    expect(page.locator(".cell-cid").nth(1)).to_have_text(cid[-12:])


def test_some_are_chosen_and_changed(page: Page, busy: Node) -> None:
    cids = [busy.start("demo.sleep", {"seconds": 300}, delay="3600s") for _ in range(3)]
    page.goto("/console/invocations?filter=service+%3D+demo.sleep")
    expect(page.locator(".virtual-space .row")).to_have_count(3)
    boxes = page.get_by_role("checkbox", name="Select", exact=True)
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.locator(".picked").get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel 2 invocations").click()
    expect(page.get_by_text("Cancel: 2 changed")).to_be_visible()
    states = sorted(busy.state(cid) for cid in cids)
    assert states == ["STATE_CANCELLED", "STATE_CANCELLED", "STATE_PENDING"]


def test_all_that_match_are_retried(page: Page, busy: Node) -> None:
    page.goto("/console/invocations?filter=state+%3D+FAILED+AND+service+%3D+demo.fail")
    expect(page.locator(".virtual-space .row")).to_have_count(FAILED)
    page.get_by_role("button", name="Change all that match").click()
    page.get_by_role("menuitem", name="Retry…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{FAILED} invocations can be changed")
    expect(dialog.get_by_role("table")).to_contain_text("demo.fail")
    # The dry run changed nothing.
    matched = {"filterExpression": "service = demo.fail"}
    assert busy.call("InvocationService/SummarizeInvocations", matched)["total"] == str(FAILED)
    dialog.get_by_role("button", name=f"Retry {FAILED} invocations").click()
    expect(dialog.get_by_role("status")).to_contain_text(
        f"succeeded · {FAILED} changed of {FAILED} matched"
    )
    dialog.get_by_role("link", name="All operations").click()
    expect(page.get_by_role("table", name="Operations")).to_contain_text(f"{FAILED} of {FAILED}")
    assert busy.call("InvocationService/SummarizeInvocations", matched)["total"] == str(2 * FAILED)


def test_those_that_are_held_have_a_chip(page: Page, busy: Node) -> None:
    held = {"onExhausted": "ON_EXHAUSTED_HOLD", "retryPolicy": {"maxAttempts": 1}}
    own = {"metadata": {"chip": "yes"}}
    down = {"code": "UNAVAILABLE", "message": "down"}
    cids = [busy.start("demo.fail", down, **held, **own) for _ in range(2)]
    cids.append(busy.start("cidery.echo", {}, delay="3600s", **own))
    page.goto("/console/invocations?filter=metadata.chip+%3D+yes+AND+state+%3D+FAILED")
    chips = page.get_by_role("group", name="States")
    chip = chips.get_by_role("button", name=re.compile("^Held", re.I))
    field = page.get_by_role("combobox", name="Filter")
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "true")
    expect(chip).to_have_text(re.compile("2$"))
    expect(field).to_have_value("metadata.chip = yes AND pending_reason = HELD")
    expect(page.locator(".virtual-space .row")).to_have_count(2)
    expect(page.locator(".screen-title .number")).to_have_text("2")
    # Another chip replaces it, and all of them are counted meanwhile.
    chips.get_by_role("button", name=re.compile("^Pending", re.I)).click()
    expect(field).to_have_value("metadata.chip = yes AND state = PENDING")
    expect(page.locator(".virtual-space .row")).to_have_count(3)
    expect(chip).to_have_attribute("aria-pressed", "false")
    chip.click()
    chip.click()
    expect(field).to_have_value("metadata.chip = yes")
    busy.call("InvocationService/CancelInvocations", {"cids": cids})


def test_an_operation_that_matched_nothing_has_no_bar(page: Page, busy: Node) -> None:
    nothing = {"action": {"retry": {}}, "filterExpression": "service = no.such"}
    busy.call("OperationService/StartOperation", nothing)
    page.goto("/console/operations")
    row = page.get_by_role("row").filter(has_text="no.such")
    expect(row).to_contain_text("Succeeded")
    expect(row).to_contain_text("nothing matched")
    expect(row.get_by_role("progressbar")).to_have_count(0)


def test_dead_letters_are_grouped_and_purged(page: Page, busy: Node) -> None:
    held = {"onExhausted": "ON_EXHAUSTED_HOLD", **ONCE}
    cid = busy.start("demo.fail", {"code": "UNAVAILABLE", "message": "no stock"}, **held)
    page.goto("/console/dead-letters")
    row = page.get_by_role("row").filter(has_text="Held")
    expect(row).to_contain_text("no stock")
    row.get_by_role("button", name="Change the 1 dead letter of demo.fail").click()
    row.get_by_role("menuitem", name="Cancel…").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel 1 invocation").click()
    expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text(
        "1 changed of 1 matched"
    )
    assert busy.state(cid) == "STATE_CANCELLED"


@pytest.mark.fails(400)
def test_a_cid_in_the_place_of_a_filter_is_opened(page: Page, busy: Node) -> None:
    listed = busy.call("InvocationService/ListInvocations", {"pageSize": 1})
    cid = listed["invocations"][0]["cid"]
    for text in (cid, cid.upper(), cid[-12:], cid[:23]):
        page.goto("/console/invocations")
        expect(
            page.locator(".virtual-space .row").filter(has=page.locator(f'[title="{cid}"]'))
        ).to_be_visible()
        page.get_by_role("combobox", name="Filter").fill(text)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/console/invocations/{cid}")
    # What is none, and is not in the list, is a filter that is wrong.
    page.goto("/console/invocations")
    page.get_by_role("combobox", name="Filter").fill("012345678901")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="operator")).to_be_visible()
