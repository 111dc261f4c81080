"""Rows made up or moved by SQL as the application's role, for each control: none of them commits (N5)."""

from __future__ import annotations

from collections.abc import Mapping

from tests.authority.trying import Try
from tests.authority.ways import row

FORGED: Mapping[str, tuple[Try, ...]] = {
    "decisions": (
        row(
            "approved by its head",
            "UPDATE care_loops_loop SET state = 'approved', version = version + 1",
            named="stands where its history does not",
        ),
        row(
            "a step made up",
            "INSERT INTO care_loops_step (seq, before, state, entered_at, actor_kind, actor_id, reason_code,"
            " entry, loop_id) SELECT seq + 1, state, 'delivered', entered_at, 'user', %s, '', entry, loop_id FROM"
            " care_loops_step WHERE state = 'with_clinician' LIMIT 1",
            "clinician",
            named="violates|without|not legal|cannot|no decision|follow",
        ),
    ),
    "limits": (
        row(
            "a target under another one's signature",
            "INSERT INTO care_loops_target (id, patient_id, systolic_below, diastolic_below, signed_by_id,"
            " signed_at, signature_id, entry) SELECT gen_random_uuid(), patient_id, 199, 119, signed_by_id,"
            " signed_at, signature_id, entry FROM care_loops_target LIMIT 1",
        ),
    ),
    "care": (
        row(
            "made milder",
            "UPDATE care_loops_alert SET severity = 'info'",
            named="only gets graver",
        ),
        row(
            "of no severity at all",
            "UPDATE care_loops_alert SET severity = 'x'",
            named="only gets graver",
        ),
        row(
            "graver without an entry",
            "UPDATE care_loops_alert SET level = level + 1",
        ),
        row(
            "its rules forgotten",
            "UPDATE care_loops_alert SET rules = '{}'",
            named="only gets graver",
        ),
        row(
            "acknowledged by hand",
            "UPDATE care_loops_alert SET acknowledged_at = now(), acknowledged_by_id = %s, escalates_at = NULL",
            "clinician",
            named="without an e",
        ),
        row(
            "closed under the event of something else",
            "WITH e AS (INSERT INTO care_loops_alertevent (kind, at, actor_kind, actor_id, evidence, code, text,"
            " entry, alert_id) SELECT 'disposed', at, 'user', %s, '', '', '', entry, alert_id FROM"
            " care_loops_alertevent LIMIT 1 RETURNING alert_id, at) UPDATE care_loops_alert a SET disposed_at ="
            " e.at, disposed_by_id = %s, escalates_at = NULL FROM e WHERE a.id = e.alert_id",
            "clinician",
            "clinician",
            named="without an e",
        ),
        row(
            "dead by hand",
            "UPDATE care_loops_patient SET died_at = now()",
        ),
        row(
            "a visit planned under another entry",
            "INSERT INTO care_loops_visitplan (due_on, rule, reason, planned_at, entry, patient_id) SELECT"
            " due_on, rule, reason, planned_at, entry, patient_id FROM care_loops_visitplan LIMIT 1",
            named="without an entry|of_one_entry",
        ),
    ),
    "reading": (
        row(
            "let into the team",
            "INSERT INTO care_loops_careteammember (patient_id, user_id, responsible, since, entry) SELECT"
            " patient_id, %s, FALSE, since, entry FROM care_loops_careteammember LIMIT 1",
            "outsider",
            named="without an entry|of_one_entry",
        ),
        row(
            "made a carer",
            "INSERT INTO care_loops_carerlink (patient_id, user_id, since, entry) SELECT patient_id, %s, since,"
            " entry FROM care_loops_carerlink LIMIT 1",
            "outsider",
            named="without an entry|of_one_entry",
        ),
        row(
            "responsible by hand",
            "UPDATE care_loops_careteammember SET responsible = NOT responsible",
        ),
        row(
            "an opening made longer",
            "UPDATE care_loops_breakglass SET ended_at = now(), ended_how = 'time'",
            named="without an entry|violates",
        ),
        row(
            "the account of a record",
            "UPDATE care_loops_patient SET account_id = %s",
            "outsider",
            named="has an account|without",
        ),
    ),
    "consent": (
        row(
            "agreed in the patient's name",
            "INSERT INTO care_loops_consent (patient_id, scope, given, at, by_id, text_version, text_sha256,"
            " entry) SELECT patient_id, 'research', TRUE, signed_at, %s, '', '', entry FROM care_loops_target"
            " LIMIT 1",
            "clinician",
        ),
    ),
    "policies": (
        row(
            "carried out by hand",
            "UPDATE governance_motion SET ended = 'carried_out', ended_at = asked_at WHERE id = %s",
            "motion",
            named="has no quorum",
        ),
        row(
            "an approval of another motion",
            "INSERT INTO governance_approval (id, motion_id, subject, digest, author_id, approver_id, role,"
            " approved_at, signature_id, entry) SELECT gen_random_uuid(), m.id, m.subject, m.digest, m.author_id,"
            " %s, 'clinician', m.asked_at, a.signature_id, a.entry FROM governance_motion m, governance_approval a"
            " WHERE m.id = %s LIMIT 1",
            "clinician",
            "motion",
            named="does not count|not signed|duplicate",
        ),
        row(
            "a version of nobody's motion",
            "INSERT INTO governance_policyversion (kind, subject, version, body, digest, author_id, reason,"
            " effective_from, signature_id, motion_id, entry) SELECT kind, subject, version + 1, body, digest,"
            " author_id, reason, effective_from, signature_id, motion_id, entry FROM governance_policyversion"
            " LIMIT 1",
            named="no quorum over this very version|was not put forward",
        ),
    ),
    "models": (
        row(
            "put to work by hand",
            "UPDATE model_registry_modelversion SET active = NOT active",
            named="without|approv|one_active",
        ),
        row(
            "an approval under another one's signature",
            "INSERT INTO model_registry_modelapproval (model_version_id, registered_by_id, approver_id, digest,"
            " approved_at, signature_id, entry) SELECT v.id, v.registered_by_id, %s, v.digest, a.approved_at,"
            " a.signature_id, a.entry FROM model_registry_modelversion v, model_registry_modelapproval a WHERE NOT"
            " v.active LIMIT 1",
            "lead",
            named="not signed|signed over|duplicate",
        ),
    ),
    "autonomy": (
        row(
            "raised by hand",
            "INSERT INTO governance_autonomystep (id, digest, cohort, action, seq, before, level, gate_id, rule,"
            " at, entry) SELECT DISTINCT ON (cohort, action) gen_random_uuid(), digest, cohort, action, seq + 1,"
            " level, 'within_boundary', %s::uuid, '', at, entry FROM governance_autonomystep ORDER BY cohort,"
            " action, seq DESC LIMIT 1",
            "gate",
            named="no entry of|nothing but a gate|follows the one before",
        ),
    ),
    "stopping": (
        row(
            "ended under the signature of who asked",
            "INSERT INTO governance_suspensionend (suspension_id, began_by_id, ended_by_id, role, reason,"
            " ended_at, signature_id, entry, asked_id) SELECT a.suspension_id, s.began_by_id, %s,"
            " 'compliance_officer', 'x', a.asked_at, a.signature_id, a.entry, a.id FROM"
            " governance_suspensionendasked a JOIN governance_suspension s ON s.id = a.suspension_id LIMIT 1",
            "officer",
            named="no entry of|not signed|signed over|duplicate",
        ),
    ),
    "findings": (
        row(
            "closed under the entry of the check",
            "INSERT INTO governance_findingevent (id, finding_id, seq, state, owner_id, due_at, action, said, at,"
            " by_id, signature_id, entry) SELECT gen_random_uuid(), finding_id, seq + 1, 'closed', owner_id,"
            " due_at, action, said, at, %s, signature_id, entry FROM governance_findingevent WHERE state ="
            " 'checked'",
            "lead",
            named="no entry of|not signed|signed over",
        ),
    ),
    "accounts": (
        row(
            "a role lent",
            "INSERT INTO governance_roleheld (user_id, role, since, entry) SELECT %s, 'clinician', since, entry"
            " FROM governance_roleheld LIMIT 1",
            "outsider",
        ),
        row(
            "a role kept",
            "UPDATE governance_roleheld SET until = now() WHERE until IS NULL",
        ),
        row(
            "granted by hand",
            "UPDATE governance_roleasked SET answered_at = now(), answered_by_id = %s, granted = TRUE",
            "admin",
        ),
        row(
            "accepted by hand",
            "UPDATE governance_invitation SET accepted_at = now(), accepted_by_id = %s WHERE accepted_at IS NULL",
            "outsider",
        ),
        row(
            "confirmed by hand",
            "INSERT INTO governance_credentialconfirmed (credential_id, ceremony, at, entry, by_id, owner_id)"
            " SELECT c.id, FALSE, c.enrolled_at, c.entry, %s, c.user_id FROM governance_credential c WHERE c.id"
            " NOT IN (SELECT credential_id FROM governance_credentialconfirmed) LIMIT 1",
            "admin",
        ),
        row(
            "a passkey of somebody else's",
            "INSERT INTO governance_credential (id, method, name, credential_id, public_key, aaguid, secret,"
            " enrolled_at, entry, user_id) SELECT gen_random_uuid(), method, name, 'forged', public_key, aaguid,"
            " secret, enrolled_at, entry, %s FROM governance_credential LIMIT 1",
            "clinician",
        ),
        row(
            "a session made up",
            "INSERT INTO governance_signedin (id, session_sha256, amr, agent, began_at, seen_at, end_reason,"
            " entry, user_id) SELECT gen_random_uuid(), repeat('a', 64), amr, agent, began_at, seen_at, '', entry,"
            " %s FROM governance_signedin LIMIT 1",
            "clinician",
        ),
        row(
            "a session brought back",
            "UPDATE governance_signedin SET ended_at = now(), end_reason = 'x'",
        ),
        row(
            "above the table",
            "UPDATE governance_user SET is_superuser = TRUE",
            named="above the table of permissions",
        ),
        row(
            "the admin's staff",
            "UPDATE governance_user SET is_staff = TRUE",
            named="above the table of permissions",
        ),
        row(
            "on call by hand",
            "INSERT INTO governance_oncallshift (id, rung, user_id, starts, ends, entry) SELECT"
            " gen_random_uuid(), rung, %s, starts, ends, entry FROM governance_oncallshift LIMIT 1",
            "outsider",
        ),
        row(
            "taken off call",
            "UPDATE governance_oncallshift SET called_off_at = now()",
        ),
    ),
}
