"""Who may see whose record: the only way by which a patient or a loop reaches a door (N10).

Rules
 * A foreign record and one that does not exist get the same answer, `NotFound` in the same words.
 * Who lacks the permission in any relation gets `NotAllowed`, whatever the record.
 * A merged record is answered with the one that was kept.
 * Who opened a record by break-glass is tied to it in that session, until it is over, and by nothing but that.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from governance.domain import NotAllowed, NotFound, Permission, Relation, Role
from governance.permissions import TABLE, check
from governance.services import Acting

from ..models import Alert, Loop, Patient
from .first import veil
from .glass import opening_of
from .record import record_ids, whole

_NONE: frozenset[Relation] = frozenset()
NOBODY = "There is no such record, or it is not yours to see."


def during(now: datetime, prefix: str = "") -> Q:
    """Rows that hold at `now`: begun, and not ended."""
    return Q(**{f"{prefix}since__lte": now}) & (
        Q(**{f"{prefix}until__isnull": True}) | Q(**{f"{prefix}until__gt": now})
    )


def relations_to(by: Acting, patient: Patient, *, now: datetime) -> frozenset[Relation]:
    """What ties this person to this patient at `now`."""
    if by.user is None:
        return frozenset()
    found: set[Relation] = set()
    if patient.account_id == by.user.pk:
        found.add(Relation.OWN)
    if patient.care_team.filter(during(now), user=by.user).exists():
        found.add(Relation.CARE_TEAM)
    if patient.carers.filter(during(now), user=by.user).exists():
        found.add(Relation.CARER_OF)
    if not found and opening_of(by, record_ids(patient), now=now) is not None:
        found.add(Relation.BREAK_GLASS)
    return frozenset(found)


def patient_for(by: Acting, patient_id: UUID | str, permission: Permission, *, now: datetime) -> Patient:
    """The patient, when this person may do `permission` with this record."""
    return _found(by, patient_id, permission, now=now)[0]


def _found(
    by: Acting, patient_id: UUID | str, permission: Permission, *, now: datetime, besides: frozenset[Relation] = _NONE
) -> tuple[Patient, Role]:
    """The patient, and the role under which this person may do `permission` with this record."""
    if not any((permission, role) in TABLE for role in by.standing.roles):
        check(permission, by.standing, frozenset())
    try:
        patient = Patient.objects.get(pk=patient_id)
    except (Patient.DoesNotExist, ValueError, TypeError):
        raise NotFound(NOBODY) from None
    patient = whole(patient)
    try:
        role = check(permission, by.standing, relations_to(by, patient, now=now) | besides)
    except NotAllowed as refusal:
        raise NotFound(NOBODY) from refusal
    return patient, role


def tied_by(by: Acting, patient_id: UUID | str, permission: Permission, *, now: datetime) -> tuple[Patient, Role]:
    """The patient, and the role under which this person says who is tied to the record: as one of its care team, or
    for the whole site as somebody who reads no record."""
    return _found(by, patient_id, permission, now=now, besides=frozenset({Relation.SITE}))


def role_for(by: Acting, patient: Patient, permission: Permission, *, now: datetime) -> Role:
    """The role under which this person does `permission` for this patient, or `NotAllowed`."""
    return check(permission, by.standing, relations_to(by, whole(patient), now=now))


def loop_for(by: Acting, loop_id: UUID | str, permission: Permission, *, now: datetime) -> Loop:
    """The recommendation, when this person may do `permission` with its patient's record.

    What was proposed is left out for who has to say first what they would do (`first.veil`): it is never saved.
    """
    if not any((permission, role) in TABLE for role in by.standing.roles):
        check(permission, by.standing, frozenset())
    try:
        loop = Loop.objects.select_related("patient").get(pk=loop_id)
    except (Loop.DoesNotExist, ValueError, TypeError):
        raise NotFound(NOBODY) from None
    patient_for(by, loop.patient_id, permission, now=now)
    veil(by, [loop])
    return loop


def alert_for(by: Acting, alert_id: UUID | str, permission: Permission, *, now: datetime) -> Alert:
    """The alert, when this person may do `permission` with its patient's record."""
    if not any((permission, role) in TABLE for role in by.standing.roles):
        check(permission, by.standing, frozenset())
    try:
        alert = Alert.objects.select_related("patient").get(pk=alert_id)
    except (Alert.DoesNotExist, ValueError, TypeError):
        raise NotFound(NOBODY) from None
    patient_for(by, alert.patient_id, permission, now=now)
    return alert


def patients_of(by: Acting, *, now: datetime) -> QuerySet[Patient]:
    """The patients whose care team this person is in, merged records left out."""
    if by.user is None:
        return Patient.objects.none()
    mine = during(now, "care_team__") & Q(care_team__user=by.user)
    return Patient.objects.filter(mine, merged_into__isnull=True).distinct()


def loops_of(by: Acting, loop_ids: Iterable[str], *, now: datetime) -> frozenset[str]:
    """Those of these recommendations that are of this person's own patients."""
    mine = Loop.objects.filter(pk__in=list(loop_ids), patient__in=patients_of(by, now=now))
    return frozenset(str(pk) for pk in mine.values_list("pk", flat=True))


def patients_open_to(by: Acting, *, now: datetime) -> QuerySet[Patient]:
    """The patients a patient or carer may act for: their own record, and those of people they care for."""
    if by.user is None:
        return Patient.objects.none()
    own = Q(account=by.user)
    cared = during(now, "carers__") & Q(carers__user=by.user)
    return Patient.objects.filter(own | cared, merged_into__isnull=True).distinct()
