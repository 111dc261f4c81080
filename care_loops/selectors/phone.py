"""What a patient's phone shows of the record: whose it is, what stands open, days, intakes, consents, messages.

Rules
 * Only what is with the patient is visible: `transitions.PATIENT_VISIBLE`. A proposal that waits for a clinician, or
   was withheld, or was taken back before it was ever shown, does not exist here, in any list, count or address (N1).
 * A record is read together with the records merged into it.
 * Nothing is imputed: a day without readings has none, and says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Exists, OuterRef, QuerySet

from governance.domain import BadInput, NotFound, Permission
from governance.selectors.suspensions import standing
from governance.services import Acting
from governance.suspension import Stopped

from ..domain.alerts import Scope
from ..domain.changes import ChangeKind
from ..domain.loops import LoopState, Origin
from ..domain.readings import Method, Status
from ..domain.record import Regimen
from ..domain.units import MmHg
from ..models import Alert, BloodPressure, Consent, IntakeLog, Loop, Patient, RegimenEntry, Step, Symptom
from ..transitions import PATIENT_VISIBLE
from .access import NOBODY, patient_for, patients_open_to
from .record import record_ids
from .regimen import lines, regimen_of
from .summary import ReadingSeen, reading_seen, readings_of
from .suspended import stopping_loop

SAME_MOMENT = timedelta(minutes=5)
VISIBLE = sorted(state.value for state in PATIENT_VISIBLE)


class WhichPatient(BadInput):
    """A carer of several people must say whose record is meant."""

    code = "which_patient"


def record_of_person(by: Acting, named: UUID | None, *, now: datetime) -> UUID:
    """The identifier of the record meant: the one named, or the only one there is."""
    if named is not None:
        return named
    open_to = list(patients_open_to(by, now=now).values_list("pk", flat=True)[:2])
    if not open_to:
        raise NotFound(NOBODY)
    own = Patient.objects.filter(account=by.user, pk__in=open_to).values_list("pk", flat=True).first()
    if own is not None:
        return own
    if len(open_to) > 1:
        raise WhichPatient("You care for several people: name one with ?patient=.", field="patient")
    return open_to[0]


def record_meant(by: Acting, named: Sequence[str], *, now: datetime) -> UUID:
    """The record meant by what was said of it, where that is refused: the one named, or the only one open."""
    open_to = set(patients_open_to(by, now=now).values_list("pk", flat=True))
    read: set[UUID] = set()
    for name in named:
        with contextlib.suppress(ValueError):
            read.add(UUID(name))
    meant = read or open_to
    if len(meant) != 1 or not meant <= open_to:
        raise WhichPatient("Name one record with ?patient=.", field="patient")
    return meant.pop()


def visible_loops(patient: Patient) -> QuerySet[Loop]:
    """Recommendations that were put before this patient, newest first."""
    shown = Step.objects.filter(
        loop=OuterRef("pk"), state__in=[LoopState.WITH_PATIENT.value, LoopState.DELIVERED.value]
    )
    return (
        Loop.objects.filter(Exists(shown), patient__in=record_ids(patient), state__in=VISIBLE)
        .select_related("decision__decided_by", "boundary__signed_by", "patient")
        .prefetch_related("steps", "messages")
        .order_by("-opened_at")
    )


def visible_loop(by: Acting, patient: Patient, loop_id: UUID, permission: Permission, *, now: datetime) -> Loop:
    """One of them, for `permission`; a hidden, a foreign and an absent one are the same."""
    patient_for(by, patient.pk, permission, now=now)
    loop = visible_loops(patient).filter(pk=loop_id).first()
    if loop is None:
        raise NotFound(NOBODY)
    return loop


@dataclass(frozen=True, slots=True)
class Holds:
    """What stands against increases the system proposed: a danger, or side effects nobody has looked at (RxNorm IN)."""

    danger: bool
    drugs: frozenset[str]
    stopped: tuple[Stopped, ...] = ()
    held: frozenset[UUID] = frozenset()  # recommendations whose yes would be refused for safety
    lapsed: frozenset[UUID] = frozenset()  # those whose boundary, mode or consent no longer carries them

    def suspends(self, loop: Loop) -> bool:
        """Whether this proposal rests on something that is suspended now, increase or not."""
        return bool(stopping_loop(loop, self.stopped))

    def against(self, loop: Loop, change: Mapping[str, Any]) -> bool:
        """Whether this proposal may not be followed now. A clinician's own order is held only by what is
        never given to this person and became known since, a reduction by nothing."""
        if loop.pk in self.held:
            return True
        if loop.origin != Origin.PROPOSAL.value or not ChangeKind(change["kind"]).intensifies:
            return False
        return self.danger or change.get("ingredient") in self.drugs


def holds_on(patient: Patient) -> Holds:
    """What stands now (CLINICAL 1.3 C14; CLI-13)."""
    ids = record_ids(patient)
    barred = {Scope.PATIENT_FACING.value, Scope.UP_TITRATION.value}
    alerts = Alert.objects.filter(patient__in=ids, disposed_at__isnull=True)
    blamed = Symptom.objects.filter(patient__in=ids, review__isnull=True).exclude(suspected_ingredient="")
    return Holds(
        danger=any(alert.locks or barred & set(alert.bars) for alert in alerts),
        drugs=frozenset(blamed.values_list("suspected_ingredient", flat=True)),
        stopped=standing(),
    )


@dataclass(frozen=True, slots=True)
class Day:
    """One local day of a patient. The mean is of the day's own cuff readings; treatment does not rest on it."""

    day: date
    readings: tuple[ReadingSeen, ...]
    counted: int
    mean_systolic: MmHg | None
    mean_diastolic: MmHg | None
    intakes: tuple[IntakeLog, ...]
    symptoms: tuple[Symptom, ...]

    @property
    def has_data(self) -> bool:
        """Whether anything was measured, taken or felt."""
        return bool(self.readings or self.intakes or self.symptoms)


def day_of(patient: Patient, day: date) -> Day:
    """What the record holds of one day on the patient's calendar."""
    zone = ZoneInfo(patient.zone)
    start = datetime.combine(day, time.min, tzinfo=zone)
    end = datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone)
    ids = record_ids(patient)
    readings = tuple(r for r in readings_of(ids, since=start, until=end) if r.taken_at < end)
    counting = tuple(r for r in readings if _joins_mean(r))
    return Day(
        day=day,
        readings=readings,
        counted=len(counting),
        mean_systolic=_mean(r.systolic for r in counting),
        mean_diastolic=_mean(r.diastolic for r in counting),
        intakes=tuple(_last_logged(ids, day)),
        symptoms=tuple(
            Symptom.objects.filter(patient__in=ids, felt_at__gte=start, felt_at__lt=end).order_by("felt_at")
        ),
    )


def days_with_data(patient: Patient, *, before: date, limit: int) -> list[date]:
    """The newest `limit` days before `before` on which anything was measured, taken or felt, newest first."""
    zone, ids = ZoneInfo(patient.zone), record_ids(patient)
    end = datetime.combine(before, time.min, tzinfo=zone)
    found: set[date] = set()
    found.update(_local_days(BloodPressure.objects.filter(patient__in=ids, taken_at__lt=end), "taken_at", zone, limit))
    found.update(_local_days(Symptom.objects.filter(patient__in=ids, felt_at__lt=end), "felt_at", zone, limit))
    logged = IntakeLog.objects.filter(patient__in=ids, due_on__lt=before).order_by("-due_on")
    found.update(logged.values_list("due_on", flat=True).distinct()[:limit])
    return sorted(found, reverse=True)[:limit]


def today_of(patient: Patient, *, now: datetime) -> date:
    """Which day it is where the patient is at home."""
    return now.astimezone(ZoneInfo(patient.zone)).date()


def medicines_now(patient: Patient, *, now: datetime) -> Regimen:
    """What the patient takes now, as far as the record knows."""
    return regimen_of(lines(patient, now=now))


def awaiting_first_dose(patient: Patient) -> list[RegimenEntry]:
    """Lines accepted and not begun: each counts from the first dose logged, a stop from the first left out."""
    return list(
        RegimenEntry.objects.filter(
            patient__in=record_ids(patient), loop__state=LoopState.ACCEPTED.value, first_intake__isnull=True
        ).order_by("starts_at")
    )


def symptom_differs(row_id: UUID, said: tuple[str, str, str, datetime]) -> bool:
    """Whether a stored symptom says something else than (kind, drug blamed, text, time felt)."""
    row = Symptom.objects.get(pk=row_id)
    return (row.kind, row.suspected_ingredient, row.text, row.felt_at) != said


def intake_differs(row: IntakeLog, said: tuple[str, date, bool, datetime | None, Decimal | None]) -> bool:
    """Whether a stored dose says something else than (drug, day due, taken, time, daily dose).

    A time that lay ahead of our clock was stored as the moment it arrived, so times minutes apart are the same.
    """
    *stored, at, dose = (row.ingredient, row.due_on, row.taken, row.taken_at, row.daily_dose_mg)
    *sent, sent_at, sent_dose = said
    apart = at is not None and sent_at is not None and abs(at - sent_at) > SAME_MOMENT
    return stored != sent or dose != sent_dose or (at is None) != (sent_at is None) or apart


def consent_of(patient: Patient, entry: UUID) -> Consent:
    """One word of this person's on a consent, by its entry; the same refusal for another's and for none."""
    row = Consent.objects.filter(patient__in=record_ids(patient), entry=entry).first()
    if row is None:
        raise NotFound(NOBODY)
    return row


def open_alerts_of(patient: Patient) -> list[Alert]:
    """Alerts nobody has dealt with yet, newest first."""
    return list(Alert.objects.filter(patient__in=record_ids(patient), disposed_at__isnull=True).order_by("-raised_at"))


def consents_of(patient: Patient) -> dict[str, Consent]:
    """The newest word on each scope; a scope without a row was never agreed to."""
    rows = Consent.objects.filter(patient__in=record_ids(patient)).order_by("scope", "-at", "-pk").distinct("scope")
    return {row.scope: row for row in rows}


def recent_readings(patient: Patient, *, before: datetime, limit: int) -> list[ReadingSeen]:
    """The newest `limit` readings taken before `before`, newest first."""
    rows = list(
        BloodPressure.objects.filter(patient__in=record_ids(patient), taken_at__lt=before)
        .select_related("correction")
        .order_by("-taken_at", "-received_at")[:limit]
    )
    return [reading_seen(row) for row in rows]


def recent_intakes(patient: Patient, *, before: date | None, limit: int) -> list[IntakeLog]:
    """The newest `limit` entries of the intake log, of days before `before` when it is given."""
    rows = IntakeLog.objects.filter(patient__in=record_ids(patient))
    if before is not None:
        rows = rows.filter(due_on__lt=before)
    return list(rows.order_by("-due_on", "-received_at")[:limit])


def _joins_mean(reading: ReadingSeen) -> bool:
    whole = reading.systolic is not None and reading.diastolic is not None
    result = reading.status is not Status.PRELIMINARY
    return whole and result and not reading.held_back and reading.method is Method.UPPER_ARM_CUFF


def _mean(values: Iterable[MmHg | None]) -> MmHg | None:
    numbers = [value.value for value in values if value is not None]
    return MmHg(sum(numbers, Decimal(0)) / len(numbers)) if numbers else None


def _last_logged(ids: list[UUID], day: date) -> QuerySet[IntakeLog]:
    return (
        IntakeLog.objects.filter(patient__in=ids, due_on=day)
        .order_by("ingredient", "-received_at")
        .distinct("ingredient")
    )


def _local_days(rows: QuerySet[Any], field: str, zone: ZoneInfo, limit: int) -> list[date]:
    return [moment.date() for moment in rows.datetimes(field, "day", order="DESC", tzinfo=zone)[:limit]]
