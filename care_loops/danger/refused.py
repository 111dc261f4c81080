"""What is dangerous in something that was refused: the one place that every door asks (N4; CLINICAL 1.3).

Rules
 * Each part that could be read speaks by the rules of one reading, or of a laboratory result, as if it had come alone:
   unverified, to be repeated now. A known device sentinel says nothing. A part confirms no other reading.
 * A component that was sent twice speaks with its highest and with its lowest value.
 * A part without a time that can be read counts as received now.
 * A laboratory result over a bound meets only rules that speak of high values or of a rise; one under a bound only
   those of low values or of a fall. What could be read of a result is nobody's baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from ..domain.alerts import Ask, Finding
from ..domain.parts import Bound, LabRead, PartsRead
from ..domain.readings import Flag, Reading
from ..domain.record import Lab
from ..domain.units import Bpm, MmHg
from .assess import assess
from .evidence import Context
from .table import DangerRule, DangerTable, When


@dataclass(frozen=True, slots=True)
class Dangerous:
    """A reading made of parts, and what the rules say of it."""

    reading: Reading
    findings: tuple[Finding, ...]


def readings_in(parts: PartsRead, *, like: Reading) -> tuple[Reading, ...]:
    """The parts as readings, measured as `like` was: none, one, or one of the highest and one of the lowest."""
    found: list[Reading] = []
    for place, pick in enumerate((max, min)):
        systolic, diastolic, pulse = (_one(of, pick) for of in (parts.systolic, parts.diastolic, parts.pulse))
        uncertain = () if parts.taken_at else (Flag.CLOCK_UNCERTAIN,)
        one = replace(
            like,
            reading_id=like.reading_id if place == 0 else f"{like.reading_id}-low",
            systolic=MmHg(systolic) if systolic is not None else None,
            diastolic=MmHg(diastolic) if diastolic is not None else None,
            pulse=Bpm(pulse) if pulse is not None else None,
            taken_at=parts.taken_at or like.taken_at,
            position=parts.position,
            flags=tuple(dict.fromkeys((*like.flags, *parts.flags, *uncertain))),
        )
        same = found and replace(one, reading_id=like.reading_id) == found[0]
        if parts.measured and not same:
            found.append(one)
    return tuple(found)


def _one(values: Sequence[MmHg] | Sequence[Bpm], pick: object) -> Decimal | None:
    ordered = sorted(each.value for each in values)
    return None if not ordered else ordered[-1] if pick is max else ordered[0]


def dangers_in(
    readings: Sequence[Reading], context: Context, *, received_at: datetime, table: DangerTable
) -> tuple[Dangerous, ...]:
    """Those of `readings_in` that the rules speak of."""
    said = ((one, assess(one, context, received_at=received_at, table=table)) for one in readings)
    return tuple(Dangerous(one, findings) for one, findings in said if findings)


def dangers_in_lab(
    lab: LabRead, lab_id: str, context: Context, *, received_at: datetime, table: DangerTable
) -> tuple[Finding, ...]:
    """What the rules say of a laboratory result that was refused, named `lab_id` in the evidence: all unverified."""
    taken_at = lab.taken_at or received_at
    apart = replace(context, changes=tuple(c for c in context.changes if c.effective_at < taken_at))
    kept = replace(table, rules=tuple(rule for rule in table.rules if _can_speak(rule, lab.bound)))
    event = Lab(lab_id=lab_id, kind=lab.kind, value=lab.value, taken_at=taken_at)
    found = assess(event, apart, received_at=received_at, table=kept)
    return tuple(replace(f, unverified=True, asks=_repeated(f.asks, historic=f.historic)) for f in found)


def _can_speak(rule: DangerRule, bound: Bound) -> bool:
    """Whether a rule of laboratory results can hold of every value beyond the bound."""
    if bound is Bound.EXACT:
        return True
    if rule.when is When.LAB:
        return rule.boundary.compare.startswith(">") == (bound is Bound.OVER)
    return rule.when is (When.LAB_RISE_PERCENT if bound is Bound.OVER else When.LAB_FALL_PERCENT)


def _repeated(asks: tuple[Ask, ...], *, historic: bool) -> tuple[Ask, ...]:
    return asks if historic else tuple(dict.fromkeys((*asks, Ask.REPEAT_LAB)))
