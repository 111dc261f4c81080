"""This app's signed rows in the form in which they were signed: motions, approvals, policies, ends of suspensions,
gates of autonomy, findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from audit.services.searching import stored_entry

from ..findings import gravest
from ..models import (
    Approval,
    FindingEvent,
    GateSignature,
    Motion,
    PolicyVersion,
    SuspensionEnd,
    SuspensionEndAsked,
)
from ..selectors.policies import ON_APPROVAL
from .autonomy import gate_content
from .signed_rows import ON_SIGNING, PAGE, SignedRow, signature_of, signed_row


def signed_motions() -> Iterator[SignedRow]:
    """Everything that was put forward, and every approval of it."""
    for row in Motion.objects.order_by("asked_at", "pk").iterator(chunk_size=PAGE):
        yield _of_motion("motion", str(row.pk), row, content=partial(_document, row))
    for given in Approval.objects.select_related("motion").order_by("approved_at", "pk").iterator(chunk_size=PAGE):
        yield signed_row(
            given,
            "approval of a motion",
            types=("approval.given",),
            of=("motion", given.motion_id),
            version=None,
            signer=given.approver_id,
            content=partial(_approval, given),
        )


def _document(motion: Motion) -> dict[str, Any]:
    return motion.document


def _approval(given: Approval) -> dict[str, Any]:
    return {
        "motion": str(given.motion_id),
        "digest": given.digest,
        "role": given.role,
        "put": given.motion.document,
    }


def _of_motion(
    kind: str, row: str, motion: Motion, *, content: Callable[[], dict[str, Any]], carried: UUID | None = None
) -> SignedRow:
    return SignedRow(
        kind=kind,
        row=row,
        signature=signature_of(carried or motion.signature_id),
        entry=motion.entry,
        signer=motion.author_id,
        types=("approval.requested",),
        object_type="motion",
        object_id=str(motion.pk),
        object_version=1,
        content=content,
        carried=carried is not None,
    )


def signed_policies() -> Iterator[SignedRow]:
    """Every version of every policy: what its motion was signed over, or, before there were motions, what it was."""
    for row in PolicyVersion.objects.select_related("motion").order_by("pk").iterator(chunk_size=PAGE):
        name = f"{row.kind}:{row.subject}@{row.version}"
        if row.motion is None:
            yield _without_motion(row, name)
            continue
        yield _of_motion(
            "policy", name, row.motion, content=partial(_as_put, row, row.motion), carried=row.signature_id
        )


def _as_put(row: PolicyVersion, motion: Motion) -> dict[str, Any]:
    """What its motion says, with what this version says in its place."""
    said = motion.document
    put = said["content"] | {"kind": row.kind, "subject": row.subject, "version": row.version}
    put |= {"body": json.loads(row.body), "effective_from": _since(row, str(said["content"]["effective_from"]))}
    return said | {"author": str(row.author_id), "reason": row.reason, "content": put}


def _since(row: PolicyVersion, put: str) -> str:
    """From when it holds, as it was put forward; what was put when the row begins at another moment."""
    stored = stored_entry(row.entry)
    if stored is None or stored.entry is None:
        return put
    activated = datetime.fromisoformat(stored.entry["occurred_at"])
    wanted = activated if put == ON_APPROVAL else max(activated, datetime.fromisoformat(put))
    return put if row.effective_from == wanted else row.effective_from.isoformat()


def _without_motion(row: PolicyVersion, name: str) -> SignedRow:
    policy, signature = f"{row.kind}:{row.subject}", signature_of(row.signature_id)
    at_once = signature is not None and row.effective_from == signature.signed_at
    return SignedRow(
        kind="policy",
        row=name,
        signature=signature,
        entry=row.entry,
        signer=row.author_id,
        types=("policy.activated",),
        object_type="policy",
        object_id=policy,
        object_version=row.version,
        content=lambda: {
            "policy": policy,
            "version": row.version,
            "body": json.loads(row.body),
            "reason": row.reason,
            "effective_from": ON_SIGNING if at_once else row.effective_from.isoformat(),
        },
    )


def signed_suspension_ends() -> Iterator[SignedRow]:
    """Everybody who asked, and everybody who decided, that a suspension ends."""
    for asked in SuspensionEndAsked.objects.select_related("suspension").order_by("asked_at", "pk"):
        yield _end("suspension end asked", "suspension.end_asked", asked, row=str(asked.pk), signer=asked.asked_by_id)
    for end in SuspensionEnd.objects.select_related("suspension").order_by("ended_at", "pk"):
        yield _end("suspension end", "suspension.lifted", end, row=str(end.pk), signer=end.ended_by_id)


def _end(kind: str, act: str, end: SuspensionEnd | SuspensionEndAsked, *, row: str, signer: UUID) -> SignedRow:
    suspension = end.suspension
    return SignedRow(
        kind=kind,
        row=row,
        signature=signature_of(end.signature_id),
        entry=end.entry,
        signer=signer,
        types=(act,),
        object_type="suspension",
        object_id=str(suspension.pk),
        object_version=None,
        content={
            "suspension": str(suspension.pk),
            "scope": suspension.scope,
            "name": suspension.name,
            "cause": suspension.cause,
            "began_at": suspension.began_at.isoformat(),
            "why_it_ends": end.reason,
        },
    )


def signed_gates() -> Iterator[SignedRow]:
    """Every signature under the evidence for a level of autonomy."""
    for given in GateSignature.objects.select_related("gate").order_by("signed_at", "pk").iterator(chunk_size=PAGE):
        yield signed_row(
            given,
            "gate of autonomy",
            types=("autonomy.gate_signed",),
            of=("autonomy_gate", given.gate_id),
            version=None,
            signer=given.signer_id,
            content=partial(gate_content, given.gate),
        )


def signed_findings() -> Iterator[SignedRow]:
    """Every check and every closing of a finding."""
    signed = FindingEvent.objects.filter(signature__isnull=False).select_related("finding")
    for event in signed.order_by("at", "pk").iterator(chunk_size=PAGE):
        yield SignedRow(
            kind=f"finding {event.state}",
            row=str(event.pk),
            signature=signature_of(event.signature_id),
            entry=event.entry,
            signer=event.by_id,
            types=(f"finding.{event.state}",),
            object_type="finding",
            object_id=str(event.finding_id),
            object_version=None,
            content=partial(_of_finding, event),
        )


def _of_finding(event: FindingEvent) -> dict[str, Any]:
    """As it was signed: how grave it was by what had been seen until then."""
    seen = event.finding.occurrences.filter(seen_at__lte=event.at).values_list("severity", flat=True)
    return {
        "finding": str(event.finding_id),
        "title": event.finding.title,
        "severity": gravest(seen).value,
        "action": event.action,
        "said": event.said,
        "state": event.state,
    }
