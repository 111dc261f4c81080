"""No version of a policy without its motion and its quorum, over this very body (GOV-04; decision 74).

Rules
 * The body, its version, its kind and subject, its author and the moment from which it holds are those of the motion.
 * Only a mode that stops its pathway, or switches it off, comes with its author's signature alone.
 * The author's signature is the motion's; the approvals are signed each. Rows of before stay as they are.
"""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import signed_row

BY_QUORUM = r"""
CREATE FUNCTION governance_policy_by_quorum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    put record;
    content jsonb;
    stops boolean;
    named text;
BEGIN
    SELECT * INTO put FROM governance_motion WHERE id = NEW.motion_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'policy %:% was not put forward', NEW.kind, NEW.subject USING ERRCODE = 'check_violation';
    END IF;
    content := put.said::jsonb -> 'content';
    stops := put.of = NEW.kind || '.stop';
    named := 'policy:' || NEW.kind || ':' || NEW.subject || (CASE WHEN stops THEN ':stop' ELSE '' END);
    IF put.act <> 'policy' OR NOT (stops OR put.of = NEW.kind)
       OR put.subject <> named
       OR put.author_id IS DISTINCT FROM NEW.author_id OR put.signature_id IS DISTINCT FROM NEW.signature_id
       OR content ->> 'kind' <> NEW.kind OR content ->> 'subject' <> NEW.subject
       OR content ->> 'version' <> NEW.version::text OR content -> 'body' <> NEW.body::jsonb
       OR NEW.digest <> encode(sha256(convert_to(NEW.body, 'UTF8')), 'hex')
       OR (stops AND NOT (NEW.body::jsonb ->> 'stopped' = 'true' OR NEW.body::jsonb ->> 'mode' = 'off'))
       OR NEW.effective_from < put.asked_at
       OR (content ->> 'effective_from' <> 'on_approval'
           AND NEW.effective_from < (content ->> 'effective_from')::timestamptz)
       OR EXISTS (
            SELECT 1 FROM governance_approval a WHERE a.motion_id = put.id AND a.approved_at > NEW.effective_from
       )
       OR put.ended <> 'carried_out' OR NOT governance_quorum_met(put.id)
    THEN
        RAISE EXCEPTION 'policy %:% has no quorum over this very version', NEW.kind, NEW.subject
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER governance_policy_by_quorum BEFORE INSERT ON governance_policyversion
    FOR EACH ROW EXECUTE FUNCTION governance_policy_by_quorum();
ALTER TABLE governance_policyversion ENABLE ALWAYS TRIGGER governance_policy_by_quorum;
"""


class Migration(migrations.Migration):
    """Another trigger for signatures, and the trigger of the quorum."""

    dependencies = [("governance", "0010_quorum")]

    operations = [
        migrations.RunSQL(
            sql="DROP TRIGGER governance_policyversion_is_signed ON governance_policyversion",
            reverse_sql=signed_row(
                "governance_policyversion", "policy.activated", signer="author_id", of=("kind", "subject"), version="version"
            ).sql,
        ),
        signed_row("governance_policyversion", "approval.requested", signer="author_id", of=("motion_id",)),
        migrations.RunSQL(sql=BY_QUORUM, reverse_sql="DROP FUNCTION governance_policy_by_quorum() CASCADE"),
    ]
