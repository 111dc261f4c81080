"""What waits is looked at again: it is withdrawn by name only when it must be, and otherwise stands (CLI-02)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from care_loops.domain.loops import LoopState
from care_loops.domain.record import LabKind, SymptomKind
from care_loops.domain.units import MmHg
from care_loops.models import Loop
from care_loops.pathways.hypertension import predictors
from care_loops.services import (
    NewLab,
    NewSymptom,
    close_window,
    expire_loops,
    record_lab,
    record_symptom,
    reevaluate_open,
    sign_target,
)
from tests.care_loops.standing import commits, hospital, pass_on, site  # noqa: F401
from tests.factories import AMLODIPINE, LISINOPRIL, NOW, Hospital, job

SOON = NOW + timedelta(hours=2)
S = LoopState


def after(loop: Loop, now=SOON) -> tuple[str, str]:
    """Where a loop stands once what waits in the outbox was delivered, and why."""
    pass_on(now)
    commits()
    loop.refresh_from_db()
    last = loop.steps.order_by("-seq").first()
    return loop.state, last.reason_code


@pytest.fixture
def waiting(hospital: Hospital) -> Loop:  # noqa: F811
    return hospital.loop_at(S.WITH_CLINICIAN)


@pytest.fixture
def direct(hospital: Hospital) -> Loop:  # noqa: F811
    """A change the patient may take on their own."""
    return hospital.loop_at(S.WITH_PATIENT)


def test_an_ordinary_reading_changes_nothing(hospital, waiting):  # noqa: F811
    hospital.measures(waiting.patient, 148, 90, at=SOON)
    assert after(waiting) == ("with_clinician", "")


def test_a_predictor_that_is_down_withdraws_nothing_and_danger_still_does(hospital, waiting, monkeypatch):  # noqa: F811
    """A broken part in the predictor's place: what it proposed while it was well still stands."""

    def broken(*_: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setitem(predictors.PROTOCOLS, "home_bp", broken)
    monkeypatch.setattr(predictors, "_BREAKERS", {})
    hospital.measures(waiting.patient, 148, 90, at=SOON)
    assert after(waiting) == ("with_clinician", "")
    hospital.measures(waiting.patient, 192, 110, at=SOON)
    assert after(waiting) == ("withdrawn", "danger_rule")


def test_what_waits_for_the_patient_does_not_count_itself_as_used_up(hospital):  # noqa: F811
    """A quota of one and a boundary of one step are used by this very change: looking again must not withdraw it."""
    patient = hospital.patient()
    hospital.mode(patient_directed=True, quota=1)
    hospital.boundary(patient, max_steps=1)
    hospital.weeks(patient, *[(150, 92)] * 5)
    loop = hospital.close(patient)
    assert loop.state == "with_patient"
    hospital.measures(patient, 148, 90, at=SOON)
    assert after(loop) == ("with_patient", "")


def test_a_danger_withdraws_an_increase_by_name(hospital, waiting, direct):  # noqa: F811
    for loop in (waiting, direct):
        hospital.measures(loop.patient, 185, 95, at=SOON)
        assert after(loop) == ("withdrawn", "danger_rule")


def test_a_side_effect_of_the_drug_withdraws_its_increase_at_once(hospital, direct):  # noqa: F811
    new = NewSymptom("phone", "s1", SymptomKind.COUGH, LISINOPRIL, "", SOON)
    record_symptom(direct.patient_id, new, by=hospital.own(direct.patient, now=SOON), now=SOON)
    state, reason = after(direct)
    assert state == "withdrawn"
    assert reason in ("candidate_changed", "now_no_candidate_left", "danger_rule")


def test_a_new_lab_that_bars_the_drug_withdraws_it_and_one_that_does_not_leaves_it(hospital, waiting):  # noqa: F811
    hospital.lab(waiting.patient, LabKind.POTASSIUM, "4.4", at=SOON)
    assert after(waiting) == ("with_clinician", "")
    hospital.lab(waiting.patient, LabKind.POTASSIUM, "5.7", at=SOON)
    assert after(waiting)[0] == "withdrawn"


def test_a_corrected_result_under_the_same_id_is_heard(hospital, waiting):  # noqa: F811
    """A laboratory sends another value under the id it used before: it is kept beside the first and acts."""
    for value in ("4.3", "6.2", "6.2"):
        new = NewLab("lab", "same-id", LabKind.POTASSIUM, Decimal(value), value, "mmol/L", SOON)
        record_lab(waiting.patient_id, new, by=job("lab"), now=SOON)
    assert waiting.patient.labs.filter(source_system="lab").count() == 2
    assert waiting.patient.alerts.filter(kind="dangerous_lab").count() == 1
    assert after(waiting)[0] == "withdrawn"


def test_a_new_drug_changes_what_is_proposed(hospital, waiting):  # noqa: F811
    hospital.takes(waiting.patient, AMLODIPINE, "5", since=SOON)
    assert after(waiting)[0] == "withdrawn"


def test_a_new_boundary_that_asks_for_review_takes_the_change_from_the_patient(hospital, direct):  # noqa: F811
    hospital.boundary(direct.patient, review_everything=True, signed_at=SOON)
    assert after(direct) == ("withdrawn", "tier_changed")


def test_a_new_target_is_not_covered_by_the_boundary_of_the_old_one(hospital, direct):  # noqa: F811
    by = hospital.acting("clinician", now=SOON)
    sign_target(direct.patient_id, systolic_below=MmHg.of(130), diastolic_below=MmHg.of(80), by=by, now=SOON)
    assert after(direct) == ("withdrawn", "tier_changed")


def test_withdrawn_consent_and_human_only_care_take_effect_at_once(hospital):  # noqa: F811
    for scope, given in (("automated_advice", False), ("human_only_care", True)):
        loop = hospital.loop_at(S.WITH_PATIENT)
        hospital.consents(loop.patient, scope, given=given, at=SOON)
        assert after(loop)[0] == "withdrawn"


def test_time_alone_takes_a_change_from_the_patient_when_the_boundary_ends(hospital):  # noqa: F811
    patient = hospital.patient()
    hospital.mode(patient_directed=True)
    hospital.boundary(patient, signed_at=NOW - timedelta(days=60), lasts=timedelta(days=60, hours=12))
    hospital.weeks(patient, *[(150, 92)] * 5)
    loop = hospital.close(patient)
    assert loop.state == "with_patient"
    assert reevaluate_open(patient.pk, by=job(), now=NOW + timedelta(hours=11)) == 0
    assert reevaluate_open(patient.pk, by=job(), now=NOW + timedelta(hours=13)) == 1
    assert after(loop) == ("withdrawn", "tier_changed")


def test_a_change_taken_back_before_the_word_went_out_is_only_taken_back(hospital, direct):  # noqa: F811
    """The message of the proposal still waits in the outbox when the danger comes: it is not sent any more."""
    hospital.measures(direct.patient, 185, 95, at=SOON)
    reevaluate_open(direct.patient_id, by=job(), now=SOON)
    pass_on(SOON)
    commits()
    assert set(direct.messages.values_list("kind", flat=True)) <= {"recalled"}


def test_the_same_window_closes_once_and_a_new_one_takes_the_place_of_what_waits(hospital, waiting):  # noqa: F811
    patient = waiting.patient
    assert close_window(patient.pk, by=job(), now=NOW + timedelta(hours=3)) is None
    assert Loop.objects.filter(patient=patient).count() == 1
    later = NOW + timedelta(days=7)
    fresh = close_window(patient.pk, by=job(), now=later)
    assert fresh is not None
    assert after(waiting, later) == ("withdrawn", "new_window")


def test_a_proposal_expires_on_its_clock_to_the_second(hospital, waiting, direct):  # noqa: F811
    end = waiting.expires_at
    assert direct.expires_at == end
    for at, count in ((end - timedelta(seconds=1), 0), (end, 2), (end, 0)):
        assert expire_loops(by=job(), now=at) == count
    for loop in (waiting, direct):
        loop.refresh_from_db()
        assert loop.state == "expired"
    commits()


def test_what_was_approved_and_held_back_too_long_is_taken_back_and_not_spoken_of(hospital):  # noqa: F811
    loop = hospital.loop_at(S.APPROVED)
    hospital.measures(loop.patient, 185, 95, at=SOON)
    assert after(loop)[0] == "approved", "the danger holds it back"
    expire_loops(by=job(), now=loop.expires_at)
    assert after(loop, loop.expires_at) == ("recalled", "too_old")
    assert not loop.messages.exists()
    assert close_window(loop.patient_id, by=job(), now=loop.expires_at + timedelta(days=1)) is not None


def test_a_reduction_stands_whatever_danger_comes(hospital):  # noqa: F811
    patient = hospital.patient()
    hospital.weeks(patient, *[(150, 92)] * 5)
    new = NewSymptom("phone", "s2", SymptomKind.COUGH, LISINOPRIL, "", NOW)
    record_symptom(patient.pk, new, by=hospital.own(patient), now=NOW)
    loop = hospital.close(patient)
    assert loop.change_kind in ("stop", "step_down", "timing"), (loop.change_kind, loop.withheld_reason)
    hospital.measures(patient, 185, 95, at=SOON)
    assert after(loop)[0] == "with_clinician"
