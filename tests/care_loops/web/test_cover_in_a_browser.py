"""The rota and one's own addresses in a real browser: at the width of a desk and of a phone, with no complaint."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser

from governance.cover import Rung
from governance.domain import Role
from governance.services.rota import add_shift, stand_in
from tests.care_loops.web.test_browser import CHROMIUM, WIDTHS, browser  # noqa: F401
from tests.care_loops.web.test_record_in_a_browser import sign_in
from tests.care_loops.web.test_signing_in_a_browser import pictured
from tests.factories import Hospital

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (CHROMIUM)"),
    pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"]),
]


@pytest.fixture
def site(settings) -> Hospital:
    """Somebody is on call for most of the week; somebody stands in; a night is open."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    now = timezone.now().replace(microsecond=0)
    hospital = Hospital(now=now - timedelta(days=1))
    admin, people = hospital.acting("admin"), hospital.people
    for day in range(5):
        starts = now + timedelta(days=day)
        who = people["clinician" if day % 2 else "other_clinician"]
        shift = add_shift(
            Rung.ON_CALL, who.pk, starts=starts, ends=starts + timedelta(hours=24 - 4 * (day == 2)), by=admin, now=now
        )
        if day == 1:
            taken = {"starts": starts + timedelta(hours=6), "ends": starts + timedelta(hours=14)}
            stand_in(shift.pk, **taken, by=hospital.acting("other_clinician"), now=now)
    add_shift(Rung.SUPERVISING, people["clinician"].pk, starts=now, ends=now + timedelta(days=7), by=admin, now=now)
    return hospital


def test_the_rota_and_ones_addresses_fit_desk_and_phone_and_are_labelled(site, browser: Browser, live_server):  # noqa: F811
    complaints: list[str] = []
    site.also("other_clinician", Role.ADMINISTRATOR)
    for who in ("clinician", "other_clinician"):
        page = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=live_server.url).new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        sign_in(page, site, who)
        for width, height in WIDTHS.values():
            page.set_viewport_size({"width": width, "height": height})
            for where in ("/cover/", "/reach/"):
                page.goto(where)
                pictured(page, f"{who}{where.replace('/', '-')}")
                assert page.locator("h1").count() == 1, where
    assert complaints == []
