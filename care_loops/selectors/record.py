"""The record as values: what rules read, at one moment.

Rules
 * Nothing that happened or arrived after `now` is read, and corrected readings no longer count.
 * A merged record is read together with the one that was kept.
 * What the record does not say stays unknown: no birth date, no age; no row of consent, no consent (N2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet

from governance.domain import Role

from ..adherence import DueDose, Intake
from ..adherence import adherence as adherence_of
from ..domain.clocks import was_reset
from ..domain.readings import Flag, Implausible, Method, Position, Reading, Setting, Status
from ..domain.record import (
    Adherence,
    AllowedDrug,
    Boundary,
    ConditionKind,
    CurrentConsent,
    Lab,
    LabKind,
    PatientFacts,
    Pregnancy,
    Sex,
    SymptomKind,
    SymptomReport,
    Target,
)
from ..domain.units import Bpm, Milligrams, MmHg
from ..models import (
    Allergy,
    BloodPressure,
    Condition,
    Consent,
    IntakeLog,
    Merge,
    Patient,
    Symptom,
)
from ..models import Boundary as BoundaryRow
from ..models import Lab as LabRow
from ..models import Target as TargetRow

PREGNANCY_LASTS = timedelta(weeks=42)  # CLINICAL 1.3 C13: active if begun less than 42 weeks ago
POSTPARTUM_LASTS = timedelta(weeks=6)


def whole(patient: Patient) -> Patient:
    """The record that was kept when this one was merged, however often; else this one."""
    merged = getattr(patient, "merged_into", None)
    return patient if merged is None else whole(merged.kept)


def record_ids(patient: Patient) -> list[UUID]:
    """The identifiers under which this person's rows stand: the record kept, and all that were merged into it."""
    found = [whole(patient).pk]
    newest = found
    while newest:
        newest = list(Merge.objects.filter(kept_id__in=newest).values_list("absorbed_id", flat=True))
        found += newest
    return found


def reading_of(row: BloodPressure) -> Reading:
    """A stored reading as the rules see it."""
    return Reading(
        reading_id=str(row.pk),
        taken_at=row.taken_at,
        zone=row.zone,
        systolic=MmHg(row.systolic) if row.systolic is not None else None,
        diastolic=MmHg(row.diastolic) if row.diastolic is not None else None,
        pulse=Bpm(row.pulse) if row.pulse is not None else None,
        method=Method(row.method),
        setting=Setting(row.setting),
        device_validated=row.device_validated,
        status=Status(row.status),
        position=Position(row.position),
        flags=tuple(Flag(flag) for flag in row.flags),
        device_id=row.device or None,
        session=row.session or None,
        quarantined=Implausible(row.quarantined) if row.quarantined else None,
        received_at=row.received_at if Flag.CLOCK_UNCERTAIN.value in row.flags else None,
    )


def reading_rows(patient: Patient, *, since: datetime, now: datetime) -> QuerySet[BloodPressure]:
    """Rows of readings taken from `since` on, as known at `now`; corrected ones are left out.

    One whose clock is uncertain counts by when it was received: what it shows as its time may be any time.
    """
    return BloodPressure.objects.filter(
        Q(correction__isnull=True) | Q(correction__at__gt=now),
        Q(taken_at__gte=since) | Q(flags__contains=[Flag.CLOCK_UNCERTAIN.value], received_at__gte=since),
        patient_id__in=record_ids(patient),
        received_at__lte=now,
    ).order_by("taken_at", "pk")


def readings(patient: Patient, *, since: datetime, now: datetime) -> tuple[Reading, ...]:
    """Readings taken from `since` on, oldest first, quarantined ones among them."""
    return tuple(reading_of(row) for row in reading_rows(patient, since=since, now=now))


def labs(patient: Patient, *, now: datetime) -> tuple[Lab, ...]:
    """Laboratory results known at `now`, oldest first."""
    rows = LabRow.objects.filter(patient_id__in=record_ids(patient), taken_at__lte=now, received_at__lte=now).order_by(
        "taken_at", "pk"
    )
    return tuple(Lab(lab_id=str(r.pk), kind=LabKind(r.kind), value=r.value, taken_at=r.taken_at) for r in rows)


def symptoms(patient: Patient, *, since: datetime, now: datetime) -> tuple[SymptomReport, ...]:
    """Symptoms felt from `since` on, and any whose review is still open."""
    rows = (
        Symptom.objects.filter(patient_id__in=record_ids(patient), received_at__lte=now)
        .filter(Q(felt_at__gte=since) | Q(review__isnull=True))
        .select_related("review")
        .order_by("felt_at", "pk")
    )
    return tuple(_symptom(row, now=now) for row in rows)


def felt(row: Symptom) -> datetime:
    """When it was felt, as far as that can be believed: a clock that was reset says nothing."""
    return row.received_at if was_reset(row.felt_at, received_at=row.received_at) else row.felt_at


def _symptom(row: Symptom, *, now: datetime) -> SymptomReport:
    review = getattr(row, "review", None)
    return SymptomReport(
        symptom_id=str(row.pk),
        kind=SymptomKind(row.kind),
        reported_at=felt(row),
        suspected_ingredient=row.suspected_ingredient or None,
        reviewed=review is not None and review.at <= now,
    )


def facts(patient: Patient, *, now: datetime) -> PatientFacts:
    """Who the patient is at `now`."""
    rows = list(Condition.objects.filter(patient_id__in=record_ids(patient), received_at__lte=now))
    present = [r for r in rows if r.active and (r.abated_at is None or r.abated_at > now)]
    kinds = {ConditionKind(r.kind) for r in present if r.kind} | _from_symptoms(patient, now=now)
    allergies = Allergy.objects.filter(patient_id__in=record_ids(patient), active=True, received_at__lte=now).exclude(
        ingredient=""
    )
    return PatientFacts(
        age_years=age_at(patient.born_on, _local_date(now, patient.zone)),
        sex=Sex(patient.sex),
        pregnancy=_pregnancy([r for r in rows if r.pregnancy], now=now),
        conditions=tuple(sorted(kinds)),
        allergies=tuple(sorted(set(allergies.values_list("ingredient", flat=True)))),
    )


def _from_symptoms(patient: Patient, *, now: datetime) -> set[ConditionKind]:
    """A swelling of face, lip, tongue or throat that was ever reported is a history of angio-oedema (CLINICAL 1.7).

    A clinician's review ends the alarm, not the history.
    """
    swelled = Symptom.objects.filter(
        patient_id__in=record_ids(patient), kind=SymptomKind.SWELLING_FACE.value, received_at__lte=now
    )
    return {ConditionKind.ANGIOEDEMA_HISTORY} if swelled.exists() else set()


def _pregnancy(rows: Sequence[Condition], *, now: datetime) -> Pregnancy:
    """What the rows say (CLINICAL 1.3 C13). Silence is not a "no": it stays unknown.

    Active is what began less than 42 weeks ago, or what its source calls active, however old, until some row tells of
    an end since.
    """
    found = Pregnancy.UNKNOWN
    ends = [row.abated_at for row in rows if row.abated_at is not None and row.abated_at <= now]
    for row in rows:
        begun = row.onset_at or row.received_at
        ended = row.abated_at
        still = now - begun < PREGNANCY_LASTS or (row.active and not any(end > begun for end in ends))
        if (ended is None and still) or (ended is not None and ended > now):
            return Pregnancy.PREGNANT
        last = ended or begun + PREGNANCY_LASTS
        if now - last < POSTPARTUM_LASTS:
            found = Pregnancy.POSTPARTUM
        elif found is Pregnancy.UNKNOWN:
            found = Pregnancy.NOT_PREGNANT
    return found


def age_at(born_on: date | None, today: date) -> int | None:
    """Whole years; None when the birth date is not known."""
    if born_on is None:
        return None
    return today.year - born_on.year - ((today.month, today.day) < (born_on.month, born_on.day))


def _local_date(now: datetime, zone: str) -> date:
    return now.astimezone(ZoneInfo(zone)).date()


def consent(patient: Patient, *, now: datetime) -> CurrentConsent:
    """What the patient agrees to at `now`."""
    return CurrentConsent(
        automated_advice=agrees(patient, "automated_advice", now=now),
        human_only_care=objects(patient, now=now),
    )


def agrees(patient: Patient, scope: str, *, now: datetime) -> bool:
    """Whether the newest word on `scope` is yes; no word is no."""
    return newest_word(patient, scope, now=now) is True


def objects(patient: Patient, *, now: datetime) -> bool:
    """Whether the patient wants people only: asked for it, or withdrew from automated advice."""
    asked = agrees(patient, "human_only_care", now=now)
    return asked or newest_word(patient, "automated_advice", now=now) is False


def raw_data_wanted(patient: Patient, *, now: datetime) -> bool:
    """Whether what devices measure besides blood pressure may be stored: not once the patient has withdrawn."""
    return newest_word(patient, "raw_upload", now=now) is not False


def newest_word(patient: Patient, scope: str, *, now: datetime) -> bool | None:
    """The newest word on `scope`: yes, no, or none."""
    newest = (
        Consent.objects.filter(patient_id__in=record_ids(patient), scope=scope, at__lte=now)
        .order_by("-at", "-pk")
        .first()
    )
    return newest.given if newest is not None else None


def target(patient: Patient, *, now: datetime) -> Target | None:
    """The newest signed target; there is no default."""
    row = (
        TargetRow.objects.filter(patient_id__in=record_ids(patient), signed_at__lte=now)
        .order_by("-signed_at", "-pk")
        .first()
    )
    if row is None:
        return None
    return Target(
        target_id=str(row.pk),
        systolic_below=MmHg(row.systolic_below),
        diastolic_below=MmHg(row.diastolic_below),
        signed_by=str(row.signed_by_id),
        signed_at=row.signed_at,
    )


def boundary_row(patient: Patient, *, now: datetime) -> BoundaryRow | None:
    """The newest boundary of this very record (a merged one's does not carry over), whether or not it has expired."""
    return BoundaryRow.objects.filter(patient=patient, signed_at__lte=now).order_by("-version").first()


def signer_responsible(row: BoundaryRow, *, now: datetime) -> bool:
    """Whether who signed a boundary still is a clinician here, and of this patient's care team, at `now` (N1).

    An order outlives nobody: who has left, lost the role or gone from the team answers for it no longer.
    """
    holds = Q(since__lte=now) & (Q(until__isnull=True) | Q(until__gt=now))
    signer = row.signed_by
    here = signer.is_active and (signer.left_at is None or signer.left_at > now)
    return (
        here
        and signer.roles_held.filter(holds, role=Role.CLINICIAN.value).exists()
        and whole(row.patient).care_team.filter(holds, user=signer).exists()
    )


def boundary_of(row: BoundaryRow, *, now: datetime) -> Boundary:
    """A signed boundary as the rules see it at `now`."""
    drugs = tuple(
        AllowedDrug(
            ingredient=d.ingredient,
            max_daily_dose=Milligrams(d.max_daily_dose_mg),
            products=tuple(d.products),
            allow_up=d.allow_up,
        )
        for d in row.drugs.order_by("ingredient")
    )
    return Boundary(
        boundary_id=str(row.pk),
        version=row.version,
        drugs=drugs,
        max_steps=row.max_steps,
        min_interval_days=row.min_interval_days,
        signed_by=str(row.signed_by_id),
        signed_at=row.signed_at,
        starts_at=row.starts_at,
        expires_at=row.expires_at,
        review_everything=row.review_everything,
        by_prescriber=row.signature.role == Role.CLINICIAN.value,
        target_id=str(row.target_id) if row.target_id else None,
        signer_responsible=signer_responsible(row, now=now),
    )


def boundary(patient: Patient, *, now: datetime) -> Boundary | None:
    """The boundary that was signed last, expired or not: the tier table looks at its dates."""
    row = boundary_row(patient, now=now)
    return boundary_of(row, now=now) if row is not None else None


def adherence(
    patient: Patient, drugs: Iterable[str], *, starts_on: date, ends_on: date, now: datetime
) -> Adherence | None:
    """Doses taken of doses due over local days [starts_on, ends_on): one a day of each drug of the regimen."""
    zone = ZoneInfo(patient.zone)
    days = [starts_on + timedelta(days=n) for n in range((ends_on - starts_on).days)]
    due = [
        DueDose(_dose_id(drug, day), drug, datetime.combine(day, time(), zone))
        for drug in sorted(set(drugs))
        for day in days
    ]
    rows = IntakeLog.objects.filter(
        patient_id__in=record_ids(patient), due_on__gte=starts_on, due_on__lt=ends_on, received_at__lte=now
    )
    log = [Intake(_dose_id(row.ingredient, row.due_on), row.taken, row.received_at) for row in rows]
    until = max(now, datetime.combine(ends_on, time(), zone)) + timedelta.resolution
    return adherence_of(due, log, starts_at=datetime.combine(starts_on, time(), zone), ends_at=until)


def _dose_id(ingredient: str, due_on: date) -> str:
    return f"{ingredient}:{due_on.isoformat()}"
