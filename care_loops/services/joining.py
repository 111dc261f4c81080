"""Patients and carers get an account of their own and are tied to a record; leavers' work finds new hands.

Rules
 * An invitation to a record names the record; accepting it makes the account and ties it, both or neither.
 * Inviting is for the record's care team, and for administrators, who read none. Nobody invites themself: the session
   of the one who invited does not accept (N10).
 * A record has one account of its own, and any number of carers.
 * Who leaves hands over first: every care team has the successor in it, with the same responsibility, in the
   transaction in which the leaver's roles and tokens end. Nobody's patients fall between two people.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from governance.domain import BadInput, NotAllowed, NotFound, Permission, Role
from governance.models import User
from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting
from governance.services.accounts import Invited, NewAccount, accept_invitation, acting_as, invite, leave

from ..models import Patient
from ..selectors.access import NOBODY, tied_by
from .enrol import NewPatient, admit, hand_over_patients, link_account, link_carer


@looking_wider(Wider.TIES)
def invite_to_record(patient_id: UUID, role: Role, *, email: str, by: Acting, now: datetime) -> Invited:
    """Invite the patient, or a carer, to this record. The token is shown once."""
    patient, _ = tied_by(by, patient_id, Permission.INVITE_TO_RECORD, now=now)
    if patient.pk != patient_id:
        raise NotFound(NOBODY)  # merged away: the kept record is invited to
    return _invite(patient, role, email=email, by=by, now=now)


@looking_wider(Wider.TIES)
def enrol_and_invite(new: NewPatient, responsible_id: UUID, *, email: str, by: Acting, now: datetime) -> Invited | None:
    """Enrol a patient with a responsible clinician and, where there is an address, invite them; all or nothing."""
    with transaction.atomic():
        patient = admit(new, responsible_id, by=by, now=now)
        return _invite(patient, Role.PATIENT, email=email, by=by, now=now) if email else None


def _invite(patient: Patient, role: Role, *, email: str, by: Acting, now: datetime) -> Invited:
    if email.strip().casefold() == by.person().email.casefold() != "":
        raise BadInput("Nobody invites themself to a record.", field="email")
    if role is Role.PATIENT and patient.account_id is not None:
        raise BadInput("This patient has an account already.", field="patient")
    return invite(email, role, by=by, now=now, patient_ref=patient.pk)


@looking_wider(Wider.TIES)
def join_by_invitation(token: str, new: NewAccount, *, now: datetime, signed_in: User | None = None) -> User:
    """Accept an invitation: the account with its role and, for a patient or carer, the tie to the record.

    `signed_in` is whoever's session the link was opened in; the one who invited does not accept.
    """
    with transaction.atomic():
        user, invitation = accept_invitation(token, new, now=now)
        role = Role(invitation.role)
        if invitation.patient_ref is not None:
            if signed_in is not None and signed_in.pk == invitation.invited_by_id:
                raise NotAllowed("Who invited does not accept: give the link to the one invited.", missing="another")
            patient = Patient.objects.get(pk=invitation.patient_ref)
            merged = getattr(patient, "merged_into", None)
            tie = link_account if role is Role.PATIENT else link_carer
            kept = merged.kept_id if merged else patient.pk
            tie(kept, user, by=acting_as(user, role), now=now, invitation=invitation)
    return user


@looking_wider(Wider.TIES)
def hand_over(leaver: User, successor: User, *, by: Acting, now: datetime) -> int:
    """The successor takes over the leaver's patients, and the leaver leaves. Returns how many patients."""
    if leaver.pk == successor.pk:
        raise BadInput("Name two different people.", field="to")
    if not _works_with_patients(successor, now=now):
        raise BadInput("The successor holds no clinical role.", field="to")
    with transaction.atomic():
        handed = hand_over_patients(leaver, successor, by=by, now=now)
        leave(leaver.pk, by=by, now=now)
    return handed


def _works_with_patients(user: User, *, now: datetime) -> bool:
    clinical = (Role.CLINICIAN, Role.PHARMACIST)
    held = user.roles_held.filter(role__in=clinical, since__lte=now, until__isnull=True)
    return user.is_active and user.left_at is None and held.exists()
