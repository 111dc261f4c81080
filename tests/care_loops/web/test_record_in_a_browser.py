"""The record's pages in a real browser: at the width of a desk and of a phone, by the keyboard, with no complaint."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from audit.domain import Job
from audit.models import Entry
from audit.services.genesis import found_log
from care_loops.domain.loops import LoopState
from care_loops.models import SecondReading, SecondReview
from care_loops.services import join_care_team
from care_loops.services.reviews import draw_reviews, set_seed
from governance.domain import Role
from governance.services import acting_person
from governance.services.credentials import draw_recovery_codes
from tests.audit.builders import complete
from tests.care_loops.web.test_browser import (
    CHROMIUM,
    WIDTHS,
    browser,  # noqa: F401  (a fixture)
    fits,
    tab_to,
    unlabelled,
)
from tests.factories import PASSWORD, Hospital, job
from tests.signing_in import code_of, confirmed

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (CHROMIUM)"),
    pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"]),
]


@pytest.fixture
def site(browser: Browser, settings) -> Hospital:  # noqa: F811
    """A decision that was drawn; an auditor; another clinician of the team."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    now = timezone.now().replace(microsecond=0)
    found_log(by=Job("sequencer", "1"), now=now)
    hospital = Hospital(now=now - timedelta(days=1))
    hospital.join("auditor", Role.AUDITOR, now=now - timedelta(days=300))
    set_seed(by=job(), now=now)
    loop = hospital.loop_at(LoopState.DELIVERED)
    other = hospital.people["other_clinician"]
    join_care_team(loop.patient_id, other.pk, responsible=False, by=hospital.acting("admin"), now=hospital.now)
    draw_reviews(by=job(), now=now)
    complete()
    return hospital


def sign_in(page: Page, site: Hospital, who: str) -> None:
    person, now = site.people[who], timezone.now()
    code_of(person)
    confirmed(person, by=site.people["admin"])
    recovery = draw_recovery_codes(by=acting_person(person, now=now), now=now).codes[0]
    page.goto("/")
    page.get_by_label("User name").fill(who)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_label("Code from your app").fill(recovery)
    page.keyboard.press("Enter")
    page.wait_for_load_state("networkidle")


def looked_at(page: Page, places: list[str]) -> None:
    """At both widths each page fits, has one heading and a label for every field."""
    for width, height in WIDTHS.values():
        page.set_viewport_size({"width": width, "height": height})
        for where in places:
            page.goto(where)
            assert fits(page), (where, width)
            assert unlabelled(page) == [], where
            assert page.locator("h1").count() == 1, where


def test_the_record_is_searched_read_and_reviewed_at_desk_and_phone_by_keyboard(
    site,
    browser,  # noqa: F811
    live_server,
):
    entry = Entry.objects.filter(type="recommendation.approved").get().entry_id
    review = SecondReview.objects.get().pk
    complaints: list[str] = []

    def page_of(who: str) -> Page:
        page = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=live_server.url).new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        sign_in(page, site, who)
        return page

    page = page_of("auditor")
    assert page.url.endswith("/audit/")
    at = f"/audit/entries/{entry}/"
    looked_at(page, ["/audit/", "/audit/search/?kind=recommendation", at, f"{at}content/", "/audit/patients/"])
    looked_at(page, ["/audit/exports/?report=period", "/audit/verify/", "/second-reviews/"])
    page.goto("/audit/search/")
    page.evaluate("window.same = true")
    tab_to(page, "#id_who")
    page.keyboard.type("clinician")
    page.keyboard.press("Enter")
    expect(page.locator("#found tbody a").first).to_be_visible()
    page.get_by_label("Who", exact=True).fill("zz")
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_contain_text("Nobody on the staff signs in as")
    assert page.evaluate("window.same") is True

    page = page_of("other_clinician")
    looked_at(page, ["/second-reviews/", f"/second-reviews/{review}/"])
    tab_to(page, "input[name=kind]")
    page.keyboard.press("Space")
    tab_to(page, "select[name=reason_code]")
    page.keyboard.type("Agrees")
    tab_to(page, "button.primary")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What was decided")).to_be_visible()
    assert SecondReading.objects.get().reader == site.people["other_clinician"]
    assert complaints == []
