"""Legal holds: what is under one is not destroyed, purged or detached, whoever asks.

The rules, held by triggers that fire for a replica too (21 CFR 11.10(c), 45 CFR 164.316(b)(2))
 * A hold comes open, only beside a `hold.placed` entry that names it and is about the same person. It ends once, only
   beside a `hold.released` entry. Nothing else of it changes; no row leaves.
 * While a hold on a person, or on everything, is open, no key of that person is destroyed and no payload's key leaves.
   Who places a hold waits for those who are just destroying, and they for it (an advisory lock).
"""

import django.db.models.functions.datetime
from django.db import migrations, models

import audit.migrations_sql

FUNCTIONS = """
CREATE FUNCTION audit_held(who text) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
    SELECT string_agg(name, ', ' ORDER BY name) FROM audit_legalhold
    WHERE released_at IS NULL AND (subject IS NULL OR subject = who)
$$;

CREATE FUNCTION audit_legalhold_comes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1264);
    IF NEW.released_at IS NOT NULL OR NEW.name !~ '^[A-Za-z0-9_.:@/-]{1,128}$' OR NOT EXISTS (
        SELECT 1 FROM audit_pending p,
            LATERAL (SELECT split_part(convert_from(p.leaf, 'UTF8'), E'\\n', 3)::jsonb AS said) x
        WHERE p.txid = pg_current_xact_id() AND said ->> 'type' = 'hold.placed'
          AND said #>> '{object,type}' = 'hold' AND said #>> '{object,id}' = NEW.name
          AND said ->> 'subject' IS NOT DISTINCT FROM NEW.subject) THEN
        RAISE EXCEPTION 'no entry of this transaction places the hold %', NEW.name
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION audit_legalhold_ends() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
BEGIN
    IF OLD.released_at IS NOT NULL OR NEW.released_at IS NULL OR NEW.name <> OLD.name
       OR NEW.subject IS DISTINCT FROM OLD.subject OR NEW.placed_at <> OLD.placed_at THEN
        RAISE EXCEPTION 'the hold % only ends, once', OLD.name USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NOT audit_said('hold.released', 'hold', OLD.name) THEN
        RAISE EXCEPTION 'no entry says that the hold % is released', OLD.name
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION audit_datakey_held() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1264);
    IF NEW.destroyed_at IS NOT NULL AND audit_held(OLD.subject) IS NOT NULL THEN
        RAISE EXCEPTION 'data key % is under legal hold: %', OLD.id, audit_held(OLD.subject)
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION audit_payloadkey_held() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
DECLARE
    held text;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1264);
    SELECT audit_held(d.subject) INTO held FROM audit_datakey d WHERE d.id = OLD.dek_id;
    IF held IS NOT NULL THEN
        RAISE EXCEPTION 'payload % is under legal hold: %', OLD.payload_id, held
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN OLD;
END $$;
"""
TRIGGERS = (
    ("audit_legalhold", "audit_legalhold_comes", "INSERT", "ROW", "audit_legalhold_comes"),
    ("audit_legalhold", "audit_legalhold_ends", "UPDATE", "ROW", "audit_legalhold_ends"),
    ("audit_legalhold", "audit_legalhold_stays", "DELETE", "ROW", "audit_refuse"),
    ("audit_legalhold", "audit_legalhold_no_truncate", "TRUNCATE", "STATEMENT", "audit_refuse"),
    ("audit_datakey", "audit_datakey_held", "UPDATE", "ROW", "audit_datakey_held"),
    ("audit_payloadkey", "audit_payloadkey_held", "DELETE", "ROW", "audit_payloadkey_held"),
)


class Migration(migrations.Migration):
    """Legal holds."""

    dependencies = [("audit", "0006_exports_report")]
    operations = [
        migrations.CreateModel(
            name="LegalHold",
            fields=[
                ("name", models.CharField(max_length=128, primary_key=True, serialize=False)),
                ("subject", models.CharField(max_length=64, null=True)),
                ("placed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("released_at", models.DateTimeField(null=True)),
            ],
        ),
        audit.migrations_sql.make_guards(FUNCTIONS, TRIGGERS),
        migrations.RunPython(audit.migrations_sql.set_rights, migrations.RunPython.noop),
    ]
