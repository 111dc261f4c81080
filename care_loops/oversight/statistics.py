"""The published formulas: an interval of a share, a p-chart, agreement beyond chance, two humps in one distribution.

Rules
 * Each function names its source. None of them guesses: where a figure is not defined it is None.
 * A share that is none or all of its cases has an interval too: Wilson's, not Wald's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean


@dataclass(frozen=True, slots=True)
class Share:
    """`k` of `n`, and the interval around it; all three None of no cases."""

    k: int
    n: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Subgroup:
    """One point before it is drawn: how many cases, how many of them counted."""

    name: str
    n: int
    k: int


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """One point of a p-chart with its own limits; `signal` is empty, `above`, `below` or `run`."""

    name: str
    n: int
    p: float
    lower: float
    upper: float
    signal: str


@dataclass(frozen=True, slots=True)
class PChart:
    """A p-chart: its centre line (None of no cases) and its points, oldest first."""

    centre: float | None
    points: tuple[ChartPoint, ...]


@dataclass(frozen=True, slots=True)
class Kappa:
    """Agreement of two readers beyond chance with its interval; None where it is not defined."""

    n: int
    agreed: int
    value: float | None
    low: float | None
    high: float | None


def wilson(k: int, n: int, *, z: float) -> Share:
    """The score interval of a proportion (Wilson 1927, J Am Stat Assoc 22:209-212)."""
    if n == 0:
        return Share(0, 0, None, None, None)
    p, square = k / n, z * z
    middle = (p + square / (2 * n)) / (1 + square / n)
    half = z * sqrt(p * (1 - p) / n + square / (4 * n * n)) / (1 + square / n)
    return Share(k, n, p, max(0.0, middle - half) if k else 0.0, min(1.0, middle + half) if k < n else 1.0)


def p_chart(found: Sequence[Subgroup], *, sigmas: float, run: int) -> PChart:
    """Shewhart's chart for a fraction with subgroups of different size: p-bar and p-bar +- sigmas x its error
    (Montgomery, Introduction to Statistical Quality Control, 7.3), and a run of `run` points on one side of the centre
    (Western Electric rule 4). A subgroup without cases has no point. A limit is never below 0 or above 1."""
    held = [one for one in found if one.n]
    cases = sum(one.n for one in held)
    if not cases:
        return PChart(None, ())
    centre = sum(one.k for one in held) / cases
    points, side, length = [], 0, 0
    for one in held:
        p, half = one.k / one.n, sigmas * sqrt(centre * (1 - centre) / one.n)
        lower, upper = max(0.0, centre - half), min(1.0, centre + half)
        now = (p > centre) - (p < centre)
        length = length + 1 if now == side and now else abs(now)
        side = now
        signal = "above" if p > upper else "below" if p < lower else "run" if length >= run else ""
        points.append(ChartPoint(one.name, one.n, p, lower, upper, signal))
    return PChart(centre, tuple(points))


def kappa(pairs: Sequence[tuple[str, str]], *, z: float) -> Kappa:
    """Cohen's kappa and its large-sample interval (Cohen 1960, Educ Psychol Meas 20:37-46, formulas 1 and 7).

    None where both always gave the same single answer: agreement by chance is then complete and nothing is left over.
    """
    n, agreed = len(pairs), sum(first == second for first, second in pairs)
    if not n:
        return Kappa(0, 0, None, None, None)
    firsts, seconds = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    chance = sum(firsts[word] * seconds[word] for word in firsts) / (n * n)
    if chance >= 1:
        return Kappa(n, agreed, None, None, None)
    observed = agreed / n
    value = (observed - chance) / (1 - chance)
    half = z * sqrt(observed * (1 - observed) / (n * (1 - chance) ** 2))
    return Kappa(n, agreed, value, max(-1.0, value - half), min(1.0, value + half))


def bimodality(values: Sequence[float]) -> float | None:
    """Sarle's coefficient with the finite-sample correction; over 5/9 hints at two humps (Pfister et al. 2013,
    Front Psychol 4:700). None of fewer than four values, or where all are the same."""
    n = len(values)
    if n < 4:
        return None
    mean = fmean(values)
    second, third, fourth = (fmean((value - mean) ** power for value in values) for power in (2, 3, 4))
    if second <= 1e-12 * max(1.0, mean * mean):
        return None
    skew: float = third / second**1.5 * sqrt(n * (n - 1)) / (n - 2)
    excess: float = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (fourth / second**2 - 3) + 6)
    return (skew * skew + 1) / (excess + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)))


def quantile(ordered: Sequence[float], at: float) -> float | None:
    """The value below which `at` of the ordered values lie, between neighbours by proportion (Hyndman and Fan 1996,
    Am Stat 50:361-365, definition 7). None of no values."""
    if not ordered:
        return None
    place = at * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
