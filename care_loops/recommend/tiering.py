"""Who must act on a change: this patient's facts put to the decision table of CLINICAL 1.9 (`governance.tiers`).

Rules
 * The table knows nothing of patients; this module translates. What is not known is handed over as not known.
 * A reduction or a stop is never withheld by an emergency: it goes to a clinician (N3).
 * A bar on what is patient-facing that is no emergency is a caution.
 * A boundary whose signer is responsible for the patient no longer lets nothing through: a clinician decides (N1).
 * The level the model has earned for this cohort and action makes the tier stricter, and never milder.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from governance.autonomy import Level, limited
from governance.tiers import BoundaryFacts, OperatingMode, PathwayMode, Tier, TierFacts, Tiering, assign

from ..danger import when_taken
from ..domain.alerts import Scope
from ..domain.changes import Change, ChangeKind, Prediction, Severity, Spoken
from ..domain.evidence import Evidence
from ..domain.record import Boundary, ConditionKind, DrugClass, Pregnancy, Sex
from ..domain.units import MmHg
from ..lab_rules import state as lab_state
from ..plausibility import Place, sentinel_places
from ..protocol import days_spanned, last_change_at, run_over_target
from .looking import PathwayAges, Seen

SIGNER_GONE = "boundary_signer_not_responsible"


def tier_of(change: Change, *, seen: Seen, said: tuple[Spoken, ...], prediction: Prediction) -> Tiering:
    """The tier of a change under the table in force, the boundary, the mode, and what the model has earned."""
    evidence = seen.evidence
    mode = evidence.mode
    pathway = PathwayMode(OperatingMode(mode.mode), mode.patient_directed) if mode else PathwayMode(OperatingMode.OFF)
    found = assign(
        tier_facts(change, seen=seen, said=said, prediction=prediction),
        boundary_facts(change, evidence),
        seen.rules.tiers,
        pathway,
    )
    if evidence.boundary is not None and not evidence.boundary.signer_responsible:
        found = Tiering(found.tier.at_least(Tier.CLINICIAN_DECIDES), (*found.reasons, SIGNER_GONE))
    level = level_of(change, evidence)
    tier = limited(found.tier, level)
    return found if tier is found.tier else Tiering(tier, (*found.reasons, f"autonomy_{level.value}"))


def level_of(change: Change, evidence: Evidence) -> Level:
    """How far the model may go with this change for this person; not limited where frozen before levels were earned."""
    if not evidence.cohorts:
        return Level.WITHIN_BOUNDARY
    known = {one.action: Level(one.level) for one in evidence.autonomy}
    return known.get(change.kind.value, Level.OBSERVE)


def tier_facts(change: Change, *, seen: Seen, said: tuple[Spoken, ...], prediction: Prediction) -> TierFacts:
    """What is known of the change and the patient, in the words of the table."""
    evidence, situation = seen.evidence, seen.situation
    facts = evidence.facts
    drug = seen.rules.rulebook.formulary.drug(change.ingredient)
    run = run_over_target(evidence.target, seen.windows, last_change_at(situation)) if evidence.target else ()
    labs = lab_state(change, situation, seen.rules.rulebook.lab_rules)
    share = evidence.adherence.share if evidence.adherence else None
    systolic, diastolic = _recent_values(seen)
    interactions = {row.row_id for row in seen.rules.rulebook.contraindications.interactions}
    return TierFacts(
        emergency=not change.reduces and any(alert.locks for alert in evidence.alerts),
        is_increase=change.kind is ChangeKind.STEP_UP,
        is_start=change.kind is ChangeKind.START,
        is_stop=change.kind is ChangeKind.STOP,
        is_timing=change.kind is ChangeKind.TIMING,
        change_steps=change.steps,
        new_dose=change.new_daily_dose.value if change.new_daily_dose else None,
        ceiling=drug.guideline_max.value if drug else None,
        restricted_class=change.drug_class is DrugClass.MRA if change.drug_class else None,
        days_taken=_days_taken(change, evidence),
        days_since_change=_days_since_change(seen),
        windows_out=len(run),
        windows_apart_days=days_spanned(run),
        lowest_systolic=min(systolic, default=None),
        highest_systolic=max(systolic, default=None),
        lowest_diastolic=min(diastolic, default=None),
        highest_diastolic=max(diastolic, default=None),
        adherence_percent=share * 100 if share is not None else None,
        labs_in_date=labs.in_date,
        labs_within_limits=labs.within_limits,
        contraindicated=any(s.severity is Severity.HARD_STOP and s.rule not in interactions for s in said),
        interacting=any(s.rule in interactions for s in said),
        cautioned=_cautioned(seen, said),
        pregnant=_pregnant(evidence, seen.rules.ages),
        atrial_fibrillation=ConditionKind.ATRIAL_FIBRILLATION in facts.conditions,
        end_stage_kidney_disease=ConditionKind.DIALYSIS_OR_ESRD in facts.conditions,
        age_years=facts.age_years,
        model_approved=evidence.model is not None and prediction.model == evidence.model,
        in_distribution=not prediction.out_of_distribution,
        model_confident=not prediction.uncertain,
        inputs_complete=seen.windows[0].average is not None and evidence.adherence is not None,
        consents=evidence.consent.automated_advice,
        human_only=evidence.consent.human_only_care,
        explanation_ready=bool(prediction.reasons),
        can_decline=True,  # `transitions.MOVES`: with_patient may always go to declined
        quota_left=evidence.mode.quota_left if evidence.mode else None,
        kill_switch_open=not evidence.mode.stopped if evidence.mode else None,
    )


def boundary_facts(change: Change, evidence: Evidence) -> BoundaryFacts | None:
    """The signed boundary in the words of the table; None when there is none."""
    order = evidence.boundary
    if order is None:
        return None
    named = next((drug for drug in order.drugs if drug.ingredient == change.ingredient), None)
    return BoundaryFacts(
        signed=bool(order.signed_by),
        by_prescriber=order.by_prescriber,
        review_everything=order.review_everything,
        days_since_start=_days(order.starts_at, evidence.as_of),
        days_left=_days(evidence.as_of, order.expires_at),
        life_days=_days(order.starts_at, order.expires_at),
        names_drug=named is not None,
        names_product=named is not None and change.product is not None and change.product in named.products,
        allows_direction=named is not None and named.allow_up and change.kind is ChangeKind.STEP_UP,
        names_target=evidence.target is not None and _names(order, evidence.target.target_id),
        max_steps=order.max_steps,
        steps_left=order.max_steps - evidence.boundary_steps_used,
        max_dose=named.max_daily_dose.value if named else None,
        min_interval_days=order.min_interval_days,
    )


def _names(order: Boundary, target_id: str) -> bool:
    """Whether the boundary was signed for the target that holds now."""
    return order.target_id == target_id


def _days(start: datetime, end: datetime) -> Decimal:
    return Decimal((end - start) // timedelta(seconds=1)) / Decimal(86400)


def _recent_values(seen: Seen) -> tuple[list[Decimal], list[Decimal]]:
    """Every systolic and diastolic value of the danger window, whatever became of the reading. Sentinels are none."""
    since = seen.evidence.as_of - timedelta(days=float(seen.rules.danger.windows.bar_days))
    recent = [r for r in seen.evidence.readings if when_taken(r, seen.evidence.as_of) >= since]

    def values(place: Place, of: str) -> list[Decimal]:
        found = []
        for reading in recent:
            value: MmHg | None = getattr(reading, of)
            if value is not None and place not in sentinel_places(reading, seen.rules.danger.sentinels):
                found.append(value.value)
        return found

    return values(Place.SYSTOLIC, "systolic"), values(Place.DIASTOLIC, "diastolic")


def _days_taken(change: Change, evidence: Evidence) -> int | None:
    taken = next((d for d in evidence.regimen.drugs if d.ingredient == change.ingredient), None)
    return None if taken is None or taken.since is None else (evidence.as_of - taken.since).days


def _days_since_change(seen: Seen) -> int | None:
    """Days since the regimen last changed; where no change is known, since its youngest line began."""
    last = last_change_at(seen.situation)
    if last is None:
        begun = [drug.since for drug in seen.evidence.regimen.drugs if drug.since is not None]
        last = max(begun, default=None)
    return None if last is None else (seen.evidence.as_of - last).days


def _cautioned(seen: Seen, said: tuple[Spoken, ...]) -> bool:
    barred = any(bar.scope is Scope.PATIENT_FACING for bar in seen.standing) or any(
        Scope.PATIENT_FACING in alert.bars for alert in seen.evidence.alerts
    )
    return barred or any(s.severity is Severity.CAUTION for s in said)


def _pregnant(evidence: Evidence, ages: PathwayAges) -> bool | None:
    """Whether pregnant. Silence of the record is a "no" only where a pregnancy is not to be thought of; where it does
    not say the sex either, nobody has thought of it (N2)."""
    facts = evidence.facts
    if facts.pregnancy in (Pregnancy.PREGNANT, Pregnancy.POSTPARTUM):
        return True
    if facts.pregnancy is Pregnancy.NOT_PREGNANT or facts.sex is Sex.MALE:
        return False
    if facts.sex is Sex.UNKNOWN:
        return None
    too_old = facts.age_years is not None and facts.age_years > ages.childbearing_to
    return False if too_old else None
