"""Roles, permissions and relations, and the three kinds of wrong.

Rules
 * A refusal is ours and is shown: it has a stable `code`, a sentence, and an HTTP status for the door to use.
 * A fault is the world's and is retried. A bug is the caller's and is left to crash.
 * A role is what a person is here for; a relation is what ties that person to one record. Neither alone suffices.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Refusal(Exception):
    """We say no, and say why. `code` is stable; `detail` is a sentence for people; `extra` is for machines."""

    code = "refused"
    status = 409

    def __init__(self, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class NotAllowed(Refusal):
    """This person may not do this, whatever the moment."""

    code = "not_allowed"
    status = 403


class NotFound(Refusal):
    """There is no such thing, or this person may not know of it: the answer is the same."""

    code = "not_found"
    status = 404


class BadInput(Refusal):
    """What was sent cannot be read as what it should be."""

    code = "bad_input"
    status = 400


class Fault(Exception):
    """The world failed: a store, a network, a neighbour. Try again."""


class Role(StrEnum):
    """What a person is here for (ROL-01, and the people of the loops)."""

    CLINICIAN = "clinician"
    PHARMACIST = "pharmacist"
    PATIENT = "patient"
    CARER = "carer"
    AUDITOR = "auditor"
    COMPLIANCE_OFFICER = "compliance_officer"
    ADMINISTRATOR = "administrator"
    DATA_ENGINEER = "data_engineer"
    DATA_SCIENTIST = "data_scientist"
    ML_ENGINEER = "ml_engineer"
    DEVOPS_ENGINEER = "devops_engineer"
    PROJECT_MANAGER = "project_manager"
    RESPONSIBLE_AI_LEAD = "responsible_ai_lead"
    SECURITY_PRIVACY_ENGINEER = "security_privacy_engineer"


STAFF_ROLES = frozenset(Role) - {Role.PATIENT, Role.CARER}


class Relation(StrEnum):
    """What ties a person to a record."""

    CARE_TEAM = "care_team"
    OWN = "own"
    CARER_OF = "carer_of"
    BREAK_GLASS = "break_glass"  # outside the care team, for a time, with an alarm: to read
    SITE = "site"  # no single record: the site as a whole


class Permission(StrEnum):
    """What can be done. One word, one act."""

    READ_RECORD = "read_record"
    BREAK_GLASS = "break_glass"
    REVIEW_BREAK_GLASS = "review_break_glass"
    DECIDE = "decide"
    WRITE_ORDER = "write_order"
    RECALL = "recall"
    SIGN_TARGET = "sign_target"
    SIGN_BOUNDARY = "sign_boundary"
    SIGN_ALERT_LIMITS = "sign_alert_limits"
    CONFIRM_PRESCRIPTION = "confirm_prescription"
    ACKNOWLEDGE_ALERT = "acknowledge_alert"
    DISPOSE_ALERT = "dispose_alert"
    REVIEW_SYMPTOM = "review_symptom"
    PLAN_VISIT = "plan_visit"
    CORRECT_RECORD = "correct_record"
    SEND_READING = "send_reading"
    REPORT_SYMPTOM = "report_symptom"
    LOG_INTAKE = "log_intake"
    RESPOND = "respond"
    GIVE_CONSENT = "give_consent"
    SEE_WORKLIST = "see_worklist"
    ENROL_PATIENT = "enrol_patient"
    INVITE_TO_RECORD = "invite_to_record"
    MANAGE_CARE_TEAM = "manage_care_team"
    MERGE_PATIENTS = "merge_patients"
    MANAGE_STAFF = "manage_staff"
    CONFIRM_PEOPLE = "confirm_people"
    ENROL_DEVICE = "enrol_device"
    SET_POLICY = "set_policy"
    SEE_POLICIES = "see_policies"
    GIVE_APPROVAL = "give_approval"
    APPROVE_MODEL = "approve_model"
    VERIFY_RECORD = "verify_record"
    SEARCH_RECORD = "search_record"
    SECOND_REVIEW = "second_review"
    SEE_QUARANTINE = "see_quarantine"
    MANAGE_COVER = "manage_cover"
    STAND_IN = "stand_in"
    SEE_COVER = "see_cover"
    EXPORT_AUDIT = "export_audit"
    EXPORT_ACCESS_REPORT = "export_access_report"
    SEE_OVERSIGHT = "see_oversight"
    THROW_SWITCH = "throw_switch"
    END_SUSPENSION = "end_suspension"
    RAISE_FINDING = "raise_finding"
    WORK_FINDING = "work_finding"
    CLOSE_FINDING = "close_finding"
    REPORT_INCIDENT = "report_incident"
    WORK_INCIDENT = "work_incident"
    REPORT_ADVERSE_EVENT = "report_adverse_event"
    RAISE_AUTONOMY = "raise_autonomy"
    SEE_DECISION_FIGURES = "see_decision_figures"
    SEE_OWN_DECISIONS = "see_own_decisions"


class Method(StrEnum):
    """What a person shows besides a password."""

    WEBAUTHN = "webauthn"
    TOTP = "totp"
    RECOVERY_CODES = "recovery_codes"


class Amr(StrEnum):
    """How a person was recognised, in the words that stand in an entry (`actor.amr`)."""

    PASSWORD = "pwd"  # noqa: S105  (a word of RFC 8176)
    PASSKEY = "webauthn"  # with user verification: possession and a second factor in one act
    CODE = "otp"
    RECOVERY = "recovery_code"
    INVITATION = "invitation"  # the link that an invitation or a way back gave: it leads to enrolment, and no further


@dataclass(frozen=True, slots=True)
class Presence:
    """How somebody came in: the session or token by name, what they showed, and when."""

    session: str
    amr: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person is, at one moment: identifier, roles held. Anonymous has none."""

    person_id: str
    roles: frozenset[Role]
    name: str = ""


@dataclass(frozen=True, slots=True)
class OfPatient:
    """A row is about the patient in `column`; whoever stands in `or_own` sees it too, being named in it."""

    column: str
    or_own: str = ""


@dataclass(frozen=True, slots=True)
class Through:
    """A row is about whom the row of `table` is about, which its `column` names.

    `rides`: it may be written in one statement with that row, which is not to be seen then.
    """

    column: str
    table: str
    rides: bool = False


SeenBy = OfPatient | Through
