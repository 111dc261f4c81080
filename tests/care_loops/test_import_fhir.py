"""Importing FHIR: what becomes of good files, bad files, the same files again, and what danger rules make of them."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from audit.selectors import count_entries
from care_loops.domain.record import ConditionKind, Pregnancy
from care_loops.fhir_r4.documents import documents
from care_loops.models import (
    Alert,
    Allergy,
    BloodPressure,
    Condition,
    ImportRefusal,
    ImportRun,
    ImportStage,
    Lab,
    Patient,
    RegimenEntry,
)
from care_loops.models.people import source_index
from care_loops.selectors.batches import content
from care_loops.selectors.record import facts
from care_loops.selectors.regimen import regimen_now
from care_loops.services.imports import Import, import_fhir
from governance.services.acting import acting_job
from tests.care_loops.fhir_cases import (
    RXNORM,
    SNOMED,
    UCUM,
    bundle,
    component,
    concept,
    condition,
    daily,
    mmhg,
    observation,
    order,
    panel,
    patient,
    write,
)

pytestmark = pytest.mark.django_db

LISINOPRIL_10, LISINOPRIL_20 = (RXNORM, "314076"), (RXNORM, "314077")
NDC = ("http://hl7.org/fhir/sid/ndc", "51079030020")
LATER = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def imported(tmp_path):
    """A function from documents to the counts of importing them, each in a file of its own."""
    numbers = iter(range(1000))

    def run(*items, name="f{n}.json", **options):
        paths = [str(write(tmp_path, name.format(n=next(numbers)), item)) for item in items]
        out = StringIO()
        call_command("import_fhir", *paths, json=True, stdout=out, **options)
        return json.loads(out.getvalue())

    return run


def pressures(counts):
    return tuple(counts["blood_pressure"].values())


def the_patient(key="p1"):
    return Patient.objects.get(source_index=source_index(key))


def regimen(key="p1"):
    return regimen_now(the_patient(key), now=LATER)


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


def test_what_was_entered_in_error_is_kept_and_alarms_nobody(imported):
    counts = imported(bundle(patient(), panel("o1", 220, 130, status="entered-in-error")))
    assert (pressures(counts), counts["danger"]["crisis"]) == ((1, 0, 0), 0)
    assert not Alert.objects.exists()


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


# Medication


def test_a_known_order_with_its_dose_is_the_regimen(imported):
    counts = imported(bundle(patient(), order("m1", LISINOPRIL_10, dosageInstruction=daily(1, unit="{tablet}"))))
    assert counts["medications"] == {"known": 1, "unknown": 0}
    found = regimen()
    assert found.fully_known
    assert [(d.ingredient, d.daily_dose.value, d.product) for d in found.drugs] == [("29046", 10, "314076")]
    assert RegimenEntry.objects.get().step_index is not None


def test_an_unknown_code_makes_the_regimen_not_fully_known(imported):
    counts = imported(bundle(patient(), order("m1", NDC, medicationCodeableConcept=None)))
    assert counts["medications"] == {"known": 0, "unknown": 1}
    assert not regimen().fully_known
    named = order("m2", NDC, who="Patient/b")
    named["medicationCodeableConcept"]["text"] = "Lisinopril 10 MG Oral Tablet"
    imported(bundle(patient("b"), named))
    assert regimen("b").unknown == ("unknown_code: Lisinopril 10 MG Oral Tablet",)


def test_one_unknown_code_among_several_is_unknown(imported):
    counts = imported(bundle(patient(), order("m1", (RXNORM, "29046"), (RXNORM, "99999999"))))
    assert counts["medications"] == {"known": 0, "unknown": 1}
    assert imported(bundle(order("m2", (RXNORM, "29046"), (RXNORM, "17767"))))["medications"]["unknown"] == 1


def test_a_dose_that_is_not_stated_keeps_the_regimen_from_being_known(imported):
    counts = imported(bundle(patient(), order("m1", LISINOPRIL_10)))
    assert counts["medications"] == {"known": 1, "unknown": 0}
    assert regimen().unknown == ("dose_not_stated: lisinopril",)


@pytest.mark.parametrize("status", ["stopped", "completed", "cancelled"])
def test_what_has_ended_leaves_the_regimen_known(imported, status):
    imported(bundle(patient(), order("m1", NDC, status=status), order("m2", LISINOPRIL_10, status=status)))
    assert regimen().fully_known
    assert regimen().drugs == ()


@pytest.mark.parametrize("status", ["on-hold", "unknown", ""])
def test_what_nobody_can_say_is_not_known(imported, status):
    imported(bundle(patient(), order("m1", LISINOPRIL_10, status=status, dosageInstruction=daily(10))))
    assert not regimen().fully_known


def test_an_order_that_ended_later_does_not_end_the_one_that_runs(imported):
    runs = order("m1", LISINOPRIL_10, at="2025-01-01T08:00:00Z", dosageInstruction=daily(10))
    ended = order("m2", LISINOPRIL_20, at="2026-01-01T08:00:00Z", status="stopped")
    imported(bundle(patient(), runs, ended))
    assert [(d.ingredient, d.daily_dose.value) for d in regimen().drugs] == [("29046", 10)]
    imported(bundle(order("m3", LISINOPRIL_20, at="2026-02-01T08:00:00Z", status="stopped")))
    assert [(d.ingredient, d.daily_dose.value) for d in regimen().drugs] == [("29046", 10)]


def test_two_running_orders_of_one_drug_that_differ_make_it_doubtful(imported):
    ten = order("m1", LISINOPRIL_10, at="2025-01-01T08:00:00Z", dosageInstruction=daily(10))
    twenty = order("m2", LISINOPRIL_20, at="2024-01-01T08:00:00Z", dosageInstruction=daily(20))
    imported(bundle(patient("a"), ten | {"subject": {"reference": "Patient/a"}, "id": "x"}))
    imported(bundle(twenty | {"subject": {"reference": "Patient/a"}, "id": "y"}))
    assert not regimen("a").fully_known
    imported(bundle(patient(), ten, twenty))
    assert regimen().unknown == ("several_active_orders: lisinopril",)


def test_two_running_orders_that_say_the_same_are_a_renewal(imported):
    imported(
        bundle(
            patient(),
            order("m1", LISINOPRIL_10, at="2025-01-01T08:00:00Z", dosageInstruction=daily(10)),
            order("m2", LISINOPRIL_10, at="2026-01-01T08:00:00Z", dosageInstruction=daily(10)),
        )
    )
    assert regimen().fully_known
    assert len(regimen().drugs) == 1


def test_an_order_that_was_stopped_since_is_stopped(imported):
    runs = order("m1", LISINOPRIL_10, dosageInstruction=daily(10))
    imported(bundle(patient(), runs))
    counts = imported(bundle(runs | {"status": "stopped"}))
    assert (counts["medications"]["known"], counts["unchanged"]) == (1, 0)
    assert regimen().drugs == ()
    assert imported(bundle(runs | {"status": "stopped"}))["unchanged"] == 1


def test_a_statement_of_what_is_taken_counts_like_an_order(imported):
    statement = {
        "resourceType": "MedicationStatement",
        "id": "s1",
        "status": "active",
        "subject": {"reference": "Patient/p1"},
        "effectivePeriod": {"start": "2026-01-01T08:00:00Z"},
        "medicationCodeableConcept": concept(RXNORM, "314076"),
        "dosage": daily(10),
    }
    imported(bundle(patient(), statement))
    assert [(d.ingredient, d.daily_dose.value) for d in regimen().drugs] == [("29046", 10)]


# Conditions and allergies


def test_one_code_may_tell_two_things_and_an_unread_one_is_kept(imported):
    imported(bundle(patient(), condition("c1", SNOMED, "127013003"), condition("c2", SNOMED, "444814009")))
    found = facts(the_patient(), now=LATER)
    assert set(found.conditions) == {ConditionKind.CKD, ConditionKind.DIABETES}
    assert Condition.objects.get(source_id="Condition/c2").kind == ""


def test_icd_codes_are_read_with_and_without_their_dot(imported):
    icd = "http://hl7.org/fhir/sid/icd-10-cm"
    imported(bundle(patient(), condition("c1", icd, "E11.22", status=None), condition("c2", icd, "I10", status=None)))
    found = set(facts(the_patient(), now=LATER).conditions)
    assert found == {ConditionKind.CKD, ConditionKind.DIABETES, ConditionKind.HYPERTENSION}


PREGNANT = [
    ({"onset": "2026-10-01T00:00:00Z"}, Pregnancy.PREGNANT),
    ({"onset": "2026-10-01T00:00:00Z", "status": None}, Pregnancy.PREGNANT),
    ({"onset": "2025-10-01T00:00:00Z"}, Pregnancy.PREGNANT),  # its source calls it active still (C13)
    ({"onset": "2025-10-01T00:00:00Z", "status": None}, Pregnancy.NOT_PREGNANT),
    ({"onset": "2026-03-01", "status": "resolved", "abatementDateTime": "2026-11-15"}, Pregnancy.POSTPARTUM),
    ({"onset": "2020-03-01", "status": "resolved", "abatementDateTime": "2020-11-15"}, Pregnancy.NOT_PREGNANT),
]


@pytest.mark.parametrize(("said", "meant"), PREGNANT)
def test_a_pregnancy_is_known_while_it_lasts_and_six_weeks_after(imported, said, meant):
    earlier = condition("c0", SNOMED, "72892002", status="resolved", onset="2010-01-01", abatementDateTime="2010-09-01")
    imported(bundle(patient(), condition("c1", SNOMED, "72892002", **said), earlier))
    assert facts(the_patient(), now=LATER).pregnancy is meant


def test_an_ace_inhibitor_in_pregnancy_raises_an_alert(imported):
    imported(
        bundle(
            patient(),
            condition("c1", SNOMED, "72892002", onset="2026-02-01T00:00:00Z"),
            order("m1", LISINOPRIL_10, dosageInstruction=daily(10)),
            panel("o1", 120, 80),
        )
    )
    assert Alert.objects.filter(kind="pregnancy_drug").exists()


def test_an_allergy_to_a_known_drug_is_to_its_ingredient(imported):
    allergy = {
        "resourceType": "AllergyIntolerance",
        "id": "a1",
        "patient": {"reference": "Patient/p1"},
        "code": concept(RXNORM, "29046"),
    }
    imported(bundle(patient(), allergy))
    imported(bundle(allergy))
    assert Allergy.objects.get().ingredient == "29046"
    assert facts(the_patient(), now=LATER).allergies == ("29046",)


# The run as a whole


def test_an_import_that_breaks_off_leaves_whole_patients_and_can_be_run_again(tmp_path):
    people = [bundle(patient(f"p{n}"), panel(f"o{n}", 120, 80, who=f"Patient/p{n}")) for n in range(4)]
    paths = [write(tmp_path, f"{n}.json", each) for n, each in enumerate(people)]

    def read():
        for path in paths:
            with path.open("rb") as stream:
                yield from documents(path.name, stream)

    def broken(stage, done, _):
        if (stage, done) == ("patient", 2):
            raise KeyboardInterrupt

    how, by = Import(source_system="fhir"), acting_job("import_fhir", "1")
    with pytest.raises(KeyboardInterrupt):
        import_fhir(read, how, by=by, now=LATER, progress=broken)
    assert (Patient.objects.count(), BloodPressure.objects.count()) == (2, 2)
    counts = import_fhir(read, how, by=by, now=LATER, progress=lambda *_: None)
    assert (counts.patients, counts.stored, counts.unchanged) == (4, 4, 0)  # of the whole run, as if never broken
    assert ImportRun.objects.count() == 1
    stages = list(ImportStage.objects.order_by("pk").values_list("stage", "place"))
    assert stages == [
        *(("read", 0), ("mapped", 0), ("quarantined", 0)),
        *(("patient", 1), ("patient", 2), ("patient", 3), ("patient", 4), ("finished", 0)),
    ]
    in_one_go = Import(source_system="in one go")
    import_fhir(read, in_one_go, by=by, now=LATER, progress=lambda *_: None)
    assert content_of("fhir") == content_of("in one go")
    once, other = ImportStage.objects.filter(stage="finished").values_list("counts", flat=True)
    assert once == other  # counts and the digest of the content
    again = import_fhir(read, how, by=by, now=LATER, progress=lambda *_: None)
    assert (again.patients, again.unchanged, ImportRun.objects.count()) == (0, 8, 3)
    changed = bundle(patient("p0"), panel("o0", 121, 80, who="Patient/p0"))
    write(tmp_path, "0.json", changed)
    import_fhir(read, how, by=by, now=LATER, progress=lambda *_: None)
    newest = ImportStage.objects.filter(stage="finished").order_by("-pk").first()
    assert newest.counts["content"] != once["content"]


class BrokenPipe(StringIO):
    """A terminal that goes away once, in the middle of an import."""

    gone = False

    def write(self, text: str) -> int:
        if "1 of 3" in text and not self.gone:
            self.gone = True
            raise BrokenPipeError
        return super().write(text)


def test_a_broken_import_says_at_which_stage_and_where_it_goes_on(tmp_path):
    people = [bundle(patient(f"p{n}"), panel(f"o{n}", 120, 80, who=f"Patient/p{n}")) for n in range(3)]
    paths = [str(write(tmp_path, f"{n}.json", each)) for n, each in enumerate(people)]
    said = BrokenPipe()
    with pytest.raises(BrokenPipeError):
        call_command("import_fhir", *paths, stdout=StringIO(), stderr=said, progress=True)
    assert "Mapped: 3 patients" in said.getvalue()
    assert "after patient 1 of 3. Run it again: it goes on with patient 2." in said.getvalue()
    assert (Patient.objects.count(), ImportStage.objects.filter(stage="finished").exists()) == (1, False)
    call_command("import_fhir", *paths, stdout=StringIO(), stderr=said)
    places = ImportStage.objects.filter(stage="patient").values_list("place", flat=True)
    assert (sorted(places), ImportRun.objects.count(), Patient.objects.count()) == ([1, 2, 3], 1, 3)
    assert ImportStage.objects.filter(stage="finished").count() == 1


def content_of(source: str) -> str:
    """SHA-256 over what was stored from a source, without the names the rows got here."""
    rows = BloodPressure.objects.filter(source_system=source).select_related("patient").order_by("source_id")
    said = [(row.source_id, row.patient.source_id, sorted(content(row).items())) for row in rows]
    assert said
    return sha256(json.dumps(said).encode()).hexdigest()


def test_there_is_one_entry_for_a_patient_and_a_kind_of_evidence(imported):
    before = count_entries()
    imported(
        bundle(
            patient(),
            *[panel(f"o{n}", 120, 80, at=f"2026-03-{n + 1:02}T08:00:00Z") for n in range(20)],
            *[order(f"m{n}", NDC, status="stopped") for n in range(20)],
            *[condition(f"c{n}", SNOMED, "38341003") for n in range(20)],
        )
    )
    started, enrolled, conditions, lines, readings, done, finished = range(7)
    assert count_entries() - before == len((started, enrolled, conditions, lines, readings, done, finished))


def test_two_systems_may_use_the_same_ids(imported):
    whole = bundle(patient(), panel("o1", 120, 80))
    imported(whole, source="north")
    assert imported(whole, source="south")["patients"] == 1
    assert BloodPressure.objects.count() == 2


def test_folders_are_searched_and_other_files_left_alone(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    write(tmp_path / "a", "Patient.ndjson.gz", [patient()])
    write(inner, "Observation.NDJSON", [panel("o1", 120, 80)])
    (inner / "README.md").write_text("not FHIR")
    (inner / ".hidden.json").write_text("not FHIR")
    out = StringIO()
    call_command("import_fhir", str(tmp_path), json=True, stdout=out)
    counts = json.loads(out.getvalue())
    assert (counts["patients"], pressures(counts), counts["refused"]) == (1, (1, 0, 0), {})


@pytest.mark.parametrize(
    "options", [{"now": "tomorrow"}, {"now": "2026-01-01T00:00:00"}, {"zone": "Mars/Olympus"}, {"zone": "../etc"}]
)
def test_an_option_that_cannot_be_read_is_said_and_nothing_is_done(imported, options):
    with pytest.raises(CommandError):
        imported(bundle(patient()), **options)
    assert not Patient.objects.exists()


def test_a_path_that_does_not_exist_is_a_mistake():
    with pytest.raises(CommandError, match="no such file"):
        call_command("import_fhir", "/nowhere/at/all.json")


def test_people_read_words(tmp_path):
    out = StringIO()
    call_command("import_fhir", str(write(tmp_path, "a.json", bundle(patient(), panel("o1", 120, 80)))), stdout=out)
    assert "Blood pressures: 1 stored, 0 absent, 0 quarantined" in out.getvalue()
