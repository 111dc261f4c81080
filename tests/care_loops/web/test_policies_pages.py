"""Policies on pages: put forward, approved by two others who sign, in force; what it would have changed beside it."""

from __future__ import annotations

import os
import re
from uuid import uuid4

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from care_loops.models import Loop
from governance.domain import Role
from governance.models import Approval, Motion, PolicyVersion
from governance.policy_kinds import PolicyKind, choices_body
from governance.selectors import site_mode
from governance.services import approve_policy, propose_policy
from tests.care_loops.web.test_browser import (
    CHROMIUM,
    WIDTHS,
    browser,  # noqa: F401  (a fixture)
    fits,
    sign_in,
    unlabelled,
)
from tests.care_loops.web.ward import proposed, uncontrolled
from tests.factories import Hospital

PICTURES = os.environ.get("CLINAIOPS_PICTURES")


def put(desk, kind: str = "tier_policy", **fields: str):
    """Put a policy forward on its page."""
    given = {"key": uuid4().hex, "reason": "the board's wish", "starts": ""} | fields
    answer = desk.post(f"/policies/{kind}/put/", given)
    assert answer.status_code == 303, answer.content.decode()[-3000:]
    return re.search(r"/policies/motions/([0-9a-f-]{36})/", answer["Location"]).group(1)


def approve(desk, motion: str, role: str):
    return desk.post(f"/policies/motions/{motion}/approve/", {"key": uuid4().hex, "role": role})


@pytest.mark.django_db
def test_a_policy_is_put_forward_approved_by_two_who_sign_and_then_holds(ward, signed_in):
    proposed(ward, uncontrolled(ward, "Bergström", "Anna"))
    ward.join("officer", Role.COMPLIANCE_OFFICER, now=ward.now)
    admin, clinician, pharmacist, officer = (signed_in(n) for n in ("admin", "clinician", "pharmacist", "officer"))
    assert "as shipped, nothing set" in officer.get("/policies/").content.decode()
    motion = put(admin, adherence="adherence_90")
    shown = officer.get(f"/policies/motions/{motion}/").content.decode()
    assert "80 %" in shown
    assert "<strong>90 %</strong>" in shown
    assert "one clinician and one pharmacist" in shown
    assert "Approve as" not in shown
    assert "Withdraw" in admin.get(f"/policies/motions/{motion}/").content.decode()
    assert "Approve as" not in admin.get(f"/policies/motions/{motion}/").content.decode()
    assert "Approve as clinician" in clinician.get(f"/policies/motions/{motion}/").content.decode()
    assert approve(admin, motion, "administrator").status_code == 403
    assert approve(officer, motion, "clinician").status_code == 403
    assert approve(clinician, motion, "clinician").status_code == 303
    assert approve(clinician, motion, "clinician").status_code == 409
    assert PolicyVersion.objects.filter(kind="tier_policy").count() == 0
    assert approve(pharmacist, motion, "pharmacist").status_code == 303
    version = PolicyVersion.objects.get(kind="tier_policy")
    assert (version.version, version.author, Approval.objects.filter(motion=motion).count()) == (
        1,
        ward.people["admin"],
        2,
    )
    listed = officer.get("/policies/tier_policy/").content.decode()
    assert "in force" in listed
    assert "came into force" in listed
    beside = officer.get(f"/policies/motions/{motion}/what-if/").content.decode()
    assert f"of {Loop.objects.count()} past recommendation" in beside
    assert "<svg" in beside


@pytest.mark.django_db
def test_what_is_refused_is_refused_by_name_and_what_is_not_a_policy_is_not_there(ward, signed_in):
    admin, clinician, pharmacist = (signed_in(name) for name in ("admin", "clinician", "pharmacist"))
    motion = put(admin, "guardrail_tables", interval="interval_28")
    again = admin.post(
        "/policies/guardrail_tables/put/",
        {"key": uuid4().hex, "reason": "x", "starts": "", "steps_in_period": "steps_1"},
    )
    assert again.status_code == 409
    assert "put forward already" in again.content.decode()
    for field, value in (("interval", "7"), ("interval", "interval_7"), ("interval", "steps_1")):
        answer = admin.post(
            "/policies/guardrail_tables/put/", {"key": uuid4().hex, "reason": "x", "starts": "", field: value}
        )
        assert answer.status_code == 422
    assert clinician.get("/policies/guardrail_tables/put/").status_code == 403
    assert admin.get("/policies/colours/").status_code == 404
    assert admin.get(f"/policies/motions/{uuid4()}/").status_code == 404
    ended = f"/policies/motions/{motion}/end/"
    assert pharmacist.post(ended, {"key": uuid4().hex, "reason": ""}).status_code in (400, 422)
    assert pharmacist.post(ended, {"key": uuid4().hex, "reason": "too strict"}).status_code == 303
    assert Motion.objects.get(pk=motion).ended == "refused"
    assert admin.post(ended, {"key": uuid4().hex, "reason": "late"}).status_code == 409
    assert "too strict" in admin.get(f"/policies/motions/{motion}/").content.decode()
    targets = put(admin, "targets", lowest_systolic="target_from_120")
    beside = admin.get(f"/policies/motions/{targets}/what-if/").content.decode()
    assert "No recommendation reads this kind of policy" in beside


@pytest.mark.django_db
def test_stopping_on_the_page_holds_at_once(ward, signed_in):
    admin = signed_in("admin")
    fields = {"mode": "simulation", "patient_directed": "no", "stopped": "yes", "daily_patient_quota": "0"}
    put(admin, "operating_mode", **fields)
    newest = PolicyVersion.objects.filter(kind="operating_mode").order_by("-version").first()
    assert '"stopped":true' in newest.body
    put(admin, "operating_mode", **(fields | {"stopped": "no", "mode": "live"}))
    assert site_mode(now=timezone.now()) == "simulation"


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (CHROMIUM)")
def test_at_both_widths_nothing_is_cut_off_and_everything_is_labelled(
    transactional_db,
    quick_passwords,
    browser,  # noqa: F811
    live_server,
):
    ward = Hospital(now=timezone.now().replace(microsecond=0))
    proposed(ward, uncontrolled(ward, "Bergström", "Anna"))
    body = choices_body(PolicyKind.TIER_POLICY, {"adherence": "adherence_90", "two_windows": "windows_4"})
    asked = propose_policy(
        "tier_policy", "hypertension", body=body, reason="the board", by=ward.acting("admin"), now=ward.now
    )
    approve_policy(asked.motion.pk, by=ward.acting("pharmacist"), now=ward.now)
    motion = asked.motion.pk
    for name, (width, height) in WIDTHS.items():
        context = browser.new_context(viewport={"width": width, "height": height}, base_url=live_server.url)
        page = context.new_page()
        sign_in(page, ward)
        expect(page.get_by_role("link", name="Policies")).to_be_visible()
        paths = ["policies", "policies/tier_policy", f"policies/motions/{motion}", f"policies/motions/{motion}/what-if"]
        for place, path in enumerate(paths):
            page.goto(f"/{path}/")
            if PICTURES:
                page.screenshot(path=f"{PICTURES}/policies-{name}-{place}.png", full_page=True)
            assert fits(page), (name, path)
            assert unlabelled(page) == [], (name, path)
        context.close()
