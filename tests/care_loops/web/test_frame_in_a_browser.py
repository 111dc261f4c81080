"""The frame of every page in a real browser: who is signed in stays on the first line, and a navigation that does not
fit says that it goes on; a link that is to be handed on is seen whole and copied by a button."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from governance.domain import Role
from tests.care_loops.web.test_browser import CHROMIUM, WIDTHS, browser, fits  # noqa: F401
from tests.factories import Hospital
from tests.signing_in import signed_in as session_of

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (CHROMIUM)"),
]
NAV = "header nav[aria-label=Main]"


@pytest.fixture
def opened(ward: Hospital, live_server, browser) -> Iterator[object]:  # noqa: F811
    contexts = []

    def open_as(user, width: str, path: str) -> Page:
        wide, high = WIDTHS[width]
        context = browser.new_context(viewport={"width": wide, "height": high}, base_url=live_server.url)
        contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        session = session_of(user).cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
        page = context.new_page()
        page.goto(path)
        return page

    yield open_as
    for context in contexts:
        context.close()


def pictured(page: Page, name: str) -> None:
    if folder := os.environ.get("CLINAIOPS_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def side(page: Page, pseudo: str) -> str:
    return str(page.evaluate(f"getComputedStyle(document.querySelector('{NAV}'), '::{pseudo}').content"))


def scrolled(page: Page, left: int) -> None:
    page.evaluate(f"document.querySelector('{NAV} ul').scrollLeft = {left}")
    page.wait_for_timeout(150)


@pytest.mark.parametrize("who", ["clinician", "officer"])
def test_at_a_desk_the_name_stands_on_the_first_line_beside_every_entry(ward, opened, who):
    user = (
        ward.people["clinician"] if who == "clinician" else ward.join("officer", Role.COMPLIANCE_OFFICER, now=ward.now)
    )
    page = opened(user, "desk", "/policies/")
    assert page.locator(f"{NAV} a").count() >= 6
    first, name = page.locator(f"{NAV} a").first.bounding_box(), page.locator(".who a").bounding_box()
    assert name["y"] < first["y"] + first["height"]
    assert all(entry.bounding_box()["x"] + 1 < name["x"] for entry in page.locator(f"{NAV} a").all())
    assert fits(page)
    pictured(page, f"frame-desk-{who}")


def test_on_a_phone_the_navigation_shows_that_it_goes_on_and_where(ward, opened):
    page = opened(ward.people["clinician"], "phone", "/worklist/")
    scrolled(page, 0)
    assert ("›" in side(page, "after"), "‹" in side(page, "before")) == (True, False)
    pictured(page, "frame-phone-first")
    scrolled(page, 9999)
    assert ("›" in side(page, "after"), "‹" in side(page, "before")) == (False, True)
    last, nav = page.locator(f"{NAV} a").last.bounding_box(), page.locator(NAV).bounding_box()
    assert last["x"] + last["width"] <= nav["x"] + nav["width"]
    assert fits(page)
    pictured(page, "frame-phone-last")


def test_on_a_phone_the_entry_of_the_page_one_is_on_is_in_sight(ward, opened):
    page = opened(ward.people["clinician"], "phone", "/oversight/")
    expect(page.locator(f"{NAV} a[aria-current]")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_link_to_hand_on_is_seen_whole_and_copied_by_a_button(ward, opened, width):
    page = opened(ward.people["admin"], width, "/people/invite/")
    page.get_by_label("E-mail").fill("grace@example.org")
    page.get_by_label("Role").select_option("clinician")
    page.get_by_role("button", name="Invite").click()
    field = page.get_by_label("Link")
    link = field.input_value()
    assert "/invitation" in link or "/join" in link
    assert field.evaluate("f => f.scrollHeight <= f.clientHeight && f.scrollWidth <= f.clientWidth")
    page.get_by_role("button", name="Copy the link").click()
    expect(page.get_by_role("status").filter(has_text="Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == link
    assert fits(page)
    pictured(page, f"link-{width}")
