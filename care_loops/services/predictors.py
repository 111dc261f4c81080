"""The pathway's protocols enter the registry: registered with their cards, approved by two others, one active (N7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from governance.domain import NotAllowed, NotFound, Permission, Relation
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


def approve_protocol(name: str, *, by: Acting, now: datetime) -> ModelVersion:
    """Record one person's approval of the newest registered version of a protocol. Once more changes nothing."""
    _who(by)
    version = _newest(name)
    if not version.approvals.filter(approver=by.person()).exists():
        approve(version, by=by, now=now)
    return version


def activate_protocol(name: str, *, by: Acting, now: datetime) -> ModelVersion:
    """Let the newest registered version of a protocol serve. Refuses without two approvals by others (N7)."""
    _who(by)
    version = _newest(name)
    if not ModelVersion.objects.filter(pk=version.pk, active=True).exists():
        activate(version, by=by, now=now)
    return version


def _newest(name: str) -> ModelVersion:
    found = ModelVersion.objects.filter(name=name, digest=digest_of(name)).order_by("-registered_at").first()
    if found is None:
        raise NotFound(f"{name} is not registered in the version that is installed here.")
    return found


def _who(by: Acting) -> None:
    """Staff who answer for policies may; quorum across roles is the authority's own work."""
    if not by.standing.roles:
        raise NotAllowed("You are not signed in with any role.", missing="role")
    check(Permission.APPROVE_MODEL, by.standing, frozenset({Relation.SITE}))
