"""Stable patients are seen later, changing patients sooner; a clinician's date holds (HTN-07)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from care_loops.domain.units import MmHg
from care_loops.pathways.hypertension.tables_readings import visit_rule
from care_loops.visits import StabilityFacts, Window, next_visit_due, stable_windows

RULE = visit_rule()
LAST = date(2026, 3, 1)


def facts(*means: int, in_target: bool = True, **more: object) -> StabilityFacts:
    windows = tuple(Window(MmHg.of(mean), in_target) for mean in means)
    plain = StabilityFacts(LAST, windows, regimen_changes=0, danger_findings=0, open_danger=False)
    return replace(plain, **more)


def due_in(known: StabilityFacts) -> tuple[int, str]:
    visit = next_visit_due(known, RULE)
    return (visit.due_on - LAST).days, visit.rule


@pytest.mark.parametrize(
    ("known", "due"),
    [
        (facts(), (30, "first")),
        (facts(125), (60, "stable")),
        (facts(125, 126), (90, "stable")),
        (facts(125, 126, 124, 125, 126), (180, "stable")),
        (facts(*[125] * 40), (180, "stable")),
        (facts(125, 135), (90, "stable")),
        (facts(125, 136), (14, "volatile")),
        (facts(150, 126), (14, "volatile")),
        (facts(145, 146, in_target=False), (30, "first")),
        (facts(125, 126, regimen_changes=1), (14, "volatile")),
        (facts(125, 126, danger_findings=1), (14, "volatile")),
        (facts(125, 126, open_danger=True), (7, "open_danger")),
    ],
)
def test_when_they_next_meet(known, due):
    assert due_in(known) == due


def test_only_the_latest_windows_in_a_row_are_stable():
    mixed = replace(facts(), windows=(Window(MmHg.of(125), in_target=False), *facts(125, 126).windows))
    assert stable_windows(mixed, RULE) == 2


def test_a_clinician_s_date_holds():
    chosen = LAST + timedelta(days=3)
    for known in (facts(125, 126), facts(125, open_danger=True)):
        visit = next_visit_due(known, RULE, override=chosen)
        assert (visit.due_on, visit.rule) == (chosen, "override")


any_facts = st.builds(
    lambda means, target, changes, danger, open_: facts(
        *means, in_target=target, regimen_changes=changes, danger_findings=danger, open_danger=open_
    ),
    st.lists(st.integers(100, 180), max_size=8),
    st.booleans(),
    st.integers(0, 2),
    st.integers(0, 2),
    st.booleans(),
)


@given(any_facts)
def test_no_interval_is_shorter_than_the_floor_or_longer_than_the_cap(known):
    days, _ = due_in(known)
    assert RULE.shortest_days <= days <= RULE.longest_days


@given(any_facts)
def test_one_more_stable_window_never_brings_the_visit_nearer(known):
    if not known.windows or due_in(known)[1] != "stable":
        return
    more = replace(known, windows=(*known.windows, known.windows[-1]))
    assert due_in(more)[0] >= due_in(known)[0]
