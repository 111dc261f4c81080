"""The summary of a patient is the same every time, and says what is missing (CLI-08)."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from care_loops.domain.readings import Flag, Method
from care_loops.domain.record import SymptomKind
from care_loops.pathways.hypertension.tables_readings import averaging_rule
from care_loops.presenters.summary import summary
from care_loops.selectors.summary import summary_of
from tests.care_loops.web.ward import admit, felt, measured, proposed, reading, uncontrolled
from tests.factories import Hospital

pytestmark = pytest.mark.django_db
GOLDEN = Path(__file__).with_name("golden_summary.json")
MOMENT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.fixture
def then(db, quick_passwords):
    """The ward at one fixed moment."""
    return Hospital(now=MOMENT)


def shown(ward, patient) -> dict:
    return summary(summary_of(patient, now=ward.now), now=ward.now)


def test_the_summary_of_a_known_patient_is_the_golden_one(then):
    patient = uncontrolled(then, doses=28)
    measured(patient, reading(MOMENT - timedelta(hours=2), 2047, 85), at=MOMENT - timedelta(hours=2))
    measured(patient, reading(MOMENT - timedelta(hours=3), 141, None), at=MOMENT - timedelta(hours=3))
    cuffless = reading(MOMENT - timedelta(hours=4), 131, 79, method=Method.CUFFLESS)
    measured(patient, cuffless, at=MOMENT - timedelta(hours=4))
    proposed(then, patient)
    found = json.loads(json.dumps(shown(then, patient)))
    assert found["window"].pop("rule_version") == averaging_rule("home_7_day").version
    assert found == json.loads(GOLDEN.read_text())


def test_what_is_missing_is_said_and_is_never_zero(then):
    found = shown(then, admit(then, born=None, target=None))
    assert found["trend"]["daily"] == []
    assert found["trend"]["target"] is None
    assert found["window"]["average"] is None
    assert found["window"]["why_none"] == "no usable readings"
    assert found["variability"]["systolic_sd"] is None
    assert found["adherence"]["percent"] is None
    assert "no dose was logged" in found["adherence"]["missing"]
    assert "no wearable data" in found["activity"]["missing"]
    assert found["labs"] == []
    assert found["patient"]["age_years"] is None
    assert found["patient"]["about"] == "female, age not on record"
    assert found["caveats"] == ["No blood pressure reading in the last 85 days."]


def test_a_disturbed_reading_is_context_and_not_part_of_a_day_s_mean(then):
    patient = admit(then)
    still = reading(MOMENT - timedelta(hours=3), 140, 90)
    moved = reading(MOMENT - timedelta(hours=2), 170, 99, flags=(Flag.MOTION,))
    measured(patient, still, moved, at=MOMENT - timedelta(hours=1))
    found = shown(then, patient)
    assert found["trend"]["daily"] == [{"day": "2026-11-22", "systolic": "140", "diastolic": "90", "readings": 1}]
    assert "1 reading shown as context only; never averaged." in found["caveats"]


def test_pressure_is_rounded_half_up(then):
    patient = admit(then)
    for minutes, systolic in ((10, 140), (8, 141)):
        measured(patient, reading(MOMENT - timedelta(minutes=minutes), systolic, 90), at=MOMENT)
    assert shown(then, patient)["trend"]["daily"][0]["systolic"] == "141"


def test_an_old_last_reading_is_named(then):
    patient = admit(then)
    measured(patient, reading(MOMENT - timedelta(days=12), 140, 90), at=MOMENT - timedelta(days=12))
    assert "The last reading is from 12 days ago." in shown(then, patient)["caveats"]


def test_a_symptom_of_another_patient_is_nowhere(then):
    mine, other = admit(then, "Mine"), admit(then, "Other")
    felt(other, SymptomKind.COUGH, at=MOMENT - timedelta(hours=1))
    assert summary_of(mine, now=MOMENT).symptoms == ()
