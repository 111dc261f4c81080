"""What was refused or held back is looked at for danger before it is let go: every door calls this (N4).

Rules
 * A reading that is refused as a whole stays refused, by name. The parts of it that can be read, and that the danger
   rules speak of, are stored as a reading held back (`partly_read`) by the way every reading takes, in the caller's
   transaction: the alert is raised, unverified, and the evidence bars for the danger window. Without danger nothing
   more is stored.
 * What a device measures besides blood pressure of a person who withdrew from it is looked at and not kept: the alert
   says that a rule spoke, and its value is nowhere (decision 90).
 * The same thing refused again is looked at once. No message whose signature failed comes here: who is unknown pages
   nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from uuid import NAMESPACE_URL, UUID, uuid5

from django.db import transaction

from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting

from ..danger import Dangerous, dangers_in, dangers_in_lab, readings_in, when_taken
from ..domain.alerts import AlertKind
from ..domain.clocks import was_reset
from ..domain.parts import LabRead, PartsRead
from ..domain.readings import Implausible, Method, Reading, Setting
from ..models import AlertEvent, BloodPressure, Patient
from ..selectors.activity import with_effort
from ..selectors.danger import danger_context, danger_table_of
from ..selectors.record import raw_data_wanted
from .again import look_again
from .danger import raised
from .refused import RefusedBody, keep_refused
from .take_in import Arrival, take_in
from .whose import locked_record

UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class RefusedArrival:
    """A reading that was refused or held back: where from, under which name, its parts, and how it was measured.

    `source_id` names these very parts (`name_of`). `why` is the name under which a dangerous one is held back.
    """

    source_system: str
    source_id: str
    parts: PartsRead
    method: Method
    setting: Setting = Setting.UNKNOWN
    device_validated: bool = False
    device: str = ""
    zone: str = ""
    why: Implausible = Implausible.PARTLY_READ


@dataclass(frozen=True, slots=True)
class RefusedLab:
    """A laboratory result that was refused, and what could be read of it."""

    source_system: str
    source_id: str
    lab: LabRead


@dataclass(frozen=True, slots=True)
class Looked:
    """What the rules said of one thing refused: kinds that hold now, kinds too old to act on, alerts touched."""

    kinds: tuple[AlertKind, ...] = ()
    historic: tuple[AlertKind, ...] = ()
    alerts: tuple[UUID, ...] = ()


def name_of(source_id: str, said: bytes) -> str:
    """The name of what was said under a source id, beside the reading that may come under it."""
    return f"{source_id[:180]}#{sha256(said).hexdigest()[:8]}"


def look_at_refused(
    patient_id: UUID,
    refused: Sequence[RefusedArrival],
    *,
    by: Acting,
    now: datetime,
    received_at: datetime,
    imported: bool = False,
) -> tuple[Looked, ...]:
    """Raise what is dangerous in readings that were refused, and keep it held back. One answer for each, in order."""
    with transaction.atomic():
        patient = locked_record(patient_id)
        if not imported:
            refused = [_timed(one, received_at) for one in refused]
        found = _dangerous(patient, refused, now=now, received_at=received_at)
        keeps_raw = raw_data_wanted(patient, now=now) if found else True
        looked = [Looked() for _ in refused]
        for place, danger in found:
            one = refused[place]
            if not imported and all(each.historic for each in danger.findings):
                continue
            if one.parts.besides and not keeps_raw:
                done = _unkept(patient, danger, by=by, now=now, received_at=received_at)
            else:
                arrival = Arrival(one.source_system, danger.reading.reading_id, danger.reading, _absent(danger.reading))
                said = take_in(patient_id, [arrival], by=by, now=now, received_at=received_at, imported=imported)
                done = Looked(said.results[0].danger, said.results[0].historic, said.alerts)
            looked[place] = _both(looked[place], done)
        return tuple(looked)


@looking_wider(Wider.SOURCES)
def _held(refused: Sequence[RefusedArrival]) -> set[tuple[str, str]]:
    """The names at the source under which something was held back before."""
    stored = BloodPressure.objects.filter(
        source_system__in={one.source_system for one in refused}, source_id__in=[one.source_id for one in refused]
    )
    return set(stored.values_list("source_system", "source_id"))


def _dangerous(
    patient: Patient, refused: Sequence[RefusedArrival], *, now: datetime, received_at: datetime
) -> list[tuple[int, Dangerous]]:
    """The parts that the rules speak of, each with its place; what was looked at before is left out."""
    held = _held(refused)
    fresh = {
        place: one
        for place, one in enumerate(refused)
        if one.parts.measured and (one.source_system, one.source_id) not in held
    }
    if not fresh:
        return []
    table = danger_table_of(patient, now=now)
    context = danger_context(patient, now=now, table=table)
    found = []
    for place, one in fresh.items():
        readings = with_effort(patient, readings_in(one.parts, like=_like(one, patient, received_at)))
        found += [(place, danger) for danger in dangers_in(readings, context, received_at=now, table=table)]
    return found


def _timed(one: RefusedArrival, received_at: datetime) -> RefusedArrival:
    """Without its time, where that is of a clock that was reset."""
    at = one.parts.taken_at
    if at is None or not was_reset(at, received_at=received_at):
        return one
    return replace(one, parts=replace(one.parts, taken_at=None))


def _like(one: RefusedArrival, patient: Patient, received_at: datetime) -> Reading:
    """Under which circumstances the parts were measured."""
    return Reading(
        reading_id=one.source_id,
        taken_at=received_at,
        received_at=received_at,
        zone=one.zone or patient.zone,
        systolic=None,
        diastolic=None,
        pulse=None,
        method=one.method,
        setting=one.setting,
        device_validated=one.device_validated,
        device_id=one.device or None,
        quarantined=one.why,
    )


def _absent(reading: Reading) -> str:
    return "" if reading.systolic and reading.diastolic else UNREADABLE


def _unkept(patient: Patient, danger: Dangerous, *, by: Acting, now: datetime, received_at: datetime) -> Looked:
    """The alert without its value; its evidence is a name that stands for nothing stored."""
    name = unkept_name(patient, danger.reading.reading_id)
    if seen_before(patient, name):
        return Looked()
    findings = tuple(replace(each, evidence=(name,)) for each in danger.findings)
    at = when_taken(danger.reading, received_at)
    said = raised(patient, findings, measured_at=at, by=by, now=now, received_at=received_at)
    if said.alerts:
        look_again(patient.pk)
    return Looked(said.kinds, said.historic, said.alerts)


def unkept_name(patient: Patient, said: str) -> str:
    """The name of evidence that is not kept: the same each time the same thing comes."""
    return str(uuid5(NAMESPACE_URL, f"{patient.pk}|{said}"))


def seen_before(patient: Patient, evidence: str) -> bool:
    """Whether an alert of this person rests on that evidence already."""
    return AlertEvent.objects.filter(alert__patient=patient, evidence=evidence).exists()


def _both(one: Looked, other: Looked) -> Looked:
    return Looked(
        kinds=tuple(dict.fromkeys((*one.kinds, *other.kinds))),
        historic=tuple(dict.fromkeys((*one.historic, *other.historic))),
        alerts=tuple(dict.fromkeys((*one.alerts, *other.alerts))),
    )


def refuse_reading(
    body: RefusedBody, refused: Sequence[RefusedArrival], *, patient_id: UUID, by: Acting, now: datetime
) -> None:
    """Keep a reading that is refused, and raise what is dangerous in it, together or not at all."""
    with transaction.atomic():
        keep_refused(body, patient_id=patient_id, by=by, now=now)
        look_at_refused(patient_id, refused, by=by, now=now, received_at=now)


def look_at_refused_labs(
    patient_id: UUID, refused: Sequence[RefusedLab], *, by: Acting, now: datetime
) -> tuple[Looked, ...]:
    """Raise what is dangerous in laboratory results that were refused; nothing of them counts as a result."""
    with transaction.atomic():
        patient = locked_record(patient_id)
        table = danger_table_of(patient, now=now)
        context = danger_context(patient, now=now, table=table)
        looked = []
        for one in refused:
            name = unkept_name(patient, f"{one.source_system}|{one.source_id}")
            found = dangers_in_lab(one.lab, name, context, received_at=now, table=table)
            if not found or seen_before(patient, name):
                continue
            at = min(one.lab.taken_at or now, now)
            said = raised(patient, found, measured_at=at, by=by, now=now, received_at=now)
            looked.append(Looked(said.kinds, said.historic, said.alerts))
        if any(one.alerts for one in looked):
            look_again(patient.pk)
        return tuple(looked)
