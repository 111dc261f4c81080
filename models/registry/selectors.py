"""Which predictor may serve, and what the loops have pushed to learn from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import Q

from .models import Example, ModelVersion, ResearchWord

APPROVERS_NEEDED = 2


def serving(pathway: str) -> ModelVersion | None:
    """The active version of a pathway, if two people other than its author approved its digest; else None."""
    version = ModelVersion.objects.filter(pathway=pathway, active=True).first()
    if version is None:
        return None
    approvers = version.approvals.filter(digest=version.digest).exclude(approver=version.registered_by)
    return version if approvers.values("approver").distinct().count() >= APPROVERS_NEEDED else None


def version_named(text: str) -> ModelVersion | None:
    """The version written as `name@version`, or by its digest; None when there is none."""
    name, _, version = text.rpartition("@")
    named = Q(name=name, version=version) if name else Q(digest=text)
    return ModelVersion.objects.filter(named).order_by("pk").first()


def research_words() -> dict[str, bool]:
    """The newest word on research of everybody who said one, by subject."""
    rows = ResearchWord.objects.order_by("at", "pk").values_list("subject", "given")
    return dict(rows)


def version_of(version_id: UUID) -> ModelVersion | None:
    """One version, or None."""
    return ModelVersion.objects.select_related("registered_by").filter(pk=version_id).first()


def all_versions() -> list[ModelVersion]:
    """Every registered version: those that serve first, then the newest."""
    rows = ModelVersion.objects.select_related("registered_by").prefetch_related("approvals")
    return list(rows.order_by("-active", "pathway", "-registered_at", "pk"))


def labelled_examples(pathway: str) -> Iterator[dict[str, Any]]:
    """Every example of a pathway as it arrived, oldest first: label, evidence, decision, what came of it."""
    words = research_words()
    for row in Example.objects.filter(pathway=pathway).order_by("arrived_at", "pk").iterator(chunk_size=200):
        yield {
            "id": str(row.pk),
            "label": row.label,
            "subject": row.subject,
            "arrived_at": row.arrived_at.isoformat(),
            "evidence_sha256": row.evidence_digest,
            "research_consent": row.research_consent and words.get(row.subject, True),
            **json.loads(row.body),
        }
