"""A boundary above the threshold is approved by a pharmacist over what it rests on now, else it is none (CLI-06)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from audit.entries import pseudonym
from audit.models import Pending
from audit.services import keys
from care_loops.domain.units import MmHg
from care_loops.models import Boundary
from care_loops.selectors.thresholds import thresholds
from care_loops.services import NewBoundary, NewBoundaryDrug, sign_boundary, sign_target
from care_loops.services.boundary_quorum import (
    approve_boundary,
    boundary_motion,
    put_forward,
    sign_approved,
    sign_or_put_forward,
)
from care_loops.services.limits import PharmacistNeeded
from governance.domain import BadInput, NotAllowed, NotFound
from governance.models import Motion
from governance.policy_kinds import PolicyKind, choices_body
from governance.quorum import MotionStatus, MotionVoid, QuorumMissing
from tests.care_loops.standing import hospital, site  # noqa: F401
from tests.factories import AMLODIPINE, LISINOPRIL, NOW
from tests.policies import put_in_force

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(hours=1)


def order(*drugs: tuple[str, str]) -> NewBoundary:
    return NewBoundary(
        drugs=tuple(NewBoundaryDrug(ingredient, Decimal(most), allow_up=True) for ingredient, most in drugs),
        max_steps=2,
        min_interval_days=28,
        starts_at=NOW,
        expires_at=NOW + timedelta(days=100),
        review_everything=False,
    )


ONE, TWO = order((LISINOPRIL, "40")), order((LISINOPRIL, "20"), (AMLODIPINE, "10"))


@pytest.fixture
def patient(hospital):  # noqa: F811
    found = hospital.patient("ann", drugs=((LISINOPRIL, "10"), (AMLODIPINE, "5")), team=("clinician", "pharmacist"))
    hospital.weeks(found, *[(150, 92)] * 5)
    return found


def put(hospital, patient, new=TWO) -> Motion:  # noqa: F811
    return put_forward(patient.pk, new, reason="two at once", by=hospital.acting("clinician"), now=NOW)


def test_under_the_threshold_its_prescriber_signs_alone_and_above_it_not(hospital, patient):  # noqa: F811
    by = hospital.acting("clinician")
    assert isinstance(sign_or_put_forward(patient.pk, ONE, reason="x", by=by, now=NOW), Boundary)
    for above in (TWO, order((LISINOPRIL, "40"), (AMLODIPINE, "5"))):
        with pytest.raises(PharmacistNeeded):
            sign_boundary(patient.pk, above, by=by, now=NOW)
    assert isinstance(sign_or_put_forward(patient.pk, TWO, reason="x", by=by, now=NOW), Motion)
    assert Boundary.objects.filter(patient=patient).count() == 1


def test_a_pharmacist_approves_and_then_its_prescriber_signs_once(hospital, patient):  # noqa: F811
    motion = put(hospital, patient)
    with pytest.raises(QuorumMissing):
        sign_approved(motion.pk, by=hospital.acting("clinician"), now=NOW)
    with pytest.raises(NotAllowed):
        approve_boundary(motion.pk, by=hospital.acting("clinician"), now=NOW)
    with pytest.raises(NotFound):
        approve_boundary(motion.pk, by=hospital.acting("other_clinician"), now=NOW)
    approve_boundary(motion.pk, by=hospital.acting("pharmacist"), now=NOW)
    assert boundary_motion(patient, now=NOW).status is MotionStatus.MET
    with pytest.raises(NotAllowed):
        sign_approved(motion.pk, by=hospital.acting("pharmacist"), now=NOW)
    boundary = sign_approved(motion.pk, by=hospital.acting("clinician", now=LATER), now=LATER)
    assert {drug.ingredient for drug in boundary.drugs.all()} == {LISINOPRIL, AMLODIPINE}
    with pytest.raises(QuorumMissing):
        sign_approved(motion.pk, by=hospital.acting("clinician", now=LATER), now=LATER)
    other = replace(order((LISINOPRIL, "40"), (AMLODIPINE, "10")), starts_at=LATER)
    with pytest.raises(PharmacistNeeded):
        sign_boundary(patient.pk, other, by=hospital.acting("clinician", now=LATER), now=LATER)


def test_what_is_put_forward_about_a_patient_is_entered_about_them(hospital, patient):  # noqa: F811
    motion = put(hospital, patient)
    given = approve_boundary(motion.pk, by=hospital.acting("pharmacist"), now=NOW)
    for entry in (motion.entry, given.entry, given.signature.entry):
        leaf = json.loads(bytes(Pending.objects.get(entry_id=entry).leaf).decode().split("\n")[2])
        assert leaf["subject"] == pseudonym(str(patient.pk), tenant_key=keys.tenant_key())


def test_a_reading_that_changes_a_danger_rule_makes_the_approval_void(hospital, patient):  # noqa: F811
    motion = put(hospital, patient)
    approve_boundary(motion.pk, by=hospital.acting("pharmacist"), now=NOW)
    hospital.measures(patient, 149, 91, at=NOW + timedelta(minutes=10))
    assert boundary_motion(patient, now=LATER).status is MotionStatus.MET, "an ordinary reading changes nothing"
    hospital.measures(patient, 190, 125, at=NOW + timedelta(minutes=20))
    assert boundary_motion(patient, now=LATER).status is MotionStatus.VOID
    with pytest.raises(MotionVoid):
        sign_approved(motion.pk, by=hospital.acting("clinician", now=LATER), now=LATER)
    assert not Boundary.objects.filter(patient=patient).exists()


def test_another_target_and_another_policy_make_it_void_too(hospital, patient):  # noqa: F811
    motion = put(hospital, patient)
    approve_boundary(motion.pk, by=hospital.acting("pharmacist"), now=NOW)
    body = choices_body(PolicyKind.TIER_POLICY, {"adherence": "adherence_90"})
    others = [hospital.acting(name, now=LATER) for name in ("clinician", "pharmacist")]
    by = hospital.acting("admin", now=LATER)
    put_in_force("tier_policy", "hypertension", body=body, by=by, approvers=others, now=LATER)
    assert boundary_motion(patient, now=LATER).status is MotionStatus.VOID
    with pytest.raises(MotionVoid):
        sign_approved(motion.pk, by=hospital.acting("clinician", now=LATER), now=LATER)


def test_a_sites_policy_asks_for_a_pharmacist_earlier(hospital, patient):  # noqa: F811
    assert (thresholds(now=NOW).drugs, thresholds(now=NOW).factor) == (1, 4)
    body = choices_body(PolicyKind.APPROVAL_THRESHOLDS, {"boundary_drugs": "boundary_every"})
    others = [hospital.acting(name) for name in ("clinician", "pharmacist")]
    put_in_force(
        "approval_thresholds", "hypertension", body=body, by=hospital.acting("admin"), approvers=others, now=NOW
    )
    assert thresholds(now=NOW).drugs == 0
    with pytest.raises(PharmacistNeeded):
        sign_boundary(patient.pk, ONE, by=hospital.acting("clinician"), now=NOW)


def test_a_sites_policy_says_which_targets_may_be_signed(hospital, patient):  # noqa: F811
    body = choices_body(PolicyKind.TARGETS, {"lowest_systolic": "target_from_120", "highest_systolic": "target_to_145"})
    others = [hospital.acting(name) for name in ("clinician", "pharmacist")]
    put_in_force("targets", "hypertension", body=body, by=hospital.acting("admin"), approvers=others, now=NOW)
    by = hospital.acting("clinician")
    for systolic in (119, 146):
        with pytest.raises(BadInput, match="policy lets no target"):
            sign_target(patient.pk, systolic_below=MmHg.of(systolic), diastolic_below=MmHg.of(80), by=by, now=NOW)
    for systolic in (120, 145):
        sign_target(patient.pk, systolic_below=MmHg.of(systolic), diastolic_below=MmHg.of(80), by=by, now=NOW)
