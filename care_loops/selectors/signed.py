"""What a signed row says, in the form in which it was signed: drawn again from the rows, to be compared (11.70)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import UUID

from governance.services.signed_rows import ON_SIGNING, SignedRow, signature_of, signed_row

from ..danger import LimitName
from ..domain.evidence import Evidence, Outcome
from ..domain.loops import DecisionKind, LoopState, Origin
from ..freeze import freeze, thaw
from ..models import AlertLimits, Boundary, BreakGlass, Decision, ProbeAnswer, Step, Target

ACT_OF: dict[str, str] = {
    DecisionKind.APPROVE: "recommendation.approved",
    DecisionKind.MODIFY: "recommendation.modified",
    DecisionKind.REJECT: "recommendation.rejected",
}
PAGE = 200


def content_of_decision(decision: Decision) -> dict[str, Any]:
    """A decision, or an order: what its clinician signed."""
    loop = decision.loop
    content: dict[str, Any] = {
        "recommendation": str(loop.pk),
        "version": decision.seen_version,
        "patient": str(loop.patient_id),
        "evidence_sha256": loop.evidence_digest,
        "model_sha256": loop.model_digest,
        "decision": decision.kind,
        "proposed": decision.original_change,
        "prescribed": decision.final_change,
        "reason": decision.reason_code,
        "free_text": decision.free_text,
    }
    if loop.origin == Origin.ORDER:
        content["as_of"] = thaw(loop.evidence, Evidence).as_of.isoformat()
    return content


def signed_decisions() -> Iterator[SignedRow]:
    """Every decision and order."""
    rows = Decision.objects.select_related("loop").order_by("decided_at", "pk")
    for row in rows.iterator(chunk_size=PAGE):
        yield SignedRow(
            kind="order" if row.loop.origin == Origin.ORDER else "decision",
            row=str(row.pk),
            signature=signature_of(row.signature_id),
            entry=row.entry,
            signer=row.decided_by_id,
            types=(ACT_OF.get(row.kind, ""),),
            object_type="recommendation",
            object_id=str(row.loop_id),
            object_version=row.seen_version + 1,
            content=partial(content_of_decision, row),
        )


def signed_recalls() -> Iterator[SignedRow]:
    """Every change that was taken back. What its clinician wrote in words stands in no row."""
    rows = Step.objects.filter(state=LoopState.RECALLED.value).select_related("loop", "decision")
    for row in rows.order_by("pk").iterator(chunk_size=PAGE):
        yield signed_row(
            row,
            "recall",
            types=("recommendation.recalled",),
            of=("recommendation", row.loop_id),
            version=row.seq,
            signer=UUID(row.actor_id) if row.actor_kind == "user" else None,
            content=partial(_recall, row),
            elsewhere=("free_text",),
        )


def _recall(row: Step) -> dict[str, Any]:
    loop, decision = row.loop, row.decision
    return {
        "recommendation": str(loop.pk),
        "version": row.seq - 1,
        "patient": str(loop.patient_id),
        "evidence_sha256": loop.evidence_digest,
        "prescribed": decision.final_change if decision else freeze(thaw(loop.outcome, Outcome).change),
        "reason": row.reason_code,
    }


def signed_probes() -> Iterator[SignedRow]:
    """Every answer to a probe."""
    rows = ProbeAnswer.objects.select_related("probe").order_by("answered_at", "pk")
    for row in rows.iterator(chunk_size=PAGE):
        yield SignedRow(
            kind="probe",
            row=str(row.pk),
            signature=signature_of(row.signature_id),
            entry=row.entry,
            signer=row.person_id,
            types=("recommendation.answered",),
            object_type="recommendation",
            object_id=str(row.probe_id),
            object_version=1,
            content=partial(content_of_answer, row),
        )


def content_of_answer(answer: ProbeAnswer) -> dict[str, Any]:
    """What the person of a probe signed: the record of a decision, as of every other."""
    probe = answer.probe
    return {
        "recommendation": str(probe.pk),
        "version": 2,
        "patient": str(probe.about_id),
        "evidence_sha256": probe.digest,
        "model_sha256": "",
        "decision": answer.kind,
        "proposed": freeze(thaw(probe.outcome, Outcome).change),
        "prescribed": answer.final_change,
        "reason": answer.reason_code,
        "free_text": answer.free_text,
    }


def signed_targets() -> Iterator[SignedRow]:
    """Every target."""
    for row in Target.objects.order_by("signed_at", "pk").iterator(chunk_size=PAGE):
        yield signed_row(
            row,
            "target",
            types=("target.signed",),
            of=("target", row.pk),
            version=1,
            signer=row.signed_by_id,
            content={
                "target": str(row.pk),
                "patient": str(row.patient_id),
                "systolic_below": format(row.systolic_below, "f"),
                "diastolic_below": format(row.diastolic_below, "f"),
                "unit": "mm[Hg]",
            },
        )


def signed_boundaries() -> Iterator[SignedRow]:
    """Every boundary with its drugs. One that began with its signature says so, as it did when it was signed."""
    rows = Boundary.objects.prefetch_related("drugs").order_by("signed_at", "pk")
    for row in rows.iterator(chunk_size=PAGE):
        yield signed_row(
            row,
            "boundary",
            types=("boundary.signed",),
            of=("boundary", row.patient_id),
            version=row.version,
            signer=row.signed_by_id,
            content={
                "boundary": str(row.pk),
                "patient": str(row.patient_id),
                "version": row.version,
                "target": str(row.target_id),
                "max_steps": row.max_steps,
                "min_interval_days": row.min_interval_days,
                "starts_at": ON_SIGNING if row.starts_at == row.signed_at else row.starts_at.isoformat(),
                "expires_at": row.expires_at.isoformat(),
                "review_everything": row.review_everything,
                "drugs": [
                    {
                        "ingredient": drug.ingredient,
                        "max_daily_dose_mg": format(drug.max_daily_dose_mg, "f"),
                        "allow_up": drug.allow_up,
                    }
                    for drug in row.drugs.all()
                ],
            },
        )


def signed_openings() -> Iterator[SignedRow]:
    """Every record opened by break-glass."""
    for row in BreakGlass.objects.order_by("opened_at", "pk").iterator(chunk_size=PAGE):
        yield signed_row(
            row,
            "break-glass",
            types=("access.break_glass",),
            of=("break_glass", row.pk),
            version=1,
            signer=row.opened_by_id,
            content=partial(_opening, row),
            elsewhere=("allows",),
        )


def _opening(row: BreakGlass) -> dict[str, Any]:
    return {
        "opening": str(row.pk),
        "patient": str(row.patient_id),
        "reason_code": row.reason_code,
        "text": row.text,
        "minutes": int((row.until - row.opened_at).total_seconds() // 60),
    }


def signed_alert_limits() -> Iterator[SignedRow]:
    """Every version of a patient's alert limits. Under which danger table they were signed stands in no row."""
    for row in AlertLimits.objects.order_by("signed_at", "pk").iterator(chunk_size=PAGE):
        kept = {name.value: getattr(row, name.value) for name in LimitName}
        yield signed_row(
            row,
            "alert limits",
            types=("alert_limits.signed",),
            of=("alert_limits", row.patient_id),
            version=row.version,
            signer=row.signed_by_id,
            content={
                "alert_limits": str(row.pk),
                "patient": str(row.patient_id),
                "version": row.version,
                "limits": {name: format(value, "f") for name, value in kept.items() if value is not None},
            },
            elsewhere=("danger_table",),
        )
