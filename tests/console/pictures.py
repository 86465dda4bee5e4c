"""Takes pictures of the console: screens in light and dark, wide and narrow, empty, full, failing.

    scripts/pictures FOLDER [NAME…]   as PNG, to look at: of all screens, or of some
    scripts/pictures --docs           those of docs/console-pictures.md, and the page

`SECTIONS` is the list of what the documents show; test_pictures.py compares it with them.

Nothing in them is made up. They are of a node that has nothing, and of one with the services of
`shop.py`, two workers that serve them, one that has gone away, and callers, for `--minutes`.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
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
PAGE = DOCS.parent / "console-pictures.md"
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


@dataclass(frozen=True)
class Look:
    """How a screen is seen."""

    state: str
    size: str
    theme: str

    def __str__(self) -> str:
        words = [self.state] if self.state != "full" else []
        words += [self.size] if self.size == "narrow" else []
        return ", ".join([*words, self.theme])


@dataclass(frozen=True)
class Section:
    """What docs/console-pictures.md shows of a screen, or of a state that is reached by hand."""

    name: str
    title: str
    caption: str
    # Beside what it shows in a shop.
    states: tuple[str, ...] = ()
    # A state of a screen that is there in all looks.
    brief: bool = False

    def looks(self) -> list[list[Look]]:
        """The looks, row by row. Themes take turns, so that each is there in each size."""
        number = SECTIONS.index(self)
        one, other = THEMES[number % 2], THEMES[(number + 1) % 2]
        if self.brief:
            return [[Look("full", "wide", one), Look("full", "narrow", other)]]
        full = [Look("full", "wide", theme) for theme in THEMES] + [Look("full", "narrow", one)]
        sizes = ("wide", "narrow") if number % 2 else ("narrow", "wide")
        rest = zip(self.states, sizes, (one, other), strict=False)
        rows = [full, [Look(state, size, theme) for state, size, theme in rest]]
        return [row for row in rows if row]

    def file(self, look: Look) -> str:
        return f"{self.name}-{look.state}-{look.size}-{look.theme}.png"


BOTH = ("empty", "failing")
FAILING = ("failing",)
# All pictures of the documents.
SECTIONS = [
    Section("overview", "Overview", "What runs, what fails, and what needs an operator.", BOTH),
    Section("services", "Services", "What the node and its workers serve.", BOTH),
    Section("service", "A service", "Its calls, its input and output, and where it runs.", FAILING),
    Section("invoke", "Invoke", "A form for each input that is declared."),
    Section("violations", "A violation", "What is wrong is said at its field.", brief=True),
    Section("live", "A call in the background", "Its events, as it goes on.", brief=True),
    Section("invocations", "Invocations", "The newest ones, and any that a filter names.", BOTH),
    Section("filter", "Suggestions in the filter", "Fields, values and names.", brief=True),
    Section("bulk", "A change of all that match", "They are counted first.", brief=True),
    Section("invocation", "An invocation", "With all that it has started.", FAILING),
    Section("failure", "An invocation that failed", "Each attempt, and why it failed.", brief=True),
    Section("events", "The events of an invocation", "What happened to it, and when.", brief=True),
    Section("edit", "A retry with another input", "The form has the input there was.", brief=True),
    Section("groups", "Groups", "Batches, and how their members ended.", BOTH),
    Section("group", "A group", "Its members, and what it calls at its end.", FAILING),
    Section("dead-letters", "Dead letters", "What failed or waits for an operator.", BOTH),
    Section("operations", "Operations", "Changes of many at once, and how far they are.", BOTH),
    Section("workers", "Workers", "One of them has gone without a word.", BOTH),
    Section("keys", "Keys", "All that the keyboard does.", brief=True),
    Section("login", "Log-in", "Of a node that asks who calls."),
]
INTRODUCTION = """\
# Pictures of the console

The [console](console.md) of a node with a small shop, in light and dark, on wide and narrow
screens; of a node that has nothing; and of one that does not answer. A click on a picture shows it
in full.
"""


def document() -> str:
    """The text of docs/console-pictures.md."""
    parts = [INTRODUCTION]
    for section in SECTIONS:
        parts.append(f"## {section.title}\n\n{section.caption}\n")
        for row in section.looks():
            cells = [
                f"[![{section.title}: {look}](console/{file})](console/{file})"
                for look, file in ((look, section.file(look)) for look in row)
            ]
            lines = [[str(look) for look in row], ["---"] * len(row), cells]
            parts.append("".join(f"| {' | '.join(line)} |\n" for line in lines))
    return "\n".join(parts)


@dataclass(frozen=True)
class Screen:
    """How a screen is opened, or a state of one that is reached by hand."""

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
    """In the order in which they are taken: charts have more to show at the end."""

    def of(criteria: str) -> str:
        return f"/console/invocations/{shop.newest(criteria)}"

    def away(page: Page) -> None:
        # A node waits for it for a while, and then forgets it.
        shop.lose_a_worker()
        page.get_by_text("Away").first.wait_for()

    failed = "/console/invocations?filter=state+%3D+FAILED"
    tree = of("service = order.place AND state = SUCCEEDED AND accept_time < -20s")
    broken = of("service = stock.reserve AND state = FAILED")
    return {
        "violations": Screen("/console/invoke?service=order.place", violations, True),
        "live": Screen("/console/invoke?service=ledger.export", live, True),
        "invocation": Screen(tree, of_shop_only=True),
        "failure": Screen(broken, of_shop_only=True),
        "events": Screen(broken, opened("tab", "Events"), True),
        "edit": Screen(broken, edited, True),
        "group": Screen(of("kind = GROUP AND state = RUNNING"), of_shop_only=True),
        "filter": Screen("/console/invocations", suggestions, True),
        "bulk": Screen(failed, bulk, True),
        "keys": Screen("/console/services", lambda page: page.keyboard.press("?"), True),
        "invoke": Screen("/console/invoke"),
        "operations": Screen("/console/operations"),
        "dead-letters": Screen("/console/dead-letters"),
        "groups": Screen("/console/groups"),
        "invocations": Screen("/console/invocations"),
        "services": Screen("/console/services"),
        "service": Screen("/console/services/order.place", of_shop_only=True),
        "overview": Screen("/"),
        "workers": Screen("/console/workers", away),
    }


@dataclass(frozen=True)
class Choice:
    """Which pictures are taken."""

    names: list[str]
    states: list[str]
    for_docs: bool

    def has(self, name: str, state: str) -> bool:
        return state in self.states and (not self.names or name in self.names)

    def looks(self, name: str, state: str) -> list[Look]:
        """The documents have those of their page."""
        if not self.has(name, state):
            return []
        if not self.for_docs:
            every = itertools.product(SIZES, THEMES)
            return [Look(state, size, theme) for size, theme in every]
        section = next(section for section in SECTIONS if section.name == name)
        return [look for row in section.looks() for look in row if look.state == state]


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
    chosen = screens(shop)
    for state, (name, it) in itertools.product(("empty", "failing", "full"), chosen.items()):
        if state == "empty" and it.of_shop_only:
            continue
        for look in choice.looks(name, state):
            node = bare if state == "empty" else shop.node
            with page_of(browser, node, look.size, look.theme) as page:
                if state == "failing":
                    page.route("**/cidery.v1.**", lambda route: route.abort())
                page.goto(it.path)
                page.get_by_role("heading", level=1).wait_for()
                if state == "full":
                    settled(page)
                    it.prepare(page)
                yield f"{name}-{state}-{look.size}-{look.theme}", settled(page)
    yield from logins(browser, choice)


def logins(browser: Browser, choice: Choice) -> Iterator[tuple[str, bytes]]:
    looks = choice.looks("login", "full")
    if not looks:
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [str(BINARY), "key", "new", "ops", "--data-dir", folder]
        subprocess.run(command, check=True, capture_output=True)
        node = Node(data=Path(folder))
        try:
            for look in looks:
                with page_of(browser, node, look.size, look.theme) as page:
                    page.goto("/")
                    page.get_by_label("API key").wait_for()
                    yield f"login-full-{look.size}-{look.theme}", settled(page)
        finally:
            node.stop()


def written(file: Path, picture: bytes, for_docs: bool) -> str:
    content = with_palette(picture) if for_docs else picture
    file.write_bytes(content)
    return f"{file.name} {len(content)}"


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
    # Palettes are found while the next pictures are taken, by processes that have no pipe of the
    # browser: it ends when its pipe does.
    spawned = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(max_workers=2, mp_context=spawned) as pool,
        tempfile.TemporaryDirectory() as data,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        shop = Shop(Path(data))
        try:
            shop.open(60 * options.minutes)
            files = []
            for name, picture in taken(browser, shop, bare, choice):
                print(name, flush=True)
                files.append(pool.submit(written, folder / f"{name}.png", picture, options.docs))
        finally:
            shop.stop()
            bare.stop()
            browser.close()
        for file in files:
            print(file.result())
    if options.docs:
        PAGE.write_text(document())
        listed = {section.file(it) for section in SECTIONS for row in section.looks() for it in row}
        for stale in [file for file in folder.glob("*.png") if file.name not in listed]:
            stale.unlink()


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        sys.exit(str(refused))
