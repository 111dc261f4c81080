"""Reading FHIR: results, medicines and people, each as it was said or refused by name."""

from decimal import Decimal

import pytest

from care_loops.domain.record import LabKind, Sex
from care_loops.fhir_r4.documents import Found
from care_loops.fhir_r4.medications import daily_mg
from care_loops.fhir_r4.reader import index
from care_loops.fhir_r4.resources import Taking
from care_loops.fhir_r4.values import Refused
from tests.care_loops.fhir_cases import RXNORM, SNOMED, UCUM, concept, condition, daily, observation, order, patient
from tests.care_loops.fhir_reading import CONTEXT, read

# Laboratory results

LABS = [
    ("2823-3", 4.9, "mmol/L", LabKind.POTASSIUM, "4.9"),
    ("6298-4", 4.9, "meq/L", LabKind.POTASSIUM, "4.9"),
    ("2947-0", 140, "mmol/L", LabKind.SODIUM, "140"),
    ("38483-4", 1.0, "mg/dL", LabKind.CREATININE, "88.42"),
    ("2160-0", 90, "umol/L", LabKind.CREATININE, "90"),
    ("33914-3", 61, "mL/min", LabKind.EGFR, "61"),
    ("98979-8", 61, "mL/min/{1.73_m2}", LabKind.EGFR, "61"),
    ("14959-1", 100, "mg/g", LabKind.UACR, "11.312"),
]


@pytest.mark.parametrize(("code", "value", "unit", "kind", "ours"), LABS)
def test_a_result_comes_in_our_unit_with_what_was_sent(code, value, unit, kind, ours):
    found = read(observation("o1", code, {"value": value, "unit": unit, "system": UCUM, "code": unit}))
    assert (found.kind, found.value) == (kind, Decimal(ours))
    assert (Decimal(found.sent_value), found.sent_unit) == (Decimal(str(value)), unit)


BAD_LABS = [
    ({"value": 5.0, "unit": "mg/dL", "system": UCUM, "code": "mg/dL"}, "unknown_unit"),
    ({"value": 5.0}, "no_unit"),
    ({"value": 5.0, "comparator": ">", "system": UCUM, "code": "mmol/L"}, "not_exact"),
    ({"value": 0, "system": UCUM, "code": "mmol/L"}, "not_positive"),
    ({"value": -4, "system": UCUM, "code": "mmol/L"}, "not_positive"),
    ({"value": "4.1", "system": UCUM, "code": "mmol/L"}, "not_a_number"),
    ({"unit": "mmol/L"}, "no_value"),
]


@pytest.mark.parametrize(("quantity", "reason"), BAD_LABS)
def test_a_potassium_that_is_none_is_refused_by_name(quantity, reason):
    with pytest.raises(Refused, match=reason):
        read(observation("o1", "2823-3", quantity))


def test_a_result_entered_in_error_is_refused():
    quantity = {"value": 7.1, "system": UCUM, "code": "mmol/L"}
    with pytest.raises(Refused, match="entered_in_error"):
        read(observation("o1", "2823-3", quantity, status="entered-in-error"))


def test_other_observations_are_passed_over():
    assert read(observation("o1", "8302-2", {"value": 170, "unit": "cm"})) is None


# Medication

DOSES = [
    (daily(10), None, "10"),
    (daily(5, frequency=2), None, "10"),
    (daily(5, frequency=1, period=12, period_unit="h"), None, "10"),
    (daily(70, frequency=1, period=1, period_unit="wk"), None, "10"),
    (daily(0.01, unit="g"), None, "10"),
    (daily(2, unit="{tablet}"), "5", "10"),
    ([*daily(5), *daily(2.5)], None, "7.5"),
]


@pytest.mark.parametrize(("dosage", "strength", "mg"), DOSES)
def test_a_stated_dose_is_milligrams_a_day(dosage, strength, mg):
    found = read(order("m1", (RXNORM, "314076"), dosageInstruction=dosage))
    assert daily_mg(found.doses, Decimal(strength) if strength else None) == Decimal(mg)


NO_DOSES = [
    (None, "dose_not_stated"),
    ([], "dose_not_stated"),
    ([{"text": "one a day"}], "dose_not_stated"),
    (daily(1, unit=""), "dose_unit_not_stated"),
    (daily(1, unit="mL"), "dose_not_readable"),
    (daily(10, asNeededBoolean=True), "as_needed"),
    (daily(10, asNeededCodeableConcept=concept(SNOMED, "25064002")), "as_needed"),
    (daily(10, period=0), "timing_not_readable"),
    (daily(10, period_unit="mo"), "timing_not_readable"),
    ([{"doseAndRate": [{"doseQuantity": {"value": 10, "code": "mg", "system": UCUM}}]}], "timing_not_stated"),
    ([{"doseAndRate": [{"doseRange": {"low": {"value": 1}}}]}], "dose_is_a_range"),
    ([*daily(10, sequence=1), *daily(20, sequence=2)], "dose_changes_over_time"),
]


@pytest.mark.parametrize(("dosage", "why"), NO_DOSES)
def test_a_dose_that_is_not_stated_is_named_and_never_guessed(dosage, why):
    found = read(order("m1", (RXNORM, "314076"), dosageInstruction=dosage))
    assert (found.doses, found.dose_problem) == ((), why)


def test_tablets_without_a_strength_are_no_milligrams():
    found = read(order("m1", (RXNORM, "29046"), dosageInstruction=daily(2, unit="{tablet}")))
    assert daily_mg(found.doses, None) is None


TAKING = [
    ("active", Taking.ACTIVE, ""),
    ("on-hold", Taking.ACTIVE, "on_hold"),
    ("unknown", Taking.ACTIVE, "status_unknown"),
    ("", Taking.ACTIVE, "status_unknown"),
    ("stopped", Taking.STOPPED, ""),
    ("completed", Taking.STOPPED, ""),
    ("cancelled", Taking.STOPPED, ""),
]


@pytest.mark.parametrize(("status", "taking", "unsure"), TAKING)
def test_a_status_says_whether_it_is_taken(status, taking, unsure):
    found = read(order("m1", (RXNORM, "314076"), status=status))
    assert (found.taking, found.unsure) == (taking, unsure)


def test_what_is_nobodys_order_is_passed_over():
    assert read(order("m1", (RXNORM, "314076"), intent="proposal")) is None
    assert read(order("m1", (RXNORM, "314076"), status="draft")) is None
    assert read(order("m1", (RXNORM, "314076"), doNotPerform=True)).taking is Taking.STOPPED


def test_a_medication_may_stand_inside_the_order_or_elsewhere():
    inside = order("m1", medicationCodeableConcept=None, medicationReference={"reference": "#d"})
    inside["contained"] = [{"resourceType": "Medication", "id": "d", "code": concept(RXNORM, "314076")}]
    assert read(inside).codings == ((RXNORM, "314076"),)
    drug = {"resourceType": "Medication", "id": "m9", "code": concept(RXNORM, "314076")}
    elsewhere = read(order("m1", medicationCodeableConcept=None, medicationReference={"reference": "Medication/m9"}))
    known = index([Found("x", drug, "urn:uuid:m9")], CONTEXT)
    assert known.drug_of(elsewhere.medication).codings == ((RXNORM, "314076"),)


# People


def test_a_year_of_birth_is_no_date_of_birth():
    for written, expected in (("1960-02-03", "1960-02-03"), ("1960-02", "None"), ("1960", "None"), ("x", "None")):
        who = index([Found("x", patient(birthDate=written), "")], CONTEXT).patients["p1"]
        assert str(who.born_on) == expected


def test_sex_is_unknown_unless_it_is_said():
    for written, expected in (("male", Sex.MALE), ("other", Sex.OTHER), ("man", Sex.UNKNOWN), (None, Sex.UNKNOWN)):
        assert index([Found("x", patient(gender=written), "")], CONTEXT).patients["p1"].sex is expected


def test_a_patient_is_found_by_every_way_of_referring():
    who = patient("p1", identifier=[{"system": "urn:mrn", "value": "77"}])
    known = index([Found("x", who, "urn:uuid:aaaa")], CONTEXT)
    for written in (
        "Patient/p1",
        "urn:uuid:aaaa",
        "https://ehr.example/fhir/Patient/p1",
        "Patient?identifier=urn:mrn|77",
    ):
        assert known.patient_of(written) == "p1", written
    assert known.patient_of("Patient/p2") is None


def test_a_void_condition_is_refused_and_an_unsaid_one_stays_unsaid():
    for status in ("refuted", "entered-in-error"):
        with pytest.raises(Refused):
            read(condition("c1", SNOMED, "38341003", verificationStatus=concept("x", status)))
    assert read(condition("c1", SNOMED, "38341003", status=None)).active is None
    assert read(condition("c1", SNOMED, "38341003", status="resolved")).active is False
