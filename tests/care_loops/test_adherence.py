"""Doses taken of doses due."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from care_loops.adherence import DueDose, Intake, adherence
from tests.care_loops.clinic import NOW

START = NOW - timedelta(days=7)
DUE = [DueDose(f"d{n}", "29046", START + timedelta(days=n)) for n in range(7)]


def took(number: int, *, taken: bool = True, later: float = 0) -> Intake:
    return Intake(f"d{number}", taken, DUE[number].due_at + timedelta(hours=1 + later))


def share(log: list[Intake]) -> Decimal | None:
    found = adherence(DUE, log, starts_at=START, ends_at=NOW)
    return None if found is None else found.share


def test_six_of_seven():
    found = adherence(DUE, [took(n) for n in range(6)], starts_at=START, ends_at=NOW)
    assert found is not None
    assert (found.taken, found.due) == (6, 7)


def test_four_of_five_is_exactly_four_fifths():
    found = adherence(DUE[:5], [took(n) for n in range(4)], starts_at=START, ends_at=NOW)
    assert found is not None
    assert found.share == Decimal("0.8")


def test_nothing_logged_is_unknown_and_not_zero():
    assert share([]) is None


def test_nothing_due_is_unknown_and_not_perfect():
    assert adherence([], [took(0)], starts_at=START, ends_at=NOW) is None


def test_all_left_out_is_zero():
    assert share([took(n, taken=False) for n in range(7)]) == 0


def test_one_dose_reported_twice_counts_once():
    assert share([took(0), took(0, later=1)]) == Decimal(1) / 7


def test_the_later_word_holds_and_at_one_instant_the_sadder():
    assert share([took(0), took(0, taken=False, later=1)]) == 0
    assert share([took(0, taken=False), took(0, later=1)]) == Decimal(1) / 7
    assert share([took(0), took(0, taken=False)]) == 0


def test_doses_outside_the_window_and_words_after_it_do_not_count():
    outside = [DueDose("late", "29046", NOW), DueDose("early", "29046", START - timedelta(seconds=1))]
    log = [took(0), Intake("late", taken=True, logged_at=NOW), Intake("d1", taken=True, logged_at=NOW)]
    found = adherence([*DUE, *outside], log, starts_at=START, ends_at=NOW)
    assert found is not None
    assert (found.taken, found.due) == (1, 7)


@given(st.lists(st.builds(took, st.integers(0, 6), taken=st.booleans(), later=st.floats(0, 20)), max_size=20))
def test_never_more_is_taken_than_was_due_and_order_does_not_matter(log):
    found = share(log)
    assert found is None or 0 <= found <= 1
    assert share(log[::-1]) == found
