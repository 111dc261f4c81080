"""What a clinician signs: target and boundary, never wider than the rules, kept as shown (CLINICAL 1.9 row 1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from audit.selectors import payload_of
from care_loops.domain.units import MmHg
from care_loops.services import NewBoundary, NewBoundaryDrug, replay, sign_boundary, sign_target
from governance.domain import BadInput, Refusal
from governance.services.signing import record_digest
from tests.care_loops.standing import commits, hospital, site  # noqa: F401
from tests.factories import LISINOPRIL, NOW, job

ORDER = NewBoundary(
    drugs=(NewBoundaryDrug(LISINOPRIL, Decimal(40), allow_up=True),),
    max_steps=3,
    min_interval_days=28,
    starts_at=NOW,
    expires_at=NOW + timedelta(days=179),
    review_everything=False,
)


def drug(**more: object) -> tuple[NewBoundaryDrug, ...]:
    return (replace(ORDER.drugs[0], **more),)


@pytest.mark.parametrize(
    "bent",
    [
        {"max_steps": 4},
        {"max_steps": -1},
        {"expires_at": NOW + timedelta(days=180, seconds=1)},
        {"expires_at": NOW},
        {"starts_at": NOW - timedelta(minutes=6)},
        {"drugs": drug(max_daily_dose_mg=Decimal("40.001"))},
        {"drugs": drug(max_daily_dose_mg=Decimal(0))},
        {"drugs": drug(ingredient="99999")},
        {"drugs": drug() * 2},
    ],
)
def test_a_boundary_wider_than_the_rules_cannot_be_signed(hospital, bent):  # noqa: F811
    patient = hospital.patient()
    with pytest.raises(BadInput):
        sign_boundary(patient.pk, replace(ORDER, **bent), by=hospital.acting("clinician"), now=NOW)
    assert not patient.boundaries.exists()


def test_what_is_kept_is_what_was_signed(hospital):  # noqa: F811
    patient = hospital.patient()
    early = replace(ORDER, starts_at=NOW - timedelta(minutes=2))  # the form was open for two minutes
    boundary = sign_boundary(patient.pk, early, by=hospital.acting("clinician"), now=NOW)
    shown = payload_of(boundary.entry)
    assert shown is not None
    assert shown["starts_at"] == boundary.starts_at.isoformat() == NOW.isoformat()
    evidence = boundary.signature.evidence
    assert boundary.signature.record_digest == record_digest(bytes(evidence.record))
    signed = payload_of(boundary.signature.entry)["content"]
    assert signed == shown | {"starts_at": "on_signing"}  # it holds from its signature on
    again = sign_boundary(patient.pk, ORDER, by=hospital.acting("clinician"), now=NOW + timedelta(seconds=1))
    assert (boundary.version, again.version) == (1, 2)
    commits()


def test_only_a_clinician_of_the_team_signs_and_a_target_comes_first(hospital):  # noqa: F811
    patient = hospital.patient(target=None)
    with pytest.raises(BadInput):
        sign_boundary(patient.pk, ORDER, by=hospital.acting("clinician"), now=NOW)
    given = {"systolic_below": MmHg.of(135), "diastolic_below": MmHg.of(85), "now": NOW}
    for by in (hospital.acting("pharmacist"), hospital.acting("other_clinician"), hospital.own(patient), job()):
        with pytest.raises(Refusal):
            sign_target(patient.pk, by=by, **given)
        with pytest.raises(Refusal):
            sign_boundary(patient.pk, ORDER, by=by, now=NOW)
    for systolic, diastolic in ((85, 85), (80, 85)):
        pressures = {"systolic_below": MmHg.of(systolic), "diastolic_below": MmHg.of(diastolic)}
        with pytest.raises(BadInput):
            sign_target(patient.pk, by=hospital.acting("clinician"), **(given | pressures))
    sign_target(patient.pk, by=hospital.acting("clinician"), **given)
    commits()


def test_steps_add_up_over_the_life_of_a_boundary(hospital):  # noqa: F811
    """One step allowed and taken: the next change, weeks later, goes to a clinician."""
    from care_loops.services import Answer, NewIntake, log_intake, respond

    hospital.mode(patient_directed=True)
    patient = hospital.patient()
    hospital.boundary(patient, max_steps=1)
    hospital.weeks(patient, *[(150, 92)] * 5)
    first = hospital.close(patient)
    assert first.state == "with_patient"
    respond(first.pk, Answer.ACCEPT, reason_code="", by=hospital.own(patient), now=NOW)
    dose = NewIntake("t", "first-dose", LISINOPRIL, NOW.date(), taken=True, taken_at=NOW)
    log_intake(patient.pk, dose, by=hospital.own(patient), now=NOW)
    hospital.now = NOW + timedelta(days=50)
    hospital.doses(patient, [LISINOPRIL], days=7)
    hospital.weeks(patient, *[(150, 92)] * 5)
    second = hospital.close(patient)
    assert second.state in ("with_clinician", "withheld"), second.tier
    assert replay(second.pk).identical
    commits()


def test_a_replay_names_the_first_difference(hospital):  # noqa: F811
    from care_loops.domain.evidence import Outcome
    from care_loops.freeze import thaw
    from care_loops.services.replay import compare

    patient = hospital.patient()
    hospital.weeks(patient, *[(150, 92)] * 5)
    loop = hospital.close(patient)
    assert replay(loop.pk).identical
    kept = thaw(loop.outcome, Outcome)
    found = compare(kept, replace(kept, tier="patient_may_act"))
    assert (found.identical, found.first_difference, found.computed) == (False, "tier", '"patient_may_act"')
