"""From rules that spoke to findings: age, quality, and one finding of a kind (see the package's rules)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from ..domain.alerts import AlertKind, AlertSeverity, Ask, Finding
from ..domain.readings import Average, Reading
from ..domain.record import Lab, SymptomReport
from .body import average_hits, lab_hits, record_hits, symptom_hits
from .evidence import Context, Event, Hit
from .pressure import reading_hits
from .table import DangerTable, Effects, When

T = TypeVar("T")

_MEASURED = (When.READING, When.ORTHOSTATIC)


def assess(event: Event, context: Context, *, received_at: datetime, table: DangerTable) -> tuple[Finding, ...]:
    """What the rules say of an event received at `received_at`, gravest first. Empty: nothing."""
    return _findings(hits_of(event, context, table, received_at), table, received_at)


def assess_record(context: Context, *, received_at: datetime, table: DangerTable) -> tuple[Finding, ...]:
    """What the rules say of the person as known: to be asked whenever pregnancy or regimen changes (C13)."""
    return _findings(record_hits(context, table, received_at), table, received_at)


def assess_average(
    average: Average, window: str, context: Context, *, received_at: datetime, table: DangerTable
) -> tuple[Finding, ...]:
    """What the rules say of the mean of a window, named `window` in the evidence (C9)."""
    return _findings(average_hits(average, window, context, table, received_at), table, received_at)


def hits_of(event: Event, context: Context, table: DangerTable, received_at: datetime) -> Iterator[Hit]:
    """The rules that spoke of an event, before age and quality are weighed."""
    match event:
        case Reading():
            yield from reading_hits(event, context, table, received_at)
        case Lab():
            yield from lab_hits(event, context, table, received_at)
        case SymptomReport():
            yield from symptom_hits(event, context, table, received_at)


def counted_as(findings: Iterable[Finding]) -> str | None:
    """How an import counts a reading: "crisis", "low", "historic" (either of them, too old to act on) or not at all."""
    grave = [f for f in findings if f.kind in (AlertKind.CRISIS, AlertKind.LOW, AlertKind.LOW_DIASTOLIC)]
    if any(f.historic for f in grave):
        return "historic"
    if any(f.kind is AlertKind.CRISIS for f in grave):
        return "crisis"
    return "low" if grave else None


def _findings(hits: Iterable[Hit], table: DangerTable, received_at: datetime) -> tuple[Finding, ...]:
    by_kind: dict[AlertKind, list[Finding]] = {}
    for hit in hits:
        by_kind.setdefault(hit.rule.kind, []).append(_finding(hit, table, received_at))
    merged = [_merged(same) for same in by_kind.values()]
    return tuple(sorted(merged, key=lambda f: (-f.severity.rank, f.kind)))


def _finding(hit: Hit, table: DangerTable, received_at: datetime) -> Finding:
    """One rule about one event, weighed by its quality and its age."""
    effects, unverified = _by_quality(hit)
    age = received_at - hit.at
    historic = age > timedelta(days=float(table.windows.bar_days))
    if historic:
        effects = _historic(effects)
    elif age > timedelta(hours=float(table.windows.page_hours)):
        effects = _no_longer_paging(effects)
    return Finding(
        kind=hit.rule.kind,
        severity=effects.severity,
        page=effects.page,
        lock=effects.lock,
        bars=effects.bars,
        same_day_item=effects.same_day_item,
        unverified=unverified,
        historic=historic,
        asks=effects.asks,
        evidence=hit.evidence,
        rules=(hit.rule.rule,),
        sources=(hit.rule.source,),
        limits=(hit.rule.signed_limit,) if hit.rule.signed_limit else (),
    )


def _by_quality(hit: Hit) -> tuple[Effects, bool]:
    """What a value is worth that is cuffless, weak, or not yet repeated."""
    effects = hit.rule.effects
    doubtful = hit.cuffless or hit.weak or hit.single
    if hit.cuffless:
        asks = _joined((Ask.CUFF_READING,), tuple(a for a in effects.asks if a is not Ask.REPEAT_NOW))
        effects = replace(effects, asks=asks)
        if hit.rule.when in _MEASURED:
            severity = min(effects.severity, AlertSeverity.CARD, key=lambda s: s.rank)
            effects = replace(effects, severity=severity, page=False, lock=False, same_day_item=True)
    elif hit.weak or hit.partly:
        effects = replace(effects, asks=_joined((Ask.REPEAT_NOW,), effects.asks))
        if hit.weak and hit.rule.when in _MEASURED:
            effects = replace(effects, lock=False)
    return effects, doubtful


def _no_longer_paging(effects: Effects) -> Effects:
    """One to fourteen days old: nobody is woken, somebody looks today."""
    if effects.severity is AlertSeverity.INFO:
        return effects
    return Effects(
        severity=AlertSeverity.CARD,
        page=False,
        lock=False,
        bars=effects.bars,
        same_day_item=True,
        asks=_joined((Ask.MEASURE_NOW,), effects.asks),
    )


def _historic(effects: Effects) -> Effects:
    return replace(
        effects, severity=AlertSeverity.INFO, page=False, lock=False, bars=frozenset(), same_day_item=False, asks=()
    )


def _merged(same: list[Finding]) -> Finding:
    """Findings of one kind as one: the gravest of each, and all that was said. What still counts outweighs history."""
    said = [f for f in same if not f.historic] or same
    return Finding(
        kind=said[0].kind,
        severity=max((f.severity for f in said), key=lambda s: s.rank),
        page=any(f.page for f in said),
        lock=any(f.lock for f in said),
        bars=frozenset().union(*(f.bars for f in said)),
        same_day_item=any(f.same_day_item for f in said),
        unverified=all(f.unverified for f in said),
        historic=all(f.historic for f in said),
        asks=_joined(*(f.asks for f in sorted(said, key=lambda f: -f.severity.rank))),
        evidence=_joined(*(f.evidence for f in said)),
        rules=_joined(*(f.rules for f in said)),
        sources=_joined(*(f.sources for f in said)),
        limits=_joined(*(f.limits for f in said)),
    )


def _joined(*parts: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(one for part in parts for one in part))
