"""Approvals and releases in the form in which they were signed, to be compared with what was signed (11.70)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from uuid import UUID

from governance.services.signed_rows import SignedRow, signature_of

from ..models import ModelApproval, ModelRelease, ModelVersion


def content_of_version(version: ModelVersion) -> dict[str, str]:
    """What is signed about a version: its digest and its card's."""
    return {
        "model": str(version.pk),
        "name": version.name,
        "version": version.version,
        "pathway": version.pathway,
        "digest": version.digest,
        "card_sha256": hashlib.sha256(version.card.encode()).hexdigest(),
    }


def signed_model_rows() -> Iterator[SignedRow]:
    """Every approval of a version, and every release."""
    for approval in ModelApproval.objects.select_related("model_version").order_by("pk"):
        yield _row("approval", "model.approved", approval, signer=approval.approver_id)
    for release in ModelRelease.objects.select_related("model_version").order_by("released_at", "pk"):
        yield _row("release", "model.activated", release, signer=release.released_by_id)


def _row(kind: str, act: str, row: ModelApproval | ModelRelease, *, signer: UUID) -> SignedRow:
    version = row.model_version
    return SignedRow(
        kind=kind,
        row=f"{version.name}@{version.version} {row.pk}",
        signature=signature_of(row.signature_id),
        entry=row.entry,
        signer=signer,
        types=(act,),
        object_type="model",
        object_id=str(version.pk),
        object_version=None,
        content=content_of_version(version) | {"digest": row.digest},
    )
