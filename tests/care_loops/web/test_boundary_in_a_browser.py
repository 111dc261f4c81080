"""A boundary put forward, in a real browser at the width of a desk and of a phone: it fits, and says who may."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse

from care_loops.services import NewBoundary, NewBoundaryDrug
from care_loops.services.boundary_quorum import put_forward
from tests.care_loops.web.test_browser import CHROMIUM, WIDTHS, browser  # noqa: F401
from tests.care_loops.web.ward import uncontrolled
from tests.factories import AMLODIPINE, LISINOPRIL
from tests.signing_in import signed_in as session_of

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (CHROMIUM)"),
]


@pytest.mark.parametrize("width", WIDTHS)
def test_its_pages_fit_and_who_may_approve_stands_there(ward, live_server, browser, width):  # noqa: F811
    patient = uncontrolled(ward)
    drugs = tuple(
        NewBoundaryDrug(drug, Decimal(most), allow_up=True) for drug, most in ((LISINOPRIL, "20"), (AMLODIPINE, "10"))
    )
    ends = ward.now + timedelta(days=60)
    new = NewBoundary(drugs, 2, 28, starts_at=ward.now, expires_at=ends, review_everything=False)
    put_forward(patient.pk, new, reason="both are low", by=ward.acting("clinician"), now=ward.now)
    wide, high = WIDTHS[width]
    for who, names in (
        ("pharmacist", ["patient-boundary-waiting", "patient"]),
        ("clinician", ["patient-boundary-waiting", "patient-boundary"]),
    ):
        context = browser.new_context(viewport={"width": wide, "height": high})
        session = session_of(ward.people[who]).cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
        page = context.new_page()
        for name in names:
            page.goto(live_server.url + reverse(name, args=[patient.pk]))
            spills = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert spills <= 0, (name, spills)
            if name == "patient-boundary-waiting":
                assert page.get_by_text(ward.people["pharmacist"].printed_name).count() > 0
                assert page.get_by_role("button", name="Approve it").count() == (who == "pharmacist")
            if folder := os.environ.get("CLINAIOPS_SCREENSHOTS"):
                page.screenshot(path=Path(folder) / f"{width}-{who}-{name}.png", full_page=True)
        context.close()
