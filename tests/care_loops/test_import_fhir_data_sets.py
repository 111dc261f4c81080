"""The real data sets: every blood pressure is counted, none invented; every dangerous one is escalated in a replay.

The counter here reads the files with `json` alone. It knows nothing of the importer.
"""

import gzip
import json
from collections import Counter
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from care_loops.domain.record import ConditionKind
from care_loops.models import Alert, AlertEvent, BloodPressure, Condition, ImportRefusal, Lab, Patient, RegimenEntry
from tests.care_loops.clinic import data_set

RECORDS = ("fhir_synthea_htn", "fhir_synthea_recent", "fhir_mimic_iv_demo")
EXAMPLES = ("fhir_us_core", "fhir_smbp_ig")
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


@pytest.mark.parametrize("name", RECORDS)
def test_every_pressure_and_everything_else_is_counted_and_none_invented(name):
    folder = data_set(name)
    sent = list(panels(folder))

    counts = imported(folder)

    pressure = counts["blood_pressure"]
    assert sum(pressure.values()) == len(sent) == BloodPressure.objects.count()
    assert pressure["absent"] == sum(None in pair for pair in sent)
    assert pressure["quarantined"] == BloodPressure.objects.exclude(quarantined="").count()
    assert pressure["quarantined"] >= sum(None not in pair and pair[0] <= pair[1] for pair in sent)
    stored = BloodPressure.objects.values_list("systolic", "diastolic")
    assert Counter(map(_four_places, sent)) == Counter(map(_four_places, stored))
    _check_the_rest(folder, counts)
    _check_history_pages_nobody(counts, sent)
    _check_again(folder, counts)


def _four_places(pair):
    return tuple(None if v is None else Decimal(v).quantize(Decimal("0.0001"), ROUND_HALF_UP) for v in pair)


def _check_the_rest(folder, counts):
    sent = Counter(r["resourceType"] for r in resources(folder))
    labs = sum(r["resourceType"] == "Observation" and r["code"]["coding"][0]["code"] in LABS for r in resources(folder))
    assert counts["refused"] == {}
    assert counts["patients"] == sent["Patient"] == Patient.objects.count()
    medications = sent["MedicationRequest"] + sent["MedicationStatement"]
    assert sum(counts["medications"].values()) == medications == RegimenEntry.objects.count()
    assert counts["labs"] == labs == Lab.objects.count()
    conditions = {each.partition("#")[0] for each in Condition.objects.values_list("source_id", flat=True)}
    assert len(conditions) == sent["Condition"]


def _check_history_pages_nobody(counts, sent):
    assert sum(counts["danger"].values()) == sum(any(is_dangerous(*each)) for each in sent)
    last = {p.pk: p.enrolled_at for p in Patient.objects.all()}  # an import enrols as of the latest record
    for alert in Alert.objects.filter(pages=True):
        assert last[alert.patient_id] - alert.measured_at <= timedelta(hours=24)


def _check_again(folder, first):
    tables = (Patient, BloodPressure, RegimenEntry, Lab, Condition, Alert, AlertEvent, ImportRefusal)
    held = [table.objects.count() for table in tables]
    again = imported(folder)
    assert [table.objects.count() for table in tables] == held
    pressure, medications = first["blood_pressure"].values(), first["medications"].values()
    assert again["unchanged"] == first["patients"] + sum(pressure) + sum(medications) + first["labs"]
    assert again["refused"] == first["refused"]
    for key in ("blood_pressure", "medications", "danger"):
        assert set(again[key].values()) == {0}
    assert (again["patients"], again["labs"]) == (0, 0)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_without_their_patient_are_refused_by_that_name_and_kept(name):
    folder = data_set(name)
    counts = imported(folder)
    assert set(counts["blood_pressure"].values()) == {0}
    kept = ImportRefusal.objects.filter(reason="unknown_patient", body__contains='"85354-9"')
    assert kept.count() == len(list(panels(folder))) > 0
    assert counts["refused"]["unknown_patient"] == ImportRefusal.objects.count()


@pytest.mark.parametrize("name", RECORDS)
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


def test_codes_of_the_emergency_department_are_never_guessed():
    counts = imported(data_set("fhir_mimic_iv_demo"), data_set("fhir_synthea_recent"))
    assert counts["medications"]["unknown"] > 9000
    real = RegimenEntry.objects.filter(patient__synthetic=False)
    assert not real.filter(known=True).exists()
    assert not real.exclude(ingredient="").exists()
    systems = Condition.objects.filter(kind=ConditionKind.HYPERTENSION.value).values_list("code_system", flat=True)
    assert {s.rsplit("/", 1)[-1] for s in systems} == {"mimic-diagnosis-icd9", "mimic-diagnosis-icd10"}
    assert Patient.objects.filter(synthetic=True).count() == 7
    assert Patient.objects.filter(synthetic=False).count() == 50
