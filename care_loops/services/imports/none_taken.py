"""The word from elsewhere that no medicines are taken: how long it holds, and the lines that end it (N2).

Rules
 * It holds for one identifier as long as nothing else comes under it, whatever that is, and until its stated end. Then
   a stopped line that is not known says that it is no longer said, a moment after what else came with it.
 * Where one file says it and something else under one identifier, it is not said.
 * Taken back once, the same word under the same identifier does not come back: somebody has to ask.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from ...fhir_r4.resources import FhirMedication, Taking
from ...models import RegimenEntry
from ...selectors.regimen import NO_LONGER_SAID
from ..clinical import NewRegimenEntry
from .ledger import A_MOMENT, base_of, digest_of


@dataclass(frozen=True, slots=True)
class Said:
    """The orders that become lines of their own, and new lines of what is no longer said."""

    orders: tuple[FhirMedication, ...]
    no_longer: tuple[NewRegimenEntry, ...]


def none_taken(
    orders: Iterable[FhirMedication],
    taken_back: Collection[str],
    stored: list[RegimenEntry],
    *,
    source_system: str,
    noticed: datetime,
) -> Said:
    """Sort what came by `noticed`. `taken_back` are identifiers that came and say nothing, `stored` is the record."""
    orders = [_as_of(order, noticed) for order in orders]
    otherwise = {order.source_id for order in orders if not _says_none(order)} | set(taken_back)
    standing = _standing(stored, noticed)
    gone = standing.keys() & otherwise
    kept = [
        order
        for order in orders
        if order.source_id not in (otherwise if _says_none(order) else gone if _is_ended(order) else ())
    ]
    lines = [_no_longer(standing[key], at=max(noticed, standing[key].starts_at) + 2 * A_MOMENT) for key in sorted(gone)]
    lines += [_at_its_end(order, source_system, order.ends.at) for order in kept if _says_none(order) and order.ends]
    held = {row.source_id for row in stored}
    new = {line.source_id: line for line in lines if line.source_id not in held}
    return Said(tuple(kept), tuple(new.values()))


def _as_of(order: FhirMedication, noticed: datetime) -> FhirMedication:
    """A word that has ended by now is one that is no longer said since its end."""
    if order.nothing and order.ends is not None and order.ends.at <= noticed:
        return replace(order, taking=Taking.STOPPED, at=order.ends)
    return order


def _says_none(order: FhirMedication) -> bool:
    return order.nothing and order.taking is Taking.ACTIVE and not order.unsure


def _is_ended(order: FhirMedication) -> bool:
    return order.nothing and order.taking is Taking.STOPPED


def in_force(stored: list[RegimenEntry], noticed: datetime) -> list[RegimenEntry]:
    """Lines of the record, oldest first, without ends that are still to come."""
    rows = (row for row in stored if row.starts_at <= noticed or row.unknown_reason != NO_LONGER_SAID)
    return sorted(rows, key=lambda row: (row.starts_at, row.unknown_reason))


def _standing(stored: list[RegimenEntry], noticed: datetime) -> dict[str, RegimenEntry]:
    """The words that no medicines are taken which stand, by identifier."""
    standing: dict[str, RegimenEntry] = {}
    for row in in_force(stored, noticed):
        if row.status == RegimenEntry.NOTHING:
            standing[base_of(row.source_id)] = row
        elif row.unknown_reason == NO_LONGER_SAID:
            standing.pop(base_of(row.source_id), None)
    return standing


def _no_longer(row: RegimenEntry, *, at: datetime) -> NewRegimenEntry:
    """The line that takes a standing word back."""
    key = (NO_LONGER_SAID, row.starts_at.timestamp())
    source_id = f"{base_of(row.source_id)}#{digest_of(key)}"
    return _line(row.source_system, source_id, row.name, (row.code_system, row.code), at, NO_LONGER_SAID, stopped=True)


def _at_its_end(order: FhirMedication, source_system: str, ends: datetime) -> NewRegimenEntry:
    """The line by which a word is no longer said from its stated end on."""
    source_id = f"{order.source_id}#{digest_of((NO_LONGER_SAID, ends.timestamp()))}"
    return _line(source_system, source_id, order.name, order.codings[0], ends, NO_LONGER_SAID, stopped=True)


def nothing_line(order: FhirMedication, source_system: str) -> NewRegimenEntry:
    """The line that says no medicines are taken, or no longer so; one that nobody is sure of could not be read."""
    stopped = _is_ended(order)
    doubt = NO_LONGER_SAID if stopped else order.unsure
    return _line(source_system, order.source_id, order.name, order.codings[0], order.at.at, doubt, stopped=stopped)


def _line(
    source_system: str, source_id: str, name: str, code: tuple[str, str], at: datetime, doubt: str, *, stopped: bool
) -> NewRegimenEntry:
    return NewRegimenEntry(
        source_system=source_system,
        source_id=source_id,
        ingredient="",
        name=name or "No medicines",
        drug_class=None,
        product="",
        daily_dose_mg=None,
        step_index=None,
        stopped=stopped,
        starts_at=at,
        unknown_reason=doubt,
        code_system=code[0],
        code=code[1],
        nothing=not doubt,
    )
