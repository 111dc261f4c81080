"""Reads one patient's record for the page a clinician decides on, as values, in a constant number of queries.

Rules
 * Nothing is imputed: what is not on record is `None` or absent from its tuple, never a usual value (N2).
 * Readings held back or corrected are read too; whether they count is said beside each of them.
 * Only this patient's rows, those of records merged into it included; who may ask is for `selectors.access`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Avg, Count, Min, Q, Sum
from django.db.models.functions import TruncDate

from governance.services import Acting

from ..averaging import average
from ..domain.alerts import AlertSeverity
from ..domain.readings import Flag, Implausible, Method, Position, Setting, Status, WindowResult
from ..domain.record import Adherence, ConditionKind, Lab, PastChange, PatientFacts, Regimen
from ..domain.situation import Situation
from ..domain.units import Bpm, MmHg
from ..lab_rules import LabDue, labs_due
from ..models import (
    Alert,
    AlertLimits,
    Allergy,
    BloodPressure,
    Boundary,
    CareTeamMember,
    Condition,
    Consent,
    IntakeLog,
    Loop,
    Patient,
    SensorSample,
    Symptom,
    Target,
    Visit,
    VisitPlan,
)
from ..pathways.hypertension.tables_readings import averaging_rule
from ..pathways.hypertension.tables_therapy import lab_rules
from .alert_evidence import AlertEvidence, newest_evidence
from .danger import alert_limits_history
from .first import veil
from .record import adherence, facts, labs, readings, record_ids, signer_responsible
from .regimen import lines, past_changes, regimen_of
from .visits import last_held, standing_plan

_DISTURBED = frozenset({Flag.MOTION, Flag.POST_EXERCISE, Flag.CLOCK_UNCERTAIN})
_WITH_RESULT = frozenset({Status.FINAL, Status.AMENDED, Status.CORRECTED})

INTAKE_DAYS = 28
"""How many days the intake strip and its share look back."""
ENDED_ALERTS = 10
"""How many closed alerts the patient page lists."""
WINDOW_DAYS_READ = 14
"""How far back readings are fetched for the window as it stands: the window itself is shorter."""


@dataclass(frozen=True, slots=True)
class ReadingSeen:
    """One blood pressure as stored, with what is known against it."""

    reading_id: str
    taken_at: datetime
    zone: str
    systolic: MmHg | None
    diastolic: MmHg | None
    pulse: Bpm | None
    method: Method
    setting: Setting
    position: Position
    status: Status
    validated: bool
    device: str
    flags: tuple[Flag, ...]
    absent_reason: str
    quarantined: Implausible | None
    corrected: str

    @property
    def local_day(self) -> date:
        """The day on the calendar of the place where the patient was."""
        return self.taken_at.astimezone(ZoneInfo(self.zone)).date()

    @property
    def held_back(self) -> bool:
        """Implausible, entered in error, or corrected by a later entry."""
        return self.quarantined is not None or bool(self.corrected)

    @property
    def counts(self) -> bool:
        """Whether it may join the mean of its day. Which readings make an average is said by the window itself."""
        return (
            not self.held_back
            and self.systolic is not None
            and self.diastolic is not None
            and self.method is Method.UPPER_ARM_CUFF
            and self.setting is Setting.HOME
            and self.validated
            and self.status in _WITH_RESULT
            and self.position not in (Position.STANDING, Position.LYING)
            and not _DISTURBED.intersection(self.flags)
        )


@dataclass(frozen=True, slots=True)
class IntakeSeen:
    """What was logged for one drug on one day; the absence of one is 'not logged'."""

    ingredient: str
    due_on: date
    taken: bool


@dataclass(frozen=True, slots=True)
class ActivitySeen:
    """A day of one kind of wearable signal: its sum, its mean, how many samples."""

    kind: str
    day: date
    unit: str
    total: Decimal
    mean: Decimal
    samples: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What the patient page is made of. Rows of tables are handed on read-only, already fetched."""

    patient: Patient
    facts: PatientFacts
    allergies: tuple[Allergy, ...]
    conditions: tuple[Condition, ...]
    team: tuple[CareTeamMember, ...]
    alerts: tuple[tuple[Alert, AlertEvidence | None], ...]
    ended_alerts: tuple[tuple[Alert, AlertEvidence | None], ...]
    pregnancy_ended: datetime | None
    readings: tuple[ReadingSeen, ...]
    regimen: Regimen
    changes: tuple[PastChange, ...]
    labs: tuple[Lab, ...]
    labs_due: tuple[LabDue, ...]
    window: WindowResult
    intakes: tuple[IntakeSeen, ...]
    adherence: Adherence | None
    activity: tuple[ActivitySeen, ...]
    symptoms: tuple[Symptom, ...]
    target: Target | None
    boundary: Boundary | None
    boundary_signer_responsible: bool
    consents: tuple[Consent, ...]
    alert_limits: tuple[AlertLimits, ...]
    visit: VisitPlan | None
    last_visit: Visit | None
    loops: tuple[Loop, ...]
    since: datetime
    until: datetime

    @property
    def zone(self) -> str:
        """The patient's zone."""
        return self.patient.zone


def _team(ids: Iterable[UUID]) -> tuple[CareTeamMember, ...]:
    """Who cares for this person now: who is responsible first, then by name."""
    rows = CareTeamMember.objects.filter(patient__in=ids, until__isnull=True).select_related("user")
    return tuple(sorted(rows, key=lambda row: (not row.responsible, row.user.last_name.casefold(), str(row.user_id))))


def summary_for(by: Acting, patient: Patient, *, now: datetime) -> Summary:
    """The record for this person's eyes: what was proposed is left out while they have to say first what they would."""
    found = summary_of(patient, now=now)
    veil(by, found.loops)
    return found


def summary_of(patient: Patient, *, now: datetime, days: int = 84) -> Summary:
    """The record of `patient` as it stands at `now`: trend of the last `days`, history of everything else."""
    ids = record_ids(patient)
    since = now - timedelta(days=days)
    today = now.astimezone(ZoneInfo(patient.zone)).date()
    counting = lines(patient, now=now)
    changes = past_changes(counting)
    who = facts(patient, now=now)
    results = labs(patient, now=now)
    regimen = regimen_of(counting)
    boundary = _boundary(patient)
    return Summary(
        patient=patient,
        facts=who,
        allergies=tuple(Allergy.objects.filter(patient__in=ids, active=True).order_by("display")),
        conditions=tuple(Condition.objects.filter(patient__in=ids, active=True).order_by("display", "code")),
        team=_team(ids),
        alerts=open_alerts(ids),
        ended_alerts=ended_alerts(ids),
        pregnancy_ended=_pregnancy_ended(ids, now=now),
        readings=readings_of(ids, since=since, until=now),
        regimen=regimen,
        changes=changes,
        labs=results,
        labs_due=labs_due(_situation(who, regimen, results, changes, now=now), lab_rules()),
        window=window_now(patient, who, changes, now=now),
        intakes=_intakes(ids, since=now - timedelta(days=INTAKE_DAYS)),
        adherence=adherence(
            patient,
            (drug.ingredient for drug in regimen.drugs),
            starts_on=today - timedelta(days=INTAKE_DAYS),
            ends_on=today,
            now=now,
        ),
        activity=_activity(ids, zone=patient.zone, since=now - timedelta(days=14)),
        symptoms=_symptoms(ids, since=since),
        target=Target.objects.filter(patient__in=ids).select_related("signed_by").order_by("-signed_at").first(),
        boundary=boundary,
        boundary_signer_responsible=boundary is None or signer_responsible(boundary, now=now),
        consents=tuple(Consent.objects.filter(patient__in=ids).order_by("scope", "-at").distinct("scope")),
        alert_limits=tuple(alert_limits_history(patient)),
        visit=standing_plan(patient, now=now),
        last_visit=last_held(patient, now=now),
        loops=_loops(ids),
        since=since,
        until=now,
    )


def window_now(patient: Patient, who: PatientFacts, changes: tuple[PastChange, ...], *, now: datetime) -> WindowResult:
    """What the averaging rule says of the readings if the window closed at `now`; nothing is decided from it."""
    return average(
        readings(patient, since=now - timedelta(days=WINDOW_DAYS_READ), now=now),
        averaging_rule("home_7_day"),
        as_of=now,
        zone=ZoneInfo(patient.zone),
        last_change_at=max((c.effective_at for c in changes), default=None),
        atrial_fibrillation=ConditionKind.ATRIAL_FIBRILLATION in who.conditions,
    )


def _situation(
    who: PatientFacts, regimen: Regimen, results: tuple[Lab, ...], changes: tuple[PastChange, ...], *, now: datetime
) -> Situation:
    """As much of the situation as the question "which results are awaited" reads."""
    return Situation(
        as_of=now,
        facts=who,
        regimen=regimen,
        labs=results,
        past_changes=changes,
        symptoms=(),
        pulse=None,
        in_danger=False,
    )


def _symptoms(ids: list[UUID], *, since: datetime) -> tuple[Symptom, ...]:
    rows = Symptom.objects.filter(Q(felt_at__gte=since) | Q(review__isnull=True), patient__in=ids)
    return tuple(rows.select_related("review").order_by("-felt_at"))


def _boundary(patient: Patient) -> Boundary | None:
    rows = Boundary.objects.filter(patient=patient).select_related("signed_by").prefetch_related("drugs")
    return rows.order_by("-version").first()


def _loops(ids: list[UUID]) -> tuple[Loop, ...]:
    rows = Loop.objects.filter(patient__in=ids).select_related("decision", "decision__decided_by").defer("evidence")
    return tuple(rows.prefetch_related("steps__decided_by").order_by("-opened_at")[:30])


def open_alerts(patient_ids: list[UUID]) -> tuple[tuple[Alert, AlertEvidence | None], ...]:
    """Alerts without a disposition and what each rests on, the most urgent first."""
    rows = list(
        Alert.objects.filter(patient__in=patient_ids, disposed_at__isnull=True)
        .select_related("acknowledged_by")
        .prefetch_related("events")
    )
    evidence = newest_evidence(rows)
    rows.sort(key=lambda a: (-AlertSeverity(a.severity).rank, a.raised_at))
    return tuple((row, evidence.get(row.pk)) for row in rows)


def ended_alerts(patient_ids: list[UUID]) -> tuple[tuple[Alert, AlertEvidence | None], ...]:
    """The alerts closed last and what each rested on, the newest first, `ENDED_ALERTS` at most."""
    closed = Alert.objects.filter(patient__in=patient_ids, disposed_at__isnull=False).select_related("disposed_by")
    rows = list(closed.prefetch_related("events").order_by("-disposed_at", "pk")[:ENDED_ALERTS])
    evidence = newest_evidence(rows)
    return tuple((row, evidence.get(row.pk)) for row in rows)


def _pregnancy_ended(ids: list[UUID], *, now: datetime) -> datetime | None:
    """When the last pregnancy on record ended, where the record says so."""
    told = Condition.objects.filter(patient__in=ids, pregnancy=True, received_at__lte=now, abated_at__lte=now)
    return told.order_by("-abated_at").values_list("abated_at", flat=True).first()


def readings_of(patient_ids: list[UUID], *, since: datetime, until: datetime) -> tuple[ReadingSeen, ...]:
    """Every blood pressure measured in that time, oldest first."""
    rows = (
        BloodPressure.objects.filter(patient__in=patient_ids, taken_at__gte=since, taken_at__lte=until)
        .select_related("correction")
        .order_by("taken_at", "received_at")
    )
    return tuple(reading_seen(row) for row in rows)


def reading_seen(row: BloodPressure) -> ReadingSeen:
    """A stored row as a value; ask for `select_related("correction")` first."""
    correction = getattr(row, "correction", None)
    return ReadingSeen(
        reading_id=str(row.pk),
        taken_at=row.taken_at,
        zone=row.zone,
        systolic=MmHg(row.systolic) if row.systolic is not None else None,
        diastolic=MmHg(row.diastolic) if row.diastolic is not None else None,
        pulse=Bpm(row.pulse) if row.pulse is not None else None,
        method=Method(row.method),
        setting=Setting(row.setting),
        position=Position(row.position),
        status=Status(row.status),
        validated=row.device_validated,
        device=row.device,
        flags=tuple(Flag(f) for f in row.flags),
        absent_reason=row.absent_reason,
        quarantined=Implausible(row.quarantined) if row.quarantined else None,
        corrected=correction.reason if correction else _void(row),
    )


def _void(row: BloodPressure) -> str:
    return "entered_in_error" if row.status == Status.ENTERED_IN_ERROR.value else ""


def outcome_of(loop: Loop) -> dict[str, Any]:
    """What was frozen with a loop when it was made, as it was written."""
    return dict(json.loads(loop.outcome)) if loop.outcome else {}


def _intakes(ids: list[UUID], *, since: datetime) -> tuple[IntakeSeen, ...]:
    """A dose logged twice for a day counts as it was logged last."""
    rows = (
        IntakeLog.objects.filter(patient__in=ids, due_on__gte=since.date())
        .order_by("ingredient", "due_on", "-received_at")
        .distinct("ingredient", "due_on")
    )
    return tuple(IntakeSeen(row.ingredient, row.due_on, row.taken) for row in rows)


def _activity(ids: list[UUID], *, zone: str, since: datetime) -> tuple[ActivitySeen, ...]:
    rows = (
        SensorSample.objects.filter(patient__in=ids, starts_at__gte=since)
        .annotate(day=TruncDate("starts_at", tzinfo=ZoneInfo(zone)))
        .values("kind", "day")
        .annotate(one_unit=Min("unit"), total=Sum("value"), mean=Avg("value"), samples=Count("pk"))
        .order_by("kind", "day")
    )
    return tuple(ActivitySeen(r["kind"], r["day"], r["one_unit"], r["total"], r["mean"], r["samples"]) for r in rows)
