"""Which predictor may serve."""

from __future__ import annotations

from .models import ModelVersion

APPROVERS_NEEDED = 2


def serving(pathway: str) -> ModelVersion | None:
    """The active version of a pathway, if two people other than its author approved its digest; else None."""
    version = ModelVersion.objects.filter(pathway=pathway, active=True).first()
    if version is None:
        return None
    approvers = version.approvals.filter(digest=version.digest).exclude(approver=version.registered_by)
    return version if approvers.values("approver").distinct().count() >= APPROVERS_NEEDED else None
