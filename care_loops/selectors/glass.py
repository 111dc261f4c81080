"""Break-glass as it stands: what is open for whom, what waits for a review, who has to hear of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import F, Q, QuerySet

from audit.domain import Person
from governance.domain import NotFound, Role
from governance.models import Invitation, RoleAsked, RoleHeld, SignedIn
from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting

from ..break_glass import glass_rules
from ..models import BreakGlass, CareTeamMember, Patient
from ..models.people import source_index
from .record import whole

REVIEWERS = (Role.COMPLIANCE_OFFICER, Role.SECURITY_PRIVACY_ENGINEER)


def session_of(by: Acting) -> str:
    """The digest of the session or token this person acts in; empty where there is none."""
    session = by.actor.session if isinstance(by.actor, Person) else None
    return hashlib.sha256(session.encode()).hexdigest() if session else ""


def opening_of(by: Acting, patient_ids: Iterable[UUID], *, now: datetime) -> BreakGlass | None:
    """The opening under which this person reads one of these records in this very session; None without one."""
    session = session_of(by)
    if not session or by.user is None or Role.CLINICIAN not in by.standing.roles:
        return None
    return _open(now).filter(patient_id__in=list(patient_ids), opened_by=by.user, session_sha256=session).first()


def openings_of_session(user_id: UUID, session: str, *, now: datetime) -> list[BreakGlass]:
    """What is open in the session with this key: what the banner shows."""
    digest = hashlib.sha256(session.encode()).hexdigest()
    return list(_open(now).filter(opened_by=user_id, session_sha256=digest).select_related("patient"))


def _open(now: datetime) -> QuerySet[BreakGlass]:
    return BreakGlass.objects.filter(opened_at__lte=now, until__gt=now, ended_at__isnull=True)


def own_openings(by: Acting) -> QuerySet[BreakGlass]:
    """This person's own, newest first."""
    return BreakGlass.objects.filter(opened_by=by.person()).select_related("patient", "review").order_by("-opened_at")


def all_openings() -> QuerySet[BreakGlass]:
    """Everybody's, those that wait for a review first, the oldest of them first."""
    rows = BreakGlass.objects.select_related("patient", "opened_by", "review", "review__reviewed_by")
    return rows.order_by(F("review__reviewed_at").asc(nulls_first=True), "until")


@looking_wider(Wider.GLASS)
def overdue(*, now: datetime) -> int:
    """How many reviews nobody has closed in time."""
    return BreakGlass.objects.filter(review__isnull=True, until__lte=now - glass_rules().review_within).count()


def lapsed(*, now: datetime) -> QuerySet[BreakGlass]:
    """Openings that are over, by their time or with their session, and whose end is not written yet."""
    ended = SignedIn.objects.filter(ended_at__isnull=False).values("session_sha256")
    return BreakGlass.objects.filter(Q(until__lte=now) | Q(session_sha256__in=ended), ended_at__isnull=True)


def session_ended_at(row: BreakGlass) -> datetime | None:
    """When the session of an opening ended, if it has."""
    found = SignedIn.objects.filter(session_sha256=row.session_sha256, ended_at__isnull=False).first()
    return found.ended_at if found else None


def who_must_hear(opening: BreakGlass) -> list[tuple[UUID, str]]:
    """Who is told of an opening, and as what: reviewers, the responsible clinician; without them an administrator."""
    found = _holders(REVIEWERS) | {
        member.user_id: "responsible_clinician"
        for member in CareTeamMember.objects.filter(patient=opening.patient_id, until__isnull=True, responsible=True)
    }
    found.pop(opening.opened_by_id, None)
    if not found:
        found = _holders((Role.ADMINISTRATOR,))
        found.pop(opening.opened_by_id, None)
    return sorted(found.items(), key=str)


def _holders(roles: Iterable[Role]) -> dict[UUID, str]:
    held = RoleHeld.objects.filter(role__in=[role.value for role in roles], until__isnull=True, user__is_active=True)
    return dict(held.order_by("role").values_list("user_id", "role"))


def chosen_by(opener_id: UUID, reviewer_id: UUID) -> bool:
    """Whether the reviewer holds the role they review under by the choice of whoever is reviewed."""
    roles = [role.value for role in REVIEWERS]
    invited = Invitation.objects.filter(accepted_by=reviewer_id, invited_by=opener_id, role__in=roles)
    asked = RoleAsked.objects.filter(Q(asked_by=opener_id) | Q(answered_by=opener_id))
    return invited.exists() or asked.filter(user=reviewer_id, role__in=roles, granted=True).exists()


def opening_for_review(opening_id: UUID) -> BreakGlass:
    """One opening as a reviewer sees it."""
    row = all_openings().filter(pk=opening_id).first()
    if row is None:
        raise NotFound("There is no such opening.")
    return row


@looking_wider(Wider.GLASS)
def record_meant(said: str) -> UUID | None:
    """The record with this number, or whose patient has it at the source; None for none and for several."""
    try:
        found = Patient.objects.filter(pk=UUID(said))
    except ValueError:
        index = source_index(said)
        found = Patient.objects.filter(source_index=index) if index else Patient.objects.none()
    kept = {whole(patient).pk for patient in found[:3]}
    return kept.pop() if len(kept) == 1 else None
