"""A patient and a carer open the links they were sent, in a real browser at the width of a phone and of a desk."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from care_loops.models import Patient
from care_loops.services.joining import invite_to_record
from governance.domain import Role
from tests.care_loops.web.test_browser import CHROMIUM, WIDTHS, browser, fits, unlabelled  # noqa: F401
from tests.care_loops.web.ward import uncontrolled
from tests.factories import PASSWORD, Hospital, hospital_now

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (CHROMIUM)"),
]


@pytest.fixture
def ward(transactional_db, built) -> Hospital:
    return built.once(hospital_now, fresh_s=120)


def link_to(ward: Hospital, patient: Patient, role: Role) -> str:
    invited = invite_to_record(
        patient.pk, role, email="somebody@example.org", by=ward.acting("clinician"), now=timezone.now()
    )
    return f"/invitations/{invited.token}/"


def join(page: Page, where: str, *, username: str) -> None:
    """Open the link and choose how to sign in, by keyboard alone."""
    page.goto(where)
    assert (fits(page), unlabelled(page)) == (True, [])
    page.get_by_label("User name").focus()
    for said in (username, "Robin", "Vale", PASSWORD, PASSWORD):
        page.keyboard.type(said)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")


@pytest.mark.parametrize("width", sorted(WIDTHS))
@pytest.mark.parametrize("role", [Role.PATIENT, Role.CARER])
def test_a_link_opens_chooses_how_to_sign_in_and_ends_at_the_record(ward, browser: Browser, live_server, role, width):  # noqa: F811
    patient = uncontrolled(ward, "Vale", "Sam")
    sizes = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    context = browser.new_context(viewport=sizes, base_url=live_server.url)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    where = link_to(ward, patient, role)
    join(page, where, username="robin")
    page.wait_for_url("**/me/")
    expect(page.get_by_text("Nothing waits for you.")).to_be_visible()
    assert fits(page)
    assert complaints == []
    page.goto(where)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.get_by_label("User name").count() == 0
    context.close()
