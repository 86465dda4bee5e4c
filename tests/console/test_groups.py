"""Groups: how their members ended, in the list, on the page, and in the tree of a handler."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from node import Node
from playwright.sync_api import BrowserContext, Page, expect

ONCE = {"retryPolicy": {"maxAttempts": 1}}


@pytest.fixture
def page(family: Node, open_context: Callable[..., BrowserContext]) -> Page:
    return open_context(family).new_page()


def batch(node: Node, does: list[str], **options: Any) -> str:
    requests = [
        {"service": "family.member", "payload": {"number": number, "does": what}, **ONCE}
        for number, what in enumerate(does)
    ]
    answer = node.call("InvocationService/InvokeBatch", {"requests": requests, **options})
    return str(answer["cid"])


def made_by_handler(node: Node, size: int, failing: int) -> tuple[Any, Any]:
    """An invocation that has waited for a group of its own, and this group, at their end."""
    root = node.wait(node.start("family.fan-out", {"size": size, "failing": failing}))
    assert root["state"] == "STATE_SUCCEEDED", root
    listed = node.call(
        "InvocationService/ListInvocations",
        {"filterExpression": f"root = {root['cid']} AND kind = GROUP"},
    )
    group = node.wait(listed["invocations"][0]["cid"])
    for cid in group["callbackCids"]:
        node.wait(cid)
    return root, group


def rows(page: Page) -> list[str]:
    """The rows of the timeline: their depth, name and kind."""
    return page.locator(".timeline-rows > li").evaluate_all(
        """rows => rows.map(row => {
          const label = row.querySelector(".timeline-label");
          const name = label.querySelector("a, strong").textContent;
          const tag = label.querySelector(".tag")?.textContent ?? "";
          return `${parseInt(label.style.paddingInlineStart) / 16} ${name} ${tag}`.trim();
        })"""
    )


def test_a_group_shows_how_its_members_ended(page: Page, family: Node) -> None:
    cid = batch(family, ["fail", "succeed", "fail"], onFinal=["family.note"])
    family.wait(cid)
    page.goto("/console/groups")
    row = page.get_by_role("row").filter(has_text=cid)
    expect(row.locator(".badge")).to_have_text("2 failed")
    expect(row.locator(".badge")).to_have_class(re.compile("tone-bad"))
    expect(row).to_contain_text("3 of 3")
    expect(row).to_contain_text("final: family.note")
    expect(row.get_by_role("img", name="3 of 3 have ended: 1 succeeded, 2 failed")).to_be_visible()
    row.get_by_role("link", name="2 failed").click()
    expect(page.locator(".virtual-space .row")).to_have_count(2)
    expect(page.locator(".virtual-space .row").first).to_contain_text("Failed")
    # The list of invocations tells the same.
    page.goto("/console/invocations?filter=kind+%3D+GROUP")
    row = page.locator(".virtual-space .row").filter(has=page.locator(f'[title="{cid}"]'))
    expect(row.locator(".badge")).to_have_text("2 failed")
    expect(row.locator(".badge")).to_have_class(re.compile("tone-bad"))


def test_a_group_has_neither_attempts_nor_an_input(page: Page, family: Node) -> None:
    cid = batch(family, ["fail", "fail"], onEach=["family.note"])
    family.wait(cid)
    page.goto("/console/groups")
    page.get_by_role("link", name=cid).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Group")
    expect(page.locator(".screen-title .badge")).to_have_text("2 failed")
    members = page.locator(".group-members")
    expect(members.get_by_role("img", name="2 of 2 have ended: 2 failed")).to_be_visible()
    expect(members).to_contain_text("family.note")
    for name in ["Input", "Outcome"]:
        expect(page.get_by_role("heading", name=name, exact=True)).to_have_count(0)
    expect(page.get_by_role("tab")).to_have_text(["Events", "Details", "JSON"])
    # The row of the group is not green, and neither are those of its members.
    expect(page.locator(".timeline-rows .bar-bad")).to_have_count(3)
    members.locator("div", has_text="Failed").get_by_role("link", name="2").click()
    expect(page.locator(".virtual-space .row")).to_have_count(2)


def test_a_running_group_counts_what_has_failed(page: Page, family: Node) -> None:
    cid = batch(family, ["fail", "wait"])
    page.goto(f"/console/invocations/{cid}")
    members = page.locator(".group-members")
    expect(members.get_by_role("img", name="1 of 2 have ended: 1 failed")).to_be_visible()
    expect(page.locator(".screen-title .badge")).to_have_text("Running")
    bars = page.locator(".timeline-rows > li").nth(2).locator(".bar")
    expect(bars.last).to_have_class("bar bar-busy")
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel the invocation").click()
    name = "2 of 2 have ended: 1 failed, 1 cancelled"
    expect(members.get_by_role("img", name=name)).to_be_visible()
    expect(page.locator(".screen-title .badge")).to_have_text("1 failed")
    # What was read of the member that ran is read again.
    expect(bars.last).to_have_class("bar bar-idle")
    page.goto("/console/groups")
    row = page.get_by_role("row").filter(has_text=cid)
    expect(row.get_by_role("link")).to_have_text([cid, "1 failed", "2 of 2", "1 cancelled"])


def test_a_group_of_a_handler_is_in_its_tree(page: Page, family: Node) -> None:
    root, group = made_by_handler(family, size=3, failing=1)
    member = ["2 family.member member", "3 family.note callback"]
    tree = ["0 family.fan-out", "1 group", *member, *member, *member, "2 family.note callback"]
    # It is the same tree on the page of each of them.
    cids = [root["cid"], group["cid"], group["callbackCids"][0]]
    for cid in cids:
        page.goto(f"/console/invocations/{cid}")
        expect(page.locator(".timeline-rows > li")).to_have_count(len(tree))
        assert rows(page) == tree
    current = page.locator(".timeline-rows > .current")
    expect(current.locator("[aria-current]")).to_have_text("family.note")
    # The first member is the one that failed: they are in the order of their requests.
    expect(page.locator(".timeline-rows > li").nth(2).locator(".bar-bad")).to_have_count(1)
    expect(page.locator(".timeline-rows > li").nth(4).locator(".bar-good")).to_have_count(1)


def test_the_first_of_many_members_are_drawn(page: Page, family: Node) -> None:
    cid = batch(family, ["succeed"] * 150)
    family.wait(cid)
    members = family.call(
        "InvocationService/ListInvocations", {"filterExpression": f"group = {cid}", "pageSize": 200}
    )["invocations"]
    by_position = sorted(members, key=lambda one: one.get("groupPosition", 0))
    page.goto(f"/console/invocations/{cid}")
    drawn = page.locator(".timeline-rows > li")
    expect(drawn).to_have_count(100)
    expect(page.get_by_text("100 of 151 invocations are drawn")).to_be_visible()
    links = drawn.locator("a").evaluate_all("all => all.map(one => one.href.split('/').pop())")
    assert links == [one["cid"] for one in by_position[:99]]
    # One that is further down is drawn with those around it.
    page.goto(f"/console/invocations/{by_position[140]['cid']}")
    expect(page.locator(".timeline-rows > .current [aria-current]")).to_have_text("family.member")
    assert rows(page)[0] == "0 group"
    expect(drawn).to_have_count(101)


def test_the_way_back_from_a_group_leads_to_the_groups(page: Page, family: Node) -> None:
    cid = batch(family, ["succeed"])
    family.wait(cid)
    page.goto("/console/groups")
    page.get_by_role("link", name=cid).click()
    page.locator(".timeline-rows").get_by_role("link", name="family.member").click()
    title = page.get_by_role("heading", level=1)
    expect(title).to_have_text("family.member")
    page.keyboard.press("u")
    expect(title).to_have_text("Groups")


def test_nested_calls_are_drawn_with_what_they_came_to(page: Page, family: Node) -> None:
    cid = family.start("family.asks", {})
    family.wait(cid)
    page.goto(f"/console/invocations/{cid}")
    expect(page.locator(".timeline-rows > li")).to_have_count(3)
    nested = "1 family.member nested"
    assert rows(page) == ["0 family.asks", nested, nested]
    calls = page.locator(".timeline-rows > li")
    expect(calls.nth(1).locator(".bar-good")).to_have_count(1)
    failed = calls.nth(2).locator(".bar-bad")
    expect(failed).to_have_attribute("title", re.compile("called by family.asks in attempt 1"))
