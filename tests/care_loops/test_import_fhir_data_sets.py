"""The real data sets: every blood pressure is counted, none invented; every dangerous one is escalated in a replay.

The counter here reads the files with `json` alone. It knows nothing of the importer.
"""

import gzip
import json
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from care_loops.domain.record import ConditionKind
from care_loops.models import Alert, AlertEvent, BloodPressure, Condition, ImportRefusal, Lab, Patient, RegimenEntry
from tests.care_loops.clinic import data_set

SETS = ("fhir_synthea_htn", "fhir_synthea_recent", "fhir_mimic_iv_demo", "fhir_us_core", "fhir_smbp_ig")
PANELS = {"85354-9", "55284-4"}
LABS = {"2823-3", "6298-4", "2951-2", "2947-0", "2160-0", "38483-4", "33914-3", "98979-8", "9318-7", "14959-1"}

pytestmark = pytest.mark.django_db


def resources(folder: Path):
    for path in sorted(folder.rglob("*.json*")) + sorted(folder.rglob("*.ndjson*")):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for text in data.splitlines() if ".ndjson" in path.name else [data]:
            document = json.loads(text, parse_float=Decimal)
            if document["resourceType"] == "Bundle":
                yield from (entry["resource"] for entry in document["entry"])
            else:
                yield document


def panels(folder):
    """(systolic, diastolic) of every panel, as written; `None` where there is no value."""
    for resource in resources(folder):
        if resource["resourceType"] == "Observation" and resource["code"]["coding"][0]["code"] in PANELS:
            said = {
                c["code"]["coding"][0]["code"]: c.get("valueQuantity", {}).get("value") for c in resource["component"]
            }
            yield said.get("8480-6"), said.get("8462-4")


def is_dangerous(systolic, diastolic):
    """CLINICAL 1.3 C1 and C7, per component."""
    high = (systolic is not None and systolic >= 180) or (diastolic is not None and diastolic >= 120)
    low = (systolic is not None and systolic < 90) or (diastolic is not None and diastolic < 60)
    return high, low


def imported(*paths, **options):
    out = StringIO()
    call_command("import_fhir", *map(str, paths), json=True, stdout=out, **options)
    return json.loads(out.getvalue())


@pytest.mark.parametrize("name", SETS)
def test_every_pressure_is_counted_and_none_invented(name):
    folder = data_set(name)
    sent = list(panels(folder))
    lacking = sum(systolic is None or diastolic is None for systolic, diastolic in sent)
    upside_down = sum(None not in (s, d) and s <= d for s, d in sent)
    orphans = name in {"fhir_us_core", "fhir_smbp_ig"}  # examples without their patient

    counts = imported(folder)

    pressure = counts["blood_pressure"]
    kept = ImportRefusal.objects.filter(reason="unknown_patient", body__contains='"85354-9"').count()
    assert sum(pressure.values()) + kept == len(sent)
    assert BloodPressure.objects.count() == sum(pressure.values())
    assert kept == (len(sent) if orphans else 0)
    assert pressure["absent"] == (0 if orphans else lacking)
    assert pressure["quarantined"] >= upside_down
    if not orphans:
        stored = BloodPressure.objects.values_list("systolic", "diastolic")
        assert Counter(map(_four_places, sent)) == Counter(map(_four_places, stored))


def _four_places(pair):
    return tuple(None if v is None else Decimal(v).quantize(Decimal("0.0001"), ROUND_HALF_UP) for v in pair)


@pytest.mark.parametrize("name", SETS[:3])
def test_everything_else_is_counted_too(name):
    folder = data_set(name)
    sent = Counter(r["resourceType"] for r in resources(folder))
    labs = sum(r["resourceType"] == "Observation" and r["code"]["coding"][0]["code"] in LABS for r in resources(folder))

    counts = imported(folder)

    assert counts["refused"] == {}
    assert counts["patients"] == sent["Patient"] == Patient.objects.count()
    medications = sent["MedicationRequest"] + sent["MedicationStatement"]
    assert sum(counts["medications"].values()) == medications == RegimenEntry.objects.count()
    assert counts["labs"] == labs == Lab.objects.count()
    assert Condition.objects.filter(source_id__startswith="Condition/").values("source_id").count() >= sent["Condition"]


@pytest.mark.parametrize("name", SETS)
def test_importing_twice_changes_nothing(name):
    folder = data_set(name)
    first = imported(folder)
    tables = (Patient, BloodPressure, RegimenEntry, Lab, Condition, Alert, AlertEvent, ImportRefusal)
    held = [table.objects.count() for table in tables]

    again = imported(folder)

    assert [table.objects.count() for table in tables] == held
    pressure, medications = first["blood_pressure"].values(), first["medications"].values()
    assert again["unchanged"] == first["patients"] + sum(pressure) + sum(medications) + first["labs"]
    assert again["refused"] == first["refused"]
    assert all(not any(_numbers(again[key])) for key in ("patients", "blood_pressure", "medications", "labs", "danger"))


def _numbers(value):
    return list(value.values()) if isinstance(value, dict) else [value]


@pytest.mark.parametrize("name", SETS[:3])
def test_every_dangerous_reading_is_escalated_in_a_replay(name):
    folder = data_set(name)
    expected = Counter(is_dangerous(*each) for each in panels(folder))
    dangerous = sum(n for kinds, n in expected.items() if any(kinds))

    counts = imported(folder, replay=True)

    danger = counts["danger"]
    assert danger["historic"] == 0
    assert danger["crisis"] == sum(n for (high, _), n in expected.items() if high)
    assert danger["crisis"] + danger["low"] == dangerous
    evidence = set(AlertEvent.objects.values_list("evidence", flat=True))
    unheard = [
        (row.systolic, row.diastolic)
        for row in BloodPressure.objects.all()
        if any(is_dangerous(row.systolic, row.diastolic)) and str(row.pk) not in evidence
    ]
    assert unheard == []


@pytest.mark.parametrize("name", SETS[:3])
def test_history_pages_nobody(name):
    folder = data_set(name)
    expected = sum(any(is_dangerous(*each)) for each in panels(folder))

    counts = imported(folder)

    assert sum(counts["danger"].values()) == expected
    assert counts["danger"]["historic"] > 0 or not expected
    last = {p.pk: p.enrolled_at for p in Patient.objects.all()}  # an import enrols as of the latest record
    for alert in Alert.objects.filter(pages=True):
        assert (last[alert.patient_id] - alert.measured_at).total_seconds() <= 24 * 3600


def test_codes_of_the_emergency_department_are_never_guessed():
    counts = imported(data_set("fhir_mimic_iv_demo"))
    assert counts["medications"]["known"] == 0
    assert not RegimenEntry.objects.filter(known=True).exists()
    assert not RegimenEntry.objects.exclude(ingredient="").exists()


def test_diagnoses_are_read_from_three_code_systems():
    imported(data_set("fhir_mimic_iv_demo"), data_set("fhir_synthea_htn"))
    systems = Condition.objects.filter(kind=ConditionKind.HYPERTENSION.value).values_list("code_system", flat=True)
    assert {system.rsplit("/", 1)[-1] for system in systems} == {
        "mimic-diagnosis-icd9",
        "mimic-diagnosis-icd10",
        "sct",
    }


def test_synthetic_people_are_labelled_and_real_ones_are_not():
    imported(data_set("fhir_mimic_iv_demo"), data_set("fhir_synthea_recent"))
    assert Patient.objects.filter(synthetic=True).count() == 7
    assert Patient.objects.filter(synthetic=False).count() == 50
