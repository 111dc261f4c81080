"""What can be read of an Observation that is refused, or was not taken whole: its parts, for danger rules (N4).

Rules
 * Each component, and the value of the resource itself, is read alone: what it measures by its code, its number, its
   unit. A number may be text, and a bound. A number without a unit is read only where every unit says the same.
 * What its sender took back (`entered-in-error`, `cancelled`) has no parts.
 * A time that is not exact is the latest moment it can mean: a day its end, `issued` itself. Where nothing says when,
   there is no time, and danger rules take it as recent.
 * Of an Observation that was taken, the parts are those whose values were not: a second value, a bound of a heart rate.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ..domain.parts import PLACES, LabRead, NumberSaid, PartsRead, number_said
from ..domain.units import Bpm, MmHg
from ..terminology import LOINC, Measured, ObservationCode, UnitOf
from .documents import Json
from .observations import circumstances
from .resources import FhirPressure, FhirRefused
from .values import Context, Refused, child, children, codings, factor_of, reference, text, when

TAKEN_BACK = ("entered-in-error", "cancelled")
A_DAY = timedelta(days=1)
FURTHEST_ZONE = timedelta(hours=12)  # a local time without its zone is at the latest this much later by UTC
_MONTH = re.compile(r"(\d{4})(?:-(\d{2}))?")
_TIMES = ("effectiveDateTime", "effectiveInstant")
_UNITS = {
    Measured.SYSTOLIC: UnitOf.PRESSURE.value,
    Measured.DIASTOLIC: UnitOf.PRESSURE.value,
    Measured.HEART_RATE: UnitOf.RATE.value,
}


def refused_parts(resource: Json, source_id: str, context: Context) -> FhirRefused | None:
    """What can be read of a refused Observation; `None` where nothing can. Never raises."""
    if resource.get("resourceType") != "Observation" or text(resource, "status") in TAKEN_BACK:
        return None
    said = list(_said(resource, context))
    taken_at = _latest_moment(resource, context)
    setting, method = circumstances(resource, context)
    found = FhirRefused(
        source_id=source_id,
        patient=reference(resource, "subject"),
        parts=PartsRead(
            systolic=tuple(MmHg(n.value) for row, n in said if row.measured is Measured.SYSTOLIC),
            diastolic=tuple(MmHg(n.value) for row, n in said if row.measured is Measured.DIASTOLIC),
            pulse=tuple(Bpm(n.value) for row, n in said if row.measured is Measured.HEART_RATE),
            taken_at=taken_at,
            besides=not any(row.measured in (Measured.SYSTOLIC, Measured.DIASTOLIC) for row, _ in said),
        ),
        labs=tuple(
            LabRead(kind, number.value, number.bound, taken_at)
            for row, number in said
            if (kind := row.measured.lab) is not None and number.value > 0
        ),
        setting=setting,
        method=method,
    )
    return found if found.says_something else None


def parts_beside(resource: Json, taken: FhirPressure, context: Context) -> FhirRefused | None:
    """What an Observation says besides the pressure that was taken of it."""
    found = refused_parts(resource, taken.source_id, context)
    if found is None:
        return None
    parts = replace(
        found.parts,
        systolic=tuple(v for v in found.parts.systolic if not _is_taken(v.value, taken.systolic)),
        diastolic=tuple(v for v in found.parts.diastolic if not _is_taken(v.value, taken.diastolic)),
        pulse=tuple(v for v in found.parts.pulse if not _is_taken(v.value, taken.pulse)),
        taken_at=taken.taken.at + A_DAY if taken.taken.day_only else taken.taken.at,
        besides=False,
    )
    return replace(found, parts=parts, labs=()) if parts.measured else None


def _is_taken(value: Decimal, taken: Decimal | None) -> bool:
    """Whether a part is the number that was taken, or the bound just over it."""
    return taken is not None and 0 <= value - taken <= PLACES


def _said(resource: Json, context: Context) -> Iterator[tuple[ObservationCode, NumberSaid]]:
    """Every number that stands under a code of ours."""
    for holder in (resource, *children(resource, "component")):
        row = _measures(holder, context)
        number = _number(holder, row, context) if row is not None else None
        if row is not None and number is not None:
            yield row, number


def _measures(holder: Json, context: Context) -> ObservationCode | None:
    """What a value is of, where its codes agree; a code of ours whose system was left out is taken for LOINC."""
    said = tuple((system or LOINC, code) for system, code in codings(child(holder, "code")))
    rows = [row for row in context.book.observation(said) if row.measured is not Measured.PRESSURE_PANEL]
    return rows[0] if len({row.measured for row in rows}) == 1 else None


def _number(holder: Json, row: ObservationCode, context: Context) -> NumberSaid | None:
    of = _UNITS.get(row.measured, row.measured.value)
    quantity = child(holder, "valueQuantity")
    if quantity:
        said = number_said(quantity.get("value"), comparator=quantity.get("comparator"))
        factor, written = factor_of(quantity, of=of, context=context, code=row.code)
    else:
        said = number_said(holder.get("valueString", holder.get("valueInteger")))
        written = said.unit if said else ""
        factor = context.book.factor(of, written, code=row.code) if written else None
    if said is None:
        return None
    if factor is None and not written:
        factor = context.book.one_factor(of, code=row.code)
    return said.times(factor) if factor is not None else None


def _latest_moment(resource: Json, context: Context) -> datetime | None:
    """The latest moment at which it can have been measured, as far as anything says."""
    period = child(resource, "effectivePeriod")
    events = child(resource, "effectiveTiming").get("event")
    said = [*(resource.get(name) for name in _TIMES), period.get("start"), period.get("end")]
    said += [*(reversed(events) if isinstance(events, list) else ()), resource.get("issued")]
    moments = (_latest(each, context) for each in said if each is not None)
    return next((moment for moment in moments if moment is not None), None)


def _latest(said: object, context: Context) -> datetime | None:
    try:
        read = when(said, context)
        return read.at + A_DAY if read.day_only else read.at
    except (Refused, OverflowError):
        pass
    if not isinstance(said, str):
        return None
    try:
        if (found := _MONTH.fullmatch(said.strip())) is not None:
            year, month = int(found[1]), int(found[2] or 12)
            last = datetime(year, month, calendar.monthrange(year, month)[1], tzinfo=UTC)
            return last + A_DAY + FURTHEST_ZONE
        local = datetime.fromisoformat(said.strip())
        return local.replace(tzinfo=UTC) + FURTHEST_ZONE if local.tzinfo is None else None
    except (ValueError, OverflowError):
        return None
