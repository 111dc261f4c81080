"""The evidence of one patient at one moment, gathered from the record to be frozen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Q

from governance.domain import BadInput
from governance.policy_kinds import PolicyKind, values
from governance.selectors import policy_in_force
from governance.selectors.policies import in_force
from governance.selectors.sight import Wider, looking_wider
from models.registry.selectors import serving

from ..domain.alerts import Scope
from ..domain.changes import Change, ModelRef
from ..domain.evidence import ChosenPolicy, Evidence, ModeInForce, OpenAlert, Outcome
from ..domain.loops import LoopState, Origin
from ..domain.provenance import TableRef
from ..domain.record import Adherence, Regimen, SaidNo
from ..freeze import thaw
from ..models import Alert, Boundary, Loop, Patient, Step
from ..pathways.hypertension.tables_cohorts import cohorts_of
from ..pathways.hypertension.tables_drugs import formulary
from . import record, regimen
from .autonomy import levels_now
from .danger import alert_limits
from .suspended import stopping_evidence

ALL = Q()
LOOKS_BACK = timedelta(days=84)  # five windows, each up to its search further back, and the danger window


def assemble(
    patient: Patient, *, pathway: str, now: datetime, tables: Sequence[TableRef], without: Loop | None = None
) -> Evidence:
    """Everything a recommendation rests on, as the record stands at `now`.

    `without` is the recommendation that is looked at again: it does not use up the quota and the steps it stands on.
    """
    beside = Q() if without is None else ~Q(pk=without.pk)
    taken = regimen.regimen_of(lines := regimen.lines(patient, now=now))
    changes = tuple(c for c in regimen.past_changes(lines) if formulary().lowers_pressure(c.ingredient))
    boundary = record.boundary_row(patient, now=now)
    version, facts = serving(pathway), record.facts(patient, now=now)
    policy = policy_in_force("tier_policy", pathway, now=now)
    return stopping_evidence(
        Evidence(
            pathway=pathway,
            as_of=now.astimezone(UTC),
            window_closed_at=now.astimezone(UTC),
            zone=patient.zone,
            facts=facts,
            target=record.target(patient, now=now),
            boundary=record.boundary_of(boundary, now=now) if boundary else None,
            consent=record.consent(patient, now=now),
            readings=record.readings(patient, since=now - LOOKS_BACK, now=now),
            regimen=taken,
            changes=changes,
            boundary_steps_used=steps_used(boundary, beside=beside),
            labs=record.labs(patient, now=now),
            symptoms=record.symptoms(patient, since=now - timedelta(days=14), now=now),
            adherence=_taken_lately(patient, taken, now=now),
            said_no=said_no(patient, pathway=pathway, since=now - LOOKS_BACK, now=now),
            alerts=open_alerts(patient, now=now),
            mode=mode_in_force(pathway, now=now, beside=beside),
            tier_policy=policy.ref if policy else None,
            model=ModelRef(version.name, version.version, version.digest) if version else None,
            model_fault=None,
            tables=tuple(tables),
            alert_limits=alert_limits(patient, now=now),
            policies=chosen_policies(pathway, now=now),
            cohorts=cohorts_of(facts.age_years),
            autonomy=levels_now(version, cohorts_of(facts.age_years), now=now) if version else (),
        )
    )


def _taken_lately(patient: Patient, regimen_now: Regimen, *, now: datetime) -> Adherence | None:
    """What was taken of each drug in the last seven local days."""
    today = now.astimezone(ZoneInfo(patient.zone)).date()
    drugs = (drug.ingredient for drug in regimen_now.drugs)
    return record.adherence(patient, drugs, starts_on=today - timedelta(days=7), ends_on=today, now=now)


def chosen_policies(pathway: str, *, now: datetime) -> tuple[ChosenPolicy, ...]:
    """Every policy in force over a pathway besides its mode, with what it chose of the cited file."""
    found = []
    for kind, policy in in_force(pathway, now=now):
        if kind is PolicyKind.OPERATING_MODE:
            continue
        try:
            chose, stands = values(kind, policy.body), True
        except BadInput:
            chose, stands = {}, False
        found.append(ChosenPolicy(kind.value, policy.ref, policy.digest, tuple(sorted(chose.items())), stands))
    return tuple(found)


def said_no(patient: Patient, *, pathway: str, since: datetime, now: datetime) -> tuple[SaidNo, ...]:
    """Proposals that a clinician rejected or the patient declined since then, oldest first."""
    answers = Step.objects.filter(
        loop__patient_id__in=record.record_ids(patient),
        loop__pathway=pathway,
        loop__origin=Origin.PROPOSAL.value,
        state__in=[LoopState.REJECTED.value, LoopState.DECLINED.value],
        entered_at__gte=since,
        entered_at__lte=now,
    ).select_related("loop", "decision")
    found = []
    for step in answers.order_by("entered_at", "pk"):
        decided = step.decision if step.state == LoopState.DECLINED.value else None
        change = thaw(decided.final_change, Change) if decided else thaw(step.loop.outcome, Outcome).change
        if change.ingredient is not None:
            found.append(SaidNo(change.ingredient, change.new_daily_dose, step.entered_at.astimezone(UTC)))
    return tuple(found)


@looking_wider(Wider.QUOTA)
def mode_in_force(pathway: str, *, now: datetime, beside: Q = ALL) -> ModeInForce | None:
    """The operating mode of a pathway; None until a site has set one. The quota counts the loops that are `beside`."""
    policy = policy_in_force("operating_mode", pathway, now=now)
    if policy is None:
        return None
    since = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    went = Step.objects.filter(
        state=LoopState.WITH_PATIENT.value,
        entered_at__gte=since,
        entered_at__lte=now,
        loop__in=Loop.objects.filter(beside, pathway=pathway),
    ).count()
    return ModeInForce(
        mode=str(policy.body["mode"]),
        patient_directed=policy.body["patient_directed"] is True,
        stopped=policy.body["stopped"] is True,
        quota_left=int(policy.body["daily_patient_quota"]) - went,
        policy=policy.ref,
    )


def open_alerts(patient: Patient, *, now: datetime) -> tuple[OpenAlert, ...]:
    """Alerts no clinician had ended at `now`."""
    rows = Alert.objects.filter(patient_id__in=record.record_ids(patient), raised_at__lte=now, disposed_at__isnull=True)
    return tuple(
        OpenAlert(
            alert_id=str(row.pk),
            kind=row.kind,
            locks=row.locks,
            bars=tuple(sorted(Scope(scope) for scope in row.bars)),
        )
        for row in rows.order_by("kind", "pk")
    )


def steps_used(boundary: Boundary | None, *, beside: Q = ALL) -> int:
    """Changes that this boundary has already let through to the patient, taken back and declined ones left out."""
    if boundary is None:
        return 0
    gone = [LoopState.DECLINED.value, LoopState.RECALLED.value, LoopState.EXPIRED.value, LoopState.WITHDRAWN.value]
    through = Loop.objects.filter(beside, steps__state=LoopState.WITH_PATIENT.value, steps__boundary=boundary)
    return through.exclude(state__in=gone).distinct().count()
