"""How a goal is measured: arms side by side, in turning order, medians of the ratio of each round.

The rules
 * Every arm runs once per round; which begins turns round by round. The ratio is taken within a round, so that a slow
   moment of the machine meets both arms.
 * Processor time of this process for what computes, the wall's clock for what waits for others (a database, a socket);
   for a single act that waits, the median of many.
 * The gate runs first: an arm that does not do the work right does not count.
 * A goal fails when the median misses it by more than 5 %.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

SLACK = 0.05


class Means(Enum):
    """What the ratio compares, and which way is good."""

    RATE_AT_LEAST = "rate, at least"  # units per second, ours over the other's
    COST_AT_MOST = "cost, at most"  # seconds per unit, ours over the other's


class Clock(Enum):
    """Which clock the arms are held to."""

    PROCESSOR = "cpu"
    WALL = "wall"
    P50 = "wall, p50"  # the arm does the work many times and answers the median seconds of once


Arm = Callable[[], float]
"""Does the work once and answers how many units of it (pages, rows, decisions) were done; P50: its median seconds."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure to reach. `arms` has `ours` and `against` by name, and any others that are shown beside them."""

    what: str
    goal: float
    means: Means
    ours: str
    against: str
    arms: Mapping[str, Arm]
    gate: Callable[[], None]
    clock: Clock = Clock.PROCESSOR
    rounds: int = 9
    warm_up: int = 1


@dataclass(slots=True)
class Measured:
    """The rates of each arm, round by round, in units per second."""

    rates: dict[str, list[float]] = field(default_factory=dict)


def measure(goal: Goal) -> dict[str, Any]:
    """Run a goal; the answer has the members of `bench.json`."""
    goal.gate()
    names, found = list(goal.arms), Measured({name: [] for name in goal.arms})
    for turn in range(goal.warm_up + goal.rounds):
        for name in _turned(names, turn):
            rate = _rate(goal.arms[name], goal.clock)
            if turn >= goal.warm_up:
                found.rates[name].append(rate)
    ratios = [
        _ratio(goal, ours, other) for ours, other in zip(found.rates[goal.ours], found.rates[goal.against], strict=True)
    ]
    low, ratio, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    at_least = goal.means is Means.RATE_AT_LEAST
    return {
        "ratio": round(ratio, 4),
        "goal": goal.goal,
        "holds": ratio >= goal.goal * (1 - SLACK) if at_least else ratio <= goal.goal * (1 + SLACK),
        "spread": [round(low, 4), round(high, 4)],
        "rounds": goal.rounds,
        "load": round(os.getloadavg()[0], 2),
        "arms": {name: {"per_second": round(statistics.median(rates), 2)} for name, rates in found.rates.items()},
        "what": goal.what,
        "means": goal.means.value,
        "clock": goal.clock.value,
    }


def _turned(names: Sequence[str], turn: int) -> Sequence[str]:
    at = turn % len(names)
    return [*names[at:], *names[:at]]


def median_seconds(act: Callable[[], object], times: int) -> float:
    """The median seconds of one `act`: for arms held to Clock.P50."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def _rate(arm: Arm, clock: Clock) -> float:
    read = time.process_time if clock is Clock.PROCESSOR else time.perf_counter
    gc.collect()
    gc.disable()
    try:
        began = read()
        units = arm()
        took = read() - began
    finally:
        gc.enable()
    return 1 / units if clock is Clock.P50 else units / max(took, 1e-9)


def _ratio(goal: Goal, ours: float, other: float) -> float:
    return ours / other if goal.means is Means.RATE_AT_LEAST else other / ours


def line(name: str, said: Mapping[str, Any]) -> str:
    """A measured goal for people."""
    arms = ", ".join(f"{arm} {rates['per_second']:,}/s" for arm, rates in said["arms"].items())
    verdict = "holds" if said["holds"] else "MISSED"
    return (
        f"{name}: {said['ratio']:.3f} ({said['means']} {said['goal']}; {verdict}), half of the rounds within "
        f"{said['spread'][0]:.3f} to {said['spread'][1]:.3f}; {said['rounds']} rounds, {said['clock']}, "
        f"load {said['load']}; {arms}; {said['what']}"
    )
