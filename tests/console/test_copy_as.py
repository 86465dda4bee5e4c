"""A call that is copied for another client is the same call: what is copied is run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from node import BINARY, Node
from playwright.sync_api import BrowserContext, Page, expect

READ = "() => navigator.clipboard.readText()"
OPTIONS = {
    "Timeout": "1m 30s",
    "Delay": "2m",
    "Attempts": "7",
    "Concurrency key": "customer 7",
    "Metadata": "tenant=acme\nnote=it's a=b\nempty=",
}
# What each client sends of them; the rest is read from the node.
SAID = {
    "curl": ["timeout=90s", "delay=120s", "retry_policy.max_attempts=7", "on_exhausted=hold"],
    "grpcurl": ['"timeout":"90s"', '"delay":"120s"', '"maxAttempts":7', "ON_EXHAUSTED_HOLD"],
    "Python": ["timeout=90", "delay=120", "RetryPolicy(max_attempts=7)", 'on_exhausted="hold"'],
    "cidery": ["--attempt-timeout 90s", "--delay 120s", "--retry 7", "--hold"],
}
CLIENTS = {
    "curl": Path("/usr/bin/curl"),
    "grpcurl": Path(os.environ.get("CIDERY_GRPCURL", "grpcurl")),
    "Python": Path(os.environ.get("CIDERY_SDK", "."), "python"),
    "cidery": BINARY,
}


@pytest.fixture
def page(node: Node, open_context: Callable[..., BrowserContext]) -> Page:
    return open_context(node, permissions=["clipboard-read", "clipboard-write"]).new_page()


def opened(page: Page, service: str, **options: str) -> None:
    page.goto(f"/console/invoke?service={service}")
    page.get_by_text("Options of the call").click()
    for label, value in options.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(value)


def copied(page: Page, name: str) -> str:
    page.get_by_role("button", name="Copy as").click()
    page.get_by_role("menuitem", name=name, exact=True).click()
    expect(page.locator(".toast").last).to_contain_text("Copied the call for")
    return str(page.evaluate(READ))


def run(tool: str, text: str, folder: Path) -> str:
    """Runs a copied call, as someone does who pastes it."""
    name = {"Python": "python3"}.get(tool, tool)
    (folder / name).symlink_to(CLIENTS[tool])
    if tool == "Python":
        text = f"{CLIENTS[tool]} - <<'END'\n{text}\nEND"
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, (text, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.parametrize("tool", CLIENTS)
def test_a_background_call_keeps_all_its_options(
    page: Page, node: Node, tmp_path: Path, tool: str
) -> None:
    key = f"copied for {tool}"
    opened(page, "cidery.echo", **{**OPTIONS, "Idempotency key": key})
    page.get_by_label("Hold it when all attempts have failed").check()
    page.get_by_label("Input as JSON").fill('{"note": "it\'s", "ok": true, "none": null}')
    text = copied(page, f"{tool}, in the background")
    assert [part for part in SAID[tool] if part not in text] == [], text
    run(tool, text, tmp_path)
    filter_ = 'service = cidery.echo AND metadata.note = "it\'s a=b"'
    listed = node.call(
        "InvocationService/ListInvocations",
        {"filterExpression": filter_, "view": "INVOCATION_VIEW_FULL"},
    )["invocations"]
    [one] = [found for found in listed if found["idempotencyKey"] == key]
    assert one["metadata"] == {"tenant": "acme", "note": "it's a=b", "empty": ""}
    assert one["concurrencyKey"] == "customer 7"
    assert one["pendingReason"] == "PENDING_REASON_DUE_LATER"


def test_metadata_that_is_no_header_is_copied_for_curl(
    page: Page, node: Node, tmp_path: Path
) -> None:
    opened(page, "cidery.echo", Metadata="Order No=7\ncontent-type=pen", Delay="1h")
    run("curl", copied(page, "curl, in the background"), tmp_path)
    found = node.call(
        "InvocationService/ListInvocations",
        {"filterExpression": 'metadata."Order No" = 7', "view": "INVOCATION_VIEW_FULL"},
    )
    [one] = found["invocations"]
    assert one["metadata"] == {"Order No": "7", "content-type": "pen"}


def test_a_synchronous_call_says_what_it_leaves_out(page: Page, tmp_path: Path) -> None:
    opened(page, "customer.get", Timeout="2m", Delay="10s", Attempts="3", Metadata="tenant=acme")
    page.get_by_label("cust_id").fill("1")
    text = copied(page, "curl")
    expect(page.locator(".toast").last).to_have_text(
        "Copied the call for curl, without what is for the background: delay, attempts"
    )
    assert "timeout=120s" in text
    assert "delay" not in text
    assert "Alexis Smith" in run("curl", text, tmp_path)
    page.get_by_role("button", name="Copy as").click()
    page.get_by_role("menuitem", name="Show all…").click()
    dialog = page.get_by_role("dialog")
    # The options are those of a background call: that is shown first.
    expect(dialog.get_by_role("tab", name="In the background")).to_have_attribute(
        "aria-selected", "true"
    )
    expect(dialog.get_by_role("region", name="call for cidery")).to_contain_text("--delay 10s")
    dialog.get_by_role("tab", name="Invoke").click()
    expect(dialog.get_by_role("region", name="call for cidery")).to_contain_text("--timeout 120s")
    expect(dialog.get_by_role("region", name="call for Python")).to_contain_text("timeout=120")
