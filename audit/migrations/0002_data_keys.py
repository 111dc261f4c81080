"""Data keys: one per person, wrapped by the site key; one key per payload, sealed under them.

The rules, held by triggers that fire for a replica too (SECURITY 1.3, 3.6)
 * A data key is destroyed only beside a `key.destroyed` entry that names it, and stays destroyed. Its wrapping changes
   only to a site key of a higher number that a `key.rotated` entry names. Nothing else of it changes; no row leaves.
 * A payload's key is never changed, and leaves only beside a `payload.shredded` entry that names the payload. It comes
   only under a data key that is alive: writers hold a shared lock on the key's number, of 64, who destroys holds it
   alone, so that no payload is sealed under a key that is just being destroyed. No row is locked for this.
"""

import uuid

import django.db.models.functions.datetime
from django.db import migrations, models

import audit.migrations_sql

FUNCTIONS = """
CREATE FUNCTION audit_said(kind text, of_type text, of_id text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
    SELECT EXISTS (
        SELECT 1 FROM audit_objectversion v
        JOIN LATERAL (
            SELECT leaf FROM audit_pending p WHERE p.entry_id = v.entry_id
            UNION ALL SELECT leaf FROM audit_entry e WHERE e.entry_id = v.entry_id
        ) x ON true
        CROSS JOIN LATERAL (SELECT split_part(convert_from(x.leaf, 'UTF8'), E'\\n', 3)::jsonb AS entry) y
        WHERE v.object_type = of_type AND v.object_id = of_id
          AND y.entry ->> 'type' = kind AND y.entry -> 'object' ->> 'type' = of_type
          AND y.entry -> 'object' ->> 'id' = of_id AND y.entry ->> 'outcome' = 'ok')
$$;

CREATE FUNCTION audit_datakey_changes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
BEGIN
    IF OLD.destroyed_at IS NOT NULL OR NEW.id <> OLD.id OR NEW.subject IS DISTINCT FROM OLD.subject
       OR NEW.created_at <> OLD.created_at THEN
        RAISE EXCEPTION 'data key % stays what it is', OLD.id USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.destroyed_at IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(1263, hashtext(OLD.id::text) & 63);
        IF NEW.wrapped <> ''::bytea OR NOT audit_said('key.destroyed', 'data_key', OLD.id::text) THEN
            RAISE EXCEPTION 'no entry says that data key % is destroyed', OLD.id
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.kek_id !~ '^site-[1-9][0-9]{0,8}$' OR octet_length(NEW.wrapped) <> octet_length(OLD.wrapped)
       OR substr(NEW.kek_id, 6)::int <= substr(OLD.kek_id, 6)::int
       OR NOT audit_said('key.rotated', 'site_key', NEW.kek_id) THEN
        RAISE EXCEPTION 'data key % is wrapped anew only by a newer site key that an entry names', OLD.id
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION audit_datakey_comes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.destroyed_at IS NOT NULL OR NEW.kek_id !~ '^site-[1-9][0-9]{0,8}$' OR NEW.wrapped = ''::bytea THEN
        RAISE EXCEPTION 'data key % comes alive and wrapped by a site key', NEW.id
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION audit_payloadkey_comes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1263, hashtext(NEW.dek_id::text) & 63);
    IF NOT EXISTS (SELECT 1 FROM audit_datakey WHERE id = NEW.dek_id AND destroyed_at IS NULL) THEN
        RAISE EXCEPTION 'data key % is not there to seal payload %', NEW.dek_id, NEW.payload_id
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION audit_payloadkey_leaves() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
BEGIN
    IF audit_said('payload.shredded', 'payload', OLD.payload_id::text) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'no entry says that payload % is shredded', OLD.payload_id
        USING ERRCODE = 'insufficient_privilege';
END $$;
"""
TRIGGERS = (
    ("audit_datakey", "audit_datakey_comes", "INSERT", "ROW", "audit_datakey_comes"),
    ("audit_datakey", "audit_datakey_changes", "UPDATE", "ROW", "audit_datakey_changes"),
    ("audit_datakey", "audit_datakey_stays", "DELETE", "ROW", "audit_refuse"),
    ("audit_datakey", "audit_datakey_no_truncate", "TRUNCATE", "STATEMENT", "audit_refuse"),
    ("audit_payloadkey", "audit_payloadkey_comes", "INSERT", "ROW", "audit_payloadkey_comes"),
    ("audit_payloadkey", "audit_payloadkey_no_change", "UPDATE", "ROW", "audit_refuse"),
    ("audit_payloadkey", "audit_payloadkey_leaves", "DELETE", "ROW", "audit_payloadkey_leaves"),
    ("audit_payloadkey", "audit_payloadkey_no_truncate", "TRUNCATE", "STATEMENT", "audit_refuse"),
)
OURS = (
    "audit_datakey_comes()",
    "audit_datakey_changes()",
    "audit_payloadkey_comes()",
    "audit_payloadkey_leaves()",
    "audit_said(text, text, text)",
)


def guard_keys(_apps, schema_editor):
    """Make the triggers. The functions name their schema, the temporary one last."""
    quote = schema_editor.connection.ops.quote_name
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        cursor.execute(FUNCTIONS.replace("{schema}", quote(cursor.fetchone()[0])))
        cursor.execute("REVOKE EXECUTE ON FUNCTION audit_said(text, text, text) FROM PUBLIC")
        for table, name, events, level, function in TRIGGERS:
            cursor.execute(
                f"CREATE TRIGGER {name} BEFORE {events} ON {table} FOR EACH {level} EXECUTE FUNCTION {function}();"
                f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"
            )


def unguard_keys(_apps, schema_editor):
    """Take the triggers back, when the tables go with them."""
    with schema_editor.connection.cursor() as cursor:
        for function in OURS:
            cursor.execute(f"DROP FUNCTION {function} CASCADE")


class Migration(migrations.Migration):
    """Data keys: one per person, wrapped by the site key."""

    dependencies = [("audit", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="DataKey",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("subject", models.CharField(max_length=64, null=True)),
                ("kek_id", models.CharField(max_length=64)),
                ("wrapped", models.BinaryField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("destroyed_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [models.Index(fields=["kek_id"], name="audit_datakey_by_site_key")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("destroyed_at__isnull", True)),
                        fields=("subject",),
                        name="audit_datakey_one_alive",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PayloadKey",
            fields=[
                ("payload_id", models.UUIDField(primary_key=True, serialize=False)),
                ("dek_id", models.UUIDField(db_index=True)),
                ("sealed", models.BinaryField()),
            ],
        ),
        migrations.RunPython(guard_keys, unguard_keys),
        migrations.RunPython(audit.migrations_sql.set_rights, migrations.RunPython.noop),
    ]
