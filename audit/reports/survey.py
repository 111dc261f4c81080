"""The first reading of a bundle: what the report needs to know before its first page is drawn.

The rules
 * It counts and keeps one line per day, person and model, so that memory does not grow with the number of entries.
 * A pressure enters the chart when it was taken with an upper-arm cuff at home or its method is not stated, and was not
   held back: the chart is a view for reading, the counted averages stand with their acts.
 * The people of a report are synthetic when the bundle says so or when an enrolment in it does (never claimed else).
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from audit import words
from audit.bundles import Bundle
from audit.reports import acts as source
from audit.reports.acts import Act

DECISIONS = ("approved", "modified", "rejected", "withheld", "accepted", "declined", "recalled", "expired", "withdrawn")
SAME_RECORD_WITHIN = 200
_MOST_NAMES, _MOST_DAYS, _MOST_MARKS, _MOST_SHREDDED = 20_000, 20_000, 200, 200_000
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CUFF = frozenset({"upper_arm_cuff", "auscultation", None})


@dataclass(slots=True)
class Day:
    """Sums of the pressures of one day, in mmHg."""

    count: int = 0
    systolic: Decimal = Decimal(0)
    diastolic: Decimal = Decimal(0)


@dataclass(slots=True)
class Survey:
    """What the first reading found."""

    total: int = 0
    about_keys: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    names: dict[str, str] = field(default_factory=dict)
    looks: Counter[tuple[str, str]] = field(default_factory=Counter)
    look_days: Counter[str] = field(default_factory=Counter)
    models: Counter[tuple[str, str]] = field(default_factory=Counter)
    policies: Counter[str] = field(default_factory=Counter)
    pressures: dict[date, Day] = field(default_factory=dict)
    targets: list[tuple[date, Decimal, Decimal]] = field(default_factory=list)
    changes: list[tuple[date, str]] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)
    subjects: set[str] = field(default_factory=set)
    shredded: set[str] = field(default_factory=set)
    signatures: int = 0
    methods: Counter[str] = field(default_factory=Counter)
    synthetic: bool = False
    first: str = ""
    last: str = ""
    _counted: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=SAME_RECORD_WITHIN))

    def is_new(self, esign: Mapping[str, Any]) -> bool:
        """Whether this signature was not counted just before, at the act it belongs to."""
        same = (esign["record"], esign.get("name_shown", ""))
        if same in self._counted:
            return False
        self._counted.append(same)
        return True

    def name(self, actor: Mapping[str, Any]) -> str:
        """Who somebody is, as far as this bundle says: a printed name where they signed, else kind and identifier."""
        known = self.names.get(_key(str(actor["id"]))) if actor["kind"] == "user" else None
        return known or f"{words.of('actors', str(actor['kind']))} {short_id(str(actor['id']))}"


def _key(account: str) -> str:
    """An account's identifier as a key of the manifest's filter may spell it."""
    return account.replace("-", "_")


def short_id(text: str) -> str:
    """The end of a long identifier; the whole stands in the particulars of the act."""
    return f"…{text[-12:]}" if _UUID.fullmatch(text) else text


def survey(bundle: Bundle) -> Survey:
    """Read the bundle once. Names that the manifest gives (`name_<account>`) hold for those who did not sign."""
    found = Survey(synthetic=bundle.manifest.chosen("synthetic") in ("yes", "true"))
    found.names.update({key[5:]: name for key, name in bundle.manifest.filter if key.startswith("name_") and name})
    for act in source.acts(bundle):
        _count(found, act)
        _who(found, act)
        if act.said is not None:
            _said(found, act, act.said)
        for row in act.rows:
            _reading(found, row)
    return found


def _count(found: Survey, act: Act) -> None:
    entry = act.entry
    found.total += 1
    found.about_keys += act.about_keys
    found.kinds[act.kind] += 1
    found.outcomes[entry["outcome"]] += 1
    family, _, ending = act.kind.partition(".")
    if family == "recommendation" and ending in DECISIONS:
        found.decisions[ending] += 1
    at = entry["occurred_at"]
    found.first = min(found.first, at) if found.first else at
    found.last = max(found.last, at)
    if "subject" in entry and len(found.subjects) < 2:
        found.subjects.add(entry["subject"])
    if "model" in entry and len(found.models) < _MOST_NAMES:
        found.models[(entry["model"]["id"], entry["model"]["version"])] += 1
        found.policies[entry["model"].get("policy_version", "")] += 1
    if act.kind == "payload.shredded" and len(found.shredded) < _MOST_SHREDDED:
        found.shredded.add(entry["object"]["id"])
    reason = entry.get("reason_code")
    if reason and words.known(reason):
        found.codes.add(reason)


def _who(found: Survey, act: Act) -> None:
    entry, actor = act.entry, act.entry["actor"]
    esign = entry.get("esign")
    if esign:
        if found.is_new(esign):
            found.signatures += 1
            found.methods[esign["method"]] += 1
        if "name_shown" in esign and len(found.names) < _MOST_NAMES:
            found.names[_key(actor["id"])] = esign["name_shown"]
    if act.kind.startswith("access."):
        if len(found.looks) < _MOST_NAMES:
            found.looks[(actor["kind"], actor["id"])] += 1
        if len(found.look_days) < _MOST_DAYS:
            found.look_days[entry["occurred_at"][:10]] += 1


def _said(found: Survey, act: Act, said: Mapping[str, Any]) -> None:
    when = _day(act.entry["occurred_at"])
    if act.kind == "patient.enrolled" and said.get("synthetic") is True:
        found.synthetic = True
    if when is None or len(found.changes) >= _MOST_MARKS or len(found.targets) >= _MOST_MARKS:
        return
    if act.kind == "target.signed":
        systolic, diastolic = _number(said.get("systolic_below")), _number(said.get("diastolic_below"))
        if systolic is not None and diastolic is not None:
            found.targets.append((when, systolic, diastolic))
    elif act.kind == "regimen.changed":
        found.changes.append((when, _change(said)))


def _change(said: Mapping[str, Any]) -> str:
    drug = str(said.get("name") or said.get("ingredient") or "medication")
    if said.get("stopped") is True:
        return f"{drug} stopped"
    dose = said.get("daily_dose_mg")
    return f"{drug} {dose} mg a day" if dose else f"{drug} changed"


def _reading(found: Survey, row: bytes) -> None:
    said = source.reading(row)
    if said is None or said.get("quarantined") or said.get("method") not in _CUFF:
        return
    when = _day(str(said.get("taken_at", "")))
    systolic, diastolic = _number(said.get("systolic")), _number(said.get("diastolic"))
    if when is None or systolic is None or diastolic is None:
        return
    if when not in found.pressures and len(found.pressures) >= _MOST_DAYS:
        return
    kept = found.pressures.setdefault(when, Day())
    kept.count += 1
    kept.systolic += systolic
    kept.diastolic += diastolic


def _day(stamp: str) -> date | None:
    try:
        return date.fromisoformat(stamp[:10])
    except ValueError:
        return None


def _number(value: Any) -> Decimal | None:
    """A pressure as a number, when it is one a chart can hold."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and 0 <= number <= 400 else None


def by_period(pressures: Mapping[date, Day]) -> tuple[int, dict[date, Day]]:
    """The days, or where there are more than a table holds, periods of several days: (length in days, sums)."""
    if not pressures:
        return 1, {}
    first, last = min(pressures), max(pressures)
    span = (last - first).days + 1
    length = 1 if len(pressures) <= 75 and span <= 400 else 7 if span <= 7 * 75 else -(-span // 75)
    if length == 1:
        return 1, dict(sorted(pressures.items()))
    joined: dict[date, Day] = {}
    for when, kept in sorted(pressures.items()):
        start = first + timedelta(days=(when - first).days // length * length)
        into = joined.setdefault(start, Day())
        into.count += kept.count
        into.systolic += kept.systolic
        into.diastolic += kept.diastolic
    return length, joined
