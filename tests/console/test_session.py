"""With authentication: the log-in by API key, and what callers see that may only read."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from node import BINARY, Node
from playwright.sync_api import BrowserContext, Page, expect
from test_screens import violations


def new_key(data: Path, name: str, *options: str) -> str:
    command = [str(BINARY), "key", "new", name, *options, "--data-dir", str(data)]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    return next(word for word in made.stdout.split() if word.startswith("cdy_"))


class Guarded:
    """A node that asks who calls, with a key of an administrator, and one that may only read."""

    def __init__(self, data: Path) -> None:
        self.admin = new_key(
            data, "root", "--admin", "--invoke", "*", "--read", "all", "--control", "all"
        )
        self.reader = new_key(
            data, "viewer", "--invoke", "customer.*", "--read", "all", "--control", "none"
        )
        self.node = Node(data=data)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    guarded = Guarded(tmp_path_factory.mktemp("data"))
    yield guarded
    guarded.node.stop()


def log_in(page: Page, key: str) -> None:
    page.goto("/console/services")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Services")


@pytest.mark.fails(401)
def test_a_key_opens_a_session_and_logging_out_ends_it(
    guarded: Guarded, open_context: Callable[..., BrowserContext]
) -> None:
    context = open_context(guarded.node)
    page = context.new_page()
    page.goto("/console/services")
    page.get_by_label("API key").fill("cdy_wrong")
    # The console asks who calls once more after a refusal. What was typed and the message stay.
    with page.expect_response(lambda answer: answer.request.method == "GET"):
        page.get_by_role("button", name="Log in").click()
    page.evaluate(
        "async () => { for (let n = 0; n < 5; n++) await (await fetch('/console/session')).text() }"
    )
    expect(page.get_by_label("API key")).to_have_value("cdy_wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    log_in(page, guarded.admin)
    expect(page.get_by_role("link", name="customer.get")).to_be_visible()
    expect(page.locator(".who")).to_have_text("root")
    # The key is nowhere in the browser, and no script can read the cookie.
    seen = page.evaluate(
        "() => JSON.stringify({...localStorage, ...sessionStorage}) + document.cookie"
    )
    assert guarded.admin not in seen
    assert "cidery-session" not in seen
    cookie = next(cookie for cookie in context.cookies() if "session" in cookie["name"])
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert guarded.admin not in str(context.cookies())
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    page.reload()
    expect(page.get_by_label("API key")).to_be_visible()


@pytest.mark.fails(401)
def test_a_revoked_key_ends_its_session(
    guarded: Guarded, open_context: Callable[..., BrowserContext]
) -> None:
    made = guarded.node.call(
        "SecurityService/CreateApiKey",
        {"principal": "guest", "rights": {"administer": True, "read": "SCOPE_ALL"}},
        key=guarded.admin,
    )
    page = open_context(guarded.node).new_page()
    log_in(page, made["secret"])
    revoke = {"id": made["apiKey"]["id"]}
    guarded.node.call("SecurityService/RevokeApiKey", revoke, key=guarded.admin)
    # The next request of the page that is open shows it.
    expect(page.get_by_label("API key")).to_be_visible()


def test_who_may_only_read_has_no_buttons_that_work(
    guarded: Guarded, open_context: Callable[..., BrowserContext]
) -> None:
    request = {
        "service": "demo.fail",
        "payload": {"message": "x"},
        "retryPolicy": {"maxAttempts": 1},
    }
    cid = guarded.node.call("InvocationService/InvokeAsync", request, key=guarded.admin)["cid"]
    page = open_context(guarded.node).new_page()
    log_in(page, guarded.reader)
    page.goto("/console/invocations?filter=state+%3D+FAILED")
    expect(page.locator(".virtual-space .row")).to_have_count(1)
    expect(page.get_by_role("checkbox", name="Select", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Change all that match").click()
    retry = page.get_by_role("menuitem", name="Retry…")
    expect(retry).to_have_attribute("aria-disabled", "true")
    expect(retry).to_have_attribute(
        "title", "Needs the right `administer`, which viewer does not have"
    )
    page.goto(f"/console/invocations/{cid}")
    button = page.get_by_role("button", name="Retry", exact=False).first
    expect(button).to_have_attribute("aria-disabled", "true")
    button.click(force=True)
    expect(page.get_by_text("Needs the right `control`").last).to_be_visible()
    page.goto("/console/workers")
    expect(page.get_by_text("Workers cannot be shown")).to_be_visible()
    # The node does not rely on the buttons.
    request = {"cids": [cid]}
    answer = guarded.node.call("InvocationService/RetryInvocations", request, key=guarded.reader)
    assert "failure" in answer["changes"][0]


@pytest.mark.fails(401)
@pytest.mark.parametrize(("theme", "width"), [("dark", 400), ("light", 1280)])
def test_the_log_in_is_accessible(
    guarded: Guarded, open_context: Callable[..., BrowserContext], theme: str, width: int
) -> None:
    viewport = {"width": width, "height": 800}
    context = open_context(guarded.node, color_scheme=theme, viewport=viewport, bypass_csp=True)
    page = context.new_page()
    page.goto("/console/services")
    expect(page.get_by_label("API key")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("API key").fill("cdy_wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert violations(page) == []
