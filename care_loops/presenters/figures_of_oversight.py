"""Figures of oversight in words, and the chart of overrides as SVG.

Rules
 * A share is never shown without its count and its interval. What may not be shown says why it is not.
 * A signal is a question to a person, never a verdict on one: its words say so.
 * Presentation attributes only, nothing loaded (the content policy is strict). Shapes differ, not colours alone; the
   numbers of the drawing stand in a table beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from xml.sax.saxutils import escape

from ..oversight.measures import Figures, Group, Load, Times
from ..oversight.statistics import Kappa, PChart, Share
from ..selectors.oversight import Oversight, Own, Period
from . import words

INK, FAINT, RULE, LINE, LIMIT, SIGNAL = "#1d2a35", "#5a6872", "#dfe5e9", "#0b5c7a", "#6b4d9c", "#a3341f"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, FLOOR = 640, 240, 46, 14, 30, 190
SIGNALS: Mapping[str, str] = {
    "hardly_ever_overridden": "Hardly ever overridden: the whole interval is under the band. Are proposals still read?",
    "very_often_overridden": "Very often overridden: the whole interval is over the band. Is the model wrong here?",
    "outside_limits": "A point is outside its limits: something changed in those weeks.",
    "run_on_one_side": "A long run on one side of the centre line: the level has shifted.",
    "decided_quicker_than_read": "Some were decided more quickly than they can be read.",
}
KINDS: Mapping[str, str] = {"approve": "Approved", "modify": "Modified", "reject": "Rejected"}


@dataclass(frozen=True, slots=True)
class FiguresShown:
    """One group."""

    title: str
    shown: bool
    decided: int = 0
    deciders: int = 0
    lines: tuple[tuple[str, str, str], ...] = ()
    reasons: tuple[tuple[str, int], ...] = ()
    signals: tuple[str, ...] = ()
    drawing: str = ""
    points: tuple[Mapping[str, str], ...] = ()


def percent(share: Share) -> tuple[str, str]:
    """The share, and its count with its interval."""
    if share.value is None or share.low is None or share.high is None:
        return "–", "no cases"
    return f"{100 * share.value:.0f} %", f"{share.k} of {share.n}; 95 % {100 * share.low:.0f} to {100 * share.high:.0f}"


def seconds(value: float | None) -> str:
    """A time as people say it."""
    if value is None:
        return "–"
    if value < 120:
        return f"{value:.0f} s"
    if value < 7200:
        return f"{value / 60:.0f} min"
    return f"{value / 3600:.0f} h" if value < 172_800 else f"{value / 86_400:.1f} d"


def figures_shown(title: str, found: Figures | None) -> FiguresShown:
    """A group in words; one that may not be shown as its title alone."""
    if found is None:
        return FiguresShown(title=title, shown=False)
    lines = [(KINDS[kind], *percent(share)) for kind, share in found.rates]
    lines.append(("From opening it to the signature", *_times(found.read)))
    lines.append(("From proposal to the signature", *_times(found.waited)))
    lines.append(("Quicker than it can be read", *percent(found.read.quick)))
    lines.append(("Patient's record opened before", *percent(found.evidence)))
    if found.first.n:
        lines.append(("Asked first: would have done what was proposed", *percent(found.unseen)))
        lines.append(("Asked first: decided as they had said", *percent(found.first)))
        lines.append(("Had said otherwise, then approved", *percent(found.switched)))
        lines.append(("Agreement beyond chance with it", *kappa_shown(found.first_kappa)))
    return FiguresShown(
        title=title,
        shown=True,
        decided=found.decided,
        deciders=found.deciders,
        lines=tuple(lines),
        reasons=tuple((words.sentence(reason), n) for reason, n in found.reasons),
        signals=tuple(SIGNALS[signal] for signal in found.signals),
        drawing=chart_svg(found.chart, title=f"Overrides of {title}"),
        points=tuple(_points(found.chart)),
    )


def _times(found: Times) -> tuple[str, str]:
    if not found.n:
        return "–", "none was opened on a page"
    humps = "; two humps: some are read, some are not" if found.two_humps else ""
    return seconds(
        found.median
    ), f"middle half {seconds(found.lower)} to {seconds(found.upper)}, {found.n} cases{humps}"


def kappa_shown(found: Kappa) -> tuple[str, str]:
    """Cohen's kappa with its interval."""
    if found.value is None or found.low is None or found.high is None:
        return "–", f"{found.agreed} of {found.n} alike; chance leaves nothing to measure" if found.n else "none yet"
    said = f"{found.agreed} of {found.n} alike; 95 % {found.low:.2f} to {found.high:.2f}"
    return f"κ {found.value:.2f}", said


def _points(chart: PChart) -> Iterable[Mapping[str, str]]:
    for point in chart.points:
        yield {
            "name": point.name,
            "share": f"{100 * point.p:.0f} %",
            "n": str(point.n),
            "limits": f"{100 * point.lower:.0f} to {100 * point.upper:.0f} %",
            "signal": {"above": "over", "below": "under", "run": "run"}.get(point.signal, ""),
        }


def chart_svg(chart: PChart, *, title: str) -> str:
    """The p-chart: centre line, limits as steps around each point, a point that signals as a filled square."""
    room, high = WIDTH - LEFT - RIGHT, FLOOR - TOP
    said = f"{title}: centre {100 * chart.centre:.0f} %" if chart.centre is not None else f"{title}: no decisions"
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"'
    font = f'font-family="system-ui, sans-serif" font-size="12" fill="{INK}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>', f"<title>{escape(said)}</title>"]

    def y(share: float) -> float:
        return round(FLOOR - high * share, 1)

    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<line x1="{LEFT}" y1="{y(share)}" x2="{WIDTH - RIGHT}" y2="{y(share)}" stroke="{RULE}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(share) + 4}" text-anchor="end">{100 * share:.0f} %</text>')
    if chart.centre is None:
        return "".join([*parts, f'<text x="{LEFT + 12}" y="{y(0.5) - 6}">No decisions yet</text></svg>'])
    step = room / len(chart.points)
    centre = y(chart.centre)
    parts.append(f'<line x1="{LEFT}" y1="{centre}" x2="{WIDTH - RIGHT}" y2="{centre}" stroke="{FAINT}"/>')
    where = [(round(LEFT + step * (place + 0.5), 1), point) for place, point in enumerate(chart.points)]
    line = " ".join(f"{x},{y(point.p)}" for x, point in where)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{LINE}" stroke-width="1.5"/>')
    every = max(1, len(where) // 6)
    for place, (x, point) in enumerate(where):
        left, right = round(x - step / 2, 1), round(x + step / 2, 1)
        for limit in (point.lower, point.upper):
            at = f'x1="{left}" y1="{y(limit)}" x2="{right}" y2="{y(limit)}"'
            parts.append(f'<line {at} stroke="{LIMIT}" stroke-dasharray="4 3"/>')
        if point.signal:
            parts.append(f'<rect x="{x - 5}" y="{y(point.p) - 5}" width="10" height="10" fill="{SIGNAL}"/>')
        else:
            parts.append(f'<circle cx="{x}" cy="{y(point.p)}" r="4" fill="#fff" stroke="{LINE}" stroke-width="2"/>')
        if place % every == 0:
            parts.append(f'<text x="{x}" y="{FLOOR + 18}" text-anchor="middle" fill="{FAINT}">{point.name[5:]}</text>')
    key = "Dashed: limits of each point. Square: signals. Week beginning, month and day."
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 8}" fill="{FAINT}">{key}</text></svg>')
    return "".join(parts)


def page_shown(found: Oversight) -> dict[str, Any]:
    """The page of all groups."""
    return {
        "period": period_shown(found.period),
        "models": [_group(g) for g in found.groups if g.kind == "model"],
        "teams": [_group(g) for g in found.groups if g.kind == "team"],
        "second": kappa_shown(found.second) if found.second is not None else None,
        "first": found.first,
        "noticed": [(one.role, one.people, percent(one.share) if one.share else None) for one in found.noticed],
        "loads": [load_shown(load, budget=found.rules.alert_budget) for load in found.loads],
        "least": found.rules.least_deciders,
        "sources": found.rules.sources,
        "version": found.rules.version,
    }


def own_shown(found: Own) -> dict[str, Any]:
    """A person's own page."""
    return {
        "period": period_shown(found.period),
        "own": figures_shown("you", found.figures),
        "noticed": percent(found.noticed),
        "sources": found.rules.sources,
        "version": found.rules.version,
    }


def _group(group: Group) -> FiguresShown:
    return figures_shown(group.name if group.kind == "model" else f"Team: {group.name}", group.figures)


def load_shown(load: Load, *, budget: float) -> dict[str, str | bool]:
    """Alerts of a team against the budget."""
    held = load.a_day()
    return {
        "team": load.team.capitalize() if load.team == "all clinicians" else load.team,
        "alerts": str(load.alerts),
        "days": str(load.clinician_days),
        "rate": "–" if held is None else f"{held:.2f}",
        "budget": f"{budget:g}",
        "over": held is not None and held > budget,
    }


def period_shown(found: Period) -> str:
    """From the first to the last day."""
    last = found.until - timedelta(seconds=1)
    return f"{found.since:%-d %B %Y} to {last:%-d %B %Y}"


def as_data(found: Oversight) -> dict[str, Any]:
    """The figures as plain data, for the command."""
    return {
        "rules": found.rules.version,
        "since": found.period.since.isoformat(),
        "until": found.period.until.isoformat(),
        "groups": [_group_data(group) for group in found.groups],
        "second_reading": _kappa_data(found.second) if found.second is not None else None,
        "probes": [
            {"role": one.role, "people": one.people, "noticed": _share_data(one.share) if one.share else None}
            for one in found.noticed
        ],
        "decide_first": {
            "proposals": found.first.proposals,
            "drawn": found.first.drawn,
            "not_as_the_key_says": found.first.differing,
        },
        "alerts": [
            {
                "team": load.team,
                "alerts": load.alerts,
                "clinician_days": load.clinician_days,
                "a_clinician_day": load.a_day(),
                "budget": found.rules.alert_budget,
            }
            for load in found.loads
        ],
    }


def _group_data(group: Group) -> dict[str, Any]:
    named: dict[str, Any] = {"kind": group.kind, "name": group.name, "shown": group.figures is not None}
    if (found := group.figures) is None:
        return named
    return named | {
        "decided": found.decided,
        "deciders": found.deciders,
        "rates": {kind: _share_data(share) for kind, share in found.rates},
        "overrides": _share_data(found.overrides),
        "reasons": dict(found.reasons),
        "seconds_from_proposal": _times_data(found.waited),
        "seconds_from_opening": _times_data(found.read),
        "evidence_opened": _share_data(found.evidence),
        "first_as_decided": _share_data(found.first),
        "first_as_proposed": _share_data(found.unseen),
        "first_otherwise_then_approved": _share_data(found.switched),
        "first_kappa": _kappa_data(found.first_kappa),
        "chart": {
            "centre": found.chart.centre,
            "points": [
                {"from": p.name, "n": p.n, "share": p.p, "lower": p.lower, "upper": p.upper, "signal": p.signal}
                for p in found.chart.points
            ],
        },
        "signals": list(found.signals),
    }


def _share_data(share: Share) -> dict[str, Any]:
    return {"k": share.k, "n": share.n, "share": share.value, "low": share.low, "high": share.high}


def _kappa_data(found: Kappa) -> dict[str, Any]:
    return {"n": found.n, "agreed": found.agreed, "kappa": found.value, "low": found.low, "high": found.high}


def _times_data(found: Times) -> dict[str, Any]:
    return {
        "n": found.n,
        "quartiles": [found.lower, found.median, found.upper],
        "quick": _share_data(found.quick),
        "bimodality": found.bimodality,
    }
