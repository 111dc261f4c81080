"""The breaker before a predictor: a fault is no answer, three in a row open it, one try after a minute closes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from models.serving import HALF_OPEN_AFTER, OPENS_AFTER, Breaker, ModelDown, Served

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Fragile:
    """A predictor that fails while it is ill."""

    def __init__(self) -> None:
        self.ill, self.called = True, 0

    def __call__(self, question: int) -> int:
        self.called += 1
        if self.ill:
            raise KeyError(question)
        return question * 2


@pytest.fixture
def fragile() -> Fragile:
    return Fragile()


def ask(breaker: Breaker, fragile: Fragile, at: datetime = NOON) -> int:
    return breaker.call(Served("m", "1", "d", fragile), 21, now=at)


def test_a_failure_is_a_fault_with_a_name_and_without_what_was_asked(fragile):
    with pytest.raises(ModelDown, match=r"^m: KeyError$"):
        ask(Breaker(), fragile)


def test_three_faults_in_a_row_open_it_and_nobody_is_asked(fragile):
    breaker = Breaker()
    for _ in range(OPENS_AFTER + 4):
        with pytest.raises(ModelDown):
            ask(breaker, fragile)
    assert fragile.called == OPENS_AFTER


def test_two_faults_and_an_answer_begin_the_count_anew(fragile):
    breaker = Breaker()
    for ill in (True, True, False, True, True, False):
        fragile.ill = ill
        if ill:
            with pytest.raises(ModelDown):
                ask(breaker, fragile)
        else:
            assert ask(breaker, fragile) == 42


def test_after_its_time_one_call_tries_and_closes_or_opens_again(fragile):
    breaker = Breaker()
    for _ in range(OPENS_AFTER):
        with pytest.raises(ModelDown):
            ask(breaker, fragile)
    just_before, then = NOON + HALF_OPEN_AFTER - timedelta(seconds=1), NOON + HALF_OPEN_AFTER
    with pytest.raises(ModelDown, match="breaker open"):
        ask(breaker, fragile, just_before)
    with pytest.raises(ModelDown, match="KeyError"):
        ask(breaker, fragile, then)
    with pytest.raises(ModelDown, match="breaker open"):
        ask(breaker, fragile, then + timedelta(seconds=1))
    fragile.ill = False
    assert ask(breaker, fragile, then + HALF_OPEN_AFTER) == 42
