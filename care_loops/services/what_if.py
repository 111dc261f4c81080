"""What a proposed policy would have changed over real history: each past recommendation computed again under it.

Rules (leap 9, GOV-04, DBT-07; decision 75)
 * Computed from what was frozen, by the rules of now; nothing is written, nothing is sent, nobody is asked.
 * A recommendation that does not come out as it was kept, under its own policies, is not compared: it is counted apart,
   so that what a release changed is never laid at a policy's door.
 * One at a time: memory does not grow with history. What is listed is bounded and says so; what is counted is not.
 * Where a change goes is its tier, or the reason for which nothing is proposed; another change counts as elsewhere.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from governance.domain import BadInput
from governance.models import PolicyVersion
from governance.policy_kinds import PolicyKind, check_policy, values
from governance.selectors.sight import Wider, looking_wider
from models.serving import ModelDown

from ..domain.changes import ModelRef
from ..domain.evidence import ChosenPolicy, Evidence, ModeInForce, Outcome
from ..domain.loops import Origin
from ..freeze import digest, thaw
from ..models import Loop
from ..pathways.hypertension import predictors
from ..pathways.hypertension.rules import rules_under
from ..recommend import recommend

AT_A_TIME = 50
LISTED = 1000
READ_BY_A_RECOMMENDATION = (PolicyKind.OPERATING_MODE, PolicyKind.TIER_POLICY, PolicyKind.GUARDRAIL_TABLES)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """One past recommendation that would have gone elsewhere: from where, to where, by which rows."""

    loop_id: UUID
    opened_at: datetime
    before: str
    after: str
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What came of it. `compared` of `looked_at` came out as they were kept; `moves` counts from where to where."""

    kind: str
    subject: str
    looked_at: int
    compared: int
    moves: tuple[tuple[str, str, int], ...]
    elsewhere: tuple[Elsewhere, ...]

    @property
    def changed(self) -> int:
        """How many would have gone elsewhere."""
        return sum(count for _, _, count in self.moves)

    @property
    def not_compared(self) -> int:
        """How many no longer come out as they were kept."""
        return self.looked_at - self.compared


@looking_wider(Wider.OVERSIGHT)
def what_if(
    kind: str,
    subject: str,
    body: Mapping[str, Any],
    *,
    newest: int | None = None,
    progress: Progress | None = None,
) -> WhatIf:
    """Compute past recommendations of a pathway again under a policy, all of them or the `newest`.

    Raises BadInput for what is no policy, and for a kind that no recommendation reads.
    """
    known = check_policy(kind, subject, body)
    if known not in READ_BY_A_RECOMMENDATION:
        raise BadInput(
            "No recommendation reads this kind of policy: it changes who may sign, not where a change goes.",
            field="kind",
            known=[one.value for one in READ_BY_A_RECOMMENDATION],
        )
    rows = Loop.objects.filter(pathway=subject, origin=Origin.PROPOSAL.value).order_by("-opened_at", "-pk")
    found = rows if newest is None else rows[:newest]
    total = found.count()
    quotas = _quotas(subject)
    looked_at = compared = 0
    moves: Counter[tuple[str, str]] = Counter()
    listed: list[Elsewhere] = []
    for row in _frozen(found.values("pk", "opened_at", "evidence", "evidence_digest", "outcome").iterator(AT_A_TIME)):
        looked_at += 1
        if row.kept is not None and _as_kept(row.evidence, row.kept):
            compared += 1
            after = _computed(_under(row.evidence, known, body, quotas))
            if after is not None and _place(after) != _place(row.kept):
                move = (where(row.kept), where(after) if where(after) != where(row.kept) else f"{where(after)} *")
                moves[move] += 1
                if len(listed) < LISTED:
                    listed.append(Elsewhere(row.loop_id, row.opened_at, *move, _rows(row.kept, after)))
        if progress is not None:
            progress(looked_at, total)
    counted = tuple((before, after, count) for (before, after), count in sorted(moves.items()))
    return WhatIf(kind, subject, looked_at, compared, counted, tuple(listed))


def where(outcome: Outcome) -> str:
    """Where a recommendation went: its tier, or withheld with its reason."""
    return outcome.tier if outcome.withheld is None else f"withheld:{outcome.withheld.value}"


@dataclass(frozen=True, slots=True)
class _Row:
    loop_id: UUID
    opened_at: datetime
    evidence: Evidence
    kept: Outcome | None


def _frozen(rows: Iterable[Mapping[str, Any]]) -> Iterator[_Row]:
    """Each recommendation thawed; `kept` is None where it is no evidence of this release, or was altered."""
    for row in rows:
        kept = None
        evidence: Any = None
        if digest(row["evidence"]) == row["evidence_digest"]:
            try:
                evidence, kept = thaw(row["evidence"], Evidence), thaw(row["outcome"], Outcome)
            except (msgspec.ValidationError, msgspec.DecodeError):
                kept = None
        yield _Row(row["pk"], row["opened_at"], evidence, kept)


def _place(outcome: Outcome) -> tuple[object, ...]:
    return where(outcome), outcome.change


def _as_kept(evidence: Evidence, kept: Outcome) -> bool:
    """Whether it comes out as it was kept, under the policies of then."""
    return _computed(evidence) == kept


def _computed(evidence: Evidence) -> Outcome | None:
    try:
        return recommend(evidence, rules_under(evidence.policies), _predictor(evidence.model))
    except ModelDown:
        return None


def _predictor(model: ModelRef | None) -> Any:
    if model is None or predictors.digest_of(model.name) != model.digest:
        return predictors.nobody
    return predictors.unguarded(model)


def _quotas(pathway: str) -> dict[str, int]:
    """The daily quota of every version of the mode, by how evidence names it."""
    versions = PolicyVersion.objects.filter(kind=PolicyKind.OPERATING_MODE.value, subject=pathway)
    return {
        f"{row.kind}:{row.subject}@{row.version}": int(json.loads(row.body)["daily_patient_quota"]) for row in versions
    }


def _under(evidence: Evidence, kind: PolicyKind, body: Mapping[str, Any], quotas: Mapping[str, int]) -> Evidence:
    """The same evidence, had this policy been in force."""
    if kind is PolicyKind.OPERATING_MODE:
        went = quotas[evidence.mode.policy] - evidence.mode.quota_left if evidence.mode else 0
        mode = ModeInForce(
            mode=str(body["mode"]),
            patient_directed=bool(body["patient_directed"]),
            stopped=bool(body["stopped"]),
            quota_left=int(body["daily_patient_quota"]) - went,
            policy="proposed",
        )
        return replace(evidence, mode=mode)
    chosen = ChosenPolicy(kind.value, "proposed", "", tuple(sorted(values(kind, body).items())))
    others = tuple(policy for policy in evidence.policies if policy.kind != kind.value)
    return replace(evidence, policies=(*others, chosen))


def _rows(before: Outcome, after: Outcome) -> tuple[str, ...]:
    """The rows of the table, or the guardrails, that speak now and did not."""
    spoke = {*before.tier_reasons, *(each.rule for each in before.spoken), *before.detail}
    speak = (*after.tier_reasons, *(each.rule for each in after.spoken), *after.detail)
    return tuple(dict.fromkeys(row for row in speak if row not in spoke))
