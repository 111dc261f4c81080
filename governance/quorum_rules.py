"""Who must approve what, read from `data/quorum_rules.json` and checked row by row.

Rules
 * The table has a version; every row a citation and a mark; every act has a rule, and no two rules are for one act.
 * A role stands in one seat of a rule: under which role somebody approved says which seat they fill.
 * Only stopping a pathway needs nobody else. A site may ask for more people than shipped, never for fewer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from .domain import STAFF_ROLES, Role
from .quorum import QuorumAct, QuorumRule, Seat

NAME = "quorum_rules"
MARKS = frozenset({"checked", "from memory", "proposal"})
STOP = "policy_stop"


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One row of the table: for which acts it is, its words and where it comes from."""

    rule_id: str
    act: QuorumAct
    of: tuple[str, ...]
    seats: tuple[Seat, ...]
    lives: timedelta
    words: str
    citation: str
    mark: str

    def rule(self, of: str) -> QuorumRule:
        """The rule for one of its acts."""
        return QuorumRule(self.rule_id, self.act, of, self.seats, self.lives)


@dataclass(frozen=True, slots=True)
class QuorumTable:
    """The table, by version."""

    version: str
    rows: tuple[RuleRow, ...]

    def rule(self, act: QuorumAct, of: str = "") -> QuorumRule:
        """The rule of an act; an act without one is a bug."""
        row = next(row for row in self.rows if row.act is act and of in row.of)
        return row.rule(of)

    def with_more(self, more: Mapping[str, Role]) -> QuorumTable:
        """The same table with one person more, of another role, in the rules that are named."""
        return replace(self, rows=tuple(_with(row, more.get(row.rule_id)) for row in self.rows))


@cache
def shipped() -> QuorumTable:
    """The table as shipped."""
    return parse((files(__package__) / "data" / f"{NAME}.json").read_bytes())


def parse(data: bytes) -> QuorumTable:
    """Read a table from the bytes of its file."""
    document = json.loads(data)
    rows = tuple(_row(row) for row in document["rows"])
    asked = [(row.act, of) for row in rows for of in row.of]
    if document["table"] != NAME or not document["version"] or len(asked) != len(set(asked)):
        raise ValueError("a table of quorum rules says its name and version, and has one rule for each act")
    if {act for act, _ in asked} != set(QuorumAct) or len({row.rule_id for row in rows}) != len(rows):
        raise ValueError("every act needs a rule of its own name")
    return QuorumTable(str(document["version"]), rows)


def described(rule: QuorumRule) -> dict[str, Any]:
    """A rule as it is kept with a motion: JSON."""
    return {
        "id": rule.rule_id,
        "act": rule.act.value,
        "of": rule.of,
        "seats": [{"roles": sorted(seat.roles), "count": seat.count} for seat in rule.seats],
        "lives_seconds": int(rule.lives.total_seconds()),
    }


def rule_of(said: Mapping[str, Any]) -> QuorumRule:
    """The rule that was kept with a motion."""
    return QuorumRule(
        rule_id=str(said["id"]),
        act=QuorumAct(said["act"]),
        of=str(said["of"]),
        seats=tuple(_seat(seat) for seat in said["seats"]),
        lives=timedelta(seconds=int(said["lives_seconds"])),
    )


def _row(row: Mapping[str, Any]) -> RuleRow:
    if not row["citation"] or row["mark"] not in MARKS or not row["words"]:
        raise ValueError(f"{row['id']}: a row needs words, a citation and a mark")
    seats = tuple(_seat(seat) for seat in row["seats"])
    sat = [role for seat in seats for role in seat.roles]
    if len(sat) != len(set(sat)) or not set(sat) <= STAFF_ROLES:
        raise ValueError(f"{row['id']}: a role of the staff stands in one seat")
    if (not seats) != (row["id"] == STOP) or int(row["lives_days"]) < 1:
        raise ValueError(f"{row['id']}: somebody else approves, within a time")
    return RuleRow(
        rule_id=str(row["id"]),
        act=QuorumAct(row["act"]),
        of=tuple(str(of) for of in row["of"]),
        seats=seats,
        lives=timedelta(days=int(row["lives_days"])),
        words=str(row["words"]),
        citation=str(row["citation"]),
        mark=str(row["mark"]),
    )


def _seat(seat: Mapping[str, Any]) -> Seat:
    if int(seat["count"]) < 1 or not seat["roles"]:
        raise ValueError("a seat is for somebody")
    return Seat(frozenset(Role(role) for role in seat["roles"]), int(seat["count"]))


def _with(row: RuleRow, role: Role | None) -> RuleRow:
    """One person more: in the seat of that role, or in one of their own."""
    if role is None:
        return row
    if any(role in seat.roles for seat in row.seats):
        seats = tuple(Seat(s.roles, s.count + (role in s.roles)) for s in row.seats)
    else:
        seats = (*row.seats, Seat(frozenset({role}), 1))
    return replace(row, seats=seats)
