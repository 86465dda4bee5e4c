"""What a caller may not open is marked in the navigation, with the right that is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect
from test_screens import violations
from test_session import Guarded, log_in

DENIED = {
    "reader": ["Overview", "Operations", "Workers"],
    "admin": [],
}


@pytest.mark.parametrize("who", DENIED)
def test_the_navigation_says_what_is_not_allowed(
    tmp_path: Path, open_context: Callable[..., BrowserContext], who: str
) -> None:
    guarded = Guarded(tmp_path)
    try:
        page = open_context(guarded.node, bypass_csp=True).new_page()
        log_in(page, getattr(guarded, who))
        links = page.locator(".nav").get_by_role("link")
        expect(links).to_have_count(8)
        for link in links.all():
            if link.inner_text() not in DENIED[who]:
                expect(link).to_have_attribute(
                    "href", "/console/" + str(link.get_attribute("data-name"))
                )
                continue
            expect(link).to_have_attribute("aria-disabled", "true")
            expect(link).to_have_attribute(
                "title", "Needs the right administer, which viewer does not have"
            )
            link.focus()
            page.keyboard.press("Enter")
            link.click(force=True)
            expect(page.get_by_role("heading", level=1)).to_have_text("Services")
        assert violations(page) == []
    finally:
        guarded.node.stop()
