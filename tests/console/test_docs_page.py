"""The page that shows `/openapi.json`: services with their fields, and the other paths."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def test_the_page_has_services_and_paths(page: Page) -> None:
    page.goto("/docs")
    expect(page.get_by_role("status")).to_contain_text("services")
    # A list of dicts is not shown as a dict.
    service = page.locator("#services > details").filter(has_text="customer.import")
    service.locator("summary").first.click()
    expect(service.locator(".input tr").first).to_have_text("list of")
    expect(service.locator(".curl")).to_contain_text("/invoke/customer.import")
    # What a summary says is not said again.
    get = page.locator("#services > details").filter(has_text="customer.get").first
    get.locator("summary").first.click()
    expect(get.get_by_text("Returns a customer")).to_have_count(1)
    page.get_by_role("searchbox").fill("ping")
    expect(service).to_be_hidden()
    # The options of calls, and paths that are no calls.
    call = page.locator("#paths > details").filter(has_text="POST /invoke/{service}")
    call.locator("summary").click()
    expect(call.locator(".parameters")).to_contain_text("idempotency_key")
    found = page.locator("#paths > details").filter(has_text="GET /invocations/{cid}").first
    found.locator("summary").click()
    expect(found.locator(".parameters tr").first).to_contain_text("cid")
    expect(found.locator(".parameters")).to_contain_text("Wait this long for its end")
    expect(found.locator(".answers")).to_contain_text("404")
    expect(page.get_by_role("link", name="openapi.json")).to_have_attribute("href", "openapi.json")
