"""The numbers of oversight as the data file states them: a value, its unit, a citation and a mark for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OversightRules:
    """The rules as shipped. Shares are 0 to 1, times in the unit of their name.

    `least_deciders` is the fewest people whose figures may be shown together; `z` the standard normal quantile of the
    intervals; `sigmas` and `run` are of the p-chart; `rate_low` and `rate_high` the band of override shares;
    `alert_budget` interruptive alerts for each clinician-day.
    """

    version: str
    weeks: int
    least_deciders: int
    z: float
    sigmas: float
    run: int
    rate_low: float
    rate_high: float
    least_cases: int
    quick_seconds: float
    bimodal_above: float
    alert_budget: float
    sources: tuple[tuple[str, str, str], ...]
