"""Importing FHIR: what becomes of good files, bad files, the same files again, and what danger rules make of them."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from care_loops.models import Alert, BloodPressure, ImportRefusal, Lab
from tests.care_loops.fhir_cases import (
    SNOMED,
    UCUM,
    bundle,
    component,
    condition,
    mmhg,
    observation,
    order,
    panel,
    patient,
)
from tests.care_loops.importing import NDC, pressures, the_patient

pytestmark = pytest.mark.django_db


# What is counted


def test_the_counts_have_exactly_their_keys(imported):
    assert imported(bundle(patient(), panel("o1", 120, 80))) == {
        "patients": 1,
        "blood_pressure": {"stored": 1, "absent": 0, "quarantined": 0},
        "medications": {"known": 0, "unknown": 0},
        "labs": 0,
        "refused": {},
        "danger": {"crisis": 0, "low": 0, "historic": 0},
        "unchanged": 0,
    }


def test_the_order_of_entries_does_not_matter(imported):
    there = (panel("o1", 120, 80), order("m1", NDC), patient(), condition("c1", SNOMED, "38341003"))
    counts = imported(bundle(*there))
    assert (counts["patients"], pressures(counts), counts["refused"]) == (1, (1, 0, 0), {})


def test_evidence_may_stand_in_another_file_or_come_later(imported):
    assert pressures(imported(bundle(panel("o1", 120, 80)), bundle(patient()))) == (1, 0, 0)
    later = imported(bundle(panel("o2", 121, 81)))
    assert (later["patients"], pressures(later)) == (0, (1, 0, 0))


@pytest.mark.parametrize("kind", ["transaction", "searchset", "collection", "batch"])
def test_bundles_of_every_type_are_read(imported, kind):
    assert pressures(imported(bundle(patient(), panel("o1", 120, 80), kind=kind))) == (1, 0, 0)


def test_one_bad_line_costs_that_line(imported):
    lines = b"\n".join(
        [json.dumps(patient()).encode(), b'{"resourceType": "Obser', json.dumps(panel("o1", 1, 2)).encode()]
    )
    counts = imported(lines, name="f{n}.ndjson")
    assert counts["refused"] == {"not_json": 1}
    assert sum(pressures(counts)) == 1
    kept = ImportRefusal.objects.get()
    assert (kept.reason, kept.body) == ("not_json", '{"resourceType": "Obser')
    assert ":2" in kept.detail


def test_what_cannot_be_taken_is_refused_by_name_and_kept(imported):
    no_mmhg = panel("o5", 120, 80)
    for part in no_mmhg["component"]:
        part["valueQuantity"] = {"value": 120}
    counts = imported(
        bundle(
            patient(),
            panel("o1", 120, 80, at=None),
            panel("o2", 120, 80, at="2026-03-01T08:00:00"),
            panel("o3", 120, 80, at="2026"),
            panel("o4", 120, 80, who="Patient/nobody"),
            no_mmhg,
            panel("o6", 120, 80, subject={}),
            panel("o7", 120, 80, status="cancelled"),
            panel("o8", 120, 80),
        )
    )
    names = ("no_time", "time_without_zone", "partial_date", "unknown_patient", "no_unit", "no_patient", "cancelled")
    assert counts["refused"] == dict.fromkeys(sorted(names), 1)
    assert pressures(counts) == (1, 0, 0)
    assert set(ImportRefusal.objects.values_list("reason", flat=True)) == set(names)
    assert {json.loads(body)["id"] for body in ImportRefusal.objects.values_list("body", flat=True)} == {
        f"o{n}" for n in range(1, 8)
    }


def test_text_that_no_database_holds_is_left_out(imported):
    who = patient(name=[{"family": "Zer\x00o", "given": ["\ud800Ada", 7]}])
    counts = imported(bundle(who, panel("o1", 120, 80), condition("c\x00", "x\x00", "1\x00")), b"\x00\xff not json")
    assert the_patient().family_name == "Zero"
    assert counts["refused"] == {"not_json": 1}


def test_a_second_patient_of_the_same_id_who_says_otherwise_is_set_aside(imported):
    counts = imported(bundle(patient()), bundle(patient(gender="male")), bundle(patient()))
    assert (counts["patients"], counts["refused"]) == (1, {"conflicting_patient": 1})
    assert the_patient().sex == "female"


def test_the_dead_are_dead(imported):
    imported(bundle(patient("a", deceasedDateTime="2026-02-01T00:00:00Z")))
    imported(bundle(patient("b", deceasedBoolean=True), panel("o1", 120, 80, who="Patient/b")))
    imported(bundle(patient("c", deceasedBoolean=False), panel("o2", 120, 80, who="Patient/c")))
    assert the_patient("a").died_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert the_patient("b").died_at == datetime(2026, 3, 1, 7, tzinfo=UTC)
    assert the_patient("c").died_at is None


def test_the_zone_is_the_one_handed_in_or_the_latest_offset(imported):
    two = (panel("o1", 120, 80, at="2026-03-01T08:00:00+01:00"), panel("o2", 120, 80, at="2026-07-01T08:00:00+02:00"))
    imported(bundle(patient(), *two))
    assert the_patient().zone == "Etc/GMT-2"
    assert set(BloodPressure.objects.values_list("zone", flat=True)) == {"Etc/GMT-1", "Etc/GMT-2"}
    imported(bundle(patient("q"), panel("o3", 120, 80, who="Patient/q")), zone="Europe/Berlin")
    assert the_patient("q").zone == "Europe/Berlin"


# Absent, impossible, equivocal


def test_absent_is_never_zero_and_a_lone_dangerous_value_is_escalated(imported):
    counts = imported(bundle(patient(), panel("o1", 205, "not-performed"), panel("o2", "unknown", "unknown")))
    assert pressures(counts) == (0, 2, 0)
    assert counts["danger"] == {"crisis": 1, "low": 0, "historic": 0}
    row = BloodPressure.objects.get(source_id="Observation/o1")
    assert (row.systolic, row.diastolic, row.absent_reason) == (205, None, "not-performed")
    alert = Alert.objects.get(kind="crisis")
    assert alert.unverified
    assert alert.pages


def test_a_component_nobody_can_read_is_absent_by_that_name_and_its_resource_is_kept(imported):
    resource = panel("o1", 205, 90)
    resource["component"][1] = component("8462-4", {"value": "ninety", "unit": "mmHg"})
    counts = imported(bundle(patient(), resource))
    assert (pressures(counts), counts["refused"], counts["danger"]["crisis"]) == ((0, 1, 0), {}, 1)
    assert BloodPressure.objects.get().absent_reason == "not_a_number"
    assert json.loads(ImportRefusal.objects.get().body)["id"] == "o1"


IMPOSSIBLE = [
    (11, 184, "systolic_not_above_diastolic", "crisis"),
    (80, 80, "systolic_not_above_diastolic", "low"),
    (2047, 80, "device_sentinel", None),
    (0, 0, "device_sentinel", None),
    (320, 100, "systolic_out_of_range", None),
    (-4, -80, "device_sentinel", None),
]


@pytest.mark.parametrize(("systolic", "diastolic", "name", "danger"), IMPOSSIBLE)
def test_impossible_values_go_to_quarantine_with_a_name(imported, systolic, diastolic, name, danger):
    counts = imported(bundle(patient(), panel("o1", systolic, diastolic)))
    assert pressures(counts) == (0, 0, 1)
    assert BloodPressure.objects.get().quarantined == name
    if danger:
        assert counts["danger"][danger] == 1
    if name == "device_sentinel":
        assert not Alert.objects.exists()


def test_more_than_a_number_is_quarantined_and_still_escalated(imported):
    counts = imported(bundle(patient(), panel("o1", mmhg(200, comparator=">"), 100)))
    assert (pressures(counts), counts["danger"]["crisis"]) == ((0, 0, 1), 1)
    assert BloodPressure.objects.get().quarantined == "not_exact"


def test_the_same_id_twice_is_one_reading_and_other_content_is_kept_beside_it(imported):
    counts = imported(bundle(patient(), panel("o1", 120, 80), panel("o1", 120, 80), panel("o1", 210, 80)))
    assert (pressures(counts), counts["unchanged"], counts["danger"]["crisis"]) == ((1, 0, 1), 1, 1)
    assert sorted(BloodPressure.objects.values_list("systolic", "quarantined")) == [
        (Decimal(120), ""),
        (Decimal(210), "equivocal"),
    ]
    again = imported(bundle(panel("o1", 210, 80)))
    assert (pressures(again), again["unchanged"]) == ((0, 0, 0), 1)


def test_a_heart_rate_that_comes_later_does_not_make_another_reading(imported):
    rate = {"value": 72, "system": UCUM, "code": "/min"}
    imported(bundle(patient(), panel("o1", 120, 80)))
    counts = imported(bundle(panel("o1", 120, 80), observation("r1", "8867-4", rate)))
    assert (pressures(counts), counts["unchanged"]) == ((0, 0, 0), 1)
    imported(bundle(panel("o2", 120, 80, at="2026-03-02T08:00:00Z")))
    assert set(BloodPressure.objects.values_list("quarantined", flat=True)) == {""}


def test_nothing_imported_titrates_by_itself(imported):
    imported(bundle(patient(), panel("o1", 120, 80), panel("o2", 120, 80, code="55284-4")))
    assert set(BloodPressure.objects.values_list("setting", "method", "device_validated")) == {
        ("office", "unknown", False)
    }


# Danger by time of measurement

AGES = [
    (timedelta(hours=24), "crisis", True),
    (timedelta(hours=25), "crisis", False),
    (timedelta(days=14), "crisis", False),
    (timedelta(days=14, minutes=1), "historic", False),
]


@pytest.mark.parametrize(("age", "counted", "pages"), AGES)
def test_a_reading_counts_by_when_it_was_measured(imported, age, counted, pages):
    taken = datetime(2026, 3, 1, 8, tzinfo=UTC)
    counts = imported(bundle(patient(), panel("o1", 200, 90, at=taken.isoformat())), now=(taken + age).isoformat())
    assert {kind for kind, n in counts["danger"].items() if n} == {counted}
    assert Alert.objects.filter(pages=True).exists() is pages
    assert Alert.objects.filter(same_day=True).exists() is (counted == "crisis" and not pages)


def test_by_default_the_latest_record_says_when(imported):
    old, recent = panel("o1", 200, 90, at="2020-01-01T08:00:00Z"), panel("o2", 85, 50, at="2026-03-01T08:00:00Z")
    assert imported(bundle(patient(), old, recent))["danger"] == {"crisis": 0, "low": 1, "historic": 1}


def test_a_replay_looks_at_each_reading_in_its_own_time(imported):
    old, recent = panel("o1", 200, 90, at="2020-01-01T08:00:00Z"), panel("o2", 85, 50, at="2026-03-01T08:00:00Z")
    counts = imported(bundle(patient(), recent, old), replay=True)
    assert counts["danger"] == {"crisis": 1, "low": 1, "historic": 0}
    raised = {alert.kind: alert.raised_at for alert in Alert.objects.filter(kind__in=("crisis", "low"))}
    assert raised == {"crisis": datetime(2020, 1, 1, 8, tzinfo=UTC), "low": datetime(2026, 3, 1, 8, tzinfo=UTC)}


def test_a_repeat_in_the_crisis_range_is_critical_in_a_replay(imported):
    two = [panel(f"o{n}", 200, 90, at=f"2020-01-01T08:0{5 * n}:00Z") for n in range(2)]
    imported(bundle(patient(), *two), replay=True)
    assert Alert.objects.get(kind="crisis").severity == "critical"


def test_a_day_without_an_hour_counts_as_recent_only_when_it_is(imported):
    imported(bundle(patient("a"), panel("o1", 200, 90, at="2026-03-01", who="Patient/a")), now="2026-03-02T20:00:00Z")
    assert Alert.objects.filter(pages=True, patient=the_patient("a")).exists()
    counts = imported(
        bundle(patient("b"), panel("o2", 200, 90, at="1999-07-02", who="Patient/b")), now="2026-03-02T20:00:00Z"
    )
    assert counts["danger"] == {"crisis": 0, "low": 0, "historic": 1}


def test_a_dangerous_potassium_is_escalated_when_recent(imported):
    mmol = {"system": UCUM, "code": "mmol/L", "unit": "mmol/L"}
    old = observation("k1", "2823-3", {"value": 6.4, **mmol}, at="2020-01-01T08:00:00Z")
    counts = imported(bundle(patient(), old, panel("o1", 120, 80)))
    assert (counts["labs"], Alert.objects.count()) == (1, 0)
    imported(bundle(observation("k2", "2823-3", {"value": 6.4, **mmol}, at="2026-03-01T09:00:00Z")))
    assert Alert.objects.get().kind == "dangerous_lab"
    assert Lab.objects.count() == 2
