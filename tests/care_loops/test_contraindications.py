"""Contraindications and interactions: CLINICAL 1.7 as a table of cases, one that speaks and one just short of it."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from care_loops import candidates
from care_loops.contraindications import PREDICATES, Predicate, check, reference_rows
from care_loops.domain.changes import ChangeKind, Severity
from care_loops.domain.record import ConditionKind, DrugClass, Pregnancy, Sex
from care_loops.pathways.hypertension.tables_therapy import contraindications, rulebook
from tests.care_loops.clinic import data_set
from tests.care_loops.therapy_cases import FORMULARY, NAMES, change, patient, well

TABLE = contraindications()

CASES = Path(__file__).with_name("contraindication_cases.md").read_text(encoding="utf-8")
LINES = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in CASES.splitlines()
    if line.startswith("|") and not line.startswith(("| row ", "| --"))
]


def says(change_text: str, patient_text: str, table=TABLE) -> dict[str, Severity]:
    situation = patient("" if patient_text == "-" else patient_text)
    return {spoken.rule: spoken.severity for spoken in check(change(change_text), situation, table)}


@pytest.mark.parametrize(
    ("row", "binds", "what", "speaks", "silent"), LINES, ids=[f"{n} {c[0]}" for n, c in enumerate(LINES)]
)
def test_each_row_speaks_when_it_should_and_not_just_short_of_it(row, binds, what, speaks, silent):
    assert says(what, speaks).get(row) == binds
    assert row not in says(what, silent)


def without(row_id: str):
    return replace(
        TABLE,
        rows=tuple(row for row in TABLE.rows if row.row_id != row_id),
        interactions=tuple(row for row in TABLE.interactions if row.row_id != row_id),
    )


ROW_IDS = [row.row_id for row in TABLE.rows] + [row.row_id for row in TABLE.interactions]


@pytest.mark.parametrize("row_id", ROW_IDS)
def test_removing_any_row_breaks_a_case(row_id):
    table = without(row_id)
    assert any(says(what, speaks, table).get(row) != binds for row, binds, what, speaks, _ in LINES)


LIMITS = [row for row in TABLE.rows if row.limit is not None]


@pytest.mark.parametrize("delta", [-1, 1])
@pytest.mark.parametrize("row", LIMITS, ids=lambda row: row.row_id)
def test_moving_any_limit_by_one_breaks_a_case(row, delta):
    bound = row.bound() + delta
    other = None if row.limit_not_male is None else row.limit_not_male + delta
    moved = replace(row, limit=bound, limit_not_male=other)
    table = replace(TABLE, rows=tuple(moved if one.row_id == row.row_id else one for one in TABLE.rows))
    broken = any(
        says(what, speaks, table).get(row_id) != binds or row_id in says(what, silent, table)
        for row_id, binds, what, speaks, silent in LINES
    )
    assert broken


def test_every_predicate_has_its_question_and_every_question_a_row():
    assert set(PREDICATES) == set(Predicate)
    assert {row.predicate for row in TABLE.rows} == set(Predicate)


def test_nothing_speaks_against_any_drug_for_the_well_patient():
    for drug in FORMULARY.titrated:
        assert says(f"start {drug.name}", "-") == {}


def test_a_row_cannot_be_written_against_a_reduction():
    with pytest.raises(ValueError, match="no row speaks against"):
        replace(TABLE.rows[0], kinds=(ChangeKind.STEP_DOWN,))


drug_names = st.sampled_from([drug.name for drug in FORMULARY.titrated])
ills = st.lists(st.sampled_from(list(ConditionKind)), max_size=6).map(tuple)
words = st.sampled_from(
    [
        "danger",
        "unknown-drug",
        "pregnancy=pregnant",
        "potassium=6.5",
        "potassium=?",
        "pulse=30",
        "age=?",
        "with=lithium",
    ]
)


@given(
    name=drug_names, conditions=ills, differences=st.lists(words, max_size=4), kind=st.sampled_from(["down", "stop"])
)
def test_nothing_ever_speaks_against_a_reduction_or_a_stop(name, conditions, differences, kind):
    situation = patient(" ".join(differences))
    situation = replace(situation, facts=replace(situation.facts, conditions=conditions))
    assert check(change(f"{kind} {name}"), situation, TABLE) == ()


@given(
    name=drug_names,
    word=st.sampled_from(["start", "up", "timing"]),
    pregnancy=st.sampled_from([Pregnancy.PREGNANT, Pregnancy.POSTPARTUM]),
    age=st.integers(12, 55),
)
def test_in_pregnancy_and_six_weeks_after_every_class_is_stopped(name, word, pregnancy, age):
    base = well()
    facts = replace(base.facts, pregnancy=pregnancy, age_years=age, sex=Sex.FEMALE)
    spoken = check(change(f"{word} {name}"), replace(base, facts=facts), TABLE)
    assert any(said.severity is Severity.HARD_STOP for said in spoken)


@pytest.mark.parametrize(("creatinine", "said"), [("222", False), ("177", True)], ids=["over both", "between"])
def test_where_the_sex_would_decide_and_is_not_on_record_the_row_says_that_it_is_not_known(creatinine, said):
    spoken = check(change("start spironolactone"), patient(f"creatinine={creatinine} sex=unknown"), TABLE)
    words = next(one.words for one in spoken if one.rule == "mra-creatinine")
    assert words.endswith("(not known)") is said


def pregnant_women() -> list[dict[str, str]]:
    with (data_set("bp_clinic_preg") / "bp_preg.csv").open(newline="", encoding="utf-8-sig") as file:
        return [row for row in csv.DictReader(file) if row["SBP_0"].strip().isdigit()]


def test_no_pregnant_woman_of_the_clinic_is_offered_any_more_drug():
    women = pregnant_women()
    assert len(women) > 200
    for row in women:
        base = well()
        facts = replace(base.facts, sex=Sex.FEMALE, pregnancy=Pregnancy.PREGNANT, age_years=int(float(row["Age"])))
        situation = patient(
            f"creatinine={row['Creatinine']}" if row["Creatinine"].strip() else "", base=replace(base, facts=facts)
        )
        offered = candidates.list_candidates(situation, rulebook())
        assert any(candidate.change.drug_class is DrugClass.ACE_INHIBITOR for candidate in offered)
        assert not [
            c.change for c in offered if not c.barred and not c.change.reduces and c.change.kind is not ChangeKind.STAY
        ]


def test_the_reference_names_every_row():
    head, *rows = reference_rows(TABLE)
    assert [row[0] for row in rows] == ROW_IDS
    assert all(len(row) == len(head) for row in rows)


def test_a_change_in_the_future_of_the_stop_is_still_too_soon():
    soon = patient("stopped=arni@-1")
    assert soon.past_changes[0].effective_at > soon.as_of - timedelta(hours=1)
    assert isinstance(soon.as_of, datetime)
    assert "acei-after-sacubitril" in {s.rule for s in check(change("start lisinopril"), soon, TABLE)}


def test_the_cases_name_real_drugs():
    assert {what.split(" ", 1)[1] for _, _, what, _, _ in LINES} <= set(NAMES)
