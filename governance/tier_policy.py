"""The decision table of CLINICAL 1.9 as shipped, read from `data/tier_table.json` and checked row by row.

Rules
 * The table has a version; every row a citation and a mark; every fact that can be known is asked by some row.
 * A file that is wrong is a bug: it raises and nothing starts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache
from importlib.resources import files

from .tiers import FIELDS, FactName, Question, Subject, Tier, TierPolicy, TierRow

NAME = "tier_table"
MARKS = frozenset({"checked", "from memory", "proposal"})


@cache
def shipped() -> TierPolicy:
    """The table as shipped."""
    return parse((files(__package__) / "data" / f"{NAME}.json").read_bytes())


def parse(data: bytes) -> TierPolicy:
    """Read a table from the bytes of its file."""
    document = json.loads(data)
    rows = tuple(_row(row) for row in document["rows"])
    ids = [row.row_id for row in rows]
    if document["table"] != NAME or not document["version"] or len(ids) != len(set(ids)):
        raise ValueError("a tier table says its name and version, and names each row once")
    asked = {fact for row in rows for fact in (row.fact, row.other) if fact is not None}
    known = {FactName(subject, name) for subject in Subject for name in FIELDS[subject]}
    if asked != known:
        raise ValueError(f"facts that no row asks: {sorted(fact.name for fact in known - asked)}")
    return TierPolicy(name=NAME, version=document["version"], digest=hashlib.sha256(data).hexdigest(), rows=rows)


def narrowed(policy: TierPolicy, values: Mapping[str, str]) -> TierPolicy:
    """The same table with the limits that a site's policy chose, by row; each has to be stricter than it was."""
    known = {row.row_id: row for row in policy.rows}
    for row_id, value in values.items():
        row = known.get(row_id)
        if row is None or row.limit is None or not _stricter(row, row.limit, Decimal(value)):
            raise ValueError(f"{row_id}: {value} is not stricter than the table")
    rows = (replace(row, limit=Decimal(values[row.row_id])) if row.row_id in values else row for row in policy.rows)
    return replace(policy, rows=tuple(rows))


def _stricter(row: TierRow, limit: Decimal, value: Decimal) -> bool:
    """Whether fewer changes would pass: a higher floor, a lower ceiling."""
    return value > limit if row.test in (Question.AT_LEAST, Question.ABOVE) else value < limit


def _row(row: Mapping[str, str | None]) -> TierRow:
    if not row["citation"] or row["mark"] not in MARKS:
        raise ValueError(f"{row['id']}: a row needs a citation and a mark")
    limit, other = row["limit"], row["other"]
    return TierRow(
        row_id=str(row["id"]),
        row=str(row["row"]),
        fact=FactName(Subject(str(row["subject"])), str(row["fact"])),
        test=Question(str(row["test"])),
        limit=None if limit is None else Decimal(limit),
        other=None if other is None else _fact(other),
        else_tier=Tier(str(row["else_tier"])),
        words=str(row["words"]),
        citation=str(row["citation"]),
        mark=str(row["mark"]),
    )


def _fact(text: str) -> FactName:
    subject, _, name = text.partition(".")
    return FactName(Subject(subject), name)
