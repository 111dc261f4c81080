"""The figures of a group of decisions: rates, times, evidence opened, reasons, and where they signal (CLINICAL 4.3).

Rules
 * A share stands with its interval and its count; a point of the chart covers as many weeks as it takes for enough
   people to have decided, so that no point is one person's.
 * Two suspicions are told apart: hardly ever overriding (the whole interval under the band) and overriding very often
   (the whole interval over it). A rate alone says nothing of whether an override was right.
 * What was never opened on the page took no time on it: such a decision has no reading time, it is counted beside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from math import log1p

from .groups import Key, Row, shown_groups
from .rules import OversightRules
from .statistics import Kappa, PChart, Share, Subgroup, bimodality, kappa, p_chart, quantile, wilson

KINDS = ("approve", "modify", "reject")


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision on a proposal, frozen. `week` is its Monday; `waited` and `read` are seconds since the proposal and
    since its decider first opened it (None: never opened on a page); `evidence` whether they opened the patient's
    record or trend meanwhile; `first` what an answer given before the proposal was seen amounts to, if asked."""

    name: str
    decider: str
    model: str
    team: str
    week: date
    kind: str
    reason: str
    waited: float
    read: float | None
    evidence: bool
    first: str = ""


@dataclass(frozen=True, slots=True)
class Times:
    """How long a group took: quartiles in seconds, the share quicker than can be read, two humps or not."""

    n: int
    lower: float | None
    median: float | None
    upper: float | None
    quick: Share
    bimodality: float | None
    two_humps: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything measured of one group."""

    decided: int
    deciders: int
    rates: tuple[tuple[str, Share], ...]
    overrides: Share
    reasons: tuple[tuple[str, int], ...]
    waited: Times
    read: Times
    evidence: Share
    chart: PChart
    first: Share
    unseen: Share
    switched: Share
    first_kappa: Kappa
    signals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A group by its kind and name, its figures, or None where too few people decided."""

    kind: str
    name: str
    figures: Figures | None


@dataclass(frozen=True, slots=True)
class Load:
    """Interruptive alerts of one team: how many, over how many clinician-days."""

    team: str
    people: int
    alerts: int
    clinician_days: int

    def a_day(self) -> float | None:
        """Alerts for each clinician-day; None without a day."""
        return self.alerts / self.clinician_days if self.clinician_days else None


def figures(rows: Sequence[Decided], rules: OversightRules, *, least: int) -> Figures:
    """The figures of these decisions; each point of the chart is of at least `least` people where there are so many."""
    count = Counter(row.kind for row in rows)
    n, over = len(rows), len(rows) - count["approve"]
    overrides = wilson(over, n, z=rules.z)
    firsts = [(row.first, row.kind) for row in rows if row.first]
    others = [(said, then) for said, then in firsts if said != "approve"]
    read = _times([row.read for row in rows if row.read is not None], rules)
    chart = p_chart(_points(rows, least), sigmas=rules.sigmas, run=rules.run)
    return Figures(
        decided=n,
        deciders=len({row.decider for row in rows}),
        rates=tuple((kind, wilson(count[kind], n, z=rules.z)) for kind in KINDS),
        overrides=overrides,
        reasons=tuple(Counter(row.reason for row in rows if row.kind != "approve").most_common()),
        waited=_times([row.waited for row in rows], rules),
        read=read,
        evidence=wilson(sum(row.evidence for row in rows), n, z=rules.z),
        chart=chart,
        first=wilson(sum(said == then for said, then in firsts), len(firsts), z=rules.z),
        unseen=wilson(sum(said == "approve" for said, _ in firsts), len(firsts), z=rules.z),
        switched=wilson(sum(then == "approve" for _, then in others), len(others), z=rules.z),
        first_kappa=kappa(firsts, z=rules.z),
        signals=tuple(_signals(overrides, read, chart, rules)),
    )


def _times(seconds: Iterable[float], rules: OversightRules) -> Times:
    ordered = sorted(seconds)
    humps = bimodality([log1p(value) for value in ordered])
    return Times(
        n=len(ordered),
        lower=quantile(ordered, 0.25),
        median=quantile(ordered, 0.5),
        upper=quantile(ordered, 0.75),
        quick=wilson(sum(value < rules.quick_seconds for value in ordered), len(ordered), z=rules.z),
        bimodality=humps,
        two_humps=humps is not None and humps > rules.bimodal_above,
    )


def _points(rows: Sequence[Decided], least: int) -> list[Subgroup]:
    """Weeks, joined until enough people decided in them; a last one that falls short joins the one before."""
    blocks: list[list[Decided]] = []
    for week in sorted({row.week for row in rows}):
        fresh = [row for row in rows if row.week == week]
        if blocks and len({row.decider for row in blocks[-1]}) < least:
            blocks[-1] += fresh
        else:
            blocks.append(fresh)
    if len(blocks) > 1 and len({row.decider for row in blocks[-1]}) < least:
        last = blocks.pop()
        blocks[-1] += last
    return [
        Subgroup(min(r.week for r in block).isoformat(), len(block), sum(r.kind != "approve" for r in block))
        for block in blocks
    ]


def _signals(overrides: Share, read: Times, chart: PChart, rules: OversightRules) -> Iterable[str]:
    enough = overrides.n >= rules.least_cases
    if enough and overrides.high is not None and overrides.high < rules.rate_low:
        yield "hardly_ever_overridden"
    if enough and overrides.low is not None and overrides.low > rules.rate_high:
        yield "very_often_overridden"
    if any(point.signal in ("above", "below") for point in chart.points):
        yield "outside_limits"
    if any(point.signal == "run" for point in chart.points):
        yield "run_on_one_side"
    if read.quick.k:
        yield "decided_quicker_than_read"


def by_group(rows: Sequence[Decided], rules: OversightRules) -> tuple[Group, ...]:
    """Every model and every team, with figures where they may be shown; the order is kind, then name."""
    of: tuple[tuple[str, Callable[[Decided], str]], ...] = (("model", lambda r: r.model), ("team", lambda r: r.team))
    seen = shown_groups(
        (Row(row.name, row.decider, tuple((kind, name(row)) for kind, name in of)) for row in rows),
        least=rules.least_deciders,
    )
    found = []
    for kind, name in of:
        for each in sorted({name(row) for row in rows}):
            key: Key = (kind, each)
            held = [row for row in rows if name(row) == each]
            shown = figures(held, rules, least=rules.least_deciders) if key in seen else None
            found.append(Group(kind, each, shown))
    return tuple(found)
