"""One entry as its page shows it: what it says, its bytes, its neighbours, who has seen it, and its proof step by step.

Rules
 * What is shown as checked was computed for this page, from the stored bytes.
 * Of the content only whether there is one, and whether it can still be opened: it stands on a page of its own, for
   whom the patient's record is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from audit.selectors import Coverage, coverage
from audit.services.proving import Proof, Seen, proof_of, proof_of_detached, seen_by
from audit.services.searching import Around, Left, Stored, around, payload_id_of
from audit.witness_policy import PolicyInvalid
from audit.words import kind, of

from ..selectors import staff_names
from .drawings import path_svg
from .record import (
    IN_ITS_ARCHIVE,
    Row,
    SegmentShown,
    attested_only,
    entry_rows,
    segment_shown,
    signature_rows,
    stamp,
    thing,
)

_COVERED = {
    Coverage.WITNESSED: "Cosigned: enough outside witnesses have seen it.",
    Coverage.SIGNED: "Signed by the log; not enough outside witnesses have confirmed it.",
    Coverage.NUMBERED: "It has its place in the log; no checkpoint over it is signed yet.",
    Coverage.PENDING: "Recorded for good, and waiting for its place in the log: that takes about a second.",
}


@dataclass(frozen=True, slots=True)
class StepShown:
    """One step of the proof in words and hashes."""

    number: int
    side: str
    beside: str
    gives: str


@dataclass(frozen=True, slots=True)
class EntryShown:
    """The page. `payload` is `none`, `kept` or `shredded`."""

    entry_id: UUID
    heading: str
    position: int | None
    rows: list[Row]
    unsound: str
    signature: list[Row]
    attested: bool
    payload: str
    commit: str
    canonical: str
    size: int
    leaf_hash: str
    hash_holds: bool
    chain: Around
    prev_hash: str
    covered: str
    coverage: str
    seen: tuple[tuple[str, str, int], ...]
    proof: Proof | None
    root: str
    steps: tuple[StepShown, ...]
    drawing: str


def entry_shown(stored: Stored) -> EntryShown:
    """Everything the page says of an entry."""
    said = stored.entry or {}
    names = staff_names({said["actor"]["id"]}) if said and said["actor"]["kind"] == "user" else {}
    found, kept = proof_of(stored), payload_id_of(stored.entry_id)
    covered = _coverage(stored.entry_id)
    return EntryShown(
        entry_id=stored.entry_id,
        heading=kind(said["type"]) if said else "An entry that cannot be read",
        position=stored.position,
        rows=entry_rows(said, names) if said else [],
        unsound=stored.unsound,
        signature=signature_rows(said, names) if said else [],
        attested=attested_only(said),
        payload="none" if kept is None else ("kept" if kept[1] else "shredded"),
        commit=said.get("payload", {}).get("commit", ""),
        canonical=stored.canonical.decode("utf-8", "replace"),
        size=len(stored.leaf),
        leaf_hash=stored.leaf_hash.hex(),
        hash_holds=stored.hash_holds,
        chain=around(stored),
        prev_hash=(said.get("object", {}).get("prev") or "") if said else "",
        covered=_COVERED[covered],
        coverage=covered.value,
        seen=tuple((each.who, stamp(each.at), each.size) for each in _seen(stored)),
        proof=found,
        root=found.root.hex() if found else "",
        steps=_steps(found),
        drawing=path_svg(found) if found else "",
    )


@dataclass(frozen=True, slots=True)
class DetachedShown:
    """The page of an entry that was detached: what stayed of it, where it lies, and its proof."""

    entry_id: UUID
    heading: str
    position: int
    rows: list[Row]
    segment: SegmentShown
    leaf_hash: str
    payload: str
    covered: str
    coverage: str
    proof: Proof | None
    root: str
    steps: tuple[StepShown, ...]
    drawing: str


def detached_shown(left: Left) -> DetachedShown:
    """Everything that can be said here of an entry whose bytes lie in an archive."""
    line, found = left.line, proof_of_detached(left)
    covered, kept = _coverage(line.entry_id), payload_id_of(line.entry_id)
    rows: list[Row] = [
        ("What happened", kind(line.type), line.type),
        ("How it ended", of("outcomes", line.outcome), line.outcome),
        ("Recorded", stamp(line.at), ""),
    ]
    if line.object_type:
        rows.append(("On what", thing(line.object_type, line.object_id), f"{line.object_type} {line.object_id}"))
        rows.append(("Its version", str(line.version), ""))
    rows.append(("Who, about whom, why", IN_ITS_ARCHIVE, ""))
    return DetachedShown(
        entry_id=line.entry_id,
        heading=kind(line.type),
        position=line.position or 0,
        rows=rows,
        segment=segment_shown(left.segment),
        leaf_hash=left.leaf_hash.hex(),
        payload="none" if kept is None else ("kept" if kept[1] else "shredded"),
        covered=_COVERED[covered],
        coverage=covered.value,
        proof=found,
        root=found.root.hex() if found else "",
        steps=_steps(found),
        drawing=path_svg(found) if found else "",
    )


def _coverage(entry_id: UUID) -> Coverage:
    """Without a readable policy nothing counts as witnessed."""
    try:
        return coverage([entry_id])[entry_id]
    except (OSError, PolicyInvalid):
        return Coverage.SIGNED


def _seen(stored: Stored) -> tuple[Seen, ...]:
    return seen_by(stored.position) if stored.position is not None else ()


def _steps(found: Proof | None) -> tuple[StepShown, ...]:
    if found is None:
        return ()
    return tuple(
        StepShown(
            number,
            "the hash beside it, on the left" if step.on_the_left else "the hash beside it, on the right",
            step.beside.hex(),
            step.gives.hex(),
        )
        for number, step in enumerate(found.steps, start=1)
    )
