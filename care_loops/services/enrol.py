"""Patients come into the record: enrolment, care team, carers, merging.

Rules
 * The same source enrols the same patient once.
 * Who is tied to a record - its care team, its carers, its own account - is said by its care team, or by an
   administrator, who reads none. Nobody puts themself into a team they are not in; the first clinician of a new patient
   is named in the transaction that enrols (N10). A foreign record and a missing one get the same answer.
 * In a care team is who may do something for its patient by their role: a clinician or a pharmacist (N10).
 * A care team has at most one responsible clinician at a time, and who is responsible does not go without naming the
   next one; nothing is deleted when a person leaves.
 * A merge is an entry: rows stay where they were written, and reading goes through both records.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import QuerySet

from audit.domain import Purpose
from audit.selectors import next_version
from governance.domain import BadInput, NotAllowed, NotFound, Permission, Relation, Role
from governance.models import Invitation, RoleHeld, User
from governance.permissions import TABLE, check
from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting

from ..domain.record import Sex
from ..models import CarerLink, CareTeamMember, Merge, Patient, sealed_identity
from ..policies import NobodyResponsible
from ..selectors.access import NOBODY, relations_to, tied_by
from ..selectors.record import record_ids, whole
from .again import look_again
from .consents import tell_research
from .events import note
from .no_medicines import record_no_medicines

#: Roles that the table of permissions lets act for the patients of their care teams.
IN_A_TEAM = frozenset(role.value for (_, role), relations in TABLE.items() if Relation.CARE_TEAM in relations)


@dataclass(frozen=True, slots=True)
class NewPatient:
    """A patient to enrol. `zone` is the IANA zone of home; nothing here is guessed.

    `takes_no_medicines`: somebody said so. Without that word, and without a list, what is taken is not known (N2).
    """

    source_system: str
    source_id: str
    given_name: str
    family_name: str
    born_on: date | None
    sex: Sex
    zone: str
    synthetic: bool
    takes_no_medicines: bool = False


@looking_wider(Wider.TIES)
def enrol_patient(new: NewPatient, *, by: Acting, now: datetime) -> Patient:
    """Enrol a patient, or return the one already enrolled from this source."""
    if by.user is not None:
        by = by.under(check(Permission.ENROL_PATIENT, by.standing, frozenset({Relation.SITE})))
    with transaction.atomic():
        if new.source_id:
            known = Patient.objects.of_source(new.source_system, new.source_id).first()
            if known is not None:
                return known
        patient_id = uuid4()
        payload = {
            "given_name": new.given_name,
            "family_name": new.family_name,
            "born_on": new.born_on.isoformat() if new.born_on else None,
            "sex": new.sex.value,
            "zone": new.zone,
            "synthetic": new.synthetic,
            "source": f"{new.source_system}|{new.source_id}",
        }
        entry = note(
            "patient.enrolled", of=("patient", patient_id, 1), by=by, now=now, patient_id=patient_id, payload=payload
        )
        patient = Patient.objects.create(
            id=patient_id,
            source_system=new.source_system,
            sex=new.sex.value,
            zone=new.zone,
            synthetic=new.synthetic,
            enrolled_at=now,
            entry=entry.entry_id,
            **sealed_identity(
                patient_id,
                given_name=new.given_name,
                family_name=new.family_name,
                born_on=new.born_on,
                source_id=new.source_id,
            ),
        )
        if new.takes_no_medicines:
            record_no_medicines(patient.pk, by=by, now=now)
        return patient


@looking_wider(Wider.TIES)
def admit(new: NewPatient, responsible_id: UUID, *, by: Acting, now: datetime) -> Patient:
    """Enrol a patient with the clinician who answers for them, both or neither.

    A patient who was enrolled from this source before is nobody's to take over: that is `join_care_team`.
    """
    with transaction.atomic():
        patient = enrol_patient(new, by=by, now=now)
        if patient.enrolled_at == now and not patient.care_team.exists():
            _put_in(patient.pk, responsible_id, responsible=True, by=by, now=now)
        else:
            join_care_team(patient.pk, responsible_id, responsible=True, by=by, now=now)
    return patient


@looking_wider(Wider.TIES)
def join_care_team(patient_id: UUID, user_id: UUID, *, responsible: bool, by: Acting, now: datetime) -> CareTeamMember:
    """Put a person into a patient's care team; a second time changes nothing."""
    if by.user is not None:
        patient, role = tied_by(by, patient_id, Permission.MANAGE_CARE_TEAM, now=now)
        if by.user.pk == user_id and Relation.CARE_TEAM not in relations_to(by, patient, now=now):
            raise NotAllowed("Nobody puts themself into a care team: ask one of it.", missing="another_person")
        by = by.under(role)
    return _put_in(patient_id, user_id, responsible=responsible, by=by, now=now)


def _put_in(patient_id: UUID, user_id: UUID, *, responsible: bool, by: Acting, now: datetime) -> CareTeamMember:
    with transaction.atomic():
        if not Patient.objects.select_for_update().filter(pk=patient_id).exists():
            raise NotFound(NOBODY)
        team = CareTeamMember.objects.filter(patient_id=patient_id, until__isnull=True)
        member = team.filter(user_id=user_id).first()
        if member is not None:
            return member
        roles = set(RoleHeld.objects.filter(user_id=user_id, until__isnull=True).values_list("role", flat=True))
        if roles.isdisjoint(IN_A_TEAM):
            raise BadInput("Only a clinician or a pharmacist can be in a care team.", field="member")
        if responsible and Role.CLINICIAN.value not in roles:
            raise BadInput("Only a clinician can be responsible for a patient.", field="responsible")
        if responsible and team.filter(responsible=True).exists():
            raise BadInput("Somebody else is responsible for this patient: hand over first.", field="responsible")
        entry = note(
            "care_team.joined",
            of=("care_team", uuid4(), 1),
            by=by,
            now=now,
            patient_id=patient_id,
            payload={"user": str(user_id), "responsible": responsible},
            purpose=Purpose.OPERATIONS,
        )
        return CareTeamMember.objects.create(
            patient_id=patient_id, user_id=user_id, since=now, responsible=responsible, entry=entry.entry_id
        )


@looking_wider(Wider.TIES)
def leave_care_team(
    patient_id: UUID, user_id: UUID, *, by: Acting, now: datetime, next_responsible: UUID | None = None
) -> None:
    """End a person's membership. Their next act on this record is refused.

    Who is responsible goes only when another clinician of the team is named to be it from now on.
    """
    if by.user is not None:
        by = by.under(tied_by(by, patient_id, Permission.MANAGE_CARE_TEAM, now=now)[1])
    with transaction.atomic():
        team = CareTeamMember.objects.select_for_update().filter(patient_id=patient_id, until__isnull=True)
        leaver = team.filter(user_id=user_id).first()
        if leaver is None:
            return
        heir = _heir(team.exclude(user_id=user_id), next_responsible) if leaver.responsible else None
        payload = {"user": str(user_id), "next_responsible": str(heir.user_id) if heir else None}
        _note_member("care_team.left", leaver, payload, by=by, now=now)
        CareTeamMember.objects.filter(pk=leaver.pk).update(until=now)
        if heir is not None:
            _note_member("care_team.handed_over", heir, {"from": str(user_id), "to": str(heir.user_id)}, by=by, now=now)
            CareTeamMember.objects.filter(pk=heir.pk).update(responsible=True)
        look_again(patient_id)  # what they signed may hold no longer


def _note_member(kind: str, member: CareTeamMember, payload: dict[str, Any], *, by: Acting, now: datetime) -> UUID:
    """The entry of what happened to a membership; its row moves only with one about itself."""
    key = str(member.pk)
    entry = note(
        kind,
        of=("care_team", key, next_version("care_team", key)),
        by=by,
        now=now,
        patient_id=member.patient_id,
        payload=payload,
        purpose=Purpose.OPERATIONS,
    )
    return entry.entry_id


def _heir(team: QuerySet[CareTeamMember], named: UUID | None) -> CareTeamMember:
    """Who of the team is responsible from now on."""
    heir = team.filter(user_id=named).first() if named is not None else None
    if heir is None:
        raise NobodyResponsible(
            "This person is responsible for the patient: name a clinician of the team who is from now on.",
            field="next_responsible",
        )
    if not RoleHeld.objects.filter(user=heir.user_id, role=Role.CLINICIAN.value, until__isnull=True).exists():
        raise BadInput("Only a clinician can be responsible for a patient.", field="next_responsible")
    return heir


@looking_wider(Wider.TIES)
def hand_over_patients(leaver: User, successor: User, *, by: Acting, now: datetime) -> int:
    """Put `successor` into each care team `leaver` is in, as responsible as before. Returns how many teams."""
    by = by.under(check(Permission.MANAGE_STAFF, by.standing, frozenset({Relation.SITE})))
    with transaction.atomic():
        held = list(CareTeamMember.objects.select_for_update().filter(user=leaver, until__isnull=True))
        for member in held:
            said = {"from": str(leaver.pk), "to": str(successor.pk), "responsible": member.responsible}
            entry = _note_member("care_team.handed_over", member, said, by=by, now=now)
            CareTeamMember.objects.filter(pk=member.pk).update(until=now)
            look_again(member.patient_id)  # what they signed may hold no longer
            team = CareTeamMember.objects.filter(patient_id=member.patient_id, user=successor, until__isnull=True)
            again = team.first()
            if again is None:
                CareTeamMember.objects.create(
                    patient_id=member.patient_id,
                    user=successor,
                    since=now,
                    responsible=member.responsible,
                    entry=entry,
                )
            elif member.responsible and not again.responsible:
                _note_member("care_team.handed_over", again, said, by=by, now=now)
                team.update(responsible=True)
        return len(held)


def _may_tie(patient_id: UUID, user: User, *, by: Acting, now: datetime, invitation: Invitation | None) -> Acting:
    """Who ties an account to the record: the one invited, by the invitation just accepted; else who may invite."""
    accepted = invitation is not None and invitation.accepted_by_id == user.pk == by.person().pk
    if invitation is not None and accepted and invitation.patient_ref is not None:
        invited_to = Patient.objects.filter(pk=invitation.patient_ref).first()
        if invited_to is not None and patient_id in record_ids(whole(invited_to)):
            return by
    if by.user is None:
        return by
    role = tied_by(by, patient_id, Permission.INVITE_TO_RECORD, now=now)[1]
    if by.user.pk == user.pk:
        raise NotAllowed("Nobody ties themself to a record: somebody else invites.", missing="another_person")
    return by.under(role)


@looking_wider(Wider.TIES)
def link_account(
    patient_id: UUID, user: User, *, by: Acting, now: datetime, invitation: Invitation | None = None
) -> None:
    """Tie a patient's own account to the record: by their invitation, or by who may invite."""
    by = _may_tie(patient_id, user, by=by, now=now, invitation=invitation)
    with transaction.atomic():
        patient = Patient.objects.select_for_update().get(pk=patient_id)
        if patient.account_id not in (None, user.pk):
            raise BadInput("This record already has an account.", field="account")
        note(
            "account.created",
            of=("account", uuid4(), 1),
            by=by,
            now=now,
            patient_id=patient_id,
            payload={"user": str(user.pk)},
            purpose=Purpose.OPERATIONS,
        )
        Patient.objects.filter(pk=patient_id).update(account=user)


@looking_wider(Wider.TIES)
def link_carer(
    patient_id: UUID, user: User, *, by: Acting, now: datetime, invitation: Invitation | None = None
) -> CarerLink:
    """Let a carer act for a patient: by the carer's invitation, or by who may invite."""
    by = _may_tie(patient_id, user, by=by, now=now, invitation=invitation)
    with transaction.atomic():
        entry = note(
            "carer.joined",
            of=("carer", uuid4(), 1),
            by=by,
            now=now,
            patient_id=patient_id,
            payload={"user": str(user.pk)},
            purpose=Purpose.OPERATIONS,
        )
        return CarerLink.objects.create(patient_id=patient_id, user=user, since=now, entry=entry.entry_id)


@looking_wider(Wider.TIES)
def unlink_carer(patient_id: UUID, user_id: UUID, *, by: Acting, now: datetime) -> None:
    """A carer acts for the patient no longer, from now on. Nothing happens where they did not."""
    if by.user is not None:
        by = by.under(tied_by(by, patient_id, Permission.MANAGE_CARE_TEAM, now=now)[1])
    with transaction.atomic():
        links = CarerLink.objects.select_for_update().filter(patient_id=patient_id, user_id=user_id, until=None)
        for link in links:
            note(
                "carer.left",
                of=("carer_link", link.pk, 1),
                by=by,
                now=now,
                patient_id=patient_id,
                payload={"user": str(user_id)},
                purpose=Purpose.OPERATIONS,
            )
            link.until = now
            link.save(update_fields=["until"])


@looking_wider(Wider.TIES)
def merge_patients(absorbed_id: UUID, kept_id: UUID, *, reason: str, by: Acting, now: datetime) -> Merge:
    """Say that two records are one person. Neither may have been merged away before."""
    by = by.under(check(Permission.MERGE_PATIENTS, by.standing, frozenset({Relation.SITE})))
    if not reason.strip():
        raise BadInput("Say why these are the same person.", field="reason")
    with transaction.atomic():
        both = {p.pk: p for p in Patient.objects.select_for_update().filter(pk__in=[absorbed_id, kept_id])}
        if len(both) != 2 or Merge.objects.filter(absorbed_id__in=both).exists():
            raise BadInput("Name two different records, neither of them merged before.", field="patients")
        entry = note(
            "patient.merged",
            of=("merge", uuid4(), 1),
            by=by,
            now=now,
            patient_id=kept_id,
            payload={"absorbed": str(absorbed_id), "kept": str(kept_id), "reason": reason},
            purpose=Purpose.OPERATIONS,
        )
        look_again(kept_id)  # both histories are one now: what waits on either is looked at with both
        merged = Merge.objects.create(
            absorbed_id=absorbed_id,
            kept_id=kept_id,
            merged_by=by.person(),
            merged_at=now,
            reason=reason,
            entry=entry.entry_id,
        )
        tell_research(both[kept_id], entry=entry.entry_id, now=now)
        return merged
