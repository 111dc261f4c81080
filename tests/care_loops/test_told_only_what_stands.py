"""A change within a boundary is told, and shown as waiting, only while the patient's yes to it would be taken (N1)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from care_loops.domain.loops import LoopState
from care_loops.models import Loop
from care_loops.policies import HeldForSafety, NotNow
from care_loops.presenters.phone import HELD, LAPSED, proposal
from care_loops.services import Answer, record_condition, respond
from care_loops.services.clinical import NewCondition
from care_loops.services.respond import holds_now
from tests.care_loops.standing import commits, hospital, pass_on, site  # noqa: F401
from tests.factories import NOW, job

SOON, LATER = NOW + timedelta(minutes=30), NOW + timedelta(hours=2)


def boundary_expired(_hospital, _patient) -> None:
    """It was signed to last until shortly after the window closed."""


def mode_stopped(hospital, _patient) -> None:  # noqa: F811
    hospital.mode(patient_directed=True, stopped=True, now=SOON)


def no_longer_patient_directed(hospital, _patient) -> None:  # noqa: F811
    hospital.mode(patient_directed=False, now=SOON)


def smaller_boundary(hospital, patient) -> None:  # noqa: F811
    hospital.boundary(patient, most="10", signed_at=SOON)


def crisis(hospital, patient) -> None:  # noqa: F811
    hospital.measures(patient, 195, 125, at=SOON)


def pregnant(_hospital, patient) -> None:
    code = "77386006"
    new = NewCondition(
        "test",
        "c-1",
        None,
        "http://snomed.info/sct",
        code,
        "x",
        pregnancy=True,
        onset_at=SOON,
        abated_at=None,
        active=True,
    )
    record_condition(patient.pk, new, by=job("import"), now=SOON)


ENDED = [
    (boundary_expired, NotNow, LAPSED),
    (mode_stopped, NotNow, LAPSED),
    (no_longer_patient_directed, NotNow, LAPSED),
    (smaller_boundary, NotNow, LAPSED),
    (crisis, HeldForSafety, HELD),
    (pregnant, HeldForSafety, HELD),
]


def direct(hospital, *, short: bool) -> Loop:  # noqa: F811
    hospital.mode(patient_directed=True)
    patient = hospital.patient()
    hospital.boundary(patient, lasts=timedelta(days=60, hours=1) if short else timedelta(days=120))
    hospital.weeks(patient, *[(150, 92)] * 5)
    pass_on(NOW)
    loop = hospital.close(patient)
    assert loop.state == LoopState.WITH_PATIENT
    return loop


def shown(loop: Loop) -> dict:
    return proposal(loop, holds_now(loop.patient, [loop], now=LATER), LATER)


@pytest.mark.parametrize(("ends", "refusal", "words"), ENDED)
def test_what_ended_before_the_word_went_out_is_withdrawn_by_name_and_no_change_is_told(
    hospital,  # noqa: F811
    ends,
    refusal,
    words,
):
    loop = direct(hospital, short=ends is boundary_expired)
    ends(hospital, loop.patient)
    pass_on(LATER)
    loop.refresh_from_db()
    assert loop.state == LoopState.WITHDRAWN
    assert loop.steps.latest("seq").reason_code
    assert "change" not in set(loop.messages.values_list("kind", flat=True))
    commits()


@pytest.mark.parametrize(("ends", "refusal", "words"), ENDED)
def test_what_ended_is_not_shown_as_waiting_and_its_yes_is_refused(hospital, ends, refusal, words):  # noqa: F811
    loop = direct(hospital, short=ends is boundary_expired)
    ends(hospital, loop.patient)
    said = shown(loop)
    assert (said["waits_for_you"], said["in_words"], said["message"]) == (False, words, "")
    with pytest.raises(refusal):
        respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=LATER), now=LATER)


def test_what_stands_is_told_shown_as_waiting_and_taken(hospital):  # noqa: F811
    loop = direct(hospital, short=False)
    pass_on(LATER)
    loop.refresh_from_db()
    assert (loop.state, list(loop.messages.values_list("kind", flat=True))) == (LoopState.WITH_PATIENT, ["change"])
    assert shown(loop)["waits_for_you"] is True
    respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=LATER), now=LATER)
