"""What was decided about the loops holds: each test here is the one that a decision record ends in."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction

from care_loops.domain.loops import LoopState
from care_loops.models import Alert, BloodPressure, Step
from care_loops.pathways.hypertension.rules import tables
from care_loops.services import reevaluate_open, replay
from care_loops.transitions import MOVES
from governance.models import Signature
from governance.tier_policy import shipped
from tests.factories import NOW, Hospital, job

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
# Read when evidence comes in, when an alert waits, when the next visit is planned, or by whoever registers a predictor.
NOT_READ_BY_A_RECOMMENDATION = {
    *(
        "alignment",
        "bp_markers",
        "cards",
        "cohort_checks",
        "cohort_drugs",
        "cohort_families",
        "cohort_parameters",
        "cohorts",
        "decide_first",
        "dose_timings",
        "escalation",
        "features",
        "loinc",
        "no_medicines",
        "other_codes",
        "oversight",
        "probes",
        "second_review",
        "units",
        "visits",
    ),
}
HIGH = [(150, 92)] * 5


@pytest.fixture
def hospital(built) -> Hospital:
    return built.once(Hospital)


def test_the_database_holds_the_same_table_of_moves():
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'care_loops_step_is_legal'")
        (source,) = cursor.fetchone()
    pairs = set(re.findall(r"\('(\w*)', '(\w+)'\)", source))
    assert pairs == {("", "proposed")} | {(a.value, b.value) for a, moves in MOVES.items() for b in moves}


def test_a_step_is_never_taken_back(hospital):
    loop = hospital.loop_at(LoopState.REJECTED)
    assert list(loop.steps.order_by("seq").values_list("state", flat=True)) == [
        "proposed",
        "with_clinician",
        "rejected",
    ]
    for act in (lambda: Step.objects.filter(loop=loop).update(state="approved"), Step.objects.filter(loop=loop).delete):
        with pytest.raises(DatabaseError), transaction.atomic():
            act()


def test_a_recommendation_is_recomputed_from_what_was_frozen_with_it(hospital):
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    hospital.week(loop.patient, 118, 70)
    hospital.takes(loop.patient, "17767", "5", since=NOW)
    assert replay(loop.pk).identical


def test_the_evidence_names_every_table_that_it_was_judged_by():
    files = {path.stem for path in (ROOT / "care_loops/pathways/hypertension/data").glob("*.json")}
    named = {ref.name: ref.digest for ref in tables()}
    assert named["tier_table"] == shipped().digest
    assert files - set(named) == NOT_READ_BY_A_RECOMMENDATION


def test_a_dangerous_reading_and_its_alert_are_kept_together_or_not_at_all(hospital):
    patient = hospital.patient()
    with transaction.atomic():
        hospital.measures(patient, 190, 125)
        assert (BloodPressure.objects.count(), Alert.objects.count()) == (1, 1)
        transaction.set_rollback(True)
    assert (BloodPressure.objects.count(), Alert.objects.count()) == (0, 0)
    hospital.measures(patient, 190, 125)
    assert (BloodPressure.objects.count(), Alert.objects.filter(locks=True).count()) == (1, 1)


def test_an_ordinary_reading_stands_beside_what_is_open_and_a_dangerous_one_withdraws_it_by_name(hospital):
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    hospital.measures(loop.patient, 148, 91, at=NOW + timedelta(minutes=1))
    assert reevaluate_open(loop.patient_id, by=job(), now=NOW + timedelta(minutes=2)) == 0
    hospital.measures(loop.patient, 190, 125, at=NOW + timedelta(minutes=3))
    assert reevaluate_open(loop.patient_id, by=job(), now=NOW + timedelta(minutes=4)) == 1
    last = loop.steps.order_by("seq").last()
    assert (last.state, last.reason_code) == ("withdrawn", "danger_rule")


@pytest.mark.parametrize(
    ("on", "state"), [(False, "with_clinician"), (True, "with_patient")], ids=["unless set", "set"]
)
def test_nothing_goes_straight_to_a_patient_unless_the_site_turned_it_on(hospital, on, state):
    patient = hospital.patient()
    hospital.mode(patient_directed=on)
    hospital.boundary(patient)
    hospital.weeks(patient, *HIGH)
    assert hospital.close(patient).state == state


def test_every_signature_is_a_persons_own_and_none_a_sessions(hospital):
    loop = hospital.loop_at(LoopState.APPROVED)
    assert loop.state == "approved"
    assert set(Signature.objects.values_list("method", flat=True)) == {"webauthn"}
