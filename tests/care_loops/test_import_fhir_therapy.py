"""Importing FHIR: what a patient takes, has and must not be given."""

import pytest

from care_loops.domain.record import ConditionKind, Pregnancy
from care_loops.models import Alert, Allergy, Condition, RegimenEntry
from care_loops.selectors.record import facts
from tests.care_loops.fhir_cases import RXNORM, SNOMED, bundle, concept, condition, daily, order, panel, patient
from tests.care_loops.importing import LATER, LISINOPRIL_10, LISINOPRIL_20, NDC, regimen, the_patient

pytestmark = pytest.mark.django_db


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
