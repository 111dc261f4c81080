"""A past recommendation computed again from what was frozen with it, and held against what was kept.

Rules
 * From the record here, or from an exported bundle alone: then nothing is read from the database, and the bundle is
   verified before anything in it is believed.
 * The evidence has to be what its digest says; then the outcome is computed by the rules of now, and the first field
   that differs is named.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from uuid import UUID

import msgspec
from django.conf import settings

from audit.bundles import Bundle, BundleInvalid
from governance.domain import BadInput, NotFound, Refusal
from models.serving import ModelDown

from ..domain.changes import ModelRef
from ..domain.evidence import Evidence, Outcome
from ..domain.loops import Origin
from ..freeze import NotPacked, digest, freeze, thaw, unpack
from ..models import Loop
from ..pathways.hypertension import predictors
from ..pathways.hypertension.rules import rules_under, tables
from ..recommend import Predict, recommend
from ..selectors.access import NOBODY

FIRST_ENTRIES = {"recommendation.proposed": Origin.PROPOSAL, "order.written": Origin.ORDER}


class NotVerified(Refusal):
    """The bundle is not what the log of the policy has said."""

    code = "not_verified"


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """Whether the recommendation comes out the same; else the first field that differs, kept and computed."""

    identical: bool
    first_difference: str | None = None
    kept: str | None = None
    computed: str | None = None
    other_version: tuple[str, ...] = ()  # tables and code that are no longer what they were then


@dataclass(frozen=True, slots=True)
class Frozen:
    """What was frozen with a recommendation: its evidence with the digest that was recorded, and its outcome."""

    origin: str
    evidence: str
    evidence_digest: str
    outcome: str


def replay(loop_id: UUID | str) -> ReplayResult:
    """Compute a recommendation again. An order of a clinician has no prediction: only its evidence is checked."""
    loop = Loop.objects.filter(pk=loop_id).first()
    if loop is None:
        raise NotFound(NOBODY)
    return replay_frozen(Frozen(loop.origin, loop.evidence, loop.evidence_digest, loop.outcome))


def replay_bundle(loop_id: UUID, bundle: Path, *, policy: Path) -> ReplayResult:
    """Verify a bundle under a policy file, then compute a recommendation again from it alone.

    The model's digest says which predictor it was; tables and code are those of this release. Raises NotVerified,
    NotFound or BadInput.
    """
    check_verified(bundle, policy)
    try:
        with Bundle.open(bundle) as opened:
            return replay_frozen(_frozen_in(opened, loop_id))
    except BundleInvalid as err:
        raise BadInput(f"The bundle cannot be read: {err}", field="bundle") from err


def check_verified(bundle: Path, policy: Path) -> None:
    """Raise NotVerified, or BadInput, unless the offline verifier finds nothing wrong with the bundle.

    A process of its own, as anybody else would run it. A bundle whose newest entries no witness has covered yet (3) is
    good enough to compute with.
    """
    command = [sys.executable, "-m", "audit.verify", str(bundle.resolve()), "--policy", str(policy.resolve()), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=settings.ROOT, check=False)
    if done.returncode in (0, 3):
        return
    said = (done.stdout.strip() or done.stderr.strip())[:500]
    if done.returncode == 1:
        raise NotVerified(f"The bundle does not verify: {said}")
    raise BadInput(f"The bundle or the policy file cannot be used: {said}", field="bundle")


def _frozen_in(bundle: Bundle, loop_id: UUID) -> Frozen:
    """What a bundle holds of the recommendation's first entry."""
    first = next(
        (
            entry.entry
            for entry in bundle.entries()
            if entry.entry["type"] in FIRST_ENTRIES and entry.entry["object"]["id"] == str(loop_id)
        ),
        None,
    )
    if first is None:
        raise NotFound("This bundle has no such recommendation.")
    said = next((each.said() for each in bundle.payloads() if str(each.entry_id) == first["id"]), None)
    if said is None:
        raise NotFound("This bundle shows the recommendation without its evidence: whoever made it may not see it.")
    if "evidence" not in said or "outcome" not in said:
        raise NotFound("This recommendation is from before evidence went into the record: replay it where it was made.")
    try:
        return Frozen(
            origin=FIRST_ENTRIES[first["type"]].value,
            evidence=unpack(said["evidence"]),
            evidence_digest=str(said["evidence_sha256"]),
            outcome=unpack(said["outcome"]),
        )
    except (NotPacked, TypeError, KeyError) as err:
        raise BadInput("What the bundle holds as evidence cannot be read.", field="evidence") from err


def replay_frozen(frozen: Frozen) -> ReplayResult:
    """Compute the outcome again from frozen evidence. Raises BadInput for what is no evidence of this release."""
    if digest(frozen.evidence) != frozen.evidence_digest:
        return ReplayResult(
            identical=False,
            first_difference="evidence_digest",
            kept=frozen.evidence_digest,
            computed=digest(frozen.evidence),
        )
    try:
        evidence, kept = thaw(frozen.evidence, Evidence), thaw(frozen.outcome, Outcome)
    except (msgspec.ValidationError, msgspec.DecodeError) as err:
        raise BadInput("The evidence is not in the form of this release.", field="evidence") from err
    if frozen.origin == Origin.ORDER.value:
        return ReplayResult(identical=True)
    try:
        result = compare(kept, recommend(evidence, rules_under(evidence.policies), _predictor(evidence.model)))
    except ModelDown:
        result = ReplayResult(
            identical=False, first_difference="predictor", kept=evidence.model.digest if evidence.model else None
        )
    return result if result.identical else replace(result, other_version=_other_version(evidence))


def _predictor(model: ModelRef | None) -> Predict:
    """The predictor of then, if it is still here: looked up by digest, without a breaker."""
    if model is None or predictors.digest_of(model.name) != model.digest:
        return predictors.nobody
    return predictors.unguarded(model)


def _other_version(evidence: Evidence) -> tuple[str, ...]:
    """Names of the tables, and of the code, that differ from those the recommendation was made with."""
    now = {table.name: table for table in tables()}
    return tuple(table.name for table in evidence.tables if now.get(table.name) != table)


def compare(kept: Outcome, computed: Outcome) -> ReplayResult:
    """The first field of the outcome that differs."""
    for field in fields(Outcome):
        before, after = getattr(kept, field.name), getattr(computed, field.name)
        if before != after:
            return ReplayResult(
                identical=False, first_difference=field.name, kept=freeze(before), computed=freeze(after)
            )
    return ReplayResult(identical=True)
