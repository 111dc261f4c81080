"""Oversight in a real browser, at the width of a desk and of a phone: every page fits, and the banner stands on top."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse

from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.pathways.hypertension.tables_probes import probe_library
from care_loops.services import DecisionInput
from care_loops.services.probes import answer_probe, place_probe
from governance.domain import Role
from governance.findings import Severity
from governance.services.findings import Seen, raise_finding
from governance.services.suspensions import throw_switch
from governance.suspension import Ref, Scope
from tests.care_loops.test_decide_first import everything
from tests.care_loops.test_oversight_measured import three
from tests.care_loops.web.test_browser import CHROMIUM, WIDTHS, browser  # noqa: F401
from tests.factories import job
from tests.signing_in import signed_in as session_of

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (CHROMIUM)"),
]
PAGES = [
    "oversight",
    "findings",
    "incidents",
    "adverse-events",
    "autonomy",
    "decision-figures",
    "finding-new",
    "incident-new",
]


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


@pytest.mark.parametrize("width", WIDTHS)
def test_the_figures_of_a_team_fit_with_their_chart(ward, live_server, browser, width):  # noqa: F811
    ward.now -= timedelta(days=10)
    three(ward)
    wide, high = WIDTHS[width]
    context = browser.new_context(viewport={"width": wide, "height": high})
    session = session_of(ward.people["third"]).cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    page = context.new_page()
    for name, charts in (("decision-figures", 2), ("own-decisions", 1)):
        page.goto(live_server.url + reverse(name))
        assert page.locator("svg[role=img]").count() == charts
        spills = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert spills <= 0, (name, spills)
        if folder := os.environ.get("CLINAIOPS_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{width}-{name}.png", full_page=True)
    context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_drawn_proposal_is_answered_and_then_shown(ward, live_server, browser, width):  # noqa: F811
    ward.now -= timedelta(hours=2)
    everything(ward)
    loop = ward.loop_at(LoopState.WITH_CLINICIAN)
    wide, high = WIDTHS[width]
    context = browser.new_context(viewport={"width": wide, "height": high})
    session = session_of(ward.people["clinician"]).cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    page = context.new_page()
    page.goto(live_server.url + reverse("recommendation", args=[loop.pk]))
    assert page.locator("h1").inner_text() == "What would you do?"
    assert page.locator("input[name=answer]:checked").count() == 0
    spills = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert spills <= 0
    if folder := os.environ.get("CLINAIOPS_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{width}-decide-first.png", full_page=True)
    page.get_by_label("No change of medication now").check()
    page.get_by_role("button", name="Record and show the proposal").click()
    page.wait_for_selector("#decide-head")
    assert page.locator("input[name=choice]:checked").count() == 0
    context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_probe_looks_like_the_rest_and_is_told_after(ward, live_server, browser, width):  # noqa: F811
    clinician, now = ward.people["clinician"], ward.now - timedelta(minutes=5)
    probe = place_probe(clinician, probe_library().cases[1], number=0, by=job(), now=now)
    wide, high = WIDTHS[width]
    context = browser.new_context(viewport={"width": wide, "height": high})
    session = session_of(clinician).cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    page = context.new_page()

    def looks(name: str, address: str, heading: str) -> None:
        page.goto(live_server.url + address)
        assert heading in page.locator("h1").inner_text()
        spills = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert spills <= 0, (name, spills)
        if folder := os.environ.get("CLINAIOPS_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{width}-{name}.png", full_page=True)

    looks("probe-worklist", reverse("worklist"), "Worklist")
    looks("probe-person", reverse("patient", args=[probe.about_id]), "Quandt")
    looks("probe-open", reverse("recommendation", args=[probe.pk]), "lisinopril")
    chosen = DecisionInput(DecisionKind.APPROVE, "agrees_with_plan", "", 2)
    answer_probe(probe.pk, chosen, by=ward.acting("clinician"), now=ward.now)
    looks("probe-told", reverse("recommendation", args=[probe.pk]), "This was a probe")
    context.close()
