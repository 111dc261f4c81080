"""The controls over a patient's care and record, and the ways around that are their own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.test import Client

from audit.services import enqueue, relay
from care_loops import tasks
from care_loops.domain.loops import DecisionKind
from care_loops.domain.units import MmHg
from care_loops.models import Loop, Message
from care_loops.services import DecisionInput, decide, dispose_alert, handlers, sign_target
from care_loops.services.boundary_quorum import approve_boundary, sign_approved
from governance.domain import Permission
from governance.services import Acting
from tests.authority.forged_rows import FORGED
from tests.authority.house import House, job
from tests.authority.paths import Control
from tests.authority.trying import Bypass, NotHere, Try
from tests.authority.ways import given_elsewhere, gone_stale, run, too_late

Side = Mapping[str, Any]
B, P = Bypass, Permission
NO_TERM = NotHere("it rests on no approval that could run out")


# -- a change is decided by a clinician --------------------------------------------------------------------------------


def _decides(_: House, by: Acting, o: Side, now: datetime) -> object:
    chosen = DecisionInput(DecisionKind.APPROVE, "agrees_with_plan", "", o["loop"].version)
    return decide(o["loop"].pk, chosen, by=by, now=now)


def _delivers(house: House) -> str:
    """A message in the outbox that no decision put there."""
    enqueue("loop.deliver", {"loop": str(house.own["loop"].pk)})
    relay(handlers(by=job("relay"), clock=lambda: house.now))
    assert not Message.objects.filter(loop=house.own["loop"]).exists()
    return f"nothing delivered: {Loop.objects.get(pk=house.own['loop'].pk).state}"


def _stale(house: House) -> object:
    loop = house.own["loop"]
    chosen = DecisionInput(DecisionKind.APPROVE, "agrees_with_plan", "", loop.version - 1)
    return decide(loop.pk, chosen, by=house.acting("clinician"), now=house.now)


DECISIONS = Control(
    "decisions",
    "a change is decided and signed by a clinician of the team",
    frozenset({P.DECIDE, P.WRITE_ORDER, P.RECALL, P.CONFIRM_PRESCRIPTION, P.RESPOND, P.SECOND_REVIEW}),
    (
        *("care_loops_loop", "care_loops_step", "care_loops_decision", "care_loops_firstintake", "care_loops_message"),
        *("care_loops_regimenentry", "care_loops_reviewdraw", "care_loops_reviewseed", "care_loops_secondreading"),
        *("care_loops_secondreview", "care_loops_secondverdict"),
        *("care_loops_decidefirst", "care_loops_firstanswer", "care_loops_firstrule", "care_loops_look"),
        *("care_loops_probe", "care_loops_probeanswer", "care_loops_probeperson", "care_loops_proberule"),
    ),
    _decides,
    "clinician",
    mine={
        B.FORGED_TASK: (
            Try("the outbox delivers what nobody decided", _delivers, "^nothing delivered: with_clinician"),
            Try("a window of nobody", lambda _: tasks.close_window(str(uuid4())), "not_found"),
        ),
        B.STALE_FORM: (Try("an earlier version seen", _stale, "changed_since_shown"),),
    },
    beside={B.RAW_SQL: FORGED["decisions"]},
)
DECISIONS.beside[B.SWAPPED_OBJECT] = (given_elsewhere(DECISIONS),)
DECISIONS.mine[B.EXPIRED_APPROVAL] = (too_late(DECISIONS, lambda house: house.own["loop"].expires_at, "expired"),)


# -- limits are signed -------------------------------------------------------------------------------------------------


def _signs_target(_: House, by: Acting, o: Side, now: datetime) -> object:
    return sign_target(o["patient"].pk, systolic_below=MmHg.of(130), diastolic_below=MmHg.of(80), by=by, now=now)


def _boundary_after(later: timedelta, *, danger: bool) -> Any:
    """A boundary that a pharmacist approved, signed after a dangerous reading, or after a week."""

    def act(house: House) -> object:
        motion, now = house.own["boundary_motion"], house.now
        approve_boundary(motion.pk, by=house.acting("pharmacist"), now=now)
        if danger:
            house.hospital.measures(house.own["patient"], 190, 125, at=now)
        return sign_approved(motion.pk, by=house.acting("clinician", now=now + later), now=now + later)

    return act


LIMITS = Control(
    "limits",
    "targets, boundaries and alert limits are signed by a clinician of the team; above the threshold by two",
    frozenset({P.SIGN_TARGET, P.SIGN_BOUNDARY, P.SIGN_ALERT_LIMITS}),
    ("care_loops_target", "care_loops_boundary", "care_loops_boundarydrug", "care_loops_alertlimits"),
    _signs_target,
    "clinician",
    mine={
        B.STALE_FORM: (
            Try("approved, then a danger", _boundary_after(timedelta(minutes=1), danger=True), "motion_void"),
        ),
        B.EXPIRED_APPROVAL: (
            Try("approved a week ago", _boundary_after(timedelta(days=7), danger=False), "motion_expired|motion_void"),
        ),
    },
    beside={
        B.SHELL: (
            Try(
                "above the threshold without a pharmacist",
                lambda house: sign_approved(
                    house.own["boundary_motion"].pk, by=house.acting("clinician"), now=house.now
                ),
                "quorum_missing",
            ),
        ),
        B.RAW_SQL: FORGED["limits"],
    },
)
LIMITS.beside[B.SWAPPED_OBJECT] = (given_elsewhere(LIMITS),)


# -- alerts, symptoms, readings, visits --------------------------------------------------------------------------------


def _closes_alert(_: House, by: Acting, o: Side, now: datetime) -> object:
    return dispose_alert(o["alert"].pk, code="treated", text="", by=by, now=now)


def _other_words(house: House) -> object:
    """The same key with another body, at the door of programs."""
    where, answers = f"/api/v1/alerts/{house.own['alert'].pk}/disposition", []
    for code in ("treated", "referred"):
        headers = {"Authorization": f"Bearer {house.tokens['staff']}", "Idempotency-Key": "one-key"}
        body = f'{{"code": "{code}", "text": ""}}'.encode()
        answers.append(Client().post(where, body, content_type="application/json", headers=headers))
    assert answers[0].status_code == 200, answers[0].content
    return answers[1]


CARE = Control(
    "care",
    "what happens to a patient is taken in, looked at and closed by who treats them",
    frozenset(
        {
            P.ACKNOWLEDGE_ALERT,
            P.DISPOSE_ALERT,
            P.REVIEW_SYMPTOM,
            P.PLAN_VISIT,
            P.CORRECT_RECORD,
            P.SEND_READING,
            P.REPORT_SYMPTOM,
            P.LOG_INTAKE,
            P.REPORT_ADVERSE_EVENT,
            P.ENROL_DEVICE,
            P.ENROL_PATIENT,
            P.MERGE_PATIENTS,
        }
    ),
    (
        *("care_loops_alert", "care_loops_alertevent", "care_loops_allergy", "care_loops_bloodpressure"),
        *("care_loops_condition", "care_loops_correction", "care_loops_importrefusal", "care_loops_intakelog"),
        *("care_loops_lab", "care_loops_merge", "care_loops_importrun", "care_loops_importstage"),
        *("care_loops_reminder", "care_loops_symptom", "care_loops_symptomreview", "care_loops_visit"),
        *("care_loops_visitplan", "care_loops_adverseevent", "care_loops_knowndevice", "care_loops_patient"),
    ),
    _closes_alert,
    "clinician",
    signed=False,
    mine={
        B.COMMAND: (
            run(
                "by an outsider",
                "merge_patients",
                "{other_patient}",
                "--into",
                "{patient}",
                "--reason",
                "x",
                "--by",
                "{outsider}",
            ),
            run("by an outsider", "device", "revoke", "{reading}", "--reason", "x", "--by", "{outsider}"),
        ),
        B.FORGED_TASK: (Try("a window of no id", lambda _: tasks.close_window("not an id"), "bad_input|not_found"),),
        B.REPLAYED_TOKEN: (Try("the same key with other words", _other_words, "^(409|422) .*idempotency"),),
        B.EXPIRED_APPROVAL: NO_TERM,
    },
    beside={B.RAW_SQL: FORGED["care"]},
)
CARE.mine[B.STALE_FORM] = (
    gone_stale(
        CARE,
        lambda house: dispose_alert(
            house.own["alert"].pk, code="referred", text="", by=house.acting("clinician"), now=house.now
        ),
        "not_now",
    ),
)


OF_CARE = (DECISIONS, LIMITS, CARE)
