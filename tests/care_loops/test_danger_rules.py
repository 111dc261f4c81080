"""The danger table against its specification, and the specification against the table's mutants."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from care_loops.danger import Context, When, assess, counted_as, escalation, reference_rows
from care_loops.danger.reference import HEADINGS
from care_loops.domain.alerts import AlertKind, AlertSeverity, Ask, Finding, Scope
from care_loops.domain.record import SymptomKind
from care_loops.pathways.hypertension import tables_danger
from care_loops.pathways.hypertension.tables_danger import danger_table
from care_loops.pathways.hypertension.tables_therapy import BadTable
from tests.care_loops.clinic import NO_DRUGS, NOW, PLAIN_FACTS, data_set, days, hours, reading, symptom
from tests.care_loops.danger_mutants import mutants
from tests.care_loops.danger_spec import LINES, LISTS, disagreements, play

TABLE = danger_table()
PLAIN = Context(facts=PLAIN_FACTS, regimen=NO_DRUGS)

#: A row that only makes graver what another row of its kind has said already adds nothing where that one stops all the
#: same things: taking these cells away changes no answer.
ADDS_NOTHING = {
    f"{rule} {what}"
    for rule in ("C3.repeat_same_day", "C4.consecutive", "C7.sustained", "C13.severe_repeat", "C13.pressure_symptom")
    for what in ("no bar on patient_facing", "no bar on up_titration", "no bar on routine_advice")
} | {
    "C3.repeat_same_day page flipped",
    "C7.sustained page flipped",
    "C13.severe_repeat page flipped",
    *(
        f"L5.potassium_emergency {what}"
        for what in (
            "no bar on patient_facing",
            "no bar on up_titration",
            "page flipped",
            "lock flipped",
            "same_day_item flipped",
        )
    ),
}


@pytest.mark.parametrize(("scene", "said"), LINES, ids=[scene for scene, _ in LINES])
def test_what_is_said(scene, said):
    assert play(scene, TABLE) == said


def test_every_symptom_and_every_drug_class_is_where_it_belongs():
    assert len(LISTS) > 400
    assert list(disagreements(TABLE)) == []


def test_no_cell_of_the_table_can_be_wrong_unnoticed():
    unnoticed = {
        name
        for name, kind, mutant in mutants(TABLE)
        if next(disagreements(mutant, kind), None) is None and next(disagreements(mutant), None) is None
    }
    assert unnoticed == ADDS_NOTHING


def test_every_rule_and_every_kind_is_spoken_of_in_the_specification():
    spoken: set[str] = set()
    for scene, said in LINES:
        spoken |= {one.split()[0] for one in said.split(" & ")}
        assert play(scene, TABLE).count("  ") == 0
    by_people = {AlertKind.PATIENT_ASKS, AlertKind.REGIMEN_CHANGED, AlertKind.NOT_REACHED}  # or the fate of a change
    assert {kind.value for kind in set(AlertKind) - by_people} <= spoken


def test_a_finding_carries_rows_citations_and_evidence():
    first, second = reading(185, 80, at=NOW - hours(1)), reading(190, 125)
    (finding,) = assess(second, replace(PLAIN, readings=(first,)), received_at=NOW, table=TABLE)
    assert finding.rules == ("C1.systolic", "C1.diastolic", "C3.repeat_same_day", "C4.consecutive")
    assert set(finding.evidence) == {first.reading_id, second.reading_id}
    assert any("[S17]" in source.citation for source in finding.sources)
    assert {Scope.UP_TITRATION, Scope.PATIENT_FACING} <= finding.bars


def test_the_gravest_finding_comes_first():
    told = symptom(SymptomKind.SYNCOPE)
    low = reading(85, 50, pulse=45)
    found = assess(low, replace(PLAIN, symptoms=(told,)), received_at=NOW, table=TABLE)
    assert [f.severity for f in found] == [AlertSeverity.CRITICAL, AlertSeverity.CARD]


def test_the_same_upload_again_is_no_repeat():
    first = reading(185, 80, device_id="cuff-1")
    again = replace(first, reading_id="again")
    (finding,) = assess(again, replace(PLAIN, readings=(first, again)), received_at=NOW, table=TABLE)
    assert finding.severity is AlertSeverity.URGENT


@pytest.mark.parametrize(
    ("pressure", "age", "counted"),
    [
        ((185, 80), days(0), "crisis"),
        ((185, 80), days(10), "crisis"),
        ((185, 80), days(15), "historic"),
        ((85, 60), days(0), "low"),
        ((140, 55), days(0), "low"),
        ((140, 55), days(30), "historic"),
        ((95, 65), days(0), None),
        ((130, 80), days(30), None),
    ],
)
def test_how_an_import_counts_a_reading(pressure, age, counted):
    found = assess(reading(*pressure, at=NOW - age), PLAIN, received_at=NOW, table=TABLE)
    assert counted_as(found) == counted


def test_the_clock_of_escalation_runs_faster_the_graver_it_is():
    ladders = [escalation(s, TABLE) for s in (AlertSeverity.CRITICAL, AlertSeverity.URGENT, AlertSeverity.CARD)]
    assert all(ladder[0].after_minutes == 0 for ladder in ladders)
    second = [ladder[1].after_minutes for ladder in ladders]
    assert second == sorted(second)
    assert len(set(second)) == 3
    assert escalation(AlertSeverity.INFO, TABLE) == ()


def test_every_row_can_be_printed_with_its_source():
    rows = reference_rows(TABLE)
    assert len(rows) == len(TABLE.rules)
    assert all(len(row) == len(HEADINGS) and row[-2] for row in rows)
    assert ("C1.systolic", "crisis", "all", "reading: systolic >= 180") in [row[:4] for row in rows]


def _plainly(systolic: float | None, diastolic: float | None) -> set[str]:
    """CLINICAL 1.3 C1, C7 in one breath, on floats."""
    kinds = set()
    if (systolic is not None and systolic >= 180) or (diastolic is not None and diastolic >= 120):
        kinds.add("crisis")
    adequate = systolic is not None and systolic >= 110
    if (systolic is not None and systolic < 90) or (diastolic is not None and diastolic < 60 and not adequate):
        kinds.add("low")
    if diastolic is not None and diastolic < 60 and adequate:
        kinds.add("low_diastolic")
    return kinds


def _said(systolic: object, diastolic: object) -> set[str]:
    found = assess(reading(systolic, diastolic), PLAIN, received_at=NOW, table=TABLE)
    return {f.kind.value for f in found} & {"crisis", "low", "low_diastolic"}


def test_every_dangerous_pressure_of_an_emergency_department_is_found_and_no_other():
    """Real panels with absent components, a systolic of 11 and diastolics above the systolic."""
    seen: set[str] = set()
    file = data_set("fhir_mimic_iv_demo") / "MimicObservationVitalSignsED.ndjson.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        observations = [json.loads(line) for line in lines]
    for observation in observations:
        if observation["code"]["coding"][0]["code"] != "85354-9":
            continue
        values = {
            one["code"]["coding"][0]["code"]: one.get("valueQuantity", {}).get("value")
            for one in observation["component"]
        }
        pressure = values.get("8480-6"), values.get("8462-4")
        assert _said(*pressure) == _plainly(*pressure), pressure
        seen |= _said(*pressure)
    assert seen >= {"crisis", "low", "low_diastolic"}


def test_every_dangerous_pressure_of_a_survey_is_found_and_no_other():
    """US NHANES 2009-2010: 12,000 office readings of real people, diastolic zero among them."""
    seen: set[str] = set()
    with (data_set("nhanes_bp") / "nhanes_bp_2009_10.csv").open() as file:
        pairs = [(row[f"BPSys{n}"], row[f"BPDia{n}"]) for row in csv.DictReader(file) for n in (1, 2, 3)]
    for systolic, diastolic in {pair for pair in pairs if "NA" not in pair}:
        grave = _said(systolic, diastolic)
        assert grave == _plainly(float(systolic), float(diastolic)), (systolic, diastolic)
        seen |= grave
    assert seen == {"crisis", "low", "low_diastolic"}


def _needs_nobody(finding: Finding) -> bool:
    return not (finding.page or finding.lock or finding.same_day_item or finding.bars)


def test_history_asks_nothing_of_anybody():
    for age in (days(15), timedelta(days=36500)):
        found = assess(reading(250, 140, at=NOW - age, pulse=40), PLAIN, received_at=NOW, table=TABLE)
        assert found
        assert all(f.historic and f.asks == () and _needs_nobody(f) for f in found)


def test_what_a_patient_is_asked_is_a_known_code():
    asked = {ask for rule in TABLE.rules for ask in rule.effects.asks} | {Ask.CUFF_READING}
    assert asked == set(Ask)


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ({"test": None}, "needs test"),
        ({"when": When.SYMPTOM}, "needs symptoms"),
        ({"when": When.READING_REPEATED}, "needs of and within_days"),
        (
            {"when": When.READING_WITH_SYMPTOM, "test": None, "symptoms": (SymptomKind.FALL,)},
            "a boundary or other rows",
        ),
    ],
)
def test_a_rule_that_could_never_speak_cannot_be_made(cells, says):
    with pytest.raises(ValueError, match=says):
        replace(TABLE.rules[0], **cells)


def test_a_rule_without_a_boundary_is_not_asked_for_one():
    repeated = next(rule for rule in TABLE.rules if rule.when is When.READING_REPEATED)
    with pytest.raises(ValueError, match="no boundary"):
        _ = repeated.boundary


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ({"component": "systolic", "compare": "=>", "value": "180", "when_absent": False}, "not a boundary"),
        ({"component": "systolic", "compare": ">=", "value": 180, "when_absent": False}, "numbers as text"),
        ({"component": "systolic", "compare": ">=", "value": "180", "when_absent": "no"}, "true or false"),
    ],
)
def test_a_boundary_written_wrongly_does_not_load(cell, says):
    with pytest.raises(BadTable, match=says):
        tables_danger._test(cell, When.READING)
