"""Registering, approving and activating predictors, and taking in labelled examples.

Rules
 * A card must be complete before a version is registered; two people other than its author approve its digest before
   it is activated (N7). The digest approved is the digest that serves.
 * An example arrives once per loop, with the evidence digest it was made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import canonical
from audit.domain import Esign, Event, ModelRef, ObjectRef, Purpose
from audit.selectors import next_version, releases_may_go_on
from audit.services import append
from governance.domain import STAFF_ROLES, NotAllowed, Permission, Refusal, Relation
from governance.permissions import check
from governance.quorum import ApprovedAlready
from governance.selectors.suspensions import stopping
from governance.services import Act, Acting, sign
from governance.suspension import about, check_goes_on
from models.cards import check_card

from ..models import Example, ModelApproval, ModelRelease, ModelVersion, ResearchWord
from ..selectors import APPROVERS_NEEDED
from .approving import missing_approvals
from .signed_rows import content_of_version


class NotApproved(Refusal):
    """The version lacks approvals by people other than its author."""

    code = "model_not_approved"


class EvidenceStale(Refusal):
    """The record's witnesses have been behind for more than 15 minutes: no model is released meanwhile."""

    code = "evidence_stale"


def _event(
    kind: str, version: ModelVersion, *, number: int, by: Acting, now: datetime, esign: Esign | None = None
) -> Event:
    return Event(
        type=kind,
        occurred_at=now,
        actor=by.actor,
        object=ObjectRef(type="model", id=str(version.pk), version=number),
        purpose=Purpose.OPERATIONS,
        model=ModelRef(id=version.name, version=version.version, artifact_sha256=version.digest),
        esign=esign,
    )


def _act(kind: str, version: ModelVersion) -> tuple[Act, dict[str, Any]]:
    """What is signed about a version: its digest and its card's, and which of its entries this will be."""
    thing = ObjectRef(type="model", id=str(version.pk), version=_next(version))
    return Act(kind, thing), dict(content_of_version(version))


def _who_answers(by: Acting) -> Acting:
    """Who acts, under the role that lets them answer for a model; devices, jobs, patients and carers have none."""
    return by.under(check(Permission.APPROVE_MODEL, by.standing, frozenset({Relation.SITE})))


def _check_staff(by: Acting) -> None:
    """Registering is an act of staff; what makes a model serve is its approvals and its release."""
    if not by.standing.roles & STAFF_ROLES:
        raise NotAllowed("Only staff can do this.", missing="role")


def register(
    name: str, version: str, *, pathway: str, digest: str, card: Mapping[str, str], by: Acting, now: datetime
) -> ModelVersion:
    """Register a version with its complete card. Raises `IncompleteCard`."""
    check_card(card)
    _check_staff(by)
    row = ModelVersion(
        name=name,
        version=version,
        pathway=pathway,
        digest=digest,
        card=canonical.dumps(dict(card)).decode(),
        registered_by=by.person(),
        registered_at=now,
    )
    with transaction.atomic():
        row.entry = append(_event("model.registered", row, number=1, by=by, now=now)).entry_id
        row.save(force_insert=True)
    return row


def approve(model_version: ModelVersion, *, by: Acting, now: datetime) -> ModelApproval:
    """Record one person's approval of the version's digest. The author cannot."""
    by = _who_answers(by)
    approver = by.person()
    if approver.pk == model_version.registered_by_id:
        raise NotAllowed("Who registered a model cannot approve it.", missing="second_person")
    with transaction.atomic():
        locked = ModelVersion.objects.select_for_update().get(pk=model_version.pk)
        if locked.approvals.filter(approver=approver).exists():
            raise ApprovedAlready("You have approved this version.")
        act, content = _act("model.approved", locked)
        signature, esign = sign(content, act=act, meaning="approves this model", by=by, now=now)
        appended = append(_event("model.approved", locked, number=_next(locked), by=by, now=now, esign=esign))
        return ModelApproval.objects.create(
            model_version=locked,
            registered_by_id=locked.registered_by_id,
            approver=approver,
            digest=locked.digest,
            approved_at=now,
            signature=signature,
            entry=appended.entry_id,
        )


def activate(model_version: ModelVersion, *, by: Acting, now: datetime) -> None:
    """Let the version serve its pathway. Refuses without two approvals of its digest, while evidence is stale, and
    while it, its pathway or everything is suspended (FAL-03).
    """
    by = _who_answers(by)
    if not releases_may_go_on():  # by the database's clock, as the record is
        raise EvidenceStale("The record's witnesses have not confirmed it for 15 minutes. No model is released now.")
    with transaction.atomic():
        locked = ModelVersion.objects.select_for_update().get(pk=model_version.pk)
        others = locked.approvals.filter(digest=locked.digest).exclude(approver_id=locked.registered_by_id)
        approvals = others.values("approver").distinct().count()
        missing = [{"roles": sorted(seat.roles), "count": seat.count} for seat in missing_approvals(locked, now=now)]
        if missing or approvals < APPROVERS_NEEDED:
            said = "Two people other than its author, or as many as the site asks for, must approve a model first."
            raise NotApproved(said, approvals=approvals, missing=missing)
        if locked.active:
            return
        check_goes_on(stopping(about(pathway=locked.pathway, model=(locked.name, locked.version))))
        act, content = _act("model.activated", locked)
        signature, esign = sign(content, act=act, meaning="releases this model", by=by, now=now)
        for served in ModelVersion.objects.select_for_update().filter(pathway=locked.pathway, active=True):
            append(_event("model.deactivated", served, number=_next(served), by=by, now=now))
            ModelVersion.objects.filter(pk=served.pk).update(active=False)
        appended = append(_event("model.activated", locked, number=_next(locked), by=by, now=now, esign=esign))
        ModelRelease.objects.create(
            model_version=locked,
            released_by=by.person(),
            digest=locked.digest,
            released_at=now,
            signature=signature,
            entry=appended.entry_id,
        )
        ModelVersion.objects.filter(pk=locked.pk).update(active=True)


def _next(version: ModelVersion) -> int:
    """The number of the next entry about this version, which its caller has locked."""
    return next_version("model", str(version.pk))


def take_in(
    *,
    pathway: str,
    subject: str,
    loop_ref: UUID,
    evidence_digest: str,
    label: str,
    body: Mapping[str, Any],
    research_consent: bool,
    entry: UUID,
    now: datetime,
) -> Example | None:
    """Keep one labelled example; a second one of the same loop is the same and is not kept again."""
    try:
        with transaction.atomic():
            return Example.objects.create(
                pathway=pathway,
                subject=subject,
                loop_ref=loop_ref,
                evidence_digest=evidence_digest,
                label=label,
                body=canonical.dumps(dict(body), profile=canonical.PAYLOAD).decode(),
                research_consent=research_consent,
                arrived_at=now,
                entry=entry,
            )
    except IntegrityError:
        return None


def note_research(subject: str, *, given: bool, entry: UUID, now: datetime) -> None:
    """A person's word on research: it holds for all their examples from now on. In the caller's transaction."""
    ResearchWord.objects.create(subject=subject, given=given, at=now, entry=entry)
