"""The rules of second review as shipped, read from their file."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from ...sampling import Mark, SamplingRules

MARKS = frozenset({"checked", "from memory", "proposal"})


@cache
def sampling_rules() -> SamplingRules:
    """The rules in force. Raises ValueError when a row lacks its source or its mark."""
    said = json.loads((files(__package__) / "data" / "second_review.json").read_bytes())
    for row in said["rows"]:
        if not row["source"] or row["mark"] not in MARKS:
            raise ValueError(f"{row}: a row needs a source and a mark")
    value = {row["name"]: int(row["value"]) for row in said["rows"]}
    return SamplingRules(
        version=said["version"],
        share_permille=value["share_permille"],
        quick_seconds=value["quick_seconds"],
        danger_days=value["danger_days"],
        tickets_of_any=value["weight_any"],
        tickets={mark: value[f"weight_{mark.value}"] for mark in Mark},
    )
