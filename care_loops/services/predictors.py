"""The pathway's protocols enter the registry: registered with their cards, approved by two others, one active (N7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from governance.domain import NotAllowed, Permission, Relation
from governance.permissions import check
from governance.services import Acting
from models.registry.models import ModelVersion
from models.registry.services import activate, approve, register

from ..pathways.hypertension.predictors import PROTOCOLS, VERSION, card_of, digest_of
from .windows import PATHWAY


def register_protocols(*, by: Acting, now: datetime) -> tuple[ModelVersion, ...]:
    """Register every protocol that is not registered yet in these very bytes. Returns those now registered."""
    _who(by)
    found = []
    for name in PROTOCOLS:
        digest = digest_of(name)
        known = ModelVersion.objects.filter(name=name, digest=digest).first()
        number = ModelVersion.objects.filter(name=name).count()
        version = VERSION if number == 0 else f"{VERSION}.{number}"
        found.append(
            known or register(name, version, pathway=PATHWAY, digest=digest, card=card_of(name), by=by, now=now)
        )
    return tuple(found)


def put_to_work(version: ModelVersion, *, approvers: Sequence[Acting], by: Acting, now: datetime) -> None:
    """Approve a version by each of `approvers` and let it serve. Refuses the author among them, and fewer than two."""
    _who(by)
    for approver in approvers:
        _who(approver)
        if not version.approvals.filter(approver=approver.person()).exists():
            approve(version, by=approver, now=now)
    if not ModelVersion.objects.filter(pk=version.pk, active=True).exists():
        activate(version, by=by, now=now)


def _who(by: Acting) -> None:
    """Staff who answer for policies may; quorum across roles is the authority's own work."""
    if not by.standing.roles:
        raise NotAllowed("You are not signed in with any role.", missing="role")
    check(Permission.APPROVE_MODEL, by.standing, frozenset({Relation.SITE}))
