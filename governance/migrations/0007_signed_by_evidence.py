"""No signature without its evidence, and no policy without its signature (SECURITY 2.3 A9, 3.4; 21 CFR 11.70, 11.200).

Rules
 * A new signature is a passkey's or by password and code; rows of before, attested by a session, stay readable.
 * Evidence answers to its signature: the digest of the record, the challenge made of it, the signer's own confirmed
   credential. One assertion and one nonce serve one signature. That the assertion itself is good only the service and
   the offline verifier can say: PostgreSQL knows no elliptic curve.
"""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from governance.migrations_sql import signed_row, signing_function

EVIDENCE = r"""
CREATE FUNCTION governance_evidence_answers() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    context bytea := convert_to('clinaiops/esign/v1', 'UTF8');
    record_hash bytea := sha256(context || NEW.record);
    signed record;
    good boolean;
BEGIN
    SELECT s.method, s.signer_id, s.record_digest, s.entry, c.method AS credential_method, c.user_id, c.public_key INTO signed
        FROM governance_signature s JOIN governance_credential c ON c.id = NEW.credential_id
        WHERE s.id = NEW.signature_id AND EXISTS (
            SELECT 1 FROM governance_credentialconfirmed f WHERE f.credential_id = c.id
        ) AND NOT EXISTS (SELECT 1 FROM governance_credentialrevoked r WHERE r.credential_id = c.id);
    good := FOUND AND signed.user_id = signed.signer_id AND signed.entry = NEW.entry
        AND signed.record_digest = encode(record_hash, 'hex') AND length(NEW.nonce) = 32;
    IF signed.method = 'webauthn' THEN
        good := good AND signed.credential_method = 'webauthn' AND NEW.public_key = signed.public_key
            AND length(NEW.assertion) > 0 AND length(NEW.authenticator_data) >= 37
            AND get_byte(NEW.authenticator_data, 32) & 5 = 5
            AND convert_from(NEW.client_data, 'UTF8')::jsonb ->> 'challenge' = rtrim(translate(
                encode(sha256(context || record_hash || NEW.nonce), 'base64'), '+/', '-_'), '=');
    ELSE
        good := good AND signed.method = 'password_totp' AND signed.credential_method = 'totp'
            AND num_nonnulls(NEW.client_data, NEW.authenticator_data, NEW.assertion) = 0;
    END IF;
    IF good IS NOT TRUE THEN
        RAISE EXCEPTION 'the evidence of signature % does not answer to it', NEW.signature_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER governance_evidence_answers BEFORE INSERT ON governance_signatureevidence
    FOR EACH ROW EXECUTE FUNCTION governance_evidence_answers();
ALTER TABLE governance_signatureevidence ENABLE ALWAYS TRIGGER governance_evidence_answers;

CREATE FUNCTION governance_signature_has_evidence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.method NOT IN ('webauthn', 'password_totp')
       OR NOT EXISTS (SELECT 1 FROM governance_signatureevidence e WHERE e.signature_id = NEW.id) THEN
        RAISE EXCEPTION 'signature % by % has no evidence', NEW.id, NEW.method USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER governance_signature_has_evidence AFTER INSERT ON governance_signature
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION governance_signature_has_evidence();
ALTER TABLE governance_signature ENABLE ALWAYS TRIGGER governance_signature_has_evidence;
"""


class Migration(migrations.Migration):
    """Columns, and the triggers that hold them."""

    dependencies = [("governance", "0006_moves_have_entries")]

    operations = [
        migrations.AddField(
            model_name="policyversion",
            name="signature",
            field=models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="governance.signature"
            ),
        ),
        migrations.AddField(
            model_name="signingchallenge",
            name="content",
            field=models.BinaryField(default=b""),
        ),
        migrations.AddField(
            model_name="signingchallenge",
            name="content_salt",
            field=models.BinaryField(default=b""),
        ),
        migrations.AddConstraint(
            model_name="signatureevidence",
            constraint=models.UniqueConstraint(fields=("nonce",), name="signature_nonce_once"),
        ),
        migrations.AddConstraint(
            model_name="signatureevidence",
            constraint=models.UniqueConstraint(fields=("assertion",), name="signature_assertion_once"),
        ),
        migrations.RunSQL(
            sql=EVIDENCE,
            reverse_sql=[
                "DROP FUNCTION governance_evidence_answers() CASCADE",
                "DROP FUNCTION governance_signature_has_evidence() CASCADE",
            ],
        ),
        signing_function(),
        signed_row(
            "governance_policyversion",
            "policy.activated",
            signer="author_id",
            of=("kind", "subject"),
            version="version",
        ),
    ]
