"""Client certificates in the browser: no log-in, and what the rule of each node allows."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from node import BINARY, Node
from playwright.sync_api import Browser, BrowserContext, Page, expect

# The name in the certificate that `cidery cert dev` makes for a client.
NAME = "spiffe://cidery.dev/dev"
HTML = "text/html"
SLEEP = {"service": "demo.sleep", "payload": {"seconds": 300}}


class Certified:
    """Nodes that trust one client certificate, each with a rule of its own for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [str(BINARY), "cert", "dev", "--dir", str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        self.nodes: list[Node] = []

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def node(self, rights: str, *options: str) -> Node:
        node = Node(
            *("--tls-cert", self.file("server.pem"), "--tls-key", self.file("server-key.pem")),
            *("--tls-client-ca", self.file("ca.pem")),
            *("--certificate-rule", f"{NAME} {rights}"),
            *options,
        )
        node.tls = ssl.create_default_context(cafile=self.file("ca.pem"))
        node.tls.load_cert_chain(self.file("client.pem"), self.file("client-key.pem"))
        self.nodes.append(node)
        return node

    def browser(self, node: Node) -> dict[str, object]:
        """The options of a browser that has the certificate."""
        certificate = {
            "origin": node.url,
            "certPath": self.file("client.pem"),
            "keyPath": self.file("client-key.pem"),
        }
        # The CA is not one that the browser knows.
        return {"client_certificates": [certificate], "ignore_https_errors": True}


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certified]:
    certified = Certified(tmp_path_factory.mktemp("certificates") / "files")
    yield certified
    for node in certified.nodes:
        node.stop()


@pytest.fixture(scope="module")
def operated(certified: Certified) -> Node:
    return certified.node("principal=ops admin invoke=* read=all control=all")


def test_a_certificate_needs_no_log_in_and_its_changes_work(
    certified: Certified, operated: Node, open_context: Callable[..., BrowserContext]
) -> None:
    context = open_context(operated, **certified.browser(operated))
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.locator(".who")).to_have_text("ops")
    expect(page.get_by_label("API key")).to_have_count(0)
    # There is no session, and so none to leave.
    expect(page.get_by_role("button", name="Log out")).to_have_count(0)
    assert context.cookies() == []
    # A call, and a change of what it has started.
    page.goto("/console/invoke?service=demo.sleep")
    page.get_by_label("seconds").fill("300")
    page.get_by_role("button", name="In the background").click()
    page.get_by_role("link", name="Open the invocation").click()
    expect(page.locator(".screen-title .badge")).to_have_text("Running")
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel the invocation").click()
    expect(page.locator(".screen-title .badge")).to_have_text("Cancelled")
    cid = page.url.rpartition("/")[2]
    shown = operated.wait(cid)
    assert (shown["state"], shown["principal"]) == ("STATE_CANCELLED", "ops")
    # A change of the node.
    page.goto("/console/services/demo.sleep")
    page.get_by_role("button", name="Pause…").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def test_a_certificate_that_may_only_read_changes_nothing(
    certified: Certified, open_context: Callable[..., BrowserContext]
) -> None:
    node = certified.node("principal=viewer invoke=demo.* read=all control=none")
    cid = node.call("InvocationService/InvokeAsync", SLEEP)["cid"]
    page = open_context(node, **certified.browser(node)).new_page()
    page.goto("/")
    # Who does not administer the node begins with its services.
    expect(page.get_by_role("heading", level=1)).to_have_text("Services")
    expect(page.locator(".who")).to_have_text("viewer")
    page.goto(f"/console/invocations/{cid}")
    cancel = page.get_by_role("button", name="Cancel…")
    expect(cancel).to_have_attribute("aria-disabled", "true")
    cancel.click(force=True)
    expect(page.locator(".toast")).to_contain_text("Needs the right `control`")
    # A key does no more than the button does.
    page.keyboard.press("c")
    expect(page.get_by_role("dialog")).to_have_count(0)
    # The node does not rely on the button.
    answer = posted(page, "/cidery.v1.InvocationService/CancelInvocations", {"cids": [cid]})
    assert answer["body"]["changes"][0]["failure"]["reason"] == "NOT_PERMITTED"
    assert node.state(cid) == "STATE_RUNNING"


@pytest.mark.fails
def test_a_browser_without_a_certificate_logs_in(
    certified: Certified, open_context: Callable[..., BrowserContext]
) -> None:
    node = certified.node("principal=ops admin", "--tls-client-auth", "optional")
    page = open_context(node, ignore_https_errors=True).new_page()
    page.goto("/console/services")
    expect(page.get_by_label("API key")).to_be_visible()
    expect(page.locator(".who")).to_have_count(0)


@pytest.mark.fails
def test_a_page_of_another_site_does_not_use_the_certificate(
    certified: Certified, operated: Node, browser: Browser, request: pytest.FixtureRequest
) -> None:
    """A browser presents the certificate for what any page asks: the node must tell them apart."""
    context = browser.new_context(**certified.browser(operated))  # type: ignore[arg-type]
    request.addfinalizer(context.close)
    page = context.new_page()
    form = f"""<form method=post enctype=text/plain action="{operated.url}/invoke/demo.count">
      <input name='{{"to": 1, "x": "' value='"}}'><button>Send</button></form>"""
    page.route("http://other.example/", lambda route: route.fulfill(body=form, content_type=HTML))
    page.goto("http://other.example/")
    with page.expect_response(f"{operated.url}/**") as refused:
        page.get_by_role("button", name="Send").click()
    assert refused.value.status == 403
    # The certificate is presented: what the user opens is shown.
    page.goto(f"{operated.url}/console/services")
    expect(page.locator(".who")).to_have_text("ops")


def posted(page: Page, path: str, request: object) -> dict:
    """What a script of the page itself gets."""
    return page.evaluate(
        """async ([path, request]) => {
          const headers = {"content-type": "application/json", "cidery-console": "1"};
          const body = JSON.stringify(request);
          const answer = await fetch(path, {method: "POST", headers, body});
          return {status: answer.status, body: await answer.json()};
        }""",
        [path, request],
    )
