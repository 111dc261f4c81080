"""What a clinician signs for a patient: the target, alert limits, and the operating boundary.

Rules
 * A new version supersedes; nothing is edited. A boundary starts now or later, never in the past (N1).
 * Alert limits only narrow the site's: alarm earlier, never later (HTN-06). Left out, the site's number holds.
 * Above the site's threshold a pharmacist approves it first (`boundary_quorum`).
 * At most three steps and six months (CLINICAL 1.9 row 1); never beyond a drug's guideline maximum (1.6).
 * A drug can be named only when it is in the formulary. What is signed is what the rows say, to the letter; a boundary
   that starts at once starts with its signature, so that nothing holds before it was signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from audit.domain import ObjectRef
from governance.domain import BadInput, Permission, Refusal
from governance.models import Motion
from governance.services import Act, Acting, sign

from ..danger import LimitName, crossed, loosened, site_limit
from ..domain.units import MmHg
from ..models import AlertLimits, Boundary, BoundaryDrug, Patient, Target
from ..pathways.hypertension.tables_danger import danger_table
from ..pathways.hypertension.tables_therapy import formulary
from ..selectors.access import patient_for, role_for
from ..selectors.thresholds import above, targets_allowed
from .again import look_again
from .events import note, text
from .whose import locked_record

MAX_STEPS = 3  # CLINICAL 1.9 row 1
ON_SIGNING = "on_signing"  # it holds from its signature on, not from when it was shown (N1)
LONGEST = timedelta(days=180)  # six months, CLINICAL 1.9 row 1


class PharmacistNeeded(Refusal):
    """The boundary is above the threshold: it is put forward, and a pharmacist approves it, before it is signed."""

    code = "quorum_needed"


@dataclass(frozen=True, slots=True)
class NewBoundaryDrug:
    """One drug the patient may step up within, to a total of `max_daily_dose_mg` a day."""

    ingredient: str
    max_daily_dose_mg: Decimal
    allow_up: bool


@dataclass(frozen=True, slots=True)
class NewBoundary:
    """A titration order as a clinician signs it."""

    drugs: tuple[NewBoundaryDrug, ...]
    max_steps: int
    min_interval_days: int
    starts_at: datetime
    expires_at: datetime
    review_everything: bool


def sign_target(patient_id: UUID, *, systolic_below: MmHg, diastolic_below: MmHg, by: Acting, now: datetime) -> Target:
    """Sign the home pressure this patient should stay under."""
    if systolic_below <= diastolic_below:
        raise BadInput("Systolic must lie above diastolic.", field="systolic_below")
    check_target_allowed(systolic_below, now=now)
    with transaction.atomic():
        patient = patient_for(by, patient_id, Permission.SIGN_TARGET, now=now)
        acted = by.under(role_for(by, patient, Permission.SIGN_TARGET, now=now))
        target_id = by.drawn("target")
        record = {
            "target": str(target_id),
            "patient": str(patient.pk),
            "systolic_below": text(systolic_below.value),
            "diastolic_below": text(diastolic_below.value),
            "unit": "mm[Hg]",
        }
        act = _act("target.signed", ("target", target_id, 1), patient.pk)
        signature, esign = sign(record, act=act, meaning="sets this target", by=acted, now=now)
        entry = note(
            "target.signed",
            of=("target", target_id, 1),
            by=acted,
            now=now,
            patient_id=patient.pk,
            payload=record,
            esign=esign,
        )
        look_again(patient.pk)
        return Target.objects.create(
            id=target_id,
            patient=patient,
            systolic_below=systolic_below.value,
            diastolic_below=diastolic_below.value,
            signed_by=by.person(),
            signed_at=now,
            signature=signature,
            entry=entry.entry_id,
        )


def check_target_allowed(systolic_below: MmHg, *, now: datetime) -> None:
    """Refuse a target outside what the site's policy lets be signed."""
    lowest, highest = targets_allowed(now=now)
    if lowest is not None and systolic_below.value < lowest:
        raise BadInput(f"The site's policy lets no target be signed below {lowest} mmHg.", field="systolic_below")
    if highest is not None and systolic_below.value > highest:
        raise BadInput(f"The site's policy lets no target be signed above {highest} mmHg.", field="systolic_below")


def sign_alert_limits(
    patient_id: UUID, signed: Mapping[LimitName, Decimal], *, by: Acting, now: datetime
) -> AlertLimits:
    """Sign a new version of the pressures (mmHg) and rates (per minute) at which this patient's alerts speak."""
    _check_limits(signed)
    with transaction.atomic():
        patient = patient_for(by, patient_id, Permission.SIGN_ALERT_LIMITS, now=now)
        acted = by.under(role_for(by, patient, Permission.SIGN_ALERT_LIMITS, now=now))
        patient = locked_record(patient.pk)
        newest = patient.alert_limits.order_by("-version").values_list("version", flat=True).first()
        limits_id, version = by.drawn("alert_limits"), (newest or 0) + 1
        record = {
            "alert_limits": str(limits_id),
            "patient": str(patient.pk),
            "version": version,
            "limits": {name.value: text(signed[name]) for name in LimitName if name in signed},
            "danger_table": danger_table().version,
        }
        act = _act("alert_limits.signed", ("alert_limits", patient.pk, version), patient.pk)
        signature, esign = sign(record, act=act, meaning="sets these alert limits", by=acted, now=now)
        entry = note(
            "alert_limits.signed",
            of=("alert_limits", patient.pk, version),
            by=acted,
            now=now,
            patient_id=patient.pk,
            payload=record,
            esign=esign,
        )
        look_again(patient.pk)
        return AlertLimits.objects.create(
            id=limits_id,
            patient=patient,
            version=version,
            **{name.value: signed.get(name) for name in LimitName},
            signed_by=by.person(),
            signed_at=now,
            signature=signature,
            entry=entry.entry_id,
        )


def _check_limits(signed: Mapping[LimitName, Decimal]) -> None:
    table = danger_table()
    for name in loosened(signed, table):
        site = site_limit(name, table)
        raise BadInput(
            f"The site alarms at {site.compare} {site.value}: a limit may only be narrower.", field=name.value
        )
    for name in crossed(signed, table):
        raise BadInput("The low limit must lie under the high one.", field=name.value)


def sign_boundary(patient_id: UUID, new: NewBoundary, *, by: Acting, now: datetime) -> Boundary:
    """Sign a new version of the patient's operating boundary; the old one no longer holds."""
    _check(new, now=now)
    at_once = new.starts_at <= now
    new = replace(new, starts_at=max(new.starts_at, now))
    with transaction.atomic():
        patient = patient_for(by, patient_id, Permission.SIGN_BOUNDARY, now=now)
        acted = by.under(role_for(by, patient, Permission.SIGN_BOUNDARY, now=now))
        type(patient).objects.select_for_update().get(pk=patient.pk)  # versions are counted one at a time
        newest = patient.boundaries.order_by("-version").values_list("version", flat=True).first()
        version = (newest or 0) + 1
        boundary_id = by.drawn("boundary")
        newest_target = patient.targets.order_by("-signed_at", "-pk").first()
        if newest_target is None:
            raise BadInput("Sign a target first: a boundary is signed for one.", field="target")
        record = {"boundary": str(boundary_id), "patient": str(patient.pk), "version": version}
        shown = as_shown(new, at_once=at_once)
        _check_quorum(patient, new, shown, now=now)
        record |= {"target": str(newest_target.pk)} | shown
        act = _act("boundary.signed", ("boundary", patient.pk, version), patient.pk)
        signature, esign = sign(record, act=act, meaning="orders titration within", by=acted, now=now)
        entry = note(
            "boundary.signed",
            of=("boundary", patient.pk, version),
            by=acted,
            now=now,
            patient_id=patient.pk,
            payload=record | {"starts_at": new.starts_at.isoformat()},
            esign=esign,
        )
        boundary = Boundary.objects.create(
            id=boundary_id,
            patient=patient,
            version=version,
            max_steps=new.max_steps,
            min_interval_days=new.min_interval_days,
            starts_at=new.starts_at,
            expires_at=new.expires_at,
            review_everything=new.review_everything,
            target=newest_target,
            signed_by=by.person(),
            signed_at=now,
            signature=signature,
            entry=entry.entry_id,
        )
        BoundaryDrug.objects.bulk_create(_drug_row(boundary, drug) for drug in new.drugs)
        look_again(patient.pk)
        return boundary


def _drug_row(boundary: Boundary, drug: NewBoundaryDrug) -> BoundaryDrug:
    """One drug of the order, with the products of every rung up to its maximum."""
    known = formulary().drug(drug.ingredient)
    if known is None:
        raise BadInput(f"{drug.ingredient} is not in the formulary.", field="drugs")
    products = {step.product for step in known.steps if step.daily_dose.value <= drug.max_daily_dose_mg}
    return BoundaryDrug(
        boundary=boundary,
        ingredient=drug.ingredient,
        name=known.name,
        max_daily_dose_mg=drug.max_daily_dose_mg,
        allow_up=drug.allow_up,
        products=sorted(products),
    )


def _check(new: NewBoundary, *, now: datetime) -> None:
    if not 0 <= new.max_steps <= MAX_STEPS:
        raise BadInput(f"A boundary covers at most {MAX_STEPS} steps.", field="max_steps")
    if new.starts_at < now - timedelta(minutes=5):
        raise BadInput("A boundary cannot start in the past.", field="starts_at")
    if not new.starts_at < new.expires_at <= new.starts_at + LONGEST:
        raise BadInput("A boundary ends after it starts and lasts at most six months.", field="expires_at")
    if len({drug.ingredient for drug in new.drugs}) != len(new.drugs):
        raise BadInput("Each drug stands once.", field="drugs")
    for drug in new.drugs:
        known = formulary().drug(drug.ingredient)
        if known is None:
            raise BadInput(f"{drug.ingredient} is not in the formulary.", field="drugs")
        if not 0 < drug.max_daily_dose_mg <= known.guideline_max.value:
            raise BadInput(
                f"{known.name}: the most that can be signed is {known.guideline_max.value} mg a day.", field="drugs"
            )


def _act(kind: str, of: tuple[str, UUID, int], patient_id: UUID) -> Act:
    """What is signed for a patient: the type of its entry, and the version that comes of it."""
    return Act(kind, ObjectRef(type=of[0], id=str(of[1]), version=of[2]), subject=str(patient_id))


def rising(new: NewBoundary) -> tuple[tuple[str, Decimal], ...]:
    """What the boundary lets rise, and to which dose (mg a day)."""
    return tuple((drug.ingredient, drug.max_daily_dose_mg) for drug in new.drugs if drug.allow_up)


def _check_quorum(patient: Patient, new: NewBoundary, shown: Mapping[str, Any], *, now: datetime) -> None:
    """Above the threshold only what a pharmacist has approved, used up in this very act (`boundary_quorum`)."""
    rows = above(patient, rising(new), now=now)
    if not rows:
        return
    used = Motion.objects.filter(subject=f"boundary:{patient.pk}", ended="carried_out", ended_at=now).first()
    if used is None or used.content["boundary"] != shown:
        raise PharmacistNeeded("This boundary is above the threshold: a pharmacist approves it first.", rows=list(rows))


def as_shown(new: NewBoundary, *, at_once: bool) -> dict[str, Any]:
    """The boundary as its prescriber signs it."""
    return {
        "max_steps": new.max_steps,
        "min_interval_days": new.min_interval_days,
        "starts_at": ON_SIGNING if at_once else new.starts_at.isoformat(),
        "expires_at": new.expires_at.isoformat(),
        "review_everything": new.review_everything,
        "drugs": [
            {
                "ingredient": drug.ingredient,
                "max_daily_dose_mg": text(drug.max_daily_dose_mg),
                "allow_up": drug.allow_up,
            }
            for drug in new.drugs
        ],
    }
