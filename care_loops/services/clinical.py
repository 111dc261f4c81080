"""Labs, symptoms, conditions, allergies and lines of the regimen come into the record.

Rules
 * What arrives twice under the same source id is kept once. Other content under a known id is a conflict: it is kept
   beside the first, speaks to the rules like it, and its entry and the answer say so. An id that stands in another
   person's record is refused by name (N9).
 * A line of the regimen in conflict makes the regimen not fully known: which of the two is taken is not guessed.
 * A lab and a symptom run the danger rules in the same transaction (CLINICAL 1.3); so does what may mean pregnancy.
 * A side effect blamed on a drug pauses automation for that drug from this moment: the proposal reads it as open.
 * After each, an open recommendation is looked at again; the caller's transaction carries the note to do so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID, uuid4

from django.db import transaction

from governance.domain import BadInput, NotFound, Permission
from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting

from ..domain.record import ConditionKind, DrugClass, LabKind, SymptomKind
from ..models import Allergy, Condition, Lab, Patient, RegimenEntry, Symptom, SymptomReview
from ..policies import IdentifierTaken
from ..selectors.access import NOBODY, patient_for, role_for
from ..selectors.record import record_ids
from ..selectors.regimen import CONFLICT
from .again import look_again
from .danger import Seen, danger_of_lab, danger_of_state, danger_of_symptom
from .events import note, text
from .whose import locked_record


@dataclass(frozen=True, slots=True)
class NewLab:
    """A result in the unit of `LAB_UNITS[kind]`, with what was sent beside it."""

    source_system: str
    source_id: str
    kind: LabKind
    value: Decimal
    sent_value: str
    sent_unit: str
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class NewSymptom:
    """A symptom as reported; `suspected_ingredient` is the RxNorm IN code it is blamed on, or empty."""

    source_system: str
    source_id: str
    kind: SymptomKind
    suspected_ingredient: str
    text: str
    felt_at: datetime


@dataclass(frozen=True, slots=True)
class NewCondition:
    """A condition; `kind` is None when no rule reads its code."""

    source_system: str
    source_id: str
    kind: ConditionKind | None
    code_system: str
    code: str
    display: str
    pregnancy: bool
    onset_at: datetime | None
    abated_at: datetime | None
    active: bool


@dataclass(frozen=True, slots=True)
class NewAllergy:
    """An allergy; `ingredient` is the RxNorm IN code where it is one."""

    source_system: str
    source_id: str
    ingredient: str
    code_system: str
    code: str
    display: str
    active: bool


@dataclass(frozen=True, slots=True)
class NewRegimenEntry:
    """A dated line of the regimen. `unknown_reason` names what could not be read; then `ingredient` may be empty.

    `nothing`: no drug at all, but the word that no medicines are taken.
    """

    source_system: str
    source_id: str
    ingredient: str
    name: str
    drug_class: DrugClass | None
    product: str
    daily_dose_mg: Decimal | None
    step_index: int | None
    stopped: bool
    starts_at: datetime
    unknown_reason: str
    code_system: str
    code: str
    nothing: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of one piece of evidence: its row, whether it is new, what danger rules said.

    `conflict`: something else stood under its source id, and stays; this is kept beside it.
    """

    row_id: UUID
    new: bool
    seen: Seen
    conflict: bool = False


_Known = TypeVar("_Known", Lab, Symptom, Condition, Allergy, RegimenEntry)


@looking_wider(Wider.SOURCES)
def _known(
    table: type[_Known], new: NewLab | NewSymptom | NewCondition | NewAllergy | NewRegimenEntry, patient: Patient
) -> _Known | None:
    """What stands under this source id already. Another person's is no repeat: it is refused, and nothing is lost."""
    found = table.objects.filter(source_system=new.source_system, source_id=new.source_id).first()
    if found is not None and found.patient_id not in record_ids(patient):
        raise IdentifierTaken("This identifier stands in another record.", field="source_id", problem="taken")
    return found


_Said = tuple[object, ...]
_New = TypeVar("_New", NewLab, NewCondition, NewAllergy, NewRegimenEntry)


def _place(
    table: type[_Known], new: _New, patient: Patient, *, say: Callable[[Any], _Said]
) -> tuple[_Known | None, _New, bool]:
    """What is known already with this very content; where new content goes; whether it is in conflict with other."""
    known = _known(table, new, patient)
    if known is None or say(known) == say(new):
        return known, new, False
    digest = hashlib.sha256(repr(say(new)).encode()).hexdigest()[:8]
    new = replace(new, source_id=f"{new.source_id[:180]}#{digest}")
    return _known(table, new, patient), new, True


def _lab_says(one: Lab | NewLab) -> _Said:
    return (str(one.kind), text(one.value.normalize()), one.taken_at.astimezone(UTC).isoformat())


def _condition_says(one: Condition | NewCondition) -> _Said:
    ends = (at.astimezone(UTC).isoformat() if at else "" for at in (one.onset_at, one.abated_at))
    return (str(one.kind or ""), one.code_system, one.code, one.pregnancy, one.active, *ends)


def _allergy_says(one: Allergy | NewAllergy) -> _Said:
    return (one.ingredient, one.code_system, one.code, one.active)


def _line_says(one: RegimenEntry | NewRegimenEntry) -> _Said:
    stopped = one.stopped if isinstance(one, NewRegimenEntry) else one.status == RegimenEntry.STOPPED
    dose = text(one.daily_dose_mg.normalize()) if one.daily_dose_mg is not None else ""
    return (one.ingredient, one.product, dose, stopped, one.starts_at.astimezone(UTC).isoformat(), one.code)


def _named(conflict: bool, source_id: str) -> dict[str, Any]:
    """What an entry says of a conflict; nothing where there is none."""
    return {"problem": CONFLICT, "beside": source_id.partition("#")[0]} if conflict else {}


def record_lab(patient_id: UUID, new: NewLab, *, by: Acting, now: datetime) -> Recorded:
    """Store one laboratory result and run the danger rules on it."""
    with transaction.atomic():
        patient = locked_record(patient_id)
        known, new, conflict = _place(Lab, new, patient, say=_lab_says)
        if known is not None:
            return Recorded(known.pk, new=False, seen=Seen(), conflict=conflict)
        row_id = uuid4()
        payload = {"kind": new.kind.value, "value": text(new.value), "sent": f"{new.sent_value} {new.sent_unit}"}
        payload |= _named(conflict, new.source_id)
        entry = note("lab.recorded", of=("lab", row_id, 1), by=by, now=now, patient_id=patient.pk, payload=payload)
        row = Lab.objects.create(
            id=row_id,
            patient=patient,
            source_system=new.source_system,
            source_id=new.source_id,
            received_at=now,
            kind=new.kind.value,
            value=new.value,
            sent_value=new.sent_value,
            sent_unit=new.sent_unit,
            taken_at=new.taken_at,
            entry=entry.entry_id,
        )
        seen = danger_of_lab(patient, row, by=by, now=now)
        look_again(patient.pk)
        return Recorded(row.pk, new=True, seen=seen, conflict=conflict)


def record_symptom(patient_id: UUID, new: NewSymptom, *, by: Acting, now: datetime) -> Recorded:
    """Store a symptom and run the danger rules on it. Blamed on a drug, it pauses automation for that drug."""
    with transaction.atomic():
        patient = locked_record(patient_id)
        known = _known(Symptom, new, patient)
        if known is not None:
            return Recorded(known.pk, new=False, seen=Seen())
        row_id = uuid4()
        payload = {"kind": new.kind.value, "blamed": new.suspected_ingredient, "text": new.text}
        entry = note(
            "symptom.reported", of=("symptom", row_id, 1), by=by, now=now, patient_id=patient.pk, payload=payload
        )
        row = Symptom.objects.create(
            id=row_id,
            patient=patient,
            source_system=new.source_system,
            source_id=new.source_id,
            received_at=now,
            kind=new.kind.value,
            suspected_ingredient=new.suspected_ingredient,
            text=new.text,
            felt_at=new.felt_at,
            reported_by=by.user,
            entry=entry.entry_id,
        )
        if new.suspected_ingredient:
            note(
                "automation.paused",
                of=("automation", row_id, 1),
                by=by,
                now=now,
                patient_id=patient.pk,
                reason="side_effect_reported",
                payload={"ingredient": new.suspected_ingredient},
            )
        seen = danger_of_symptom(patient, row, by=by, now=now)
        look_again(patient.pk)
        return Recorded(row.pk, new=True, seen=seen)


def review_symptom(symptom_id: UUID, *, outcome: str, text: str, by: Acting, now: datetime) -> SymptomReview:
    """A clinician has dealt with a symptom; automation for the blamed drug may go on."""
    if not outcome.strip():
        raise BadInput("Say what came of it.", field="outcome")
    with transaction.atomic():
        row = Symptom.objects.select_related("patient").filter(pk=symptom_id).first()
        if row is None:
            raise NotFound(NOBODY)
        patient = patient_for(by, row.patient_id, Permission.REVIEW_SYMPTOM, now=now)
        acted = by.under(role_for(by, patient, Permission.REVIEW_SYMPTOM, now=now))
        locked_record(patient.pk)
        before = SymptomReview.objects.filter(symptom=row).first()
        if before is not None:
            return before
        entry = note(
            "automation.resumed",
            of=("automation", row.pk, 2 if row.suspected_ingredient else 1),
            by=acted,
            now=now,
            patient_id=patient.pk,
            reason="symptom_reviewed",
            payload={"outcome": outcome, "text": text},
        )
        return SymptomReview.objects.create(
            symptom=row, by=by.person(), at=now, outcome=outcome, text=text, entry=entry.entry_id
        )


def record_condition(patient_id: UUID, new: NewCondition, *, by: Acting, now: datetime) -> Recorded:
    """Store a condition. Pregnancy runs the danger rules at once."""
    with transaction.atomic():
        patient = locked_record(patient_id)
        known, new, conflict = _place(Condition, new, patient, say=_condition_says)
        if known is not None:
            return Recorded(known.pk, new=False, seen=Seen(), conflict=conflict)
        row_id = uuid4()
        payload = {"code": f"{new.code_system}|{new.code}", "display": new.display, "active": new.active}
        payload |= _named(conflict, new.source_id)
        entry = note(
            "condition.recorded", of=("condition", row_id, 1), by=by, now=now, patient_id=patient.pk, payload=payload
        )
        Condition.objects.create(
            id=row_id,
            patient=patient,
            source_system=new.source_system,
            source_id=new.source_id,
            received_at=now,
            kind=new.kind.value if new.kind else "",
            code_system=new.code_system,
            code=new.code,
            display=new.display,
            pregnancy=new.pregnancy,
            onset_at=new.onset_at,
            abated_at=new.abated_at,
            active=new.active,
            entry=entry.entry_id,
        )
        seen = danger_of_state(patient, by=by, now=now)
        look_again(patient.pk)
        return Recorded(row_id, new=True, seen=seen, conflict=conflict)


def record_allergy(patient_id: UUID, new: NewAllergy, *, by: Acting, now: datetime) -> Recorded:
    """Store an allergy or intolerance."""
    with transaction.atomic():
        patient = locked_record(patient_id)
        known, new, conflict = _place(Allergy, new, patient, say=_allergy_says)
        if known is not None:
            return Recorded(known.pk, new=False, seen=Seen(), conflict=conflict)
        row_id = uuid4()
        payload = {"code": f"{new.code_system}|{new.code}", "display": new.display, "ingredient": new.ingredient}
        payload |= _named(conflict, new.source_id)
        entry = note(
            "allergy.recorded", of=("allergy", row_id, 1), by=by, now=now, patient_id=patient.pk, payload=payload
        )
        Allergy.objects.create(
            id=row_id,
            patient=patient,
            source_system=new.source_system,
            source_id=new.source_id,
            received_at=now,
            ingredient=new.ingredient,
            code_system=new.code_system,
            code=new.code,
            display=new.display,
            active=new.active,
            entry=entry.entry_id,
        )
        look_again(patient.pk)
        return Recorded(row_id, new=True, seen=Seen(), conflict=conflict)


def record_regimen_entry(patient_id: UUID, new: NewRegimenEntry, *, by: Acting, now: datetime) -> Recorded:
    """Store a dated line of the regimen from outside. One that pregnancy forbids raises its alert at once."""
    with transaction.atomic():
        patient = locked_record(patient_id)
        known, new, conflict = _place(RegimenEntry, new, patient, say=_line_says)
        if known is not None:
            return Recorded(known.pk, new=False, seen=Seen(), conflict=conflict)
        new = replace(new, unknown_reason=new.unknown_reason or CONFLICT) if conflict else new
        row = regimen_row(patient.pk, new, now=now)
        payload = {
            "code": f"{new.code_system}|{new.code}",
            "name": new.name,
            "daily_dose_mg": text(new.daily_dose_mg),
            "unknown_reason": new.unknown_reason,
            "stopped": new.stopped,
            **({"nothing": True} if new.nothing else {}),
            **_named(conflict, new.source_id),
        }
        entry = note(
            "regimen.imported", of=("regimen_entry", row.pk, 1), by=by, now=now, patient_id=patient.pk, payload=payload
        )
        row.entry = entry.entry_id
        row.save(force_insert=True)
        seen = danger_of_state(patient, by=by, now=now)
        look_again(patient.pk)
        return Recorded(row.pk, new=True, seen=seen, conflict=conflict)


def regimen_row(patient_id: UUID, new: NewRegimenEntry, *, now: datetime) -> RegimenEntry:
    """The row of a line of the regimen, without its entry yet."""
    taken = RegimenEntry.STOPPED if new.stopped else RegimenEntry.ACTIVE
    return RegimenEntry(
        id=uuid4(),
        patient_id=patient_id,
        source_system=new.source_system,
        source_id=new.source_id,
        received_at=now,
        ingredient=new.ingredient,
        name=new.name[:300],
        drug_class=new.drug_class.value if new.drug_class else "",
        product=new.product,
        daily_dose_mg=new.daily_dose_mg,
        step_index=new.step_index,
        status=RegimenEntry.NOTHING if new.nothing and not new.unknown_reason else taken,
        starts_at=new.starts_at,
        known=not new.unknown_reason,
        unknown_reason=new.unknown_reason,
        code_system=new.code_system,
        code=new.code,
    )
