"""The patient at one glance, as JSON: trend, variability, adherence, activity, results, medication; what is missing.

Rules (CLI-08)
 * What is missing is said to be missing, with why; it is never zero and never left out silently.
 * Pressures show whole mmHg rounded half up; the unrounded values stay in the record.
 * Everything here can be read by a person as it stands: the patient page shows exactly this.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from ..domain.loops import LoopState
from ..domain.record import DrugTaken, PastChange, Pregnancy
from ..lab_rules import DueStatus
from ..pathways.hypertension.tables_therapy import formulary
from ..selectors.summary import INTAKE_DAYS, ReadingSeen, Summary, outcome_of
from . import times, words
from .changes import milligrams, pressure
from .worklist import about

VARIABILITY_DAYS = 3
"""Fewer daily means than this say nothing about variability, and that is said."""


def summary(found: Summary, *, now: datetime) -> dict[str, Any]:
    """The summary of one patient at `now`."""
    return {
        "as_of": now.isoformat(),
        "patient": _patient(found, now=now),
        "trend": _trend(found),
        "variability": _variability(found),
        "window": _window(found),
        "adherence": _adherence(found, now=now),
        "activity": _activity(found),
        "labs": _labs(found, now=now),
        "labs_awaited": _labs_awaited(found, now=now),
        "medication": _medication(found, now=now),
        "top_reasons": _reasons(found),
        "caveats": list(_caveats(found, now=now)),
    }


def daily_means(readings: Iterable[ReadingSeen]) -> dict[date, tuple[Decimal, Decimal, int]]:
    """Per local day the mean systolic, mean diastolic and number of the readings that may count."""
    by_day: dict[date, list[tuple[Decimal, Decimal]]] = defaultdict(list)
    for reading in readings:
        if reading.counts and reading.systolic is not None and reading.diastolic is not None:
            by_day[reading.local_day].append((reading.systolic.value, reading.diastolic.value))
    return {day: (_mean([s for s, _ in both]), _mean([d for _, d in both]), len(both)) for day, both in by_day.items()}


def drug_name(ingredient: str, found: Summary) -> str:
    """The name of a drug by its RxNorm code, as the record has it, else as the formulary has it, else the code."""
    for taken in found.regimen.drugs:
        if taken.ingredient == ingredient:
            return taken.name
    known = formulary().drug(ingredient) or formulary().other(ingredient)
    return known.name if known else f"RxNorm {ingredient}"


def change_words(change: PastChange, found: Summary) -> str:
    """A change that took effect, in words."""
    verb = "increased" if change.steps > 0 else "reduced or stopped"
    return f"{drug_name(change.ingredient, found)} {verb}"


def _mean(values: Sequence[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)


def _patient(found: Summary, *, now: datetime) -> dict[str, Any]:
    facts = found.facts
    return {
        "name": found.patient.shown_name,
        "about": about(found.patient, now=now),
        "synthetic": found.patient.synthetic,
        "age_years": facts.age_years,
        "sex": facts.sex.value,
        "pregnancy": _pregnancy(found),
        "pregnancy_matters": facts.pregnancy in (Pregnancy.PREGNANT, Pregnancy.POSTPARTUM),
        "allergies": sorted({a.display or a.code for a in found.allergies}),
        "conditions": sorted({words.condition(c.kind) if c.kind else (c.display or c.code) for c in found.conditions}),
        "zone": times.place(found.zone),
    }


def _pregnancy(found: Summary) -> str:
    """What the record says of pregnancy, with the day of its end where it tells one."""
    said, ended = words.pregnancy(found.facts.pregnancy), found.pregnancy_ended
    if ended is None or found.facts.pregnancy not in (Pregnancy.NOT_PREGNANT, Pregnancy.POSTPARTUM):
        return said
    day = times.day(_local_day(ended, found))
    return f"{said} since {day}" if found.facts.pregnancy is Pregnancy.NOT_PREGNANT else f"{said}, ended {day}"


def _trend(found: Summary) -> dict[str, Any]:
    means = daily_means(found.readings)
    first, last = _span(found)
    days = (last - first).days + 1
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "days": days,
        "days_with_readings": len(means),
        "days_without_readings": days - len(means),
        "readings": len(found.readings),
        "readings_that_count": sum(1 for r in found.readings if r.counts),
        "readings_held_back": sum(1 for r in found.readings if r.held_back),
        "daily": [
            {"day": day.isoformat(), "systolic": pressure(s), "diastolic": pressure(d), "readings": n}
            for day, (s, d, n) in sorted(means.items())
        ],
        "changes": [
            {"day": _local_day(c.effective_at, found).isoformat(), "what": change_words(c, found)}
            for c in found.changes
            if c.effective_at >= found.since
        ],
        "target": f"under {pressure(found.target.systolic_below)}/{pressure(found.target.diastolic_below)} mmHg"
        if found.target
        else None,
    }


def _span(found: Summary) -> tuple[date, date]:
    return _local_day(found.since, found), _local_day(found.until, found)


def _local_day(at: datetime, found: Summary) -> date:
    return at.astimezone(ZoneInfo(found.zone)).date()


def _variability(found: Summary) -> dict[str, Any]:
    """Standard deviation between daily means, in mmHg; unknown below three days."""
    means = daily_means(found.readings)
    if len(means) < VARIABILITY_DAYS:
        return {"systolic_sd": None, "diastolic_sd": None, "days": len(means), "missing": "too few days with readings"}
    return {
        "systolic_sd": _sd([s for s, _, _ in means.values()]),
        "diastolic_sd": _sd([d for _, d, _ in means.values()]),
        "days": len(means),
        "missing": None,
    }


def _sd(values: Sequence[Decimal]) -> str:
    mean = _mean(values)
    variance = sum(((v - mean) ** 2 for v in values), Decimal(0)) / (len(values) - 1)
    return str(variance.sqrt().quantize(Decimal("0.1"), rounding=ROUND_HALF_UP))


def _window(found: Summary) -> dict[str, Any]:
    window = found.window
    not_used = Counter(words.not_used(left.why) for left in window.not_used)
    return {
        "rule": window.rule,
        "rule_version": window.rule_version,
        "average": f"{pressure(window.average.systolic.value)}/{pressure(window.average.diastolic.value)}"
        if window.average
        else None,
        "why_none": words.insufficient(window.reason) if window.reason else None,
        "used": len(window.used),
        "not_used": [{"why": why, "readings": n} for why, n in sorted(not_used.items())],
    }


def _adherence(found: Summary, *, now: datetime) -> dict[str, Any]:
    if found.adherence is None or found.adherence.share is None:
        return {"percent": None, "missing": f"no dose was logged in the last {INTAKE_DAYS} days", "strip": []}
    percent = (found.adherence.share * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return {
        "percent": int(percent),
        "taken": found.adherence.taken,
        "due": found.adherence.due,
        "missing": None,
        "strip": _strip(found, now=now),
    }


def _strip(found: Summary, *, now: datetime) -> list[dict[str, Any]]:
    today = _local_day(now, found)
    days = [today - timedelta(days=back) for back in range(INTAKE_DAYS, 0, -1)]
    logged = {(i.ingredient, i.due_on): i.taken for i in found.intakes}
    return [
        {
            "drug": drug_name(ingredient, found),
            "days": [{"day": day.isoformat(), "state": _dose_state(logged.get((ingredient, day)))} for day in days],
        }
        for ingredient in sorted({i.ingredient for i in found.intakes})
    ]


def _dose_state(taken: bool | None) -> str:
    if taken is None:
        return "not logged"
    return "taken" if taken else "skipped"


def _activity(found: Summary) -> dict[str, Any]:
    """Context from wearables over the last days; it decides nothing."""
    kinds: dict[str, list[tuple[date, Decimal]]] = defaultdict(list)
    units: dict[str, str] = {}
    for seen in found.activity:
        value = seen.total if seen.kind in ("steps", "step_count") else seen.mean
        kinds[seen.kind].append((seen.day, value))
        units[seen.kind] = seen.unit
    if not kinds:
        return {"kinds": [], "missing": "no wearable data in the last 14 days"}
    return {
        "kinds": [
            {
                "name": words.opened(kind),
                "unit": units[kind],
                "days": len(values),
                "mean_a_day": pressure(_mean([v for _, v in values])),
                "last_day": max(day for day, _ in values).isoformat(),
            }
            for kind, values in sorted(kinds.items())
        ],
        "missing": None,
    }


def _labs(found: Summary, *, now: datetime) -> list[dict[str, Any]]:
    """The newest result of each kind, with its age and the one before."""
    rows = []
    overdue = {k for due in found.labs_due if due.status in (DueStatus.LATE, DueStatus.OVERDUE) for k in due.kinds}
    for kind in sorted({lab.kind for lab in found.labs}):
        of_kind = sorted((lab for lab in found.labs if lab.kind is kind), key=lambda lab: lab.taken_at)
        newest, before = of_kind[-1], of_kind[-2] if len(of_kind) > 1 else None
        name, unit = words.lab(kind)
        rows.append(
            {
                "name": name,
                "value": _plain(newest.value),
                "unit": unit,
                "taken": times.day(_local_day(newest.taken_at, found)),
                "age": times.ago(newest.taken_at, now=now),
                "before": f"{_plain(before.value)} on {times.day(_local_day(before.taken_at, found))}"
                if before
                else None,
                "recheck_overdue": kind in overdue,
            }
        )
    return rows


def _labs_awaited(found: Summary, *, now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "what": ", ".join(words.lab(kind)[0] for kind in due.kinds),
            "why": f"after {change_words(due.after, found)}" if due.after else "yearly",
            "when": times.due(due.due_until, now=now),
            "status": words.opened(due.status.value),
            "blocks": due.status is DueStatus.OVERDUE,
        }
        for due in found.labs_due
    ]


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")


def _medication(found: Summary, *, now: datetime) -> dict[str, Any]:
    return {
        "fully_known": found.regimen.fully_known,
        "unknown": [words.opened(u) for u in found.regimen.unknown],
        "drugs": [_drug(drug, found, now=now) for drug in found.regimen.drugs],
    }


def _drug(drug: DrugTaken, found: Summary, *, now: datetime) -> dict[str, Any]:
    return {
        "name": drug.name,
        "class": words.drug_class(drug.drug_class),
        "daily_dose": milligrams(drug.daily_dose.value) if drug.daily_dose else None,
        "since": times.day(_local_day(drug.since, found)) if drug.since else None,
        "since_ago": times.ago(drug.since, now=now) if drug.since else None,
    }


def _reasons(found: Summary) -> list[str]:
    """What the predictor gave as its reasons in the open recommendation; none when none is open."""
    for loop in found.loops:
        if loop.state == LoopState.WITH_CLINICIAN.value:
            prediction = outcome_of(loop).get("prediction") or {}
            return [words.sentence(str(reason)) for reason in prediction.get("reasons", ())]
    return []


def _caveats(found: Summary, *, now: datetime) -> Iterable[str]:
    """What a reader must know about the quality of these data."""
    trend = _trend(found)
    if not found.readings:
        yield f"No blood pressure reading in the last {trend['days']} days."
        return
    last = max(r.taken_at for r in found.readings)
    if now - last > timedelta(days=7):
        yield f"The last reading is from {times.ago(last, now=now)}."
    for why, count in _counted(words.implausible(r.quarantined) for r in found.readings if r.quarantined):
        yield f"{times.plural(count, 'reading')} held back: {why}."
    for why, count in _counted(words.opened(r.corrected) for r in found.readings if r.corrected):
        yield f"{times.plural(count, 'reading')} corrected: {why}."
    absent = sum(1 for r in found.readings if r.systolic is None or r.diastolic is None)
    if absent:
        yield f"{times.plural(absent, 'reading')} without systolic or diastolic."
    context = sum(1 for r in found.readings if not r.counts and not r.held_back)
    if context:
        yield f"{times.plural(context, 'reading')} shown as context only; never averaged."
    if found.window.reason is not None:
        yield f"No average now: {words.insufficient(found.window.reason)}."
    if not found.regimen.fully_known:
        yield "Current medication is not fully known, so nothing can be proposed."


def _counted(reasons: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(reasons).items())
