"""The list of invocations while others are accepted: it is live, and what is read there stays."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from node import Node
from playwright.sync_api import Page, expect


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.stop()


def later(node: Node, name: str, count: int = 1) -> list[str]:
    """Accepts invocations of a test that stay pending."""
    options = {"delay": "3600s", "metadata": {"test": name}}
    return [node.start("customer.get", {"cust_id": 1}, **options) for _ in range(count)]


def many(node: Node, count: int) -> None:
    """Accepts many that cost no more than that."""
    one = {"service": "cidery.echo", "delay": "3600s"}
    node.call("InvocationService/InvokeBatch", {"requests": [one] * count})


def opened(page: Page, name: str) -> None:
    page.goto(f"/console/invocations?filter=metadata.test+%3D+{name}+AND+state+%3D+PENDING")
    expect(page.locator(".virtual-space .row").first).to_be_visible()


def cids(page: Page) -> list[str]:
    return page.locator(".virtual-space .cell-cid").all_inner_texts()


READ_NOW = "() => document.dispatchEvent(new Event('visibilitychange'))"


def read_again(page: Page, last: str = '"pageSize":100,') -> None:
    """Makes the page read as if it came into view, and waits for the request with `last`."""
    with page.expect_response(lambda answer: last in f"{answer.url} {answer.request.post_data}"):
        page.evaluate(READ_NOW)
    page.wait_for_function("() => new Promise(requestAnimationFrame).then(() => true)")


def test_rows_that_are_pointed_at_stay_while_others_are_accepted(page: Page, node: Node) -> None:
    many(node, 120)
    [cid] = later(node, "stay")
    page.goto("/console/invocations")
    top = page.locator(".virtual-space .row").first
    expect(top).to_contain_text(cid[-12:])
    page.get_by_role("grid").hover()
    shown = cids(page)
    # More than the whole first page, and than a request reads at once.
    for _ in range(2):
        many(node, 250)
        read_again(page)
        expect(page.get_by_role("button", name="100 or more new")).to_be_visible()
        expect(page.locator(".row-gone")).to_have_count(0)
        assert cids(page) == shown
    # What happens to a row is seen in its place, however many are above it.
    node.call("InvocationService/CancelInvocations", {"cids": [cid]})
    read_again(page)
    expect(top.locator(".badge")).to_have_text("Cancelled")
    expect(top).to_contain_text(cid[-12:])
    page.get_by_role("button", name="100 or more new").click()
    expect(top).not_to_contain_text(cid[-12:])
    expect(page.get_by_role("button", name=re.compile("new$"))).to_be_hidden()


def test_only_a_row_that_does_not_match_any_more_says_so(page: Page, node: Node) -> None:
    waiting = later(node, "match", 3)
    opened(page, "match")
    rows = page.locator(".virtual-space .row")
    expect(rows).to_have_count(3)
    page.get_by_role("grid").hover()
    node.call("InvocationService/CancelInvocations", {"cids": [waiting[1]]})
    read_again(page)
    gone = page.locator(".row-gone")
    expect(gone).to_have_count(1)
    expect(gone).to_contain_text(waiting[1][-12:])
    expect(gone).to_contain_text("does not match any more")
    expect(rows).to_have_count(3)


def test_live_is_turned_off_and_on(page: Page, node: Node) -> None:
    [first] = later(node, "live")
    opened(page, "live")
    rows = page.locator(".virtual-space .row")
    expect(rows).to_have_count(1)
    live = page.get_by_role("button", name="Live")
    expect(live).to_have_attribute("aria-pressed", "true")
    live.click()
    expect(live).to_have_attribute("aria-pressed", "false")
    [second] = later(node, "live")
    # The counts go on, the rows do not.
    read_again(page, "SummarizeInvocations")
    expect(page.locator(".screen-title .number")).to_have_text("2")
    assert cids(page) == [first[-12:]]
    page.keyboard.press("l")
    expect(live).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".virtual-space .cell-cid")).to_have_text([second[-12:], first[-12:]])


def test_new_ones_are_counted_while_a_row_is_chosen(page: Page, node: Node) -> None:
    [first] = later(node, "chosen")
    opened(page, "chosen")
    page.get_by_role("checkbox", name="Select", exact=True).check()
    page.mouse.move(0, 0)
    later(node, "chosen", 2)
    read_again(page)
    expect(page.get_by_role("button", name="2 new")).to_be_visible()
    assert cids(page) == [first[-12:]]
    page.get_by_role("button", name="Select none").click()
    page.mouse.move(0, 0)
    # Nothing is chosen or pointed at: they come in by themselves.
    expect(page.locator(".virtual-space .row")).to_have_count(3)
    expect(page.get_by_role("button", name="2 new")).to_be_hidden()


def test_purging_some_asks_first(page: Page, node: Node) -> None:
    waiting = later(node, "purge", 2)
    node.call("InvocationService/CancelInvocations", {"cids": waiting})
    page.goto("/console/invocations?filter=metadata.test+%3D+purge")
    expect(page.locator(".virtual-space .row")).to_have_count(2)
    page.get_by_role("checkbox", name="Select the loaded ones").check()
    page.locator(".picked").get_by_role("button", name="Purge…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 invocations selected. Their outcomes are removed for good.")
    dialog.get_by_role("button", name="Close").last.click()
    assert [node.state(cid) for cid in waiting] == ["STATE_CANCELLED"] * 2
    page.locator(".picked").get_by_role("button", name="Purge…").click()
    dialog.get_by_role("button", name="Purge 2 invocations").click()
    expect(page.get_by_text("Purge: 2 changed")).to_be_visible()
    expect(page.get_by_text("Nothing matches")).to_be_visible()
