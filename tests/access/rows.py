"""One row for every route of the house: who is let in. `test_matrix.py` tries each with everybody and every object.

A new route needs a row here, or the build fails:

    page("worklist", get=P.SEE_WORKLIST)                   a page of staff that asks for this permission
    page("patient", of="patient", get=P.READ_RECORD)       and whose address names an object of this kind
    page("person", of="user", get=P.MANAGE_STAFF)          the same; kinds are in `KINDS`
    page("people", get=(P.MANAGE_STAFF, P.CONFIRM_PEOPLE)) any one of these permissions will do
    page("start-page", get=ANY)                            any member of staff
    own("security", get=ANY)                               whoever is signed in, about themself
    api("api-worklist", get=P.SEE_WORKLIST)                a tool's door: session, or token with the scope `staff`
    phone("api-me-today", get=P.READ_RECORD)               a phone's door: scope `patient`, `?patient=` names the record
    anybody("health-live", get=ANY)                        no sign-in at all
    nobody(...)                                            closed to everyone who can exist

What is not named (`post=`, ...) must be answered 405. What a cell must be follows from the row and from
`governance.permissions.TABLE`; nothing is said here a second time. `sends` is the form or body that gets an allowed
person past the reading of it; `ok` are other answers than usual that mean "was let in". `shown_on` names the page on
which its form or link stands: it is shown exactly to whom it is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from governance.domain import Permission, Relation
from tests.factories import PASSWORD

P = Permission
Needs = tuple[Permission, ...]
ANY: Needs = ()
TEAM = frozenset({Relation.CARE_TEAM, Relation.OWN, Relation.CARER_OF})


class Gate(Enum):
    """What kind of door it is."""

    ANYBODY = "anybody"
    OWN = "signed in"
    STAFF = "staff"
    API = "api"
    PHONE = "phone"
    DEVICE = "device"
    NOBODY = "nobody"


class Kind(Enum):
    """To whom an object belongs: to a patient, to the site, or to one person."""

    RECORD = "record"
    SITE = "site"
    PERSON = "person"
    OPEN = "open"


KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("patient", "loop", "alert", "symptom", "reading", "review", "consent_entry"), Kind.RECORD),
    **dict.fromkeys(
        ("user", "waiting_credential", "asked_role", "entry", "opening", "shift", "motion", "policy_kind"), Kind.SITE
    ),
    **dict.fromkeys(("own_credential", "session", "challenge", "export", "own_opening", "contact"), Kind.PERSON),
    **dict.fromkeys(("invitation", "way_back", "rest", "any_record", "any_shift"), Kind.OPEN),
    **dict.fromkeys(("suspension", "finding", "incident", "gate", "version"), Kind.SITE),
    "admin": Kind.SITE,
    "version": Kind.SITE,
}


@dataclass(frozen=True, slots=True)
class Row:
    """What a route is, and what it asks for, by method."""

    name: str
    gate: Gate
    needs: Mapping[str, Needs]
    of: str = ""
    sends: Mapping[str, object] = field(default_factory=dict)
    ok: frozenset[int] = frozenset()
    shown_on: str = ""
    within: frozenset[int] = frozenset()  # answers of the act itself to who was let in: another person is needed
    few: bool = False  # tried with a few people only: slow, and the same for everybody
    asks_first: bool = False  # for the sign-in, then for the method
    enrolment: bool = False  # open to staff who have shown one factor, to enrol the second


def _row(gate: Gate, name: str, get: object, post: object, more: dict[str, object]) -> Row:
    needs: dict[str, Needs] = {}
    for methods, asked in ((("GET", "HEAD"), get), (("POST",), post)):
        if asked is not None:
            held = (asked,) if isinstance(asked, Permission) else tuple(asked)  # type: ignore[arg-type]
            needs |= dict.fromkeys(methods, held)
    for answers in ("ok", "within"):
        more[answers] = frozenset(more.get(answers, ()))  # type: ignore[call-overload]
    return Row(name, gate, needs, **more)  # type: ignore[arg-type]


def page(name: str, *, get: object = None, post: object = None, **more: object) -> Row:
    """A page of staff."""
    return _row(Gate.STAFF, name, get, post, more)


def own(name: str, *, get: object = None, post: object = None, **more: object) -> Row:
    """A page about whoever is signed in."""
    return _row(Gate.OWN, name, get, post, more)


def api(name: str, *, get: object = None, post: object = None, **more: object) -> Row:
    """A door for the tools of staff."""
    return _row(Gate.API, name, get, post, more)


def phone(name: str, *, get: object = None, post: object = None, **more: object) -> Row:
    """A door for phones: the object is in the address, else `?patient=` names the record."""
    return _row(Gate.PHONE, name, get, post, {"of": "patient"} | more)


def anybody(name: str, *, get: object = None, post: object = None, **more: object) -> Row:
    """A door without a lock."""
    return _row(Gate.ANYBODY, name, get, post, more)


def device(name: str, *, post: object = None, **more: object) -> Row:
    """A door for devices: the signature over the message is the way in, and nothing else is."""
    return _row(Gate.DEVICE, name, None, post, more)


def nobody(name: str, *, get: object = None, post: object = None, **more: object) -> Row:
    """A door that opens for nobody who can exist in this house."""
    return _row(Gate.NOBODY, name, get, post, more)


WITH_PASSWORD = {"password": PASSWORD}
CHANGES_PEOPLE = (P.MANAGE_STAFF, P.CONFIRM_PEOPLE)

HOUSE = (
    anybody("health-live", get=ANY),
    anybody("health-ready", get=ANY),
    anybody("metrics", get=ANY),
    anybody("start", get=ANY, ok=(302,)),
    anybody("record-verify", get=ANY),
)
SIGNING_IN = (
    anybody("account_login", get=ANY, post=ANY, ok=(302,), enrolment=True),
    anybody("account_logout", get=ANY, post=ANY, ok=(302,), enrolment=True),
    anybody("account_inactive", get=ANY, post=None),
    anybody("mfa_authenticate", get=ANY, post=ANY, ok=(302,)),
    anybody("passkey-options", post=ANY),
    anybody("passkey-sign-in", post=ANY),
    anybody("sign-in-help", get=ANY),
    anybody("way-back", of="way_back", get=ANY, post=ANY, ok=(410,), enrolment=True),
    anybody("invitation", of="invitation", get=ANY, post=ANY, ok=(410,), enrolment=True),
)
SECURITY = (
    own("security", get=ANY, enrolment=True),
    own("security-passkey-options", post=ANY, enrolment=True),
    own("security-passkey", post=ANY, enrolment=True),
    own("security-code", get=ANY, post=ANY, enrolment=True),
    own("security-recovery-codes", post=ANY, sends=WITH_PASSWORD),
    own("security-remove", of="own_credential", post=ANY, sends=WITH_PASSWORD),
    own("security-end-session", of="session", post=ANY),
    own("security-end-others", post=ANY),
    own("security-password", post=ANY),
    own("me", get=ANY),
    own("my-consents", get=P.GIVE_CONSENT, post=P.GIVE_CONSENT),
    own("my-consent-receipt", of="consent_entry", get=P.GIVE_CONSENT),
)
PEOPLE = (
    page("people", get=CHANGES_PEOPLE),
    page("people-invite", get=P.MANAGE_STAFF, post=P.MANAGE_STAFF, shown_on="people"),
    page("people-waiting", get=P.CONFIRM_PEOPLE, shown_on="people"),
    page("people-confirm", of="waiting_credential", post=P.CONFIRM_PEOPLE, shown_on="people-waiting"),
    page("people-answer-role", of="asked_role", post=P.CONFIRM_PEOPLE, sends={"answer": "refuse"}),
    page("person", of="user", get=P.MANAGE_STAFF, shown_on="people"),
    page("person-roles", of="user", post=P.MANAGE_STAFF, shown_on="person"),
    page("person-end-sessions", of="user", post=P.MANAGE_STAFF, shown_on="person"),
    page("person-way-back", of="user", get=P.MANAGE_STAFF, post=P.MANAGE_STAFF),
    page("person-leaves", of="user", get=P.MANAGE_STAFF, post=P.MANAGE_STAFF, shown_on="person"),
    page("enrol-patient", get=P.ENROL_PATIENT, post=P.ENROL_PATIENT),
    page("invite-to-record", get=P.INVITE_TO_RECORD, post=P.INVITE_TO_RECORD),
)
CARE = (
    page("worklist", get=P.SEE_WORKLIST),
    page("alerts", get=P.SEE_WORKLIST),
    page("quarantine", get=P.SEE_QUARANTINE),
    page("refused-from-devices", get=P.SEE_QUARANTINE),
    page("patient", of="patient", get=P.READ_RECORD),
    page("patient-trend", of="patient", get=P.READ_RECORD),
    page("patient-target", of="patient", get=P.SIGN_TARGET, post=P.SIGN_TARGET, shown_on="patient"),
    page("patient-boundary", of="patient", get=P.SIGN_BOUNDARY, post=P.SIGN_BOUNDARY, shown_on="patient"),
    page("patient-boundary-waiting", of="patient", get=P.READ_RECORD, post=P.READ_RECORD, within=(403, 404, 409)),
    page("patient-alert-limits", of="patient", get=P.SIGN_ALERT_LIMITS, post=P.SIGN_ALERT_LIMITS, shown_on="patient"),
    page("patient-order", of="patient", get=P.WRITE_ORDER, post=P.WRITE_ORDER, shown_on="patient"),
    page("patient-no-medicines", of="patient", post=P.CONFIRM_PRESCRIPTION),
    page("patient-visit", of="patient", post=P.PLAN_VISIT, shown_on="patient"),
    page("patient-visit-outcome", of="patient", post=P.PLAN_VISIT, shown_on="patient"),
    page("recommendation", of="loop", get=P.READ_RECORD, post=P.DECIDE),
    page("first-answer", of="loop", post=P.DECIDE),
    page("decision-receipt", of="loop", get=P.READ_RECORD),
    page("recommendation-recall", of="loop", post=P.RECALL, shown_on="recommendation"),
    page("alert-acknowledge", of="alert", post=P.ACKNOWLEDGE_ALERT, shown_on="patient"),
    page("alert-dispose", of="alert", post=P.DISPOSE_ALERT, shown_on="patient"),
    page("symptom-review", of="symptom", post=P.REVIEW_SYMPTOM, shown_on="patient"),
    page("reading-correct", of="reading", post=P.CORRECT_RECORD, shown_on="patient"),
    page("models", get=P.APPROVE_MODEL),
    page("model", of="version", get=P.APPROVE_MODEL),
    page("model-approve", of="version", post=P.APPROVE_MODEL, shown_on="model", ok=(409,), within=(403,)),
    page("model-release", of="version", post=P.APPROVE_MODEL, ok=(409,)),
    page("second-reviews", get=(P.SECOND_REVIEW, P.VERIFY_RECORD)),
    page("second-review", of="review", get=P.SECOND_REVIEW, post=P.SECOND_REVIEW, shown_on="second-reviews"),
    page("second-review-verdict", of="review", post=P.SECOND_REVIEW),
)
GLASS = (
    page("break-glass", get=(P.BREAK_GLASS, P.REVIEW_BREAK_GLASS), post=P.BREAK_GLASS),
    page("break-glass-end", of="own_opening", post=P.BREAK_GLASS),
    page("break-glass-review", of="opening", get=P.REVIEW_BREAK_GLASS, post=P.REVIEW_BREAK_GLASS),
    api("api-break-glass", of="any_record", post=P.BREAK_GLASS),
    api("api-break-glass-openings", get=P.BREAK_GLASS),
    api("api-break-glass-end", of="own_opening", post=P.BREAK_GLASS),
)
POLICIES = (
    page("policies", get=P.SEE_POLICIES),
    page("policy", of="policy_kind", get=P.SEE_POLICIES),
    page("policy-put", of="policy_kind", get=P.SET_POLICY, post=P.SET_POLICY, shown_on="policy"),
    page("policy-motion", of="motion", get=P.SEE_POLICIES),
    page("policy-approve", of="motion", post=P.GIVE_APPROVAL, within=(403,)),
    page("policy-end", of="motion", post=(P.GIVE_APPROVAL, P.SET_POLICY), within=(403,)),
    page("policy-what-if", of="motion", get=P.SEE_POLICIES),
)
COVER = (
    page("cover", get=P.SEE_COVER),
    page("cover-add", post=P.MANAGE_COVER, shown_on="cover"),
    page("cover-off", of="shift", post=P.MANAGE_COVER, shown_on="cover"),
    page("cover-stand-in", of="any_shift", post=P.STAND_IN),
    page("cover-test", post=P.STAND_IN, shown_on="cover"),
    own("reach", get=ANY),
    own("reach-add", post=ANY),
    own("reach-confirm", of="contact", post=ANY),
    own("reach-end", of="contact", post=ANY),
    nobody("sms-receipt", post=ANY),  # by the gateway's signature alone
)
OVERSIGHT = (
    page("oversight", get=P.SEE_OVERSIGHT, post=P.THROW_SWITCH),
    page("suspension-end", of="suspension", get=P.END_SUSPENSION, post=P.END_SUSPENSION, within=(403,)),
    page("findings", get=P.SEE_OVERSIGHT),
    page("finding-new", get=P.RAISE_FINDING, post=P.RAISE_FINDING, shown_on="findings"),
    page("finding", of="finding", get=P.SEE_OVERSIGHT),
    page("finding-own", of="finding", get=P.WORK_FINDING, post=P.WORK_FINDING, shown_on="finding"),
    page("finding-action", of="finding", get=P.WORK_FINDING, post=P.WORK_FINDING, within=(403,)),
    page("finding-back", of="finding", get=P.CLOSE_FINDING, post=P.CLOSE_FINDING),
    page("finding-check", of="finding", get=P.CLOSE_FINDING, post=P.CLOSE_FINDING, within=(403,)),
    page("finding-close", of="finding", get=P.CLOSE_FINDING, post=P.CLOSE_FINDING, within=(403,)),
    page("incidents", get=P.SEE_OVERSIGHT),
    page("incident-new", get=P.REPORT_INCIDENT, post=P.REPORT_INCIDENT, shown_on="incidents"),
    page("incident", of="incident", get=P.SEE_OVERSIGHT),
    page("incident-step", of="incident", get=P.WORK_INCIDENT, post=P.WORK_INCIDENT, shown_on="incident"),
    page("incident-export", of="incident", get=P.EXPORT_AUDIT),
    page("adverse-events", get=P.SEE_OVERSIGHT),
    page("adverse-event-new", of="patient", get=P.REPORT_ADVERSE_EVENT, post=P.REPORT_ADVERSE_EVENT),
    page("autonomy", get=P.SEE_OVERSIGHT),
    page("decision-figures", get=P.SEE_DECISION_FIGURES, shown_on="oversight"),
    page("own-decisions", get=P.SEE_OWN_DECISIONS, shown_on="oversight"),
    page("autonomy-ask", of="version", get=P.RAISE_AUTONOMY, post=P.RAISE_AUTONOMY, shown_on="autonomy"),
    page("autonomy-sign", of="gate", get=P.RAISE_AUTONOMY, post=P.RAISE_AUTONOMY, within=(403,)),
)
RECORD = (
    page("record", get=P.VERIFY_RECORD),
    page("record-search", get=P.SEARCH_RECORD),
    page("record-entry", of="entry", get=P.SEARCH_RECORD),
    page("record-proof", of="entry", get=P.SEARCH_RECORD),
    page("record-content", of="entry", get=P.SEARCH_RECORD),
    page("record-patients", get=P.SEARCH_RECORD, post=P.SEARCH_RECORD),
    page("record-exports", get=(P.EXPORT_AUDIT, P.EXPORT_ACCESS_REPORT), post=(P.EXPORT_AUDIT, P.EXPORT_ACCESS_REPORT)),
    page("record-export-file", of="export", post=(P.EXPORT_AUDIT, P.EXPORT_ACCESS_REPORT)),
    anybody("signing-options", of="challenge", post=ANY),  # somebody else's, or nobody's, is none
)
PROGRAMS = (
    api("api-worklist", get=P.SEE_WORKLIST),
    api("api-recommendation", of="loop", get=P.READ_RECORD),
    api("api-decide", of="loop", post=P.DECIDE),
    api("api-first-answer", of="loop", post=P.DECIDE),
    api("api-orders", of="patient", post=P.WRITE_ORDER),
    api("api-alert-limits", of="patient", post=P.SIGN_ALERT_LIMITS),
    api("api-visits", of="patient", post=P.PLAN_VISIT),
    api("api-acknowledge", of="alert", post=P.ACKNOWLEDGE_ALERT),
    api("api-dispose", of="alert", post=P.DISPOSE_ALERT),
    phone("api-me", get=ANY, of=""),
    phone("api-me-today", get=P.READ_RECORD),
    phone("api-me-history", get=P.READ_RECORD),
    phone("api-me-recommendations", get=P.READ_RECORD),
    phone("api-me-recommendation", of="loop", get=P.READ_RECORD),
    phone("api-me-accept", of="loop", post=P.RESPOND),
    phone("api-me-decline", of="loop", post=P.RESPOND),
    phone("api-me-ask-person", of="loop", post=P.RESPOND),
    phone("api-me-readings", get=P.READ_RECORD, post=P.SEND_READING),
    phone("api-me-symptoms", post=P.REPORT_SYMPTOM),
    phone("api-me-intakes", get=P.READ_RECORD, post=P.LOG_INTAKE),
    phone("api-me-consents", get=P.READ_RECORD, post=P.GIVE_CONSENT),
    phone("api-me-consent-receipt", of="consent_entry", get=P.READ_RECORD),
    api("device-refused", get=P.SEE_QUARANTINE),
    device("device-batches", post=ANY),
    nobody("device-enrol", post=ANY),
    nobody("/api/v1/<path:rest>", of="rest", get=ANY, post=ANY),
    anybody("schema", get=ANY, few=True),
    anybody("api-docs", get=ANY, few=True),
)
OAUTH = (
    own("oauth2_provider:authorize", get=ANY, post=ANY, ok=(400,), asks_first=True),
    anybody("oauth2_provider:token", post=ANY, ok=(400, 401)),
    anybody("oauth2_provider:revoke-token", post=ANY, ok=(400, 401)),
)
ALL = (HOUSE, SIGNING_IN, SECURITY, PEOPLE, CARE, GLASS, POLICIES, COVER, OVERSIGHT, RECORD, PROGRAMS, OAUTH)
ROWS: Mapping[str, Row] = {row.name: row for group in ALL for row in group}
