"""What an import refuses, or does not take whole, is looked at for danger all the same (N4, CLINICAL 1.3 and 1.8)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from care_loops.models import Alert, AlertEvent, BloodPressure, Lab
from tests.care_loops.fhir_cases import LOINC, UCUM, bundle, component, concept, mmhg, observation, panel, patient

pytestmark = pytest.mark.django_db
NOW = "2026-03-01T09:00:00Z"
S, D, HR, K, EGFR, CREATININE = "8480-6", "8462-4", "8867-4", "2823-3", "98979-8", "2160-0"


def rate(value: object, **more: object) -> dict:
    return {"value": value, "unit": "/min", "system": UCUM, "code": "/min"} | more


def lab(key: str, code: str, value: object, unit: str = "mmol/L", **more: object) -> dict:
    at = more.pop("at", "2026-03-01T08:00:00+01:00")
    return observation(key, code, {"value": value, "unit": unit, "system": UCUM, "code": unit} | more, at=at)


def said() -> list[tuple[str, bool]]:
    return [(alert.kind, alert.unverified) for alert in Alert.objects.all()]


@pytest.mark.parametrize("replay", [False, True])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"effectiveDateTime": None}, "no_time"),
        ({"effectiveDateTime": None, "issued": "2026-03-01T08:00:00+01:00"}, "no_time"),
        ({"effectiveDateTime": None, "effectiveTiming": {"event": ["2026-03-01T08:00:00+01:00"]}}, "no_time"),
        ({"effectiveDateTime": "2026-03"}, "partial_date"),
        ({"effectiveDateTime": "2026-03-01T08:00:00"}, "time_without_zone"),
        ({"effectiveDateTime": "yesterday"}, "bad_time"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_crisis_whose_time_cannot_be_read_is_refused_by_name_and_counts_as_recent(imported, changes, reason, replay):
    how = {"replay": True} if replay else {"now": NOW}
    found = imported(bundle(patient(), panel("o", 210, 125) | changes), **how)
    assert (found["refused"], found["danger"]["crisis"]) == ({reason: 1}, 1)
    assert found["blood_pressure"] == {"stored": 0, "absent": 0, "quarantined": 0}
    assert said() == [("crisis", True)]
    again = imported(bundle(patient(), panel("o", 210, 125) | changes), **how)
    assert (again["danger"]["crisis"], AlertEvent.objects.count()) == (0, 1), "importing twice changes nothing"


@pytest.mark.parametrize("time", ["2025-03", "2025-12-01T08:00:00", "2024"])
def test_what_is_old_by_the_part_of_its_time_that_can_be_read_is_history(imported, time):
    found = imported(bundle(patient(), panel("o", 210, 125) | {"effectiveDateTime": time}), now=NOW)
    assert (found["danger"], said()) == ({"crisis": 0, "low": 0, "historic": 1}, [])


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_what_its_sender_took_back_says_nothing(imported, status):
    imported(bundle(patient(), panel("o", 210, 125, status=status)), now=NOW)
    imported(bundle(patient(), lab("k", K, 6.5, comparator=">") | {"status": status}), now=NOW)
    assert said() == []


def test_components_that_come_alone_under_one_identifier_do_not_replace_each_other(imported):
    held = panel("pan", hasMember=[{"reference": "Observation/m1"}], component=[], at="2026-02-20T08:00:00+01:00")
    member = observation("m1", S, mmhg(120), at="2026-02-20T08:00:00+01:00")
    for order in ((210, 120), (120, 210)):
        twice = [observation(f"x{order[0]}", S, mmhg(value)) for value in order]
        before = AlertEvent.objects.count()
        imported(bundle(patient(), held, member, *twice), now=NOW)
        assert AlertEvent.objects.count() > before
    kept = BloodPressure.objects.filter(source_id__startswith="Observation/x")
    assert set(kept.values_list("systolic", flat=True)) == {Decimal(210), Decimal(120)}


def test_a_panel_entered_in_error_takes_no_member_with_it(imported):
    members = [{"reference": "Observation/m1"}, {"reference": "Observation/m2"}]
    void = panel("pan", hasMember=members, component=[], status="entered-in-error")
    imported(bundle(patient(), void, observation("m1", S, mmhg(210)), observation("m2", D, mmhg(125))), now=NOW)
    assert said() == [("crisis", True)]


def test_a_member_entered_in_error_is_not_taken_into_its_panel(imported):
    members = [{"reference": "Observation/m1"}, {"reference": "Observation/m2"}]
    held = panel("pan", hasMember=members, component=[])
    gone = observation("m1", S, mmhg(210), status="entered-in-error")
    imported(bundle(patient(), held, gone, observation("m2", D, mmhg(80))), now=NOW)
    assert said() == []


@pytest.mark.parametrize(
    "held",
    [
        lab("k", K, 6.5, comparator=">"),
        lab("k", K, 6.0, comparator=">="),
        lab("k", K, "6.8"),
        lab("k", K, 6.8) | {"effectiveDateTime": None},
        lab("k", K, 6.8, "mmol/L", at="2026-03"),
        {**lab("k", K, 0), "valueQuantity": None, "valueString": ">6.5"},
        {**lab("k", K, 0), "valueQuantity": None, "valueString": "> 6,5 mmol/L"},
        {**lab("k", K, 0), "valueQuantity": {"value": 6.8, "unit": "mmol/L", "comparator": "≥"}},
    ],
    ids=lambda held: str(held.get("valueString") or held["valueQuantity"]),
)
def test_a_potassium_given_as_a_bound_or_otherwise_refused_alarms_and_is_no_result(imported, held):
    held = {name: value for name, value in held.items() if value is not None}
    for _ in range(2):
        found = imported(bundle(patient(), held), now=NOW)
        assert (found["labs"], sum(found["refused"].values())) == (0, 1)
    [alert] = Alert.objects.all()
    assert (alert.kind, alert.unverified, alert.pages, alert.locks) == ("dangerous_lab", True, True, True)
    assert "repeat_lab" in alert.asks
    assert AlertEvent.objects.count() == 1
    assert not Lab.objects.exists()


@pytest.mark.parametrize(
    "held",
    [lab("k", K, 6.5, comparator="<"), lab("k", K, 5.0, comparator=">"), lab("k", EGFR, 60, "mL/min", comparator=">")],
    ids=str,
)
def test_a_bound_that_leaves_room_for_what_is_well_says_nothing(imported, held):
    imported(bundle(patient(), held), now=NOW)
    assert said() == []


@pytest.mark.parametrize("more", [{"comparator": "<"}, {"value": "28"}], ids=str)
def test_a_heart_rate_that_is_no_exact_number_speaks_in_a_panel_and_alone(imported, more):
    held = panel("o", 120, 80)
    held["component"].append(component(HR, rate(30) | more))
    found = imported(bundle(patient(), held, observation("h", HR, rate(30) | more)), now=NOW)
    assert found["blood_pressure"]["stored"] == 1
    assert [(kind, unverified) for kind, unverified in said()] == [("heart_rate", True)]
    assert Alert.objects.get().occurrences == 2


def test_two_heart_rates_under_one_identifier_are_both_looked_at(imported):
    for order in ((70, 28), (28, 70)):
        before = AlertEvent.objects.count()
        imported(bundle(patient(), *(observation(f"h{order[0]}", HR, rate(value)) for value in order)), now=NOW)
        assert AlertEvent.objects.count() > before


def test_a_heart_rate_of_28_that_comes_later_with_a_known_pressure_speaks(imported):
    plain = panel("o", 120, 80)
    imported(bundle(patient(), plain), now=NOW)
    later = panel("o", 120, 80)
    later["component"].append(component(HR, rate(28)))
    for _ in range(2):
        imported(bundle(patient(), later), now=NOW)
    assert [alert.occurrences for alert in Alert.objects.all()] == [1]


def test_the_lower_of_two_pressures_sent_for_one_component_speaks_too(imported):
    held = panel("o", 130, 80)
    held["component"].append(component(S, mmhg(80)))
    imported(bundle(patient(), held), now=NOW)
    assert ("low", True) in said()


def test_a_component_whose_code_lacks_its_system_is_read_for_danger(imported):
    held = panel("o", 210, 125)
    for part in held["component"]:
        del part["code"]["coding"][0]["system"]
    held["code"] = concept(LOINC, "1234-5")
    found = imported(bundle(patient(), held), now=NOW)
    assert found["refused"] == {"code_without_system": 1}
    assert said() == [("crisis", True)]


def test_evidence_of_nobody_pages_nobody(imported):
    imported(bundle(patient(), panel("o", 210, 125, who="Patient/other", at="2026-03")), now=NOW)
    assert said() == []
