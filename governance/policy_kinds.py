"""What a policy may say: the closed set of kinds, and the choices that `data/policy_choices.json` offers.

Rules (GOV-04, DBT-07)
 * A policy writes no clinical number. It names options of the cited file, each stricter than what is shipped; an option
   that is not there, or was changed since it was approved, is refused by name.
 * An operating mode says every part of itself; nothing has a usual value.
 * What a policy changes is shown as rows, old beside new.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from .domain import BadInput, Role
from .quorum_rules import MARKS
from .quorum_rules import shipped as quorum_shipped
from .tier_policy import shipped as tiers_shipped
from .tiers import OperatingMode

NAME = "policy_choices"


class PolicyKind(StrEnum):
    """What is set by policy."""

    OPERATING_MODE = "operating_mode"
    TIER_POLICY = "tier_policy"
    GUARDRAIL_TABLES = "guardrail_tables"
    TARGETS = "targets"
    APPROVAL_THRESHOLDS = "approval_thresholds"
    QUORUM_RULES = "quorum_rules"
    GATE_THRESHOLDS = "gate_thresholds"


OF_THE_SITE = frozenset({PolicyKind.QUORUM_RULES})
SITE = "site"
STOPPING = "operating_mode.stop"
MODE_PARTS = {"mode": str, "patient_directed": bool, "stopped": bool, "daily_patient_quota": int}
MODE_WORDS = {
    "mode": "How the pathway is run",
    "patient_directed": "Small changes may go straight to the patient",
    "stopped": "Stopped: nothing is proposed",
    "daily_patient_quota": "Changes a day that may go straight to patients",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One stricter value, with its source."""

    option_id: str
    value: str
    citation: str
    mark: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number or word of a shipped table that a site may make stricter. `shipped` is None where it has no bound."""

    kind: PolicyKind
    of: str
    words: str
    unit: str
    shipped: str | None
    narrows: str
    options: tuple[Option, ...]

    def option(self, option_id: str) -> Option | None:
        """The option of that name."""
        return next((one for one in self.options if one.option_id == option_id), None)


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One row of a policy, old beside new."""

    name: str
    words: str
    old: str
    new: str

    @property
    def changed(self) -> bool:
        """Whether the proposal changes this row."""
        return self.old != self.new


@cache
def parameters() -> tuple[Parameter, ...]:
    """Everything that a policy may choose, as shipped."""
    return parse((files(__package__) / "data" / f"{NAME}.json").read_bytes())


def of_kind(kind: PolicyKind) -> tuple[Parameter, ...]:
    """What a policy of this kind may choose."""
    return tuple(one for one in parameters() if one.kind is kind)


def parse(data: bytes) -> tuple[Parameter, ...]:
    """Read the choices from the bytes of their file. What is no choice, or not stricter, raises."""
    document = json.loads(data)
    rows = tuple(_parameter(row) for row in document["rows"])
    if document["table"] != NAME or len({(row.kind, row.of) for row in rows}) != len(rows):
        raise ValueError("a table of choices says its name, and names each row once")
    ids = [one.option_id for row in rows for one in row.options]
    if len(ids) != len(set(ids)) or {row.kind for row in rows} != set(PolicyKind) - {PolicyKind.OPERATING_MODE}:
        raise ValueError("an option has one name, and every kind has choices")
    return rows


def check_policy(kind: str, subject: str, body: Mapping[str, Any]) -> PolicyKind:
    """The kind, when the body is one of it; otherwise a refusal that names the part."""
    if kind not in set(PolicyKind):
        raise BadInput(f"{kind!r} is no kind of policy.", field="kind", known=[one.value for one in PolicyKind])
    known = PolicyKind(kind)
    if not subject or len(subject) > 80 or (known in OF_THE_SITE) != (subject == SITE):
        raise BadInput("Say which pathway the policy is for.", field="subject")
    if known is PolicyKind.OPERATING_MODE:
        _check_mode(body)
    else:
        _check_choices(known, body)
    return known


def act_of(kind: PolicyKind, body: Mapping[str, Any]) -> str:
    """Which rule of approval a policy falls under: its kind; a mode that stops its pathway falls under its own."""
    stops = kind is PolicyKind.OPERATING_MODE and (body["stopped"] or body["mode"] == OperatingMode.OFF)
    return STOPPING if stops else kind.value


def choices_body(kind: PolicyKind, chosen: Mapping[str, str]) -> dict[str, Any]:
    """The body of a policy that chooses these options, by parameter, with the digest of the rows they stand in."""
    return {"choices": dict(sorted(chosen.items())), "rows_sha256": rows_digest(kind, chosen)}


def rows_digest(kind: PolicyKind, chosen: Mapping[str, str]) -> str:
    """SHA-256 (hex) over the rows of the file that a choice stands in: what was approved, to the number."""
    rows = []
    for one in of_kind(kind):
        option = one.option(chosen.get(one.of, ""))
        if option is not None:
            rows.append([one.of, one.unit, one.shipped, one.narrows, option.option_id, option.value])
    return hashlib.sha256(json.dumps(rows, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def values(kind: PolicyKind, body: Mapping[str, Any]) -> dict[str, str]:
    """What a policy chose, by parameter: the values of the file. Refuses a policy whose rows are no longer those."""
    _check_choices(kind, body)
    chosen: Mapping[str, str] = body["choices"]
    found = {one.of: one.option(chosen[one.of]) for one in of_kind(kind) if one.of in chosen}
    return {of: option.value for of, option in found.items() if option is not None}


def diff(kind: PolicyKind, old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> tuple[DiffRow, ...]:
    """Every row of the policy, old beside new. Where nothing was in force the old side is what is shipped."""
    if kind is PolicyKind.OPERATING_MODE:
        return tuple(
            DiffRow(part, MODE_WORDS[part], "not set" if old is None else _plain(old.get(part)), _plain(new.get(part)))
            for part in MODE_PARTS
        )
    before, after = (body["choices"] if body else {} for body in (old, new))
    return tuple(
        DiffRow(one.of, one.words, _in_force(one, before.get(one.of, "")), _in_force(one, after.get(one.of, "")))
        for one in of_kind(kind)
    )


def _plain(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _in_force(one: Parameter, option_id: str) -> str:
    option = one.option(option_id)
    value = option.value if option else one.shipped
    if value is None:
        return "no bound" if one.narrows != "adds" else "nobody more"
    if option_id and option is None:
        return f"{option_id} (no longer offered)"
    return f"{value.replace('_', ' ')} {unit_words(one)}".strip()


def unit_words(one: Parameter) -> str:
    """The unit as people write it."""
    return {"a": "years", "d": "days", "mm[Hg]": "mmHg"}.get(one.unit, one.unit)


def _check_mode(body: Mapping[str, Any]) -> None:
    for part, kind in MODE_PARTS.items():
        if part not in body or type(body[part]) is not kind:
            raise BadInput(f"An operating mode says {part.replace('_', ' ')}.", field=part)
    if unknown := sorted(set(body) - set(MODE_PARTS)):
        raise BadInput(f"An operating mode does not say {unknown[0]}.", field=unknown[0])
    if body["mode"] not in set(OperatingMode):
        raise BadInput("That is no operating mode.", field="mode", known=[one.value for one in OperatingMode])
    if body["daily_patient_quota"] < 0:
        raise BadInput("The daily quota is zero or more.", field="daily_patient_quota")


def _check_choices(kind: PolicyKind, body: Mapping[str, Any]) -> None:
    chosen = body.get("choices")
    if set(body) != {"choices", "rows_sha256"} or not isinstance(chosen, Mapping):
        raise BadInput("This policy chooses among what is offered, and says nothing else.", field="choices")
    known = {one.of: one for one in of_kind(kind)}
    for of, option_id in chosen.items():
        if of not in known or not isinstance(option_id, str) or known[of].option(option_id) is None:
            offered = [one.option_id for one in known[of].options] if of in known else sorted(known)
            raise BadInput(f"{of}: that is not offered.", field="choices", known=offered)
    if body["rows_sha256"] != rows_digest(kind, chosen):
        raise BadInput("What was chosen is no longer what the table says. Propose it anew.", field="rows_sha256")


def _parameter(row: Mapping[str, Any]) -> Parameter:
    options = tuple(
        Option(str(one["id"]), str(one["value"]), str(one["citation"]), str(one["mark"])) for one in row["options"]
    )
    found = Parameter(
        kind=PolicyKind(row["kind"]),
        of=str(row["of"]),
        words=str(row["words"]),
        unit=str(row["unit"]),
        shipped=row["shipped"],
        narrows=str(row["narrows"]),
        options=options,
    )
    if not options or not found.words or any(not one.citation or one.mark not in MARKS for one in options):
        raise ValueError(f"{found.of}: an option needs a citation and a mark")
    if not all(_stricter(found, one.value) for one in options):
        raise ValueError(f"{found.of}: an option is stricter than what is shipped")
    _check_shipped(found)
    return found


def _stricter(one: Parameter, value: str) -> bool:
    match one.narrows:
        case "adds":
            return Role(value) is not None and one.shipped is None
        case "up":
            return Decimal(value) > Decimal(one.shipped or "-Infinity")
        case "down":
            return Decimal(value) < Decimal(one.shipped or "Infinity")
    raise ValueError(f"{one.of}: narrows {one.narrows}")


def _check_shipped(one: Parameter) -> None:
    """What the file says is shipped is what is shipped, where this package can see it."""
    if one.kind is PolicyKind.TIER_POLICY:
        row = next((row for row in tiers_shipped().rows if row.row_id == one.of), None)
        if row is None or row.limit is None or str(row.limit) != one.shipped:
            raise ValueError(f"{one.of}: the tier table says otherwise")
    if one.kind is PolicyKind.QUORUM_RULES and one.of not in {row.rule_id for row in quorum_shipped().rows}:
        raise ValueError(f"{one.of}: there is no such rule")
