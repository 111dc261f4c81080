"""The controls over policies, models, stopping, findings, people, the record; and the ways around of their own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from care_loops.services.autonomy import sign_level
from governance.domain import Permission
from governance.findings import FindingState
from governance.quorum import QuorumAct
from governance.quorum_rules import shipped
from governance.services import Acting, approve_policy, propose_policy, quorum
from governance.services.findings import check_or_close, hand_back
from governance.services.suspensions import end_suspension
from models.registry.services import activate
from models.registry.services import approve as approve_model
from tests.authority.forged_rows import FORGED
from tests.authority.house import MODE, House
from tests.authority.paths import Control
from tests.authority.trying import Bypass, NotHere, Try
from tests.authority.ways import given_elsewhere, gone_stale, run, too_late

Side = Mapping[str, Any]
B, P = Bypass, Permission
DENIED = "permission denied|only grows"


def elsewhere(control: Control) -> tuple[Try, ...]:
    """The proof over one thing, for another: where both are the doer's to act on, it is all that is wrong."""
    return (given_elsewhere(control),)


# -- policies ----------------------------------------------------------------------------------------------------------


def _approves(_: House, by: Acting, o: Side, now: datetime) -> object:
    return approve_policy(o["motion"].pk, by=by, now=now)


def _stopped(house: House) -> object:
    """Another version of the policy comes into force: stopping needs nobody else."""
    body = MODE | {"stopped": True}
    return propose_policy(
        "operating_mode", "hypertension", body=body, reason="x", by=house.acting("admin"), now=house.now
    )


def _other_content(house: House) -> object:
    """The quorum of one policy, used for another."""
    motion = house.own["motion"]
    for name in ("clinician", "pharmacist"):
        quorum.approve(motion.pk, by=house.acting(name), now=house.now)
    return quorum.carry_out(motion.pk, content=house.foreign["motion"].content, by=house.acting("admin"), now=house.now)


POLICIES = Control(
    "policies",
    "a policy holds by a quorum over its own words, none of whom put it forward",
    frozenset({P.SET_POLICY, P.SEE_POLICIES, P.GIVE_APPROVAL}),
    ("governance_policyversion", "governance_motion", "governance_approval"),
    _approves,
    "clinician",
    mine={
        B.COMMAND: (
            run(
                "by who may, without a terminal",
                "policy",
                "approve",
                "{motion}",
                "--by",
                "{clinician}",
                named="command: signature_needed",
            ),
            run("by its author", "policy", "approve", "{motion}", "--by", "{admin}"),
            run("by an outsider", "policy", "approve", "{motion}", "--by", "{outsider}"),
            run(
                "by an outsider",
                "set_operating_mode",
                "live",
                "--patient-directed",
                "yes",
                "--stopped",
                "no",
                "--daily-quota",
                "9",
                "--reason",
                "x",
                "--by",
                "{outsider}",
            ),
        ),
        B.SWAPPED_OBJECT: (Try("a quorum over other words", _other_content, "motion_void"),),
    },
    beside={
        B.SHELL: (
            Try(
                "by its author",
                lambda house: _approves(house, house.acting("admin"), house.own, house.now),
                "not_allowed",
            ),
            Try(
                "carried out by nobody",
                lambda house: quorum.carry_out(
                    house.own["motion"].pk, content=house.own["motion"].content, by=house.acting("admin"), now=house.now
                ),
                "quorum_missing",
            ),
        ),
        B.RAW_SQL: FORGED["policies"],
    },
)
POLICIES.mine[B.STALE_FORM] = (gone_stale(POLICIES, _stopped, "motion_void"),)
POLICIES.mine[B.EXPIRED_APPROVAL] = (
    too_late(POLICIES, lambda house: house.own["motion"].expires_at, "motion_expired"),
)
POLICIES.beside[B.SWAPPED_OBJECT] = elsewhere(POLICIES)


# -- models ------------------------------------------------------------------------------------------------------------


def _approves_model(_: House, by: Acting, o: Side, now: datetime) -> object:
    return approve_model(o["version"], by=by, now=now)


def _approved_long_ago(house: House) -> object:
    for name in ("clinician", "pharmacist"):
        approve_model(house.own["version"], by=house.acting(name), now=house.now)
    late = house.now + shipped().rule(QuorumAct.MODEL).lives
    return activate(house.own["version"], by=house.acting("clinician", now=late), now=late)


MODELS = Control(
    "models",
    "a model serves with two approvals of its bytes, by others than who registered it",
    frozenset({P.APPROVE_MODEL}),
    (
        *("model_registry_modelversion", "model_registry_modelapproval", "model_registry_modelrelease"),
        *("model_registry_example", "model_registry_researchword"),
    ),
    _approves_model,
    "lead",
    mine={
        B.COMMAND: (
            run(
                "approved without a terminal",
                "predictor",
                "approve",
                "home_bp",
                "--by",
                "{other_clinician}",
                named="command: (signature_needed|approved_already)",
            ),
            run("released by an outsider", "predictor", "activate", "home_bp", "--by", "{outsider}"),
            run("approved by an outsider", "predictor", "approve", "home_bp", "--by", "{outsider}"),
        ),
        B.EXPIRED_APPROVAL: (Try("approved long ago", _approved_long_ago, "model_not_approved"),),
    },
    beside={
        B.SHELL: (
            Try(
                "by who registered it",
                lambda house: _approves_model(house, house.acting("engineer"), house.own, house.now),
                "not_allowed",
            ),
            Try(
                "released with no approval",
                lambda house: activate(house.own["version"], by=house.acting("lead"), now=house.now),
                "model_not_approved",
            ),
        ),
        B.RAW_SQL: FORGED["models"],
    },
)
MODELS.mine[B.STALE_FORM] = (
    gone_stale(
        MODELS,
        lambda house: approve_model(house.own["version"], by=house.acting("pharmacist"), now=house.now),
        "signature_not_taken",
    ),
)
MODELS.mine[B.SWAPPED_OBJECT] = elsewhere(MODELS)


# -- autonomy ----------------------------------------------------------------------------------------------------------


def _raises(_: House, by: Acting, o: Side, now: datetime) -> object:
    return sign_level(o["gate"].pk, by=by, now=now)


AUTONOMY = Control(
    "autonomy",
    "autonomy rises by two signatures of different roles over measured evidence",
    frozenset({P.RAISE_AUTONOMY}),
    ("governance_autonomygate", "governance_gatesignature", "governance_autonomystep", "governance_modelmeasurement"),
    _raises,
    "pharmacist",
    mine={
        B.EXPIRED_APPROVAL: NotHere("the evidence is measured anew at the second signature: no approval is waited for")
    },
    beside={
        B.SHELL: (
            Try(
                "by who asked",
                lambda house: _raises(house, house.acting("clinician"), house.own, house.now),
                "not_allowed",
            ),
            Try(
                "by another of the same role",
                lambda house: _raises(house, house.acting("other_clinician"), house.own, house.now),
                "not_allowed",
            ),
        ),
        B.RAW_SQL: FORGED["autonomy"],
    },
)
AUTONOMY.mine[B.STALE_FORM] = (
    gone_stale(
        AUTONOMY, lambda house: sign_level(house.own["gate"].pk, by=house.acting("lead"), now=house.now), "gate_over"
    ),
)
AUTONOMY.mine[B.SWAPPED_OBJECT] = elsewhere(AUTONOMY)


# -- stopping ----------------------------------------------------------------------------------------------------------


def _ends(_: House, by: Acting, o: Side, now: datetime) -> object:
    return end_suspension(o["suspension"].pk, reason="over", by=by, now=now)


STOPPING = Control(
    "stopping",
    "what a person stopped goes on again by two others with different roles",
    frozenset({P.THROW_SWITCH, P.END_SUSPENSION}),
    ("governance_suspension", "governance_suspensionend", "governance_suspensionendasked"),
    _ends,
    "officer",
    mine={
        B.COMMAND: (
            run(
                "without a terminal",
                "kill_switch",
                "end",
                "{suspension}",
                "--reason",
                "x",
                "--by",
                "{officer}",
                named="command: signature_needed",
            ),
            run("by who began it", "kill_switch", "end", "{suspension}", "--reason", "x", "--by", "{clinician}"),
            run("by an outsider", "kill_switch", "throw", "--reason", "x", "--by", "{outsider}"),
        ),
        B.EXPIRED_APPROVAL: NotHere("what was asked is undone by stopping again, at once and by anybody who may"),
    },
    beside={
        B.SHELL: (
            Try(
                "by who began it",
                lambda house: _ends(house, house.acting("clinician"), house.own, house.now),
                "not_allowed",
            ),
            Try(
                "by who asked",
                lambda house: _ends(house, house.acting("lead"), house.own, house.now),
                "second_person_needed",
            ),
        ),
        B.RAW_SQL: FORGED["stopping"],
    },
)
STOPPING.mine[B.STALE_FORM] = (
    gone_stale(
        STOPPING,
        lambda house: end_suspension(
            house.own["suspension"].pk, reason="x", by=house.acting("other_clinician"), now=house.now
        ),
        "not_found",
    ),
)
STOPPING.beside[B.SWAPPED_OBJECT] = elsewhere(STOPPING)


# -- findings ----------------------------------------------------------------------------------------------------------


def _closes(_: House, by: Acting, o: Side, now: datetime) -> object:
    return check_or_close(o["finding"].pk, FindingState.CLOSED, "looked at", by=by, now=now)


FINDINGS = Control(
    "findings",
    "a finding is closed by another person than who owns it, a critical one by two",
    frozenset({P.RAISE_FINDING, P.WORK_FINDING, P.CLOSE_FINDING, P.REPORT_INCIDENT, P.WORK_INCIDENT}),
    (
        *("governance_finding", "governance_findingevent", "governance_findingoccurrence", "governance_incident"),
        "governance_incidentevent",
    ),
    _closes,
    "lead",
    mine={B.EXPIRED_APPROVAL: NotHere("a check is of the correction as it stands; what recurs reopens the finding")},
    beside={
        B.SHELL: (
            Try(
                "by who checked it",
                lambda house: _closes(house, house.acting("auditor"), house.own, house.now),
                "not_allowed",
            ),
            Try(
                "by its owner",
                lambda house: _closes(house, house.acting("engineer"), house.own, house.now),
                "not_allowed",
            ),
        ),
        B.RAW_SQL: FORGED["findings"],
    },
)
FINDINGS.mine[B.STALE_FORM] = (
    gone_stale(
        FINDINGS,
        lambda house: hand_back(house.own["finding"].pk, "no", by=house.acting("auditor"), now=house.now),
        "finding",
    ),
)
FINDINGS.mine[B.SWAPPED_OBJECT] = elsewhere(FINDINGS)


OF_THE_SITE = (POLICIES, MODELS, AUTONOMY, STOPPING, FINDINGS)
