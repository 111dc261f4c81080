"""Laboratory rules of CLINICAL 1.8 as a table: which results, or which missing ones, speak against an increase."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from care_loops.domain.changes import ChangeKind, Severity
from care_loops.domain.record import DrugClass
from care_loops.lab_rules import (
    DueStatus,
    LabRules,
    LabState,
    check,
    labs_due,
    overdue,
    reductions_advised,
    reference_rows,
    state,
)
from care_loops.pathways.hypertension.tables_therapy import lab_rules
from tests.care_loops.therapy_cases import FORMULARY, change, patient, symptom, well

RULES = lab_rules()
ONE = "with=lisinopril:10 changed=lisinopril@"
CREEP = "creatinine=100@40 before=creatinine:80@70 before=creatinine:110@5"  # 25 %, then 10 %

# change | patient | which rules speak, hard stops first, cautions in brackets
CASES = f"""
up lisinopril       |                                              |
up amlodipine       | potassium=? sodium=? creatinine=? egfr=?     |
up amlodipine       | potassium=5.9                                |
up amlodipine       | potassium=5.99                               |
up amlodipine       | potassium=6.0                                | L5
start lisinopril    | potassium=?                                  | L1 L10 (L10)
start lisinopril    | sodium=?                                     | L1
start lisinopril    | sodium=140@365                               |
start lisinopril    | sodium=140@365.1                             | L1
start lisinopril    | creatinine=?                                 |
start lisinopril    | egfr=?                                       |
start lisinopril    | creatinine=? egfr=?                          | L1 L10 (L10)
start indapamide    | potassium=?                                  | L1 L10 (L10)
start spironolactone | potassium=?                                 | L1 L10 (L10)
start bisoprolol    | potassium=?                                  |
start lisinopril    | potassium=5.0                                |
start lisinopril    | potassium=5.01                               | L4 L5
up losartan         | potassium=5.01                               | L4 L5
up spironolactone   | potassium=5.0                                |
up spironolactone   | potassium=5.01                               | L5
up indapamide       | potassium=5.9                                |
up indapamide       | potassium=6.0                                | L5
up lisinopril       | potassium=4.2@365                            | (L10)
up lisinopril       | potassium=4.2@366                            | L1 L10 (L10)
up lisinopril       | potassium=4.2@90                             |
up lisinopril       | potassium=4.2@91                             | (L10)
up lisinopril       | creatinine=80@91 egfr=?                      | (L10)
up lisinopril       | creatinine=80@91 egfr=85@90                  |
up lisinopril       | with=spironolactone:25 potassium=4.2@92      | (L10)
up lisinopril       | with=spironolactone:25 potassium=4.2@93      | (L7) (L10)
up lisinopril       | symptom=vomiting@7                           | L8
up indapamide       | symptom=diarrhoea@1                          | L8
up spironolactone   | symptom=dehydration@1                        | L8
up lisinopril       | symptom=vomiting@7.1                         |
up amlodipine       | symptom=vomiting@1                           |
up lisinopril       | symptom=headache@1                           |
up lisinopril       | {ONE}60 before=creatinine:80@70 before=egfr:85@70 creatinine=103.9@10 before=creatinine:80@70 |
up lisinopril       | {ONE}60 creatinine=104@10 before=creatinine:80@70 | L6
up losartan         | {ONE}60 egfr=63.8@10 before=egfr:85@70       |
up losartan         | {ONE}60 egfr=63.75@10 before=egfr:85@70      | L6
up indapamide       | {ONE}60 creatinine=120@10 before=creatinine:80@70 | L6
up amlodipine       | {ONE}60 creatinine=120@10 before=creatinine:80@70 |
up lisinopril       | {ONE}364 creatinine=120@10 before=creatinine:80@400 | L6
up lisinopril       | {ONE}366 creatinine=120@10 before=creatinine:80@400 |
up lisinopril       | {ONE}60                                      | (L6)
up lisinopril       | with=amlodipine:5 changed=amlodipine@60      |
up lisinopril       | {ONE}60 changed=lisinopril@20 {CREEP} | L6
up lisinopril       | {ONE}29 potassium=4.2@40 creatinine=80@40 egfr=85@40   | L3
up lisinopril       | {ONE}28.9 potassium=4.2@40 creatinine=80@40 egfr=85@40 | (L3)
up lisinopril       | {ONE}2 potassium=4.2@40 creatinine=80@40 egfr=85@40    | (L3)
up amlodipine       | {ONE}29 potassium=4.2@40 creatinine=80@40 egfr=85@40   |
up lisinopril       | changed=lisinopril@29 potassium=4.2@40 creatinine=80@40 egfr=85@40 |
up lisinopril       | {ONE}30 egfr=85@23 before=egfr:85@40 potassium=4.2@23 creatinine=80@40 |
up lisinopril       | {ONE}30 egfr=85@23.1 before=egfr:85@40 potassium=4.2@23 creatinine=80@40 | L3
down lisinopril     | potassium=6.5                                |
stop spironolactone | potassium=?                                  |
timing lisinopril   | potassium=?                                  |
"""
LINES = [[cell.strip() for cell in line.split("|")] for line in CASES.strip().splitlines()]


def said(change_text: str, who: str, rules: LabRules = RULES) -> str:
    spoken = check(change(change_text), patient(who), rules)
    stops = sorted({one.rule for one in spoken if one.severity is Severity.HARD_STOP}, key=_number)
    cautions = sorted({one.rule for one in spoken if one.severity is Severity.CAUTION}, key=_number)
    return " ".join([*stops, *(f"({rule})" for rule in cautions)])


def _number(rule: str) -> int:
    return int(rule[1:])


@pytest.mark.parametrize(("what", "who", "rules"), LINES, ids=[f"{n} {line[0]}" for n, line in enumerate(LINES)])
def test_which_results_speak_against_an_increase(what, who, rules):
    assert said(what, who) == rules


# What is awaited after a change: patient (an increase of lisinopril or another drug so many days ago) | status
DUE = """
{one}6.9   | not_yet
{one}13.9  | not_yet
{one}14    | due
{one}28.9  | due
{one}29    | overdue
{one}7 egfr=59@40        | due
{one}7 egfr=60@40        | not_yet
{one}7 potassium=4.81@40 | due
{one}7 potassium=4.8@40  | not_yet
{one}7 diabetes          | due
{one}7 egfr=?            | due
{one}7 potassium=?       | due
{one}7 with=eplerenone:50 | due
{one}6.9 diabetes        | not_yet
{one}14.9 diabetes       | due
{one}15 diabetes         | late
{one}28.9 diabetes       | late
{one}29 diabetes         | overdue
with=indapamide:1.25 changed=indapamide@20 | due
with=amlodipine:5 changed=amlodipine@40 |
changed=lisinopril@40    |
"""
OLD = "potassium=4.2@40 creatinine=80@40 egfr=85@40 "
DUE_LINES = [[cell.strip() for cell in line.format(one=ONE).split("|")] for line in DUE.strip().splitlines()]


def awaited(who: str, rules: LabRules = RULES) -> str:
    return " ".join(due.status.value for due in labs_due(patient(OLD + who), rules) if due.after is not None)


@pytest.mark.parametrize(("who", "status"), DUE_LINES)
def test_when_the_recheck_after_a_change_is_due(who, status):
    assert awaited(who) == status


# The window in days after the change: from, to the end of the last day, overdue.
WINDOWS = [(ONE + "20", (14, 29, 29)), (ONE + "20 diabetes", (7, 15, 29))]


def window(who: str, rules: LabRules = RULES) -> tuple[int, int, int]:
    due = labs_due(patient(OLD + who), rules)[0]
    assert due.after is not None
    began = due.after.effective_at
    return (due.due_from - began).days, (due.due_until - began).days, (due.overdue_at - began).days


@pytest.mark.parametrize(("who", "shown"), WINDOWS)
def test_the_window_that_is_shown(who, shown):
    assert window(who) == shown


def test_a_reduction_asks_for_no_recheck():
    situation = patient(OLD + ONE + "20")
    less = tuple(replace(past, steps=-1) for past in situation.past_changes)
    assert [due for due in labs_due(replace(situation, past_changes=less), RULES) if due.after] == []


def test_a_result_taken_later_than_now_does_not_exist_yet():
    assert "L1" in said("start lisinopril", "potassium=4.2@-1")


# What results ask to reduce: patient | drug and kind
ADVICE = """
with=lisinopril:10 potassium=5.0                          |
with=lisinopril:10 potassium=5.01                         | lisinopril step_down
with=lisinopril:10 potassium=5.5                          | lisinopril step_down
with=lisinopril:10 potassium=5.51                         | lisinopril stop
with=spironolactone:25 with=amlodipine:5 potassium=6.0    | spironolactone stop
with=amlodipine:5 potassium=6.5                           |
with=lisinopril:10 potassium=?                            |
{one}60 creatinine=104@10 before=creatinine:80@70         | lisinopril step_down
{one}60 creatinine=103@10 before=creatinine:80@70         |
{one}60 creatinine=104@10 before=creatinine:80@70 potassium=5.6 | lisinopril stop
changed=lisinopril@60 creatinine=104@10 before=creatinine:80@70 |
"""
ADVICE_LINES = [[cell.strip() for cell in line.format(one=ONE).split("|")] for line in ADVICE.strip().splitlines()]


def advised(who: str, rules: LabRules = RULES) -> str:
    names = {drug.ingredient: drug.name for drug in FORMULARY.titrated}
    return ", ".join(f"{names[a.ingredient]} {a.kind.value}" for a in reductions_advised(patient(who), rules))


@pytest.mark.parametrize(("who", "what"), ADVICE_LINES)
def test_which_reductions_the_results_ask_for(who, what):
    assert advised(who) == what


def test_every_advice_is_a_reduction_said_as_a_reduction():
    advice = reductions_advised(patient("with=lisinopril:10 with=spironolactone:25 potassium=6.2"), RULES)
    assert {one.kind for one in advice} == {ChangeKind.STOP}
    assert len(advice) == 2


NAMES = [name for name, _ in RULES.numbers()]


def broken(rules: LabRules) -> bool:
    return (
        any(said(what, who, rules) != expected for what, who, expected in LINES)
        or any(awaited(who, rules) != status for who, status in DUE_LINES)
        or any(window(who, rules) != shown for who, shown in WINDOWS)
        or any(advised(who, rules) != what for who, what in ADVICE_LINES)
        or any(yearly(who, rules) != kinds for who, kinds in YEARLY)
    )


YEARLY = [
    ("with=amlodipine:5", ""),
    ("with=amlodipine:5 egfr=85@365", ""),
    ("with=amlodipine:5 egfr=85@365.5", "egfr"),
    ("with=amlodipine:5 egfr=85@366 sodium=?", "sodium egfr"),
    ("with=amlodipine:5 diabetes", "uacr"),
    ("with=amlodipine:5 chronic_kidney_disease uacr=3@300", ""),
    ("egfr=?", ""),
]


def yearly(who: str, rules: LabRules = RULES) -> str:
    return " ".join(kind.value for due in labs_due(patient(who), rules) if due.after is None for kind in due.kinds)


@pytest.mark.parametrize(("who", "kinds"), YEARLY)
def test_what_is_due_once_a_year(who, kinds):
    assert yearly(who) == kinds


@pytest.mark.parametrize("factor", [-1, 1])
@pytest.mark.parametrize("name", NAMES)
def test_moving_any_number_breaks_a_case(name, factor):
    number = getattr(RULES, name)
    delta = {"mmol/L": "0.01", "%": "0.2"}.get(number.unit, "1")
    moved = replace(number, value=number.value + factor * type(number.value)(delta))
    assert broken(replace(RULES, **{name: moved}))


STATES = [
    ("up lisinopril", "", LabState(in_date=True, within_limits=True)),
    ("up lisinopril", "potassium=4.2@91", LabState(in_date=False, within_limits=True)),
    ("up lisinopril", "potassium=5.1", LabState(in_date=True, within_limits=False)),
    ("up lisinopril", "symptom=vomiting", LabState(in_date=True, within_limits=False)),
    ("up lisinopril", "potassium=?", LabState(in_date=False, within_limits=True)),
    ("up amlodipine", OLD + ONE + "20", LabState(in_date=True, within_limits=True)),
    ("up amlodipine", OLD + ONE + "29", LabState(in_date=False, within_limits=True)),
    ("up amlodipine", "potassium=6.1", LabState(in_date=True, within_limits=False)),
]


@pytest.mark.parametrize(("what", "who", "expected"), STATES)
def test_labs_as_the_tier_asks_for_them(what, who, expected):
    assert state(change(what), patient(who), RULES) == expected


def test_a_reviewed_sick_day_is_over():
    ill = replace(well(), symptoms=(symptom("vomiting", ago=1, reviewed=True),))
    assert check(change("up lisinopril"), ill, RULES) == ()


@given(st.sampled_from([drug.name for drug in FORMULARY.titrated]), st.sampled_from(["5.1", "5.6", "6.5", "?"]))
def test_no_ras_blocker_is_started_or_raised_over_potassium_five_or_without_knowing_it(name, potassium):
    drug = next(drug for drug in FORMULARY.titrated if drug.name == name)
    situation = patient(f"potassium={potassium}")
    ras = drug.drug_class in (DrugClass.ACE_INHIBITOR, DrugClass.ARB)
    for word in ("start", "up"):
        stopped = any(s.severity is Severity.HARD_STOP for s in check(change(f"{word} {name}"), situation, RULES))
        assert stopped or not ras


def test_overdue_is_from_day_29_whatever_the_risk():
    assert not overdue(patient(OLD + ONE + "28.9 diabetes"), RULES)
    assert overdue(patient(OLD + ONE + "29"), RULES)
    assert {status.value for status in DueStatus} == {line[1] for line in DUE_LINES} - {""}


def test_the_reference_has_a_line_for_each_number():
    head, *rows = reference_rows(RULES)
    assert [row[1] for row in rows] == NAMES
    assert all(len(row) == len(head) for row in rows)
