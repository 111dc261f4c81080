"""From frozen evidence to a proposal or a named reason for none: one pure function, so that it can be computed again.

The rules, in the order in which they are asked
 * Nothing for who asked for human-only care, while the kill switch is thrown or anything of it is suspended, in
   pregnancy and six weeks after (C13).
 * Nothing without an age in the pathway, with dialysis, without a signed target, without a list of medicines or with a
   regimen not fully known (N2).
 * No average, no recommendation: nothing is imputed (CLINICAL 1.1).
 * No approved predictor, or one that is down, out of its distribution or outside what rules left open: nothing (N7).
 * Danger locks and bars are computed anew from the readings, besides the open alerts: they bar every increase and
   everything patient-facing, and never a reduction or a stop (CLINICAL 1.3).
 * Guardrails bring an increase closer to nothing and say so (N3). The tier says who must act (CLINICAL 1.9).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from governance.tiers import Tier

from ..candidates import assess, list_candidates
from ..danger import when_taken
from ..domain.changes import STAY, Candidate, Change, Prediction, Spoken
from ..domain.evidence import Evidence, Outcome
from ..domain.readings import NotUsed
from ..domain.record import ConditionKind, Pregnancy, Target
from ..domain.refusals import Withheld
from ..domain.units import MmHg
from ..guardrails import LimitEvidence, narrow
from ..lab_rules import reductions_advised
from ..plausibility import Place, sentinel_places
from ..protocol import ProtocolView, last_change_at
from .looking import Rules, Seen, look
from .tiering import tier_of

Predict = Callable[[ProtocolView], Prediction]
NO_TIER = "withheld"


def recommend(evidence: Evidence, rules: Rules, predict: Predict) -> Outcome:
    """What to propose to whom, or why nothing. Raises only what `predict` raises."""
    seen = look(evidence, rules)
    refused = _before_anything(evidence, rules) or _of_the_record(evidence)
    if refused is not None:
        return _withheld(seen, refused)
    candidates = list_candidates(seen.situation, rules.rulebook)
    if seen.windows[0].average is None and not _asks_for_less(seen):
        return _without_average(seen)
    if evidence.model is None:
        return _withheld(seen, Withheld.NO_APPROVED_MODEL)
    if evidence.model_fault is not None:
        return _withheld(seen, Withheld.MODEL_DOWN, detail=(evidence.model_fault,))
    prediction = predict(
        ProtocolView(
            target=_target(evidence),
            windows=seen.windows,
            candidates=candidates,
            situation=seen.situation,
            lab_advice=reductions_advised(seen.situation, rules.rulebook.lab_rules),
            lowest_systolic=_lowest(evidence, rules),
        )
    )
    found = _withheld(seen, Withheld.IN_TARGET, prediction=prediction)
    found = replace(found, candidates=candidates)
    if prediction.out_of_distribution:
        return replace(found, withheld=Withheld.OUT_OF_DISTRIBUTION, detail=prediction.reasons)
    if prediction.proposed == STAY:
        return replace(found, withheld=_why_stay(seen, prediction), detail=prediction.reasons)
    if not _is_open(prediction.proposed, candidates):
        return replace(found, withheld=Withheld.MODEL_DOWN, detail=("proposed_what_rules_do_not_leave_open",))
    return _limited(seen, found, prediction)


def _before_anything(evidence: Evidence, rules: Rules) -> Withheld | None:
    """What closes the pathway for this person, whatever the readings."""
    facts, mode = evidence.facts, evidence.mode
    if evidence.consent.human_only_care:
        return Withheld.HUMAN_ONLY_CARE
    if mode is None or mode.stopped or mode.mode == "off":
        return Withheld.KILL_SWITCH
    if not all(policy.stands for policy in evidence.policies):
        return Withheld.POLICY_STALE
    if evidence.stopped:
        return Withheld.SUSPENDED
    if facts.pregnancy in (Pregnancy.PREGNANT, Pregnancy.POSTPARTUM):
        return Withheld.PREGNANCY
    if facts.age_years is None:
        return Withheld.AGE_UNKNOWN
    if not rules.ages.holds(facts.age_years):
        return Withheld.AGE_OUTSIDE
    if ConditionKind.DIALYSIS_OR_ESRD in facts.conditions:
        return Withheld.DIALYSIS_OR_ESRD
    return None


def _of_the_record(evidence: Evidence) -> Withheld | None:
    """What the record must hold before anything is proposed."""
    if evidence.target is None:
        return Withheld.NO_TARGET
    if not evidence.regimen.listed:
        return Withheld.NO_LIST_OF_MEDICINES
    if not evidence.regimen.fully_known:
        return Withheld.REGIMEN_NOT_FULLY_KNOWN
    return None


def _target(evidence: Evidence) -> Target:
    """The signed target, which `_of_the_record` has asked for."""
    if evidence.target is None:
        raise ValueError("no target: asked for before")
    return evidence.target


def _asks_for_less(seen: Seen) -> bool:
    """Whether a side effect or a result asks for less of a drug: that needs no average."""
    blamed = any(not s.reviewed and s.suspected_ingredient for s in seen.evidence.symptoms)
    return blamed or bool(reductions_advised(seen.situation, seen.rules.rulebook.lab_rules))


def _without_average(seen: Seen) -> Outcome:
    """Why there is no average: the regimen changed too lately for the readings there are, or there are too few."""
    window = seen.windows[0]
    unsettled = sum(left.why is NotUsed.TOO_SOON_AFTER_CHANGE for left in window.not_used)
    reason = Withheld.NOT_ENOUGH_READINGS
    if unsettled and unsettled + len(window.used) >= seen.rules.averaging.min_readings:
        reason = Withheld.TOO_SOON
    return _withheld(seen, reason, detail=(window.reason.value,) if window.reason else ())


def _is_open(proposed: Change, candidates: tuple[Candidate, ...]) -> bool:
    """Whether the rules left this change open: a predictor chooses among candidates and makes up none."""
    return any(c.change == proposed and not (c.barred and proposed.intensifies) for c in candidates)


def _lowest(evidence: Evidence, rules: Rules) -> MmHg | None:
    """The lowest systolic of the danger window. What a device writes for "no value" is none."""
    since = evidence.as_of - timedelta(days=float(rules.danger.windows.bar_days))
    recent = [
        r
        for r in evidence.readings
        if since <= when_taken(r, evidence.as_of) and Place.SYSTOLIC not in sentinel_places(r, rules.danger.sentinels)
    ]
    return min((r.systolic for r in recent if r.systolic is not None), default=None)


def _why_stay(seen: Seen, prediction: Prediction) -> Withheld:
    """The name for a prediction that proposes nothing."""
    reasons = set(prediction.reasons)
    if "doses_missed" in reasons:
        return Withheld.LOW_ADHERENCE
    if "no_candidate_left" in reasons:
        return _why_no_candidate(seen)
    if "too_few_windows_over_target" in reasons:
        return Withheld.TOO_SOON if _leaves_no_room(seen) else Withheld.ONE_WINDOW_OVER
    if "no_valid_window" in reasons:
        return Withheld.NOT_ENOUGH_READINGS
    if "low_reading_bars_increase" in reasons:
        return Withheld.DANGER_BAR
    return Withheld.IN_TARGET


def _leaves_no_room(seen: Seen) -> bool:
    """Whether the last change of regimen leaves no room for a window before the newest one."""
    changed, begins = last_change_at(seen.situation), seen.windows[0].starts_at
    window = timedelta(days=seen.rules.averaging.window_days or 0)
    return changed is not None and begins is not None and changed > begins - window


def _why_no_candidate(seen: Seen) -> Withheld:
    if any(alert.locks for alert in seen.evidence.alerts):
        return Withheld.DANGER_LOCK
    if seen.situation.in_danger:
        return Withheld.DANGER_BAR
    return Withheld.NO_CANDIDATE


def _limited(seen: Seen, found: Outcome, prediction: Prediction) -> Outcome:
    """Guardrails, then the tier."""
    evidence, rules = seen.evidence, seen.rules
    change, spoken = narrow(
        prediction.proposed,
        LimitEvidence(
            situation=seen.situation,
            limits=rules.limits,
            formulary=rules.rulebook.formulary,
            lab_rules=rules.rulebook.lab_rules,
            boundary=evidence.boundary,
        ),
    )
    said = assess(change, seen.situation, rules.rulebook).spoken + spoken
    found = replace(found, before_limits=prediction.proposed, spoken=said)
    if change == STAY:
        return replace(found, withheld=_why_limited(said), detail=tuple(s.rule for s in spoken))
    if change.intensifies and seen.situation.in_danger:
        return replace(found, withheld=_why_no_candidate(seen), detail=found.barred)
    tier = tier_of(change, seen=seen, said=said, prediction=prediction)
    if tier.tier is Tier.WITHHELD:
        observed = "autonomy_observe" in tier.reasons
        return replace(found, withheld=Withheld.OBSERVED if observed else Withheld.DANGER_LOCK, detail=tier.reasons)
    return replace(found, withheld=None, change=change, tier=tier.tier.value, tier_reasons=tier.reasons, detail=())


def _why_limited(said: tuple[Spoken, ...]) -> Withheld:
    rules = {s.rule for s in said}
    if "interval" in rules:
        return Withheld.TOO_SOON
    if "labs_overdue" in rules:
        return Withheld.LABS_OVERDUE
    if "asked_before" in rules:
        return Withheld.ASKED_BEFORE
    return Withheld.LIMITS_LEFT_NOTHING


def _withheld(
    seen: Seen, reason: Withheld, *, detail: tuple[str, ...] = (), prediction: Prediction | None = None
) -> Outcome:
    return Outcome(
        withheld=reason,
        detail=detail,
        change=STAY,
        before_limits=STAY,
        candidates=(),
        spoken=(),
        prediction=prediction,
        barred=tuple(sorted({f"{bar.scope.value}:{bar.rule}" for bar in seen.standing})),
        tier=NO_TIER,
        tier_reasons=(),
        windows=seen.windows,
    )
