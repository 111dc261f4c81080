"""The benchmarks tell a fast arm from a slow one, run the gate first, and know every goal."""

import math
import time
from pathlib import Path

import pytest

from tests.benches.__main__ import goals
from tests.benches.measuring import Clock, Goal, Means, line, measure


def busy(units: float, seconds: float):
    """An arm that keeps the processor busy for a while."""

    def run() -> float:
        until = time.process_time() + seconds
        while time.process_time() < until:
            math.sqrt(2)
        return units

    return run


def goal(ours: float, against: float, **changed) -> Goal:
    """A goal whose arms take so many seconds for ten units."""
    given = {"means": Means.RATE_AT_LEAST, "goal": 0.8, "gate": lambda: None, "rounds": 5} | changed
    arms = {"ours": busy(10, ours), "other": busy(10, against)}
    return Goal(what="w", ours="ours", against="other", arms=arms, **given)


def test_a_rate_that_reaches_its_goal_holds_and_a_slow_one_does_not():
    fast, slow = measure(goal(0.01, 0.01)), measure(goal(0.03, 0.01))
    assert (fast["holds"], slow["holds"]) == (True, False)
    assert slow["ratio"] == pytest.approx(1 / 3, rel=0.2)


def test_a_cost_over_its_goal_does_not_hold():
    said = measure(goal(0.03, 0.01, means=Means.COST_AT_MOST, goal=1.1))
    assert (said["holds"], said["ratio"]) == (False, pytest.approx(3, rel=0.2))


def test_the_wall_clock_sees_waiting_and_the_processor_s_does_not():
    def wait() -> float:
        time.sleep(0.4)
        return 10

    given = {"arms": {"ours": wait, "other": busy(10, 0.01)}, "what": "w", "ours": "ours", "against": "other"}
    given |= {"goal": 0.8, "means": Means.RATE_AT_LEAST, "gate": lambda: None, "rounds": 3}
    assert not measure(Goal(clock=Clock.WALL, **given))["holds"]
    assert measure(Goal(clock=Clock.PROCESSOR, **given))["holds"]


def test_an_arm_that_fails_its_gate_does_not_count():
    def wrong():
        raise AssertionError("other bytes")

    with pytest.raises(AssertionError, match="other bytes"):
        measure(goal(0.001, 0.01, gate=wrong))


def test_the_answer_has_what_people_script_against_and_reads_as_a_line():
    said = measure(goal(0.002, 0.002, rounds=3))
    assert said.keys() >= {"ratio", "goal", "holds", "spread", "rounds", "load", "arms"}
    assert line("G0", said).startswith("G0: ")


def test_every_goal_is_known_by_its_name_and_prepares(tmp_path):
    assert {"G13", "G13_history"} <= set(goals())
    with goals()["G13"](Path(tmp_path)) as prepared:
        prepared.gate()
        assert prepared.arms.keys() >= {"ours", "canvas", "longtable"}
