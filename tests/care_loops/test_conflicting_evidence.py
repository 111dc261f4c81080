"""Other content under a known source id is kept beside the first and named, whatever it is of (N9)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from audit.selectors import payload_of
from care_loops.domain.record import ConditionKind, DrugClass, LabKind, Pregnancy
from care_loops.models import Alert, Allergy, Condition, Lab, RegimenEntry
from care_loops.selectors.record import facts
from care_loops.selectors.regimen import regimen_now
from care_loops.services import (
    NewAllergy,
    NewCondition,
    NewLab,
    NewRegimenEntry,
    record_allergy,
    record_condition,
    record_lab,
    record_regimen_entry,
)
from tests.care_loops.standing import commits, hospital, site  # noqa: F401
from tests.factories import LISINOPRIL, NOW, job

CONDITION = NewCondition(
    *("ehr", "c-1", ConditionKind.COPD, "snomed", "13645005", "COPD"),
    pregnancy=False,
    onset_at=NOW,
    abated_at=None,
    active=True,
)
ALLERGY = NewAllergy("ehr", "a-1", LISINOPRIL, "rxnorm", LISINOPRIL, "lisinopril", active=True)
LAB = NewLab("ehr", "l-1", LabKind.POTASSIUM, Decimal("4.2"), "4.2", "mmol/L", NOW)
LINE = NewRegimenEntry(
    *("ehr", "m-1", LISINOPRIL, "lisinopril", DrugClass.ACE_INHIBITOR, "314076", Decimal(10), 1, False),
    *(NOW - timedelta(days=50), "", "rxnorm", "314076"),
)


@pytest.mark.parametrize(
    ("record", "first", "other", "table"),
    [
        (record_condition, CONDITION, replace(CONDITION, active=False, abated_at=NOW), Condition),
        (record_allergy, ALLERGY, replace(ALLERGY, ingredient="17767", code="17767"), Allergy),
        (record_lab, LAB, replace(LAB, value=Decimal("5.2")), Lab),
        (record_regimen_entry, LINE, replace(LINE, daily_dose_mg=Decimal(20), step_index=2), RegimenEntry),
    ],
)
def test_it_is_kept_beside_named_once_and_the_first_stays(hospital, record, first, other, table):  # noqa: F811
    patient = hospital.patient()
    one = record(patient.pk, first, by=job(), now=NOW)
    assert not record(patient.pk, first, by=job(), now=NOW).conflict
    two = record(patient.pk, other, by=job(), now=NOW)
    assert (two.new, two.conflict) == (True, True)
    again = record(patient.pk, other, by=job(), now=NOW)
    assert (again.new, again.conflict, again.row_id) == (False, True, two.row_id)
    rows = table.objects.filter(patient=patient, source_system="ehr")
    assert {row.pk for row in rows} == {one.row_id, two.row_id}
    said = payload_of(rows.get(pk=two.row_id).entry)
    assert (said["problem"], said["beside"]) == ("conflicting_content", first.source_id)
    assert "problem" not in payload_of(rows.get(pk=one.row_id).entry)
    commits()


def test_a_pregnancy_under_a_known_id_speaks_to_the_danger_rules(hospital):  # noqa: F811
    patient = hospital.patient()
    hospital.takes(patient, LISINOPRIL, "10", since=NOW - timedelta(days=90))
    record_condition(patient.pk, CONDITION, by=job(), now=NOW)
    pregnant = replace(CONDITION, kind=None, code="77386006", display="Pregnant", pregnancy=True)
    record_condition(patient.pk, pregnant, by=job(), now=NOW)
    assert facts(patient, now=NOW).pregnancy is Pregnancy.PREGNANT
    assert Alert.objects.filter(patient=patient, kind="pregnancy_drug").exists()


def test_a_line_in_conflict_makes_the_regimen_not_fully_known_until_a_later_word(hospital):  # noqa: F811
    patient = hospital.patient()
    record_regimen_entry(patient.pk, LINE, by=job(), now=NOW - timedelta(days=40))
    for earlier in (LINE.starts_at - timedelta(days=5), LINE.starts_at + timedelta(days=5)):
        other = replace(LINE, daily_dose_mg=Decimal(20), step_index=2, starts_at=earlier)
        record_regimen_entry(patient.pk, other, by=job(), now=NOW - timedelta(days=30))
        assert not regimen_now(patient, now=NOW).fully_known
    settled = replace(LINE, source_id="m-2", starts_at=NOW - timedelta(days=20))
    record_regimen_entry(patient.pk, settled, by=job(), now=NOW - timedelta(days=20))
    known = regimen_now(patient, now=NOW)
    assert (known.fully_known, [d.daily_dose.value for d in known.drugs]) == (True, [10])
