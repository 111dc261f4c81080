"""A change of regimen in words, and what was frozen with a recommendation, read back for people.

Rules
 * Old and new total daily dose are both said, and what to stop.
 * What is frozen is shown as it was; nothing is recomputed here. A part that is not there is said to be missing.
 * Doses show without needless zeros and never with an exponent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from ..domain.changes import Candidate, Change, ChangeKind, Severity
from ..domain.evidence import candidate_key
from ..freeze import freeze
from . import words

Frozen = Mapping[str, Any]


def milligrams(value: object) -> str | None:
    """A dose as it is written: `12.5 mg`; None when there is none."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        value = value.get("value")
    number = format(Decimal(str(value)).normalize(), "f")
    return f"{number} mg"


def pressure(value: object) -> str | None:
    """mmHg rounded half up for display; None when absent."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        value = value.get("value")
    return str(Decimal(str(value)).quantize(Decimal(1), rounding=ROUND_HALF_UP))


@dataclass(frozen=True, slots=True)
class ChangeShown:
    """One change as it is shown. `sentence` stands alone; `old` and `new` are total daily doses or None."""

    key: str
    kind: str
    drug: str
    drug_class: str
    old: str | None
    new: str | None
    sentence: str
    stop: str
    taper: str
    note: str
    reduces: bool
    stays: bool


def change_shown(frozen: Frozen | None, *, key: str = "") -> ChangeShown | None:
    """A frozen change in words; None when nothing was frozen."""
    if not frozen:
        return None
    kind = ChangeKind(frozen["kind"])
    old, new = milligrams(frozen.get("old_daily_dose")), milligrams(frozen.get("new_daily_dose"))
    drug = str(frozen.get("drug") or "")
    return ChangeShown(
        key=key or str(frozen.get("key", "")),
        kind=words.change_kind(kind),
        drug=drug,
        drug_class=words.drug_class(frozen["drug_class"]) if frozen.get("drug_class") else "",
        old=old,
        new=new,
        sentence=_sentence(kind, drug, old, new),
        stop=_stop(kind, drug, old),
        taper=_taper(frozen.get("taper") or ()),
        note=words.note(frozen.get("note")),
        reduces=kind.reduces,
        stays=kind is ChangeKind.STAY,
    )


def _sentence(kind: ChangeKind, drug: str, old: str | None, new: str | None) -> str:
    match kind:
        case ChangeKind.STAY:
            return "No change of medication"
        case ChangeKind.START:
            return f"Start {drug}, {new} a day"
        case ChangeKind.STOP:
            return f"Stop {drug} (now {old or 'dose not known'} a day)"
        case ChangeKind.TIMING:
            return f"Change the time of day at which {drug} is taken; the dose stays {old or 'as it is'}"
        case ChangeKind.STEP_UP | ChangeKind.STEP_DOWN if new is None:
            return f"{words.change_kind(kind)} {drug} (now {old or 'dose not known'} a day)"
        case ChangeKind.STEP_UP | ChangeKind.STEP_DOWN:
            return f"{words.change_kind(kind)} {drug} from {old or 'dose not known'} to {new} a day"


def _stop(kind: ChangeKind, drug: str, old: str | None) -> str:
    if kind in (ChangeKind.STEP_UP, ChangeKind.STEP_DOWN) and old:
        return f"The {drug} {old} a day taken until now is replaced, not added to."
    return f"Nothing of {drug} is taken any more." if kind is ChangeKind.STOP else ""


def _taper(doses: Iterable[object]) -> str:
    steps = [text for text in (milligrams(d) for d in doses) if text]
    return f"Taper: {' → '.join(steps)} → stop" if steps else ""


@dataclass(frozen=True, slots=True)
class RuleShown:
    """A rule that spoke: how it binds, its words, where it comes from."""

    code: str
    severity: str
    severity_words: str
    words: str
    citation: str


def rules_shown(frozen: Iterable[Frozen] | None) -> tuple[RuleShown, ...]:
    """Rules that spoke, those that stop first."""
    order = {"hard_stop": 0, "caution": 1, "warning": 2}
    shown = [
        RuleShown(
            code=str(rule.get("rule", "")),
            severity=str(rule.get("severity", "warning")),
            severity_words=words.severity(str(rule.get("severity", "warning"))),
            words=str(rule.get("words", "")),
            citation=str(rule.get("citation", "")),
        )
        for rule in frozen or ()
    ]
    return tuple(sorted(shown, key=lambda r: order.get(r.severity, 0)))


@dataclass(frozen=True, slots=True)
class CandidateShown:
    """A change that was considered, with what rules said of it."""

    change: ChangeShown
    barred: bool
    cautioned: bool
    rules: tuple[RuleShown, ...]


def candidates_shown(frozen: Iterable[Frozen] | None) -> tuple[CandidateShown, ...]:
    """Everything that was considered, in the order it was considered; barred ones are kept."""
    found = []
    for one in frozen or ():
        key = candidate_key(msgspec.convert(one["change"], Change))
        change = change_shown(one["change"], key=key)
        if change is None:
            continue
        rules = rules_shown(one["spoken"])
        severities = {r.severity for r in rules}
        found.append(
            CandidateShown(
                change=change,
                barred=Severity.HARD_STOP in severities,
                cautioned=Severity.CAUTION in severities,
                rules=rules,
            )
        )
    return tuple(found)


def candidates_listed(candidates: Iterable[Candidate]) -> tuple[CandidateShown, ...]:
    """Candidates as values, shown like frozen ones."""
    return candidates_shown(json.loads(freeze(tuple(candidates))))
