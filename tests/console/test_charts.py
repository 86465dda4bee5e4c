"""The charts of the last hour, or of the life of a younger node: what is drawn and said."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from node import Node
from playwright.sync_api import Page, Route, expect

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


# How many pixels of a chart have the colour of its first line, left and right of the middle, and
# where the first of them is, as a share of the axis.
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
  let begin = width;
  for (let at = 0; at < data.length; at += 4) {
    const [r, g, b] = data.slice(at, at + 3);
    const isLine = Math.abs(r - red) + Math.abs(g - green) + Math.abs(b - blue) < 40;
    if (!isLine || data[at + 3] <= 100) continue;
    const x = (at / 4) % width;
    found[x < width / 2 ? 0 : 1] += 1;
    begin = Math.min(begin, x);
  }
  const axis = place.querySelector(".u-over");
  return [...found, (begin / devicePixelRatio - axis.offsetLeft) / axis.offsetWidth];
}"""


def drawn(page: Page, title: str) -> tuple[int, int, float]:
    place = page.locator(".chart").filter(has_text=title).locator(".chart-place")
    expect(place.locator("canvas")).to_be_visible()
    left, right, begin = place.evaluate(DRAWN)
    return left, right, begin


def opened(page: Page, path: str = "/") -> None:
    page.emulate_media(color_scheme="light")
    page.goto(path)
    expect(page.locator(".chart-place canvas")).to_have_count(3)


def test_one_sample_is_seen(page: Page) -> None:
    opened(page)
    # One call is a value between two gaps.
    left, right, _ = drawn(page, "Latency")
    assert left == 0
    assert 4 <= right <= 40


def test_nothing_is_drawn_before_the_start(page: Page) -> None:
    opened(page)
    for title in ("Calls per second", "Oldest pending"):
        left, right, _ = drawn(page, title)
        assert left == 0, title
        assert right > 0, title


def started(page: Page, minutes: float) -> None:
    """Lets the node say that it started so long ago, and was called in each interval since."""

    def answer(route: Route) -> None:
        now = datetime.now(UTC)
        times = [now - timedelta(seconds=10 * at) for at in range(int(minutes * 6), 0, -1)]
        samples = [{"time": time.isoformat(), "succeeded": "5"} for time in times[-360:]]
        history = {"samples": samples, "interval": "10s", "observeTime": now.isoformat()}
        start = now - timedelta(minutes=minutes)
        route.fulfill(json={**history, "startTime": start.isoformat()})

    page.route("**/cidery.v1.AdminService/GetHistory", answer)


@pytest.mark.parametrize(
    ("minutes", "heading", "begin"),
    [
        (0.5, "Since the start, less than a minute ago", 0.9),
        (4.2, "Since the start, 4 min ago", 0.2),
        (20.2, "Since the start, 20 min ago", 0.02),
        (59.5, "Since the start, 59 min ago", 0.02),
        (90, "Last hour", 0.02),
    ],
)
def test_a_young_node_fills_its_charts(
    page: Page, minutes: float, heading: str, begin: float
) -> None:
    started(page, minutes)
    opened(page)
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    # At least five minutes are shown, and otherwise what the node has seen.
    assert abs(drawn(page, "Calls per second")[2] - begin) < 0.08
    name = re.compile(f"^Calls per second, {heading.lower()}. Now: succeeded")
    expect(page.get_by_role("img", name="Calls per second")).to_have_accessible_name(name)


def test_charts_say_what_they_show(page: Page) -> None:
    opened(page, "/console/services/customer.get")
    # The last sample has its call, or none any more.
    said = re.compile(
        r"^Latency, since the start, (less than a minute|\d+ min) ago\. "
        r"Now: p50 (none|[\d.]+ m?s), p99 (none|[\d.]+ m?s)$"
    )
    expect(page.get_by_role("img", name="Latency, since")).to_have_accessible_name(said)
    calls = page.locator(".chart").filter(has_text="Calls per second")
    expect(calls.locator(".legend-item b")).to_have_text([re.compile(r"^[\d.]+$")] * 3)
    # Under the pointer, the legend has the values of that time: before the start there are none.
    box = calls.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 3, box["y"] + 20)
    expect(calls.locator(".legend-item b")).to_have_text(["\u2013"] * 3)
