"""Verifiers that believe too much, to show what each piece of evidence is for (SECURITY 0, finding 1)."""

from __future__ import annotations

import json
from typing import Any

from audit import entries

from .forging import Members
from .world import ORIGIN

_FRAME = entries.frame(ORIGIN)


def chain_only(members: Members) -> bool:
    """A hash chain in the database: whether positions, ids, links of each object, or payloads do not fit together.

    It recomputes every hash from the bytes it is given and asks nobody else: no tree, no signature, no witness.
    """
    try:
        return not _fits(members)
    except (ValueError, KeyError, TypeError, AttributeError):
        return True


def _fits(members: Members) -> bool:
    payloads = {line["entry"]: line for line in map(json.loads, members["payloads.jsonl"].splitlines())}
    chains: dict[tuple[str, str], tuple[int, str]] = {}
    ids: set[str] = set()
    everything = json.loads(members["manifest.json"])["kind"] == "everything"
    for number, line in enumerate(members["entries.jsonl"].splitlines()):
        position, _, encoded = line.partition(b" ")
        entry: dict[str, Any] = json.loads(encoded)
        if (everything and int(position) != number) or entry["id"] in ids:
            return False
        ids.add(entry["id"])
        place, leaf = entry["object"], entries.leaf_hash(_FRAME + encoded).hex()
        name = place["type"], place["id"]
        if place["version"] is not None:
            if everything and (place["version"] - 1, place["prev"]) != chains.get(name, (0, None)):
                return False
            chains[name] = place["version"], leaf
        shown = payloads.get(entry["id"])
        if shown is not None:
            commit = entries.commitment(bytes.fromhex(shown["salt"]), shown["body"].encode()).hex()
            if commit != entry["payload"]["commit"]:
                return False
    return True
