"""The registered versions of models as their pages show them: card, approvals, releases, and what may be done next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from governance.services import Acting
from models.cards import REQUIRED
from models.registry.models import ModelApproval, ModelRelease, ModelVersion
from models.registry.selectors import APPROVERS_NEEDED
from models.registry.services.signed_rows import content_of_version

from . import words
from .signatures import SignatureShown, signature_shown


@dataclass(frozen=True, slots=True)
class VersionLine:
    """One version in the list."""

    id: UUID
    name: str
    registered_as: str
    pathway: str
    standing: str
    serves: bool
    registered: str


@dataclass(frozen=True, slots=True)
class VersionShown:
    """The page of a version. `why_not` says why it cannot be approved, or released, by this person now."""

    line: VersionLine
    digest: str
    card: tuple[tuple[str, str], ...]
    approvals: tuple[tuple[SignatureShown, str], ...]
    releases: tuple[SignatureShown, ...]
    may_approve: bool
    may_release: bool
    why_not_approve: str
    why_not_release: str


def versions_shown(versions: Sequence[ModelVersion]) -> tuple[VersionLine, ...]:
    """The list, the serving ones first."""
    return tuple(_line(version) for version in versions)


def version_shown(version: ModelVersion, *, by: Acting, evidence_stale: bool) -> VersionShown:
    """One version as it stands, for this person."""
    card, approvals = json.loads(version.card), list(version.approvals.order_by("approved_at", "pk"))
    no_approval = _why_not_approve(version, approvals, by)
    no_release = _why_not_release(version, _counting(version, approvals), stale=evidence_stale)
    return VersionShown(
        line=_line(version),
        digest=version.digest,
        card=tuple((words.opened(heading).capitalize(), str(card.get(heading, ""))) for heading in REQUIRED),
        approvals=tuple((_signed(version, row), _digest_note(version, row)) for row in approvals),
        releases=tuple(_signed(version, row) for row in version.releases.order_by("released_at", "pk")),
        may_approve=not no_approval,
        may_release=not no_release,
        why_not_approve=no_approval,
        why_not_release=no_release,
    )


def serving_words(version: ModelVersion | None) -> str:
    """The version that serves, as a signer reads it; empty when none does."""
    return f"{words.model(version.name)}, version {version.version}" if version else ""


def _line(version: ModelVersion) -> VersionLine:
    given = _counting(version, list(version.approvals.all()))
    standing = f"{given} of {APPROVERS_NEEDED} approvals"
    if version.active:
        standing = "Serves now"
    elif given >= APPROVERS_NEEDED:
        standing = "Approved, not released"
    return VersionLine(
        id=version.pk,
        name=words.model(version.name),
        registered_as=f"{version.name}@{version.version}",
        pathway=words.opened(version.pathway).capitalize(),
        standing=standing,
        serves=version.active,
        registered=f"{_utc(version.registered_at)}, {version.registered_by.printed_name}",
    )


def _counting(version: ModelVersion, approvals: Sequence[ModelApproval]) -> int:
    """People other than the author who approved this very digest."""
    good = {row.approver_id for row in approvals if row.digest == version.digest}
    return len(good - {version.registered_by_id})


def _why_not_approve(version: ModelVersion, approvals: Sequence[ModelApproval], by: Acting) -> str:
    me = by.person().pk
    if me == version.registered_by_id:
        return "You registered this version: other people approve it."
    if any(row.approver_id == me for row in approvals):
        return "You have approved this version."
    return ""


def _why_not_release(version: ModelVersion, given: int, *, stale: bool) -> str:
    if version.active:
        return "It serves now."
    if given < APPROVERS_NEEDED:
        return f"{APPROVERS_NEEDED} people other than who registered it approve it first; {given} did."
    return "The record's witnesses have confirmed nothing for 15 minutes: no model is released now." if stale else ""


def _signed(version: ModelVersion, row: ModelApproval | ModelRelease) -> SignatureShown:
    if row.signature is None:
        return SignatureShown(
            "", _utc(version.registered_at), "", "before signatures were asked for", "Not signed", void=False
        )
    return signature_shown(row.signature, content_of_version(version) | {"digest": row.digest})


def _digest_note(version: ModelVersion, row: ModelApproval) -> str:
    return "" if row.digest == version.digest else "Of another digest: it does not count"


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%-d %b %Y, %H:%M} UTC"
