"""What the patient takes: dated lines of the regimen become the regimen now, and the changes that led there.

Rules (DESIGN 3; docs/decisions/0028)
 * A line written by a loop counts only from its first intake; until then the line before it stands. A stop counts from
   the patient's yes.
 * The newest line of an ingredient holds; a stopped one is gone.
 * A line that could not be read, or a source that contradicts what we follow, makes the regimen not fully known.
 * Where no record from outside says anything, the regimen is unknown: nothing on record is not nothing taken (N2). That
   nothing is taken is a line of its own; where a drug stands that was begun before, the two contradict each other.
 * That this is no longer said is a line too. While it is the last word, only a drug that stands, or a line that could
   be read and came later, makes a list. A line that stopped and could not be read never does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ..domain.loops import LoopState
from ..domain.record import NO_LIST, DrugClass, DrugTaken, PastChange, Regimen
from ..domain.units import Milligrams
from ..models import Patient, RegimenEntry
from .record import record_ids

CONFLICT = "conflicting_content"
"""Why a line is not known that stands under the identifier of another one."""

NO_LONGER_SAID = "no_longer_said"
"""Why a stopped line is not known that takes back, or ends, the word that no medicines are taken."""

# A stop counts from the patient's yes, unless it was taken back before it was begun.
_STANDS = (LoopState.ACCEPTED.value, LoopState.DONE.value)


@dataclass(frozen=True, slots=True)
class Line:
    """One line that counts, with the instant from which it does."""

    row: RegimenEntry
    effective_at: datetime


def lines(patient: Patient, *, now: datetime) -> tuple[Line, ...]:
    """Lines that count at `now`, oldest first."""
    rows = (
        RegimenEntry.objects.filter(patient_id__in=record_ids(patient), starts_at__lte=now, received_at__lte=now)
        .select_related("first_intake", "loop")
        .order_by("starts_at", "received_at", "pk")
    )
    found = []
    for row in rows:
        first = getattr(row, "first_intake", None)
        if row.loop is None or (row.status == RegimenEntry.STOPPED and row.loop.state in _STANDS):
            found.append(Line(row, row.starts_at))
        elif first is not None and first.at <= now:
            found.append(Line(row, max(first.at, row.starts_at)))
    return tuple(sorted(found, key=lambda line: (line.effective_at, line.row.received_at)))


def regimen_of(counting: tuple[Line, ...]) -> Regimen:
    """The regimen that the lines leave standing."""
    newest: dict[str, Line] = {}
    unknown: dict[str, str] = {}
    doubtful: dict[str, datetime] = {}  # since when two contents stand under one identifier, until a later word
    for line in drug_lines(counting):
        row = line.row
        key = row.ingredient or f"{row.code_system}|{row.code}|{row.name}"
        before = newest.get(key)
        if before is not None and _disagrees(before.row, row):
            unknown[key] = f"record_disagrees: {row.name}"
        elif key not in doubtful or row.received_at > doubtful[key]:
            unknown.pop(key, None)
        newest[key] = line
        if not row.known and row.status == RegimenEntry.ACTIVE:
            unknown[key] = f"{row.unknown_reason}: {row.name}"
            if row.unknown_reason == CONFLICT:
                doubtful[key] = row.received_at
        if row.status == RegimenEntry.STOPPED:
            unknown.pop(key, None)
    taken = tuple(
        _taken(line) for _, line in sorted(newest.items()) if line.row.known and line.row.status == RegimenEntry.ACTIVE
    )
    return Regimen(drugs=taken, unknown=tuple(sorted([*unknown.values(), *_of_the_list(counting, newest)])))


def drug_lines(counting: tuple[Line, ...]) -> tuple[Line, ...]:
    """The lines that are about a drug."""
    return tuple(line for line in counting if line.row.status != RegimenEntry.NOTHING)


def _of_the_list(counting: tuple[Line, ...], newest: dict[str, Line]) -> tuple[str, ...]:
    """What is not known of the list itself: that there is none, or that it says nothing is taken and something is."""
    since = _latest(line for line in counting if line.row.status == RegimenEntry.NOTHING)
    gone = _latest(line for line in counting if line.row.unknown_reason == NO_LONGER_SAID)
    if since and gone and gone >= since:
        since = None
    standing = [line for line in newest.values() if line.row.status == RegimenEntry.ACTIVE]
    outside = [line for line in drug_lines(counting) if line.row.loop_id is None and _is_read(line.row)]
    if since is None and gone is not None:
        outside = [line for line in outside if line in standing or line.effective_at > gone]
    if since is None:
        return () if outside else (NO_LIST,)
    return ("record_disagrees: no medicines",) if any(line.effective_at <= since for line in standing) else ()


def _latest(some: Iterable[Line]) -> datetime | None:
    return max((line.effective_at for line in some), default=None)


def _is_read(row: RegimenEntry) -> bool:
    """Whether a line says anything of what is taken: what stopped and could not be read may have been anything."""
    return row.known or row.status == RegimenEntry.ACTIVE


def _disagrees(before: RegimenEntry, after: RegimenEntry) -> bool:
    """Whether an outside source contradicts a line that our own loop wrote and the patient confirmed."""
    ours_then_theirs = before.loop_id is not None and after.loop_id is None
    return ours_then_theirs and (before.status, before.daily_dose_mg) != (after.status, after.daily_dose_mg)


def _taken(line: Line) -> DrugTaken:
    row = line.row
    return DrugTaken(
        ingredient=row.ingredient,
        name=row.name,
        drug_class=DrugClass(row.drug_class),
        daily_dose=Milligrams(row.daily_dose_mg) if row.daily_dose_mg is not None else None,
        since=line.effective_at,
        product=row.product or None,
    )


def regimen_now(patient: Patient, *, now: datetime) -> Regimen:
    """What the patient takes at `now`, and what of it could not be read."""
    return regimen_of(lines(patient, now=now))


def stopped_elsewhere(patient: Patient, *, now: datetime) -> frozenset[str]:
    """The drugs (RxNorm IN) that a line from outside stopped and that none since says is taken again."""
    stopped: set[str] = set()
    for line in drug_lines(lines(patient, now=now)):
        if line.row.status == RegimenEntry.ACTIVE:
            stopped.discard(line.row.ingredient)
        elif line.row.loop_id is None:
            stopped.add(line.row.ingredient)
    return frozenset(stopped - {""})


def past_changes(counting: tuple[Line, ...]) -> tuple[PastChange, ...]:
    """Changes that took effect, oldest first. The first line of each ingredient from outside is where we came in."""
    found: list[PastChange] = []
    before: dict[str, RegimenEntry] = {}
    for line in drug_lines(counting):
        row = line.row
        if not row.known:
            continue
        earlier = before.get(row.ingredient)
        before[row.ingredient] = row
        steps = _steps(earlier, row)
        if steps == 0 or (earlier is None and row.loop_id is None and row.status == RegimenEntry.STOPPED):
            continue
        found.append(
            PastChange(
                ingredient=row.ingredient,
                drug_class=DrugClass(row.drug_class),
                effective_at=line.effective_at,
                steps=steps,
                loop_id=str(row.loop_id) if row.loop_id else None,
            )
        )
    return tuple(found)


def _steps(before: RegimenEntry | None, after: RegimenEntry) -> int:
    """Signed steps between two lines; doses that are on no ladder count as one step in their direction."""
    is_now = after.status == RegimenEntry.ACTIVE
    if before is None or before.status != RegimenEntry.ACTIVE:
        return int(is_now)
    if not is_now:
        return -1
    if before.step_index is not None and after.step_index is not None:
        return after.step_index - before.step_index
    then, later = before.daily_dose_mg, after.daily_dose_mg
    if then is None or later is None:
        return 0
    return int((later - then).compare(Decimal(0)))
