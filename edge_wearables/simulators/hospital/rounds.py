"""What people of the play do, through the services every door uses: staff on their round, patients in the evening.

Each act asks for what is open at the moment of the act, so that a round made twice does nothing the second time. The
script stands in the case: how the clinician decides, how the patient answers, who closes an alert.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Model, QuerySet

from audit.services import relay
from care_loops.domain.alerts import AlertKind
from care_loops.domain.changes import STAY, Candidate, ChangeKind
from care_loops.domain.evidence import Outcome, candidate_key
from care_loops.domain.loops import DecisionKind, LoopState, Origin
from care_loops.domain.record import ConditionKind, DrugClass, LabKind
from care_loops.freeze import thaw
from care_loops.models import Alert, Loop, RegimenEntry, Symptom, Visit
from care_loops.selectors.first import unanswered
from care_loops.selectors.regimen import regimen_now
from care_loops.selectors.visits import standing_plans
from care_loops.services import (
    Answer,
    DecisionInput,
    NewCondition,
    NewIntake,
    NewLab,
    NewVisit,
    OrderInput,
    acknowledge_alert,
    decide,
    dispose_alert,
    escalate_alerts,
    handlers,
    log_intake,
    record_condition,
    record_lab,
    record_visit,
    respond,
    review_symptom,
    write_order,
)
from care_loops.services.first import AnswerInput, answer_first
from governance.domain import Refusal, Role
from governance.services import Acting, acting_job

from .admitting import SNOMED, SOURCE, Admitted
from .cases import document
from .founding import Site

DISPOSED_AS = {
    "crisis": "patient_reached_and_well",
    "low": "medication_reviewed",
    "dangerous_lab": "treated",
    "angioedema": "sent_to_emergency",
    "syncope": "referred",
}
Row = TypeVar("Row", bound=Model)
RECHECKED = frozenset(
    {DrugClass.ACE_INHIBITOR, DrugClass.ARB, DrugClass.MRA, DrugClass.THIAZIDE, DrugClass.THIAZIDE_LIKE}
)
RECHECK_AFTER, RECHECK_WITHIN = timedelta(days=14), timedelta(days=28)
LOOKS_AFTER = timedelta(hours=8)  # a new recommendation is looked at on the next morning's round
CLOSES_AFTER = timedelta(hours=12)
REVIEWED_AFTER = timedelta(days=10)  # after the window in which a side effect was answered
ONLY_TIME = frozenset({"windows_28_days_apart", "order_interval_passed", "taken_28_days"})
SLOW_TO_ANSWER, ANSWERS_AFTER = 3, timedelta(days=5)  # every third patient answers days later
OVERDUE = 9  # every ninth patient's visit is not recorded
UNSEEN = 5  # every fifth alert is acknowledged only after it was passed on once


@dataclass(frozen=True, slots=True)
class Ward:
    """The site with its patients, by the identifier of the record."""

    site: Site
    patients: dict[UUID, Admitted]


def deliver_outbox(now: datetime) -> None:
    """Deliver what waits, at the play's time."""
    topics = handlers(by=acting_job("demonstration-relay", now.isoformat()), clock=lambda: now)
    while relay(topics, limit=200).sent:
        pass


def staff_round(ward: Ward, now: datetime) -> None:
    """Alerts first, then what patients reported, then recommendations."""
    deliver_outbox(now)
    escalate_alerts(by=acting_job("demonstration-clock", now.isoformat()), now=now)
    for alert in _of(ward, Alert.objects.filter(disposed_at__isnull=True, raised_at__lte=now), "raised_at"):
        _alert(ward, alert, now)
    open_symptoms = Symptom.objects.filter(review__isnull=True, felt_at__lte=now - REVIEWED_AFTER)
    for symptom in _of(ward, open_symptoms, "felt_at"):
        _, by = _who(ward, symptom.patient_id)
        outcome = "discussed" if symptom.suspected_ingredient else "noted"
        review_symptom(symptom.pk, outcome=outcome, text="", by=ward.site.acting(by, now=now), now=now)
    waiting = Loop.objects.filter(
        state=LoopState.WITH_CLINICIAN.value, origin=Origin.PROPOSAL.value, opened_at__lte=now - LOOKS_AFTER
    )
    for loop in _of(ward, waiting, "opened_at"):
        _decide(ward, loop, now)
    _visits(ward, now)
    deliver_outbox(now)


def _visits(ward: Ward, now: datetime) -> None:
    """Visits whose day has come are held and recorded; one patient in so many is left overdue, to be looked at."""
    for plan in standing_plans(list(ward.patients), due_from=date.min, due_until=now.date()):
        admitted, by = _who(ward, plan.patient_id)
        seen = admitted.patient.visits.filter(outcome=Visit.HELD, on_day=plan.due_on)
        if admitted.case.number % OVERDUE != OVERDUE - 1 and not seen.exists():  # a week played again has held it
            talked = NewVisit(outcome=Visit.HELD, on_day=plan.due_on, diet="less salt", activity="walks every day")
            record_visit(plan.patient_id, talked, by=ward.site.acting(by, now=now), now=now)


def _of(ward: Ward, found: QuerySet[Row], order: str) -> list[Row]:
    return list(found.filter(patient_id__in=ward.patients).order_by(order, "pk"))


def _who(ward: Ward, patient_id: UUID) -> tuple[Admitted, str]:
    admitted = ward.patients[patient_id]
    return admitted, admitted.clinician


def look_at_alerts(ward: Ward, now: datetime) -> None:
    """Somebody takes on the new alerts, minutes after they came; some are passed on before anybody does."""
    escalate_alerts(by=acting_job("demonstration-clock", now.isoformat()), now=now)
    fresh = Alert.objects.filter(acknowledged_at__isnull=True, disposed_at__isnull=True, raised_at__lte=now, pages=True)
    for alert in _of(ward, fresh, "raised_at"):
        admitted, clinician = _who(ward, alert.patient_id)
        slow = admitted.case.number % UNSEEN == 3 and alert.level == 0
        if admitted.case.alert != "leave" and not slow:
            name = ward.site.one(Role.PHARMACIST) if admitted.case.number % 3 == 0 else clinician
            acknowledge_alert(alert.pk, by=ward.site.acting(name, now=now), now=now)


def _alert(ward: Ward, alert: Alert, now: datetime) -> None:
    """A clinician ends an alert that has been looked into."""
    admitted, clinician = _who(ward, alert.patient_id)
    if admitted.case.alert == "leave" or now - alert.raised_at < CLOSES_AFTER:
        return
    by = ward.site.acting(clinician, now=now)
    acknowledge_alert(alert.pk, by=by, now=now)
    if alert.kind == AlertKind.ANGIOEDEMA.value:
        _never_again(admitted, by=by, now=now)
    code = DISPOSED_AS.get(alert.kind, "medication_reviewed")
    dispose_alert(alert.pk, code=code, text="", by=by, now=now)


def _never_again(admitted: Admitted, *, by: Acting, now: datetime) -> None:
    """After angio-oedema the clinician stops the ACE inhibitor and puts the diagnosis on the record."""
    new = NewCondition(
        source_system=SOURCE,
        source_id=f"{admitted.case.key}-angioedema-diagnosed",
        kind=ConditionKind.ANGIOEDEMA_HISTORY,
        code_system=SNOMED,
        code=str(document()["conditions"]["angioedema"]["code"]),
        display="Angio-oedema under an ACE inhibitor",
        pregnancy=False,
        onset_at=now,
        abated_at=None,
        active=True,
    )
    record_condition(admitted.patient.pk, new, by=by, now=now)
    for drug in regimen_now(admitted.patient, now=now).drugs:
        if drug.drug_class is DrugClass.ACE_INHIBITOR:
            order = OrderInput(
                f"{ChangeKind.STOP.value}:{drug.ingredient}", "side_effect", "angio-oedema: stop at once"
            )
            write_order(admitted.patient.pk, order, by=by, now=now)


def _decide(ward: Ward, loop: Loop, now: datetime) -> None:
    """As the case says. What a boundary will give the patient once some time has passed is left to it."""
    admitted, clinician = _who(ward, loop.patient_id)
    outcome = thaw(loop.outcome, Outcome)
    if admitted.case.clinician == "wait" or (outcome.tier_reasons and set(outcome.tier_reasons) <= ONLY_TIME):
        return
    kind, reason, key = DecisionKind.APPROVE, "agrees_with_plan", None
    other = _other(outcome)
    if admitted.case.clinician == "reject":
        kind, reason = DecisionKind.REJECT, "frailty_or_falls" if admitted.case.age > 80 else "will_see_patient"
    elif admitted.case.clinician == "modify" and other is not None:
        kind, reason, key = DecisionKind.MODIFY, "different_drug_preferred", candidate_key(other.change)
    chosen = DecisionInput(kind, reason, "", loop.version, key)
    by = ward.site.acting(clinician, now=now)
    if unanswered(by, [loop]):
        answer_first(loop.pk, AnswerInput(candidate_key(outcome.change), "", loop.version), by=by, now=now)
    decide(loop.pk, chosen, by=by, now=now)


def _other(outcome: Outcome) -> Candidate | None:
    """Another step up than the one proposed, that no rule stops."""
    return next(
        (
            c
            for c in outcome.candidates
            if not c.barred and c.change.intensifies and c.change not in (STAY, outcome.change)
        ),
        None,
    )


def patients_evening(ward: Ward, now: datetime) -> None:
    """Patients answer what lies before them, as the case says. The safety net may say not yet: then they wait."""
    deliver_outbox(now)
    before = [LoopState.WITH_PATIENT.value, LoopState.DELIVERED.value]
    for loop in _of(ward, Loop.objects.filter(state__in=before, opened_at__lte=now), "opened_at"):
        admitted, _ = _who(ward, loop.patient_id)
        if admitted.case.answer == "none" or _thinks_it_over(admitted, loop, now):
            continue
        answer = Answer(admitted.case.answer)
        if answer is Answer.ASK_PERSON and loop.state == LoopState.DELIVERED.value:
            answer = Answer.ACCEPT  # a person has been asked and has decided
        reason = "" if answer is Answer.ACCEPT else "rather_not"
        try:
            respond(loop.pk, answer, reason_code=reason, by=admitted.own(now=now), now=now)
        except Refusal as not_yet:
            if not_yet.code != "held_for_safety":
                raise
    deliver_outbox(now)


def _thinks_it_over(admitted: Admitted, loop: Loop, now: datetime) -> bool:
    """Some patients take days to answer, so that some stand before an answer at any time."""
    if admitted.case.number % SLOW_TO_ANSWER:
        return False
    asked = loop.steps.order_by("-seq").values_list("entered_at", flat=True).first()
    return asked is not None and now - asked < ANSWERS_AFTER


def first_doses(ward: Ward, now: datetime) -> None:
    """The first dose of what was accepted the evening before; for a stop, the first day without."""
    new = RegimenEntry.objects.filter(
        loop__state=LoopState.ACCEPTED.value, first_intake__isnull=True, starts_at__lt=now
    ).select_related("loop")
    for line in _of(ward, new, "starts_at"):
        admitted, _ = _who(ward, line.patient_id)
        _dose(admitted, line.ingredient, now, taken=line.status == RegimenEntry.ACTIVE, now=now)


def week_of_doses(admitted: Admitted, now: datetime, *, skip: Callable[[datetime, str], bool]) -> None:
    """The week's doses as the patient's log has them: taken, or skipped now and then."""
    zone = ZoneInfo(admitted.case.zone)
    today = now.astimezone(zone).replace(hour=8, minute=0, second=0, microsecond=0)
    for drug in regimen_now(admitted.patient, now=now).drugs:
        for back in range(6, -1, -1):
            at = today - timedelta(days=back)
            if drug.since is not None and drug.since <= at:
                _dose(admitted, drug.ingredient, at, taken=not skip(at, drug.ingredient), now=now)


def _dose(admitted: Admitted, ingredient: str, at: datetime, *, taken: bool, now: datetime) -> None:
    day = at.astimezone(ZoneInfo(admitted.case.zone)).date()
    new = NewIntake(SOURCE, f"{admitted.case.key}-{ingredient}-{day}", ingredient, day, taken, at if taken else None)
    log_intake(admitted.patient.pk, new, by=admitted.own(now=now), now=now)


def rechecks(ward: Ward, now: datetime) -> None:
    """Laboratory rechecks two weeks after a step of a drug that asks for one; one patient never goes."""
    due = RegimenEntry.objects.filter(
        first_intake__at__lte=now - RECHECK_AFTER, first_intake__at__gt=now - RECHECK_WITHIN
    ).exclude(status=RegimenEntry.STOPPED)
    for line in _of(ward, due, "starts_at"):
        admitted, _ = _who(ward, line.patient_id)
        if not admitted.case.recheck or DrugClass(line.drug_class) not in RECHECKED:
            continue
        for kind in (LabKind.POTASSIUM, LabKind.SODIUM, LabKind.CREATININE, LabKind.EGFR):
            value = admitted.case.labs[kind.value]
            new = NewLab(SOURCE, f"recheck-{line.pk}-{kind.value}", kind, Decimal(value), value, "", now)
            record_lab(admitted.patient.pk, new, by=acting_job("demonstration-laboratory", str(line.pk)), now=now)
