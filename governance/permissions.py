"""Who may: one table of permission × role × relation (ROL-01, SEC-01).

Rules
 * What is not in the table is not allowed.
 * A check raises its reason; the yes/no form is derived from it.
 * Service accounts, devices and models hold no role, so none of them can hold DECIDE (CLI-11).
 * When an act may happen is another question: see `policies` of the app that owns the act.
"""

from __future__ import annotations

from collections.abc import Callable

from .domain import NotAllowed, Permission, Relation, Role, Standing

P, R = Permission, Role
_TEAM = frozenset({Relation.CARE_TEAM})
_OWN = frozenset({Relation.OWN})
_SITE = frozenset({Relation.SITE})
_CARER = frozenset({Relation.CARER_OF})

TABLE: dict[tuple[Permission, Role], frozenset[Relation]] = {
    (P.READ_RECORD, R.CLINICIAN): _TEAM,
    (P.READ_RECORD, R.PHARMACIST): _TEAM,
    (P.READ_RECORD, R.PATIENT): _OWN,
    (P.READ_RECORD, R.CARER): _CARER,
    (P.DECIDE, R.CLINICIAN): _TEAM,
    (P.WRITE_ORDER, R.CLINICIAN): _TEAM,
    (P.RECALL, R.CLINICIAN): _TEAM,
    (P.SIGN_TARGET, R.CLINICIAN): _TEAM,
    (P.SIGN_BOUNDARY, R.CLINICIAN): _TEAM,
    (P.SIGN_ALERT_LIMITS, R.CLINICIAN): _TEAM,
    (P.CONFIRM_PRESCRIPTION, R.CLINICIAN): _TEAM,
    (P.CONFIRM_PRESCRIPTION, R.PHARMACIST): _TEAM,
    (P.ACKNOWLEDGE_ALERT, R.CLINICIAN): _TEAM,
    (P.ACKNOWLEDGE_ALERT, R.PHARMACIST): _TEAM,
    (P.DISPOSE_ALERT, R.CLINICIAN): _TEAM,
    (P.REVIEW_SYMPTOM, R.CLINICIAN): _TEAM,
    (P.PLAN_VISIT, R.CLINICIAN): _TEAM,
    (P.CORRECT_RECORD, R.CLINICIAN): _TEAM,
    (P.SEND_READING, R.PATIENT): _OWN,
    (P.SEND_READING, R.CARER): _CARER,
    (P.SEND_READING, R.CLINICIAN): _TEAM,
    (P.REPORT_SYMPTOM, R.PATIENT): _OWN,
    (P.REPORT_SYMPTOM, R.CARER): _CARER,
    (P.REPORT_SYMPTOM, R.CLINICIAN): _TEAM,
    (P.LOG_INTAKE, R.PATIENT): _OWN,
    (P.LOG_INTAKE, R.CARER): _CARER,
    (P.RESPOND, R.PATIENT): _OWN,
    (P.GIVE_CONSENT, R.PATIENT): _OWN,
    (P.SEE_WORKLIST, R.CLINICIAN): _SITE,
    (P.SEE_WORKLIST, R.PHARMACIST): _SITE,
    (P.ENROL_PATIENT, R.CLINICIAN): _SITE,
    (P.ENROL_PATIENT, R.ADMINISTRATOR): _SITE,
    (P.MERGE_PATIENTS, R.ADMINISTRATOR): _SITE,
    (P.MANAGE_STAFF, R.ADMINISTRATOR): _SITE,
    (P.CONFIRM_PEOPLE, R.ADMINISTRATOR): _SITE,
    (P.CONFIRM_PEOPLE, R.COMPLIANCE_OFFICER): _SITE,
    (P.CONFIRM_PEOPLE, R.SECURITY_PRIVACY_ENGINEER): _SITE,
    (P.ENROL_DEVICE, R.ADMINISTRATOR): _SITE,
    (P.ENROL_DEVICE, R.CLINICIAN): _SITE,
    (P.SET_POLICY, R.ADMINISTRATOR): _SITE,
    (P.APPROVE_MODEL, R.CLINICIAN): _SITE,
    (P.APPROVE_MODEL, R.PHARMACIST): _SITE,
    (P.APPROVE_MODEL, R.ML_ENGINEER): _SITE,
    (P.APPROVE_MODEL, R.RESPONSIBLE_AI_LEAD): _SITE,
    (P.VERIFY_RECORD, R.AUDITOR): _SITE,
    (P.VERIFY_RECORD, R.COMPLIANCE_OFFICER): _SITE,
    (P.SEARCH_RECORD, R.AUDITOR): _SITE,
    (P.SEARCH_RECORD, R.COMPLIANCE_OFFICER): _SITE,
    (P.SECOND_REVIEW, R.CLINICIAN): _TEAM,
    (P.SEE_QUARANTINE, R.CLINICIAN): _SITE,
    (P.SEE_QUARANTINE, R.ADMINISTRATOR): _SITE,
    (P.SEE_QUARANTINE, R.DATA_ENGINEER): _SITE,
    (P.EXPORT_AUDIT, R.AUDITOR): _SITE,
    (P.EXPORT_AUDIT, R.COMPLIANCE_OFFICER): _SITE,
    (P.EXPORT_AUDIT, R.CLINICIAN): _TEAM,
    (P.EXPORT_ACCESS_REPORT, R.AUDITOR): _SITE,
    (P.EXPORT_ACCESS_REPORT, R.COMPLIANCE_OFFICER): _SITE,
    (P.EXPORT_ACCESS_REPORT, R.PATIENT): _OWN,
}


def check(permission: Permission, who: Standing, relations: frozenset[Relation]) -> Role:
    """Return the role under which `who` may, or raise `NotAllowed` naming what is missing."""
    held = sorted(who.roles)
    for role in held:
        if TABLE.get((permission, role), frozenset()) & relations:
            return role
    if not held:
        raise NotAllowed("You are not signed in with any role.", permission=permission.value, missing="role")
    if any((permission, role) in TABLE for role in held):
        raise NotAllowed("You are not in this patient's care team.", permission=permission.value, missing="relation")
    raise NotAllowed(f"Your role does not allow: {permission.value}.", permission=permission.value, missing="role")


def allows(check_fn: Callable[..., object], *args: object, **kwargs: object) -> bool:
    """Whether a check passes: what a button asks. A service insists instead."""
    try:
        check_fn(*args, **kwargs)
    except NotAllowed:
        return False
    return True
