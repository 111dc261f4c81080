"""HOME BP and TASMINH4 as predictors: which windows propose a step, and what comes before any step."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from care_loops.candidates import list_candidates
from care_loops.domain.changes import STAY, ChangeKind, ModelRef, Prediction
from care_loops.domain.readings import Average, Insufficient, WindowResult
from care_loops.domain.record import Adherence, SymptomKind, Target
from care_loops.domain.situation import Situation
from care_loops.domain.units import MmHg
from care_loops.lab_rules import reductions_advised
from care_loops.pathways.hypertension.tables_therapy import lab_rules, protocols, rulebook
from care_loops.protocol import (
    HOME_BP,
    TASMINH4,
    ProtocolView,
    days_spanned,
    home_bp,
    last_change_at,
    over_target,
    run_over_target,
    tasminh4,
)
from tests.care_loops.therapy_cases import NOW, days, patient, symptom, takes, well

TABLE = protocols()
MODEL = ModelRef("home-bp-protocol", "1", "0" * 64)
TARGET = Target("t", MmHg.of(135), MmHg.of(85), "dr", NOW - days(100))


def average(text: str) -> Average:
    systolic, diastolic = text.split("/")
    return Average(MmHg.of(systolic), MmHg.of(diastolic))


def window(text: str) -> WindowResult:
    """`148/90@28`: a week that ended 28 days ago, with its mean; `none@28`: too few readings."""
    pressure, _, ago = text.partition("@")
    ends = NOW - days(float(ago))
    valid = pressure != "none"
    return WindowResult(
        rule="home_7_day",
        rule_version="1",
        starts_at=ends - days(7),
        ends_at=ends,
        average=average(pressure) if valid else None,
        reason=None if valid else Insufficient.TOO_FEW_READINGS,
        used=(),
        not_used=(),
    )


def view(windows: str, situation: Situation, *, lowest: str | None = "120") -> ProtocolView:
    return ProtocolView(
        target=TARGET,
        windows=tuple(window(word) for word in windows.split()),
        candidates=list_candidates(situation, rulebook()),
        situation=situation,
        lab_advice=reductions_advised(situation, lab_rules()),
        lowest_systolic=None if lowest is None else MmHg.of(lowest),
    )


def answer(windows: str, who: str = "with=lisinopril:10 with=amlodipine:5", *, protocol=home_bp, **more: str) -> str:
    prediction = protocol(view(windows, patient(who), **more), model=MODEL, table=TABLE)
    done = prediction.proposed
    what = "stay" if done == STAY else f"{done.kind.value} {done.drug}"
    return f"{what} ({' '.join(prediction.reasons)})"


# windows, newest first | HOME BP | TASMINH4
CASES = """
                              | stay (no_valid_window)     | stay (no_valid_window)
none@0 148/90@28              | stay (no_valid_window)     | stay (no_valid_window)
148/90@0                      | stay (too few)             | step_up lisinopril (over)
148/90@0 146/90@28            | step_up lisinopril (over)  | step_up lisinopril (over)
148/90@0 146/90@7             | step_up lisinopril (over)  | step_up lisinopril (over)
148/90@0 146/90@6.9           | stay (too few)             | step_up lisinopril (over)
148/90@0 130/80@28            | stay (too few)             | step_up lisinopril (over)
148/90@0 none@14 146/90@28    | stay (too few)             | step_up lisinopril (over)
148/90@0 130/80@14 146/90@28  | stay (too few)             | step_up lisinopril (over)
135/70@0 135/70@28            | step_up lisinopril (over)  | step_up lisinopril (over)
134.99/84.99@0 148/90@28      | stay (in_target)           | stay (in_target)
120/85@0 120/85@28            | step_up lisinopril (over)  | step_up lisinopril (over)
110/70@0                      | stay (in_target)           | stay (in_target)
109.9/70@0                    | step_down amlodipine (low) | step_down amlodipine (low)
"""
SHORT = {
    "over": "over_target_in_consecutive_windows",
    "too few": "too_few_windows_over_target",
    "low": "mean_below_lower_limit",
}
LINES = [[cell.strip() for cell in line.split("|")] for line in CASES.strip("\n").splitlines()]


def spelled(case: str) -> str:
    what, _, reason = case.partition(" (")
    return f"{what} ({SHORT.get(reason[:-1], reason[:-1])})"


@pytest.mark.parametrize(("windows", "home", "monthly"), LINES, ids=[line[0] or "none" for line in LINES])
def test_what_the_windows_propose(windows, home, monthly):
    assert answer(windows) == spelled(home)
    monthly = spelled(monthly).replace("consecutive_windows", "newest_window")
    assert answer(windows, protocol=tasminh4) == monthly


HIGH = "148/90@0 146/90@28"

# who | what HOME BP proposes with two windows over target
BEFORE_ANY_STEP = """
                                          | start lisinopril (over_target_in_consecutive_windows)
with=lisinopril:40                        | start amlodipine (over_target_in_consecutive_windows)
with=lisinopril:10 with=amlodipine:5 potassium=5.05 | step_down lisinopril (labs_ask_for_less L5)
with=lisinopril:5 potassium=5.05          | stop lisinopril (labs_ask_for_less L5)
with=lisinopril:10 potassium=5.6          | stop lisinopril (labs_ask_for_less L5)
with=lisinopril:10 potassium=?            | start amlodipine (over_target_in_consecutive_windows)
with=lisinopril:10 potassium=? aortic_stenosis_severe asthma | stay (over_target no_candidate_left)
with=lisinopril:10 unknown-drug           | stay (over_target no_candidate_left)
with=lisinopril:10 pregnancy=pregnant     | stay (over_target no_candidate_left)
with=lisinopril:10 changed=lisinopril@34  | step_up lisinopril (over_target_in_consecutive_windows)
"""


@pytest.mark.parametrize("line", BEFORE_ANY_STEP.strip("\n").splitlines())
def test_what_comes_before_a_step(line):
    who, expected = (cell.strip() for cell in line.split("|"))
    if "changed" in who:  # the older window began 35 days ago, before the change: it does not count
        assert answer(HIGH, who + " before=creatinine:80@90") == "stay (too_few_windows_over_target)"
        who = who.replace("@34", "@35") + " before=creatinine:80@90"
    assert answer(HIGH, who) == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("cough", "stop lisinopril"),
        ("rash", "stop lisinopril"),
        ("dizziness", "step_down lisinopril"),
        ("fatigue", "timing lisinopril"),
        ("chest_pain", "step_down lisinopril"),
    ],
)
def test_a_reported_side_effect_asks_for_less_of_that_drug(kind, expected):
    usual = well(takes("lisinopril", "10"), takes("amlodipine", "5"))
    ill = replace(usual, symptoms=(symptom(kind, ago=1, blames="lisinopril"),))
    prediction = home_bp(view(HIGH, ill), model=MODEL, table=TABLE)
    assert f"{prediction.proposed.kind.value} {prediction.proposed.drug}" == expected
    assert prediction.reasons == ("side_effect_reported", kind)


def test_the_strongest_answer_comes_first_and_a_step_down_from_the_lowest_rung_is_a_stop():
    usual = well(takes("lisinopril", "5"), takes("amlodipine", "5"))
    two = (symptom("fatigue", ago=1, blames="amlodipine"), symptom("dizziness", ago=2, blames="lisinopril"))
    proposed = home_bp(view(HIGH, replace(usual, symptoms=two)), model=MODEL, table=TABLE).proposed
    assert (proposed.kind, proposed.drug) == (ChangeKind.STOP, "lisinopril")


def test_a_side_effect_of_a_drug_no_longer_taken_changes_nothing():
    gone = replace(well(takes("amlodipine", "5")), symptoms=(symptom("cough", ago=1, blames="lisinopril"),))
    assert home_bp(view("130/80@0", gone), model=MODEL, table=TABLE).reasons == ("in_target",)


def test_missed_doses_are_answered_with_help_not_with_more():
    usual = replace(well(takes("lisinopril", "10")), adherence=Adherence(taken=79, due=100))
    prediction = home_bp(view(HIGH, usual), model=MODEL, table=TABLE)
    assert prediction.proposed.kind is ChangeKind.TIMING
    assert prediction.reasons == ("doses_missed",)
    enough = replace(usual, adherence=Adherence(taken=80, due=100))
    assert home_bp(view(HIGH, enough), model=MODEL, table=TABLE).proposed.kind is ChangeKind.STEP_UP


def test_missed_doses_without_a_drug_to_help_with_mean_staying():
    nothing = replace(well(), adherence=Adherence(taken=1, due=100))
    assert home_bp(view(HIGH, nothing), model=MODEL, table=TABLE).proposed == STAY


@pytest.mark.parametrize(
    ("lowest", "expected"),
    [
        ("99", "stay (low_reading_bars_increase)"),
        ("100", "step_up lisinopril (over_target_in_consecutive_windows)"),
        (None, "step_up lisinopril (over_target_in_consecutive_windows)"),
    ],
)
def test_a_single_low_reading_bars_an_increase(lowest, expected):
    assert answer(HIGH, lowest=lowest) == expected


def test_low_without_any_drug_there_is_nothing_to_reduce():
    assert answer("105/60@0", "") == "stay (mean_below_lower_limit nothing_to_reduce)"


def test_low_on_lowest_rungs_proposes_a_stop():
    assert answer("105/60@0", "with=lisinopril:5") == "stop lisinopril (mean_below_lower_limit)"


def test_only_without_a_valid_window_is_the_protocol_uncertain():
    assert home_bp(view("none@0", well()), model=MODEL, table=TABLE).uncertain
    assert not home_bp(view(HIGH, well()), model=MODEL, table=TABLE).uncertain


def test_the_prediction_names_who_spoke():
    assert home_bp(view(HIGH, well()), model=MODEL, table=TABLE).model == MODEL


# The run of windows.


@pytest.mark.parametrize(
    ("windows", "number", "apart"),
    [
        ("", 0, None),
        ("148/90@0", 1, None),
        ("148/90@0 148/90@28", 2, 28),
        ("148/90@0 148/90@27.9", 2, 27),
        ("148/90@0 148/90@3 148/90@7 148/90@14 148/90@28", 4, 28),
        ("148/90@0 148/90@7 120/70@14 148/90@28", 2, 7),
    ],
)
def test_the_run_over_target_and_how_long_it_lasts(windows, number, apart):
    run = run_over_target(TARGET, tuple(window(word) for word in windows.split()), None)
    assert (len(run), days_spanned(run)) == (number, apart)


def test_at_or_above_either_number_is_over_target():
    for text, over in [("135/84", True), ("134/85", True), ("134.9/84.9", False), ("200/60", True)]:
        assert over_target(average(text), TARGET) is over


def test_a_change_that_is_still_to_come_is_not_the_last_change():
    assert last_change_at(patient("changed=lisinopril@-2 changed=amlodipine@30")) == NOW - days(30)
    assert last_change_at(well()) is None


def test_the_two_protocols_differ_in_the_number_of_windows():
    assert (TABLE.windows_needed(HOME_BP), TABLE.windows_needed(TASMINH4)) == (2, 1)
    assert TABLE.response(SymptomKind.CHEST_PAIN) == TABLE.response(SymptomKind.OTHER)


# Properties.

pressures = st.tuples(st.integers(85, 190), st.integers(50, 110)).map(lambda p: f"{p[0]}/{min(p[1], p[0] - 20)}")
histories = st.lists(st.tuples(pressures, st.sampled_from([1, 7, 14, 28])), max_size=4)
people = st.sampled_from(
    [
        "",
        "with=lisinopril:10",
        "with=lisinopril:10 with=amlodipine:5",
        "with=lisinopril:10 potassium=5.2",
        "with=bisoprolol:5 pulse=48",
        "with=lisinopril:30",
        "with=amlodipine:10 pregnancy=pregnant",
    ]
)


def predicted(history: list[tuple[str, int]], who: str, protocol=home_bp) -> tuple[Prediction, ProtocolView]:
    ago, words = 0, []
    for pressure, gap in history:
        words.append(f"{pressure}@{ago}")
        ago += gap
    looked_at = view(" ".join(words), patient(who))
    return protocol(looked_at, model=MODEL, table=TABLE), looked_at


@given(histories, people, st.sampled_from([home_bp, tasminh4]))
def test_what_is_proposed_is_a_candidate_that_nothing_bars(history, who, protocol):
    prediction, looked_at = predicted(history, who, protocol)
    assert prediction.proposed in [c.change for c in looked_at.candidates if not c.barred]
    assert prediction.reasons


@given(histories, people)
def test_more_is_proposed_only_when_the_newest_mean_is_over_target(history, who):
    prediction, looked_at = predicted(history, who)
    if prediction.proposed.intensifies:
        newest = looked_at.windows[0].average
        assert newest is not None
        assert over_target(newest, TARGET)
        assert len(run_over_target(TARGET, looked_at.windows, None)) >= 2


@given(histories, people)
def test_home_bp_never_proposes_more_than_tasminh4_would(history, who):
    two, _ = predicted(history, who, home_bp)
    one, _ = predicted(history, who, tasminh4)
    assert not two.proposed.intensifies or two.proposed == one.proposed


def test_the_histories_reach_every_answer():
    seen = set()

    @seed(20261122)
    @settings(max_examples=400, database=None)
    @given(histories, people)
    def record(history, who):
        prediction, _ = predicted(history, who)
        seen.add(prediction.proposed.kind)

    record()
    assert isinstance(NOW, datetime)
    assert seen >= {ChangeKind.STAY, ChangeKind.START, ChangeKind.STEP_UP, ChangeKind.STEP_DOWN}
