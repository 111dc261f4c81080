"""Coded conditions: SNOMED CT and ICD codes, and what they tell the rules."""

from __future__ import annotations

import pytest

from care_loops.conditions import CodedCondition, CodeSystem, Told, recognise
from care_loops.domain.provenance import Mark, Source
from care_loops.domain.record import Pregnancy
from care_loops.pathways.hypertension.tables_therapy import coded_conditions

SCT = "http://snomed.info/sct"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
ICD9 = "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-diagnosis-icd9"

CODES = [
    (SCT, "38341003", {"hypertension"}),
    (SCT, "127013003", {"diabetes", "chronic_kidney_disease"}),
    (SCT, "233678006", {"asthma"}),
    (ICD10, "I48.91", {"atrial_fibrillation"}),
    (ICD10, "I4891", {"atrial_fibrillation"}),
    (ICD10, "N18.6", {"chronic_kidney_disease", "dialysis_or_esrd"}),
    (ICD10, "N18.3", {"chronic_kidney_disease"}),
    (ICD9, "42731", {"atrial_fibrillation"}),
    (ICD9, "40390", {"hypertension", "chronic_kidney_disease"}),
    (ICD9, "49390", {"asthma"}),
]


@pytest.mark.parametrize(("system", "code", "conditions"), CODES)
def test_a_code_tells_its_conditions(system, code, conditions):
    told = recognise(system, code, coded_conditions())
    assert told is not None
    assert ({kind.value for kind in told.conditions}, told.pregnancy) == (conditions, None)


@pytest.mark.parametrize(
    ("system", "code", "pregnancy"),
    [
        (SCT, "72892002", Pregnancy.PREGNANT),
        (ICD10, "O14.10", Pregnancy.PREGNANT),
        (ICD10, "Z34.90", Pregnancy.PREGNANT),
        (ICD9, "64303", Pregnancy.PREGNANT),
        (ICD9, "V242", Pregnancy.POSTPARTUM),
        (SCT, "19169002", Pregnancy.POSTPARTUM),
    ],
)
def test_codes_of_pregnancy(system, code, pregnancy):
    assert recognise(system, code, coded_conditions()) == Told((), pregnancy)


@pytest.mark.parametrize(
    ("system", "code"), [(SCT, "444814009"), ("urn:other", "38341003"), (SCT, "3834100"), (ICD9, "I10")]
)
def test_a_code_on_no_row_tells_nothing(system, code):
    assert recognise(system, code, coded_conditions()) is None


def test_a_row_tells_one_thing():
    source = Source("c", Mark.PROPOSAL)
    with pytest.raises(ValueError, match="one condition or"):
        CodedCondition(CodeSystem.SNOMED, "1", prefix=False, condition=None, pregnancy=None, source=source)


def test_each_row_says_something_no_other_row_says():
    rows = [(row.system, row.code, row.condition, row.pregnancy) for row in coded_conditions()]
    assert len(rows) == len(set(rows))
