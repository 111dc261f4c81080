"""Blood pressures of one patient on their way into `take_in`, and their counts.

Rules
 * A pressure and a heart rate of the same instant and occasion are one reading, when the rate can be a rate at all. A
   reading that the record holds without (or with) that pulse is still the same reading.
 * Where only the day is known and the day is recent, the reading's clock is uncertain, which danger rules take for now.
   An older day is history whatever its hour.
 * A source id that comes twice in one import with other content is taken in after the first, and kept beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from governance.services import Acting

from ...domain.parts import PartsRead
from ...domain.readings import Flag, Implausible, Reading
from ...domain.units import Bpm, MmHg
from ...fhir_r4.observations import with_pulse
from ...fhir_r4.resources import FhirPressure, FhirRate
from ...models import BloodPressure, Patient
from ...pathways.hypertension.tables_readings import plausibility_limits
from ..refused_parts import RefusedArrival, look_at_refused, name_of
from ..take_in import Arrival, ArrivalOutcome, ArrivalResult, take_in
from .collect import Gathered
from .counts import ImportCounts

AT_ONCE = 500
A_DAY_WITHOUT_HOUR_IS_RECENT = timedelta(days=2)


@dataclass(slots=True)
class Pressures:
    """The blood pressures of one patient. `zone` is where the patient lives, if the caller said so."""

    patient: Patient
    gathered: Gathered
    zone: ZoneInfo | None
    counts: ImportCounts
    by: Acting
    wrote: int = 0
    _sent: dict[int, FhirPressure] = field(default_factory=dict)

    def take_in(self, source_system: str, *, as_of: datetime) -> None:
        """All of them at once, looked at as of `as_of`."""
        waiting = list(self.arrivals(source_system, as_of=as_of))
        while waiting:
            batch, waiting = _without_repeats(waiting)
            arrivals = [replace(a, reading=_flagged(a.reading, self._sent[id(a)], as_of)) for a in batch]
            result = take_in(self.patient.pk, arrivals, by=self.by, now=as_of, received_at=as_of, imported=True)
            for arrival, became in zip(batch, result.results, strict=True):
                self._count(arrival, became)

    def take_one(self, arrival: Arrival, *, as_of: datetime) -> None:
        """One of `arrivals`, as of its own time."""
        result = take_in(self.patient.pk, [arrival], by=self.by, now=as_of, received_at=as_of, imported=True)
        self._count(arrival, result.results[0])

    def arrivals(self, source_system: str, *, as_of: datetime) -> Iterator[Arrival]:
        """What is not on record just so, oldest first; what is, is counted as unchanged."""
        sent = sorted(with_pulse(self.gathered.pressures(), self._rates()), key=lambda each: each.taken.at)
        rows = BloodPressure.objects.filter(patient=self.patient, source_system=source_system)
        stored = {row.source_id: row for row in rows.filter(source_id__in={each.source_id for each in sent})}
        for each in sent:
            arrival = self._arrival(each, source_system)
            before = stored.get(each.source_id)
            if before is not None and (before.pulse is None) != (arrival.reading.pulse is None):
                pulse = None if before.pulse is None else Bpm(before.pulse)
                self._look_at_pulse(arrival, as_of)
                arrival = replace(arrival, reading=replace(arrival.reading, pulse=pulse))
            self._sent[id(arrival)] = each
            yield arrival

    def _look_at_pulse(self, arrival: Arrival, as_of: datetime) -> None:
        """A heart rate that came later with a reading on record is no other reading; it is looked at for danger."""
        reading = arrival.reading
        if reading.pulse is None:
            return
        said = name_of(arrival.source_id, f"{reading.pulse}|{reading.taken_at.isoformat()}".encode())
        one = RefusedArrival(
            source_system=arrival.source_system,
            source_id=said,
            parts=PartsRead(pulse=(reading.pulse,), taken_at=reading.taken_at),
            method=reading.method,
            setting=reading.setting,
            why=Implausible.EQUIVOCAL,
        )
        look_at_refused(self.patient.pk, [one], by=self.by, now=as_of, received_at=as_of, imported=True)

    def _count(self, arrival: Arrival, became: ArrivalResult) -> None:
        self.counts.count_pressure(self._sent[id(arrival)], became)
        self.wrote += became.outcome is not ArrivalOutcome.DUPLICATE

    def _rates(self) -> list[FhirRate]:
        limits = plausibility_limits("office")
        return [r for r in self.gathered.of(FhirRate) if limits.pulse_min <= r.value <= limits.pulse_max]

    def _arrival(self, each: FhirPressure, source_system: str) -> Arrival:
        return Arrival(
            source_system=source_system,
            source_id=each.source_id,
            absent_reason=each.absent_reason,
            reading=Reading(
                reading_id=each.source_id,
                taken_at=each.taken.at,
                zone=self.zone.key if self.zone else each.taken.zone,
                systolic=None if each.systolic is None else MmHg(each.systolic),
                diastolic=None if each.diastolic is None else MmHg(each.diastolic),
                pulse=None if each.pulse is None else Bpm(each.pulse),
                method=each.method,
                setting=each.setting,
                device_validated=False,
                status=each.status,
                position=each.position,
                device_id=each.device or None,
                quarantined=each.quarantined,
            ),
        )


def _flagged(reading: Reading, sent: FhirPressure, as_of: datetime) -> Reading:
    recent = as_of - reading.taken_at <= A_DAY_WITHOUT_HOUR_IS_RECENT
    return replace(reading, flags=(Flag.CLOCK_UNCERTAIN,)) if sent.taken.day_only and recent else reading


def _without_repeats(waiting: list[Arrival]) -> tuple[list[Arrival], list[Arrival]]:
    """A batch in which no source id stands twice, and what is left for the next."""
    batch: dict[str, Arrival] = {}
    later = []
    for arrival in waiting:
        if arrival.source_id in batch or len(batch) >= AT_ONCE:
            later.append(arrival)
        else:
            batch[arrival.source_id] = arrival
    return list(batch.values()), later
