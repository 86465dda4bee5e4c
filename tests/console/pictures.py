"""Takes pictures of the console: screens in light and dark, wide and narrow, empty, full, failing.

    scripts/pictures FOLDER [NAME…]   as PNG, to look at: of all screens, or of some
    scripts/pictures --docs           those of docs/console-pictures.md, with 256 colours

Nothing in them is made up. They are of a node that has nothing, and of one with the services of
`shop.py`, two workers that serve them, one that has gone away, and callers, for `--minutes`.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import ARGUMENTS, CHROMIUM
from node import BINARY, Node, Refused
from palette import with_palette
from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
DOCS = HERE.parent.parent / "docs/console"
SIZES = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 390, "height": 760}}
THEMES = ("light", "dark")
ARTICLES = ("chair", "table", "shelf", "lamp", "desk")


class Shop:
    """A node that works: services of its own and of workers, callers, failures, batches."""

    def __init__(self, folder: Path) -> None:
        self.node = Node(data=folder)
        self.node.fill(300)
        self.workers = [self.worker("till-1"), self.worker("till-2")]
        self.stopped = threading.Event()
        self.callers = [threading.Thread(target=self.call), threading.Thread(target=self.order)]

    def open(self, seconds: float) -> None:
        """Lets it work for a while, and then operators change something."""
        for caller in self.callers:
            caller.start()
        time.sleep(seconds)
        retry = {"action": {"retry": {}}, "filterExpression": "service = demo.flaky"}
        self.node.call("OperationService/StartOperation", retry)
        pause = {"service": "demo.count", "reason": "ticket 4711"}
        self.node.call("AdminService/PauseService", pause)

    def lose_a_worker(self) -> None:
        """One has gone without a word: the node waits for it for a while."""
        lost = self.worker("packer-7")
        lost.kill()
        lost.wait()

    def worker(self, name: str) -> subprocess.Popen[bytes]:
        python = Path(os.environ["CIDERY_SDK"]) / "python"
        command = [str(python), "-m", "cidery", "run", str(HERE / "shop.py"), "--name", name]
        command += ["--node", self.node.address, "--max-in-flight", "8", "--log-level", "error"]
        quiet = subprocess.DEVNULL
        worker = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        # Its services are there once it is connected.
        while name not in str(self.node.call("AdminService/ListWorkers", {})):
            if worker.poll() is not None:
                sys.exit("a worker of the shop has ended: CIDERY_SDK/python needs the Python SDK")
            time.sleep(0.1)
        return worker

    def call(self) -> None:
        """Callers of what the node serves itself."""
        while not self.stopped.wait(random.uniform(0.05, 0.3)):
            service, payload = random.choice(
                [
                    ("customer.get", {"cust_id": random.randint(1, 3)}),
                    ("cidery.echo", {"reading": random.randint(1, 99)}),
                    ("demo.sleep", {"seconds": random.uniform(0.01, 0.4)}),
                ]
            )
            request = {"service": service, "payload": payload}
            self.node.call("InvocationService/Invoke", request)

    def order(self) -> None:
        """Orders in the background, some of which fail, and now and then a batch."""
        for number in itertools.count(1):
            if self.stopped.wait(random.uniform(0.3, 1.2)):
                return
            lines = [{"article": random.choice(ARTICLES), "count": 1} for _ in range(2)]
            order = {"order_id": 4200 + number, "lines": lines}
            once = {"retryPolicy": {"maxAttempts": 2, "initialInterval": "0.3s"}}
            self.node.start("order.place", order, metadata={"shop": "north"}, **once)
            if number % 5 == 1:
                self.node.start("demo.flaky", {"failures": 2}, callbacks=["cidery.echo"])
            if number % 6 == 2:
                payload = {"code": "UNAVAILABLE", "message": "the carrier does not answer"}
                self.node.start("demo.fail", payload, onExhausted="ON_EXHAUSTED_HOLD", **once)
            if number % 8 == 3:
                fixed = {"concurrencyKey": "carrier-2"}
                self.node.start("demo.sleep", {"seconds": 25}, **fixed)
            if number % 10 == 4:
                self.batch(number)
            if number % 12 == 5:
                self.node.start("ledger.export", {"order_id": number})
            if number % 9 == 6:
                self.node.start("mail.receipt", {"order_id": number}, delay="7200s")

    def batch(self, number: int) -> None:
        requests = [
            {"service": "stock.reserve", "payload": {"order_id": number, "lines": []}}
            for _ in range(20)
        ]
        requests.append({"service": "demo.sleep", "payload": {"seconds": 20}})
        batch = {"requests": requests, "onFinal": ["cidery.echo"]}
        self.node.call("InvocationService/InvokeBatch", batch)

    def newest(self, criteria: str) -> str:
        request = {"filterExpression": criteria, "pageSize": 1}
        listed = self.node.call("InvocationService/ListInvocations", request)
        found = listed.get("invocations")
        if not found:
            sys.exit(f"the shop has no invocation where {criteria}: it was open for too short")
        return str(found[0]["cid"])

    def stop(self) -> None:
        self.stopped.set()
        for caller in self.callers:
            if caller.ident is not None:
                caller.join()
        for process in self.workers:
            process.kill()
            process.wait()
        self.node.stop()


@dataclass
class Screen:
    """A screen, or a state of one that is reached by hand."""

    path: str
    prepare: Callable[[Page], None] = lambda page: None
    # On an empty node it has nothing to show.
    of_shop_only: bool = False


def opened(role: str, name: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role(role, name=name).first.click()  # type: ignore[arg-type]


def violations(page: Page) -> None:
    items = page.locator(".item")
    page.get_by_label("order_id").fill("4711")
    page.get_by_role("button", name="Add").first.click()
    items.last.get_by_label("count").fill("two")
    page.get_by_role("button", name="Invoke", exact=True).click()
    page.locator(".field-fault:not(:empty)").first.wait_for()


def live(page: Page) -> None:
    page.get_by_label("order_id").fill("4711")
    page.get_by_role("button", name="In the background").click()
    page.locator(".events li").nth(5).wait_for()


def bulk(page: Page) -> None:
    page.get_by_role("button", name="Change all that match").click()
    page.get_by_role("menuitem", name="Retry…").click()
    page.get_by_role("dialog").get_by_role("table").wait_for()


def suggestions(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("state = FAILED AND fail")
    page.get_by_role("option").first.wait_for()


def edited(page: Page) -> None:
    page.get_by_role("button", name="Edit and retry…").click()
    page.get_by_role("dialog").wait_for()


def screens(shop: Shop) -> dict[str, Screen]:
    failed = "/console/invocations?filter=state+%3D+FAILED"

    def of(criteria: str) -> str:
        return f"/console/invocations/{shop.newest(criteria)}"

    def away(page: Page) -> None:
        shop.lose_a_worker()
        page.get_by_text("Away").first.wait_for()

    tree = of("service = order.place AND state = SUCCEEDED AND accept_time < -20s")
    broken = of("service = stock.reserve AND state = FAILED")
    return {
        "overview": Screen("/"),
        "services": Screen("/console/services"),
        "service": Screen("/console/services/order.place", of_shop_only=True),
        "invoke": Screen("/console/invoke"),
        "violations": Screen("/console/invoke?service=order.place", violations, True),
        "live": Screen("/console/invoke?service=ledger.export", live, True),
        "invocations": Screen("/console/invocations"),
        "filter": Screen("/console/invocations", suggestions, True),
        "bulk": Screen(failed, bulk, True),
        "invocation": Screen(tree, of_shop_only=True),
        "failure": Screen(broken, of_shop_only=True),
        "events": Screen(broken, opened("tab", "Events"), True),
        "edit": Screen(broken, edited, True),
        "groups": Screen("/console/groups"),
        "dead-letters": Screen("/console/dead-letters"),
        "operations": Screen("/console/operations"),
        "workers": Screen("/console/workers", away),
        "keys": Screen("/console/services", lambda page: page.keyboard.press("?"), True),
    }


@dataclass
class Choice:
    """Which pictures are taken."""

    names: list[str]
    states: list[str]
    for_docs: bool

    def has(self, name: str) -> bool:
        return not self.names or name in self.names

    def looks(self, state: str) -> list[tuple[str, str]]:
        """Sizes and themes: the documents have some of them."""
        if not self.for_docs:
            return list(itertools.product(SIZES, THEMES))
        wide, dark, narrow = ("wide", "light"), ("wide", "dark"), ("narrow", "light")
        return [wide, dark, narrow] if state == "full" else [wide]


@contextmanager
def page_of(browser: Browser, node: Node, size: str, theme: str) -> Iterator[Page]:
    viewport: Any = SIZES[size]
    scheme: Any = theme
    context = browser.new_context(viewport=viewport, color_scheme=scheme, base_url=node.url)
    context.set_default_timeout(30_000)
    page = context.new_page()
    try:
        yield page
    finally:
        context.close()


def settled(page: Page) -> bytes:
    """The picture of a page that has read what it shows."""
    page.locator("main .loading, main .skeleton-tile, main .row-loading").first.wait_for(
        state="detached"
    )
    page.wait_for_load_state("networkidle")
    return page.screenshot(animations="disabled")


def taken(browser: Browser, shop: Shop, bare: Node, choice: Choice) -> Iterator[tuple[str, bytes]]:
    """The pictures with their names, one after the other."""
    chosen = [(name, it) for name, it in screens(shop).items() if choice.has(name)]
    for state, (name, it) in itertools.product(choice.states, chosen):
        if state != "full" and it.of_shop_only:
            continue
        for size, theme in choice.looks(state):
            node = bare if state == "empty" else shop.node
            with page_of(browser, node, size, theme) as page:
                if state == "failing":
                    page.route("**/cidery.v1.**", lambda route: route.abort())
                page.goto(it.path)
                page.get_by_role("heading", level=1).wait_for()
                if state == "full":
                    settled(page)
                    it.prepare(page)
                yield f"{name}-{state}-{size}-{theme}", settled(page)
    if choice.has("login") and "full" in choice.states:
        yield from logins(browser, choice)


def logins(browser: Browser, choice: Choice) -> Iterator[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        command = [str(BINARY), "key", "new", "ops", "--data-dir", folder]
        subprocess.run(command, check=True, capture_output=True)
        node = Node(data=Path(folder))
        try:
            for size, theme in choice.looks("full"):
                with page_of(browser, node, size, theme) as page:
                    page.goto("/")
                    page.get_by_label("API key").wait_for()
                    yield f"login-full-{size}-{theme}", settled(page)
        finally:
            node.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/pictures")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--docs", action="store_true")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--states", default="full,empty,failing")
    options = parser.parse_args()
    folder = DOCS if options.docs else options.folder
    if folder is None:
        parser.error("a folder, or --docs")
    folder.mkdir(parents=True, exist_ok=True)
    choice = Choice(options.names, options.states.split(","), options.docs)
    bare = Node(demo=False)
    with tempfile.TemporaryDirectory() as data, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        shop = Shop(Path(data))
        try:
            shop.open(60 * options.minutes)
            for name, picture in taken(browser, shop, bare, choice):
                content = with_palette(picture) if options.docs else picture
                (folder / f"{name}.png").write_bytes(content)
                print(name, len(content), flush=True)
        finally:
            shop.stop()
            bare.stop()
            browser.close()


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        sys.exit(str(refused))
