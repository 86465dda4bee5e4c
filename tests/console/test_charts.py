"""The charts of the last hour: what is drawn in them, as pixels, and what is said."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from node import Node
from playwright.sync_api import Page, expect

# A node takes a sample every ten seconds.
SAMPLE_SECONDS = 25


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """A node that has just started, was called once, and has one invocation that is due."""
    node = Node()
    node.call("AdminService/PauseService", {"service": "cidery.ping", "backgroundOnly": True})
    node.start("cidery.ping", {})
    node.call("InvocationService/Invoke", {"service": "customer.get", "payload": {"cust_id": 1}})
    end = time.monotonic() + SAMPLE_SECONDS
    while not any(
        "durationP50" in sample and "oldestDueAge" in sample
        for sample in node.call("AdminService/GetHistory", {}).get("samples", [])
    ):
        assert time.monotonic() < end, "the node has no sample"
        time.sleep(0.2)
    yield node
    node.stop()


# How many pixels of a chart have the colour of its first line, left and right of the middle.
DRAWN = """(place) => {
  const canvas = place.querySelector("canvas");
  const probe = document.createElement("canvas").getContext("2d");
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--accent");
  probe.fillStyle = /light-dark\\(([^,]+)/.exec(colour)?.[1] ?? colour;
  probe.fillRect(0, 0, 1, 1);
  const [red, green, blue] = probe.getImageData(0, 0, 1, 1).data;
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const found = [0, 0];
  for (let at = 0; at < data.length; at += 4) {
    const [r, g, b] = data.slice(at, at + 3);
    const isLine = Math.abs(r - red) + Math.abs(g - green) + Math.abs(b - blue) < 40;
    if (isLine && data[at + 3] > 100) found[(at / 4) % width < width / 2 ? 0 : 1] += 1;
  }
  return found;
}"""


def drawn(page: Page, title: str) -> tuple[int, int]:
    place = page.locator(".chart").filter(has_text=title).locator(".chart-place")
    expect(place.locator("canvas")).to_be_visible()
    left, right = place.evaluate(DRAWN)
    return left, right


def opened(page: Page, path: str = "/") -> None:
    page.emulate_media(color_scheme="light")
    page.goto(path)
    expect(page.locator(".chart-place canvas")).to_have_count(3)


def test_one_sample_is_seen(page: Page) -> None:
    opened(page)
    # One call in the hour is a value between two gaps.
    left, right = drawn(page, "Latency")
    assert left == 0
    assert 4 <= right <= 40


def test_nothing_is_drawn_before_the_start(page: Page) -> None:
    opened(page)
    for title in ("Calls per second", "Oldest pending"):
        left, right = drawn(page, title)
        assert left == 0, title
        assert right > 0, title


def test_charts_say_what_they_show(page: Page) -> None:
    opened(page, "/console/services/customer.get")
    # The last sample has its call, or none any more.
    said = re.compile(r"^Latency, last hour\. Now: p50 (none|[\d.]+ m?s), p99 (none|[\d.]+ m?s)$")
    expect(page.get_by_role("img", name="Latency, last hour")).to_have_accessible_name(said)
    calls = page.locator(".chart").filter(has_text="Calls per second")
    expect(calls.locator(".legend-item b")).to_have_text([re.compile(r"^[\d.]+$")] * 3)
    # Under the pointer, the legend has the values of that time: before the start there are none.
    box = calls.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 3, box["y"] + 20)
    expect(calls.locator(".legend-item b")).to_have_text(["\u2013"] * 3)
