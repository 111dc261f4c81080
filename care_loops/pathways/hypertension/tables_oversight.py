"""The rules of oversight as shipped, read from their file."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from ...oversight.first import FirstRules
from ...oversight.rules import OversightRules

MARKS = frozenset({"checked", "from memory", "proposal"})


@cache
def oversight_rules() -> OversightRules:
    """The rules in force. Raises ValueError when a row lacks its source or its mark."""
    return parse((files(__package__) / "data" / "oversight.json").read_bytes())


def parse(data: bytes) -> OversightRules:
    """The rules from the bytes of their file."""
    said = json.loads(data)
    for row in said["rows"]:
        if not row["source"] or row["mark"] not in MARKS:
            raise ValueError(f"{row}: a row needs a source and a mark")
    value = {row["name"]: float(row["value"]) for row in said["rows"]}
    return OversightRules(
        version=said["version"],
        weeks=int(value["weeks"]),
        least_deciders=int(value["least_deciders"]),
        z=value["z"],
        sigmas=value["sigmas"],
        run=int(value["run"]),
        rate_low=value["rate_low"],
        rate_high=value["rate_high"],
        least_cases=int(value["least_cases"]),
        quick_seconds=value["quick_seconds"],
        bimodal_above=value["bimodal_above"],
        alert_budget=value["alert_budget"],
        sources=tuple((row["name"], f"{row['value']} {row['unit']}", row["source"]) for row in said["rows"]),
    )


@cache
def first_rules() -> FirstRules:
    """How many proposals are decided first. Raises ValueError for a row without source or mark, or too small a rate."""
    return parse_first((files(__package__) / "data" / "decide_first.json").read_bytes())


def parse_first(data: bytes) -> FirstRules:
    """The rate from the bytes of its file."""
    said = json.loads(data)
    (row,) = said["rows"]
    if not row["source"] or row["mark"] not in MARKS:
        raise ValueError(f"{row}: a row needs a source and a mark")
    return FirstRules(version=said["version"], permille=int(row["value"]))
