"""A boundary holds only while who signed it is responsible for the patient: at closing, telling and accepting (N1)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from care_loops.domain.evidence import Outcome
from care_loops.domain.loops import LoopState
from care_loops.freeze import thaw
from care_loops.models import RegimenEntry
from care_loops.policies import NotNow
from care_loops.presenters.patient import patient_shown
from care_loops.recommend.tiering import SIGNER_GONE
from care_loops.selectors.summary import summary_of
from care_loops.services import Answer, join_care_team, leave_care_team, reevaluate_all, respond
from governance.domain import Role
from governance.services.accounts import leave, revoke_role
from tests.care_loops.standing import hospital, pass_on, site  # noqa: F401
from tests.factories import NOW, job

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(hours=1)


def leaves_the_team(hospital, patient):  # noqa: F811
    admin, heir = hospital.acting("admin"), hospital.people["other_clinician"].pk
    join_care_team(patient.pk, heir, responsible=False, by=admin, now=NOW)
    leave_care_team(patient.pk, hospital.people["clinician"].pk, by=admin, now=NOW, next_responsible=heir)


def leaves_the_site(hospital, patient):  # noqa: F811
    leave(hospital.people["clinician"].pk, by=hospital.acting("admin"), now=NOW)


def loses_the_role(hospital, patient):  # noqa: F811
    revoke_role(hospital.people["clinician"].pk, Role.CLINICIAN, by=hospital.acting("admin"), now=NOW)


GOES = pytest.mark.parametrize("goes", [leaves_the_team, leaves_the_site, loses_the_role])


@GOES
def test_when_the_window_closes_a_clinician_decides(hospital, goes):  # noqa: F811
    hospital.mode(patient_directed=True)
    patient = hospital.patient()
    hospital.boundary(patient)
    hospital.weeks(patient, *[(150, 92)] * 5)
    goes(hospital, patient)
    loop = hospital.close(patient, now=LATER)
    assert loop.state == LoopState.WITH_CLINICIAN.value
    assert loop.tier == "clinician_decides"
    assert SIGNER_GONE in thaw(loop.outcome, Outcome).tier_reasons
    pass_on(LATER)
    assert not loop.messages.exists()


def test_with_its_signer_it_goes_to_the_patient(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.WITH_PATIENT)
    assert SIGNER_GONE not in thaw(loop.outcome, Outcome).tier_reasons


@GOES
def test_when_the_patient_is_told_nothing_is_said(hospital, goes):  # noqa: F811
    loop = hospital.loop_at(LoopState.WITH_PATIENT)
    goes(hospital, loop.patient)
    pass_on(LATER)
    assert not loop.messages.filter(kind="change").exists()
    pass_on(LATER + timedelta(minutes=1))
    loop.refresh_from_db()
    assert loop.state == LoopState.WITHDRAWN.value


@GOES
def test_when_the_patient_accepts_it_no_longer_stands(hospital, goes):  # noqa: F811
    loop = hospital.loop_at(LoopState.WITH_PATIENT)
    lines = RegimenEntry.objects.filter(patient=loop.patient).count()
    goes(hospital, loop.patient)
    with pytest.raises(NotNow, match="no longer stands"):
        respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=LATER), now=LATER)
    assert RegimenEntry.objects.filter(patient=loop.patient).count() == lines
    assert reevaluate_all(by=job(), now=LATER) == 1
    loop.refresh_from_db()
    assert loop.state == LoopState.WITHDRAWN.value


@GOES
def test_the_patient_page_says_that_it_has_ended(hospital, goes):  # noqa: F811
    patient = hospital.patient()
    hospital.boundary(patient)
    assert shown(patient, NOW).startswith("In force")
    goes(hospital, patient)
    assert shown(patient, LATER).startswith("Ended: its signer is no longer responsible for this patient")


def shown(patient, now) -> str:
    return patient_shown(summary_of(patient, now=now), now=now).boundary_state
