"""The acts of a bundle, each joined with what the reader may see of it, in the order of the log.

The rules
 * Entries stream; content, readings and evidence of signatures are matched to them by their order, so that memory does
   not grow with the bundle. A line that belongs to no entry is a refusal by name (`stray-line`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from audit.bundles import Bundle, BundleInvalid

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
KEY_KINDS = frozenset({"log", "key"})


@dataclass(frozen=True, slots=True)
class Act:
    """One entry with its content. `said` is None when there is none here; `rows` are readings as stored."""

    position: int
    entry: dict[str, Any]
    leaf: bytes
    said: dict[str, Any] | None
    rows: tuple[bytes, ...]
    evidence: dict[str, str] | None

    @property
    def kind(self) -> str:
        """The type of the entry."""
        return str(self.entry["type"])

    @property
    def about_keys(self) -> bool:
        """Whether it is about the record itself, its keys and its witnesses."""
        return self.entry["object"]["type"] in KEY_KINDS


def acts(bundle: Bundle) -> Iterator[Act]:
    """Every act of the bundle; raises BundleInvalid."""
    said = _Beside((p.entry_id, p.said) for p in bundle.payloads())
    rows = _Beside((b.entry_id, b.rows) for b in bundle.batches())
    proof = _Beside(bundle.assertions())
    for each in bundle.entries():
        known = UUID(each.entry["id"])
        content = said.of(known)
        yield Act(
            position=each.position,
            entry=each.entry,
            leaf=each.leaf_hash,
            said=_content(content) if content is not None else None,
            rows=rows.of(known) or (),
            evidence=proof.of(known),
        )
    for beside in (said, rows, proof):
        beside.end()


class _Beside:
    """Lines about entries in the order of the entries: the one for an entry, or None."""

    def __init__(self, lines: Iterator[tuple[UUID, Any]]) -> None:
        self._lines = lines
        self._next = next(lines, None)

    def of(self, entry: UUID) -> Any:
        if self._next is None or self._next[0] != entry:
            return None
        found = self._next[1]
        self._next = next(self._lines, None)
        return found

    def end(self) -> None:
        if self._next is not None:
            raise BundleInvalid("stray-line", f"about entry {self._next[0]}, which is not here or stood before")


def _content(said: Any) -> dict[str, Any]:
    try:
        found = said()
    except (ValueError, RecursionError) as err:
        raise BundleInvalid("payload", type(err).__name__) from err
    return found if isinstance(found, dict) else {"content": found}


def day(stamp: str) -> str:
    """`2026-03-01T…` as 1 Mar 2026."""
    return f"{int(stamp[8:10])} {MONTHS[int(stamp[5:7]) - 1]} {stamp[:4]}"


def clock(stamp: str) -> str:
    """The time of day, to the second, in UTC."""
    return f"{stamp[11:19]} UTC"


def moment(stamp: str) -> str:
    """Day and time. What is no such stamp is shown as it is."""
    try:
        return f"{day(stamp)}, {clock(stamp)}"
    except (ValueError, IndexError):
        return stamp


def reading(row: bytes) -> dict[str, Any] | None:
    """A reading's stored bytes as a value, where they are JSON."""
    try:
        found = json.loads(row)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
