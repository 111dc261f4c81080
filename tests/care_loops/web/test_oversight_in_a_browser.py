"""Oversight in a real browser, at the width of a desk and of a phone: every page fits, and the banner stands on top."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse

from governance.domain import Role
from governance.findings import Severity
from governance.services.findings import Seen, raise_finding
from governance.services.suspensions import throw_switch
from governance.suspension import Ref, Scope
from tests.care_loops.web.test_browser import CHROMIUM, WIDTHS, browser  # noqa: F401
from tests.signing_in import signed_in as session_of

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (CHROMIUM)"),
]
PAGES = ["oversight", "findings", "incidents", "adverse-events", "autonomy", "finding-new", "incident-new"]


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_and_says_what_is_stopped(ward, live_server, browser, width):  # noqa: F811
    lead = ward.join("lead", Role.RESPONSIBLE_AI_LEAD, now=ward.now)
    by = ward.acting("lead")
    throw_switch(Ref(Scope.COHORT, "age_80_and_over"), reason="falls were reported", by=by, now=ward.now)
    seen = Seen("wrong_change", "model", "another", Severity.CRITICAL, "Steps are too large", "entry", "e-1")
    raise_finding(seen, by=by, now=ward.now)
    wide, high = WIDTHS[width]
    context = browser.new_context(viewport={"width": wide, "height": high})
    session = session_of(lead).cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    for name in PAGES:
        page.goto(live_server.url + reverse(name))
        assert page.locator("h1").count() == 1, name
        assert page.locator(".mode.stopped").is_visible()
        spills = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert spills <= 0, (name, spills)
        if folder := os.environ.get("CLINAIOPS_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{width}-{name}.png", full_page=True)
    assert not wrong
    context.close()
