"""Segments: a sealed part of the log leaves the table of entries; its place in the tree, its ids and its payloads stay.

The rules, held by triggers that fire for a replica too (21 CFR 11.10(c))
 * A segment follows the one before it and ends at a multiple of 256, so that full tiles have every hash of it. It
   comes only when an entry `segment.sealed` with its root and the digest of its archive is itself under a signed
   checkpoint, and when nothing in it is under a legal hold.
 * An entry leaves only out of a segment, only when the index of detached entries has it, and never when it speaks of
   the log itself, of keys, holds, purges or segments. What has left does not come again: not its id, not its place.
 * There is no way back by migration: evidence would be lost.
"""

import django.db.models.functions.datetime
from django.db import migrations, models

import audit.migrations_sql

STAYS = "('log', 'credential', 'payload', 'data_key', 'site_key', 'hold', 'retention', 'segment')"
FUNCTIONS = """
CREATE FUNCTION audit_segment_comes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
DECLARE
    held text;
    sealed bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1264);
    IF NEW.start <> coalesce((SELECT max(s.stop) FROM audit_segment s), 0)
       OR NEW.number <> coalesce((SELECT max(s.number) FROM audit_segment s), 0) + 1
       OR NEW.stop <= NEW.start OR NEW.stop % 256 <> 0 THEN
        RAISE EXCEPTION 'segment % does not follow the one before it', NEW.number
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT e.position INTO sealed FROM audit_entry e,
        LATERAL (SELECT split_part(convert_from(e.leaf, 'UTF8'), E'\\n', 3)::jsonb AS said) x
    WHERE e.entry_id = NEW.entry_id AND e.type = 'segment.sealed' AND e.outcome = 'ok'
      AND e.object_type = 'segment' AND e.object_id = NEW.number::text
      AND said ->> 'reason_code' = NEW.archive_sha256 AND said #>> '{change,after}' = encode(NEW.root, 'hex');
    IF sealed IS NULL OR sealed < NEW.stop
       OR sealed >= (SELECT coalesce(max(c.size), 0) FROM audit_checkpoint c) THEN
        RAISE EXCEPTION 'no entry under a signed checkpoint says that segment % is sealed so', NEW.number
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT string_agg(h.name, ', ' ORDER BY h.name) INTO held FROM audit_legalhold h
    WHERE h.released_at IS NULL AND (h.subject IS NULL OR EXISTS (
        SELECT 1 FROM audit_entry e
        WHERE e.subject = h.subject AND e.position >= NEW.start AND e.position < NEW.stop));
    IF held IS NOT NULL THEN
        RAISE EXCEPTION 'segment % is under legal hold: %', NEW.number, held USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION audit_detached_comes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM audit_entry e JOIN audit_segment s ON e.position >= s.start AND e.position < s.stop
        WHERE e.entry_id = NEW.entry_id AND e.position = NEW.position AND e.leaf_hash = NEW.leaf_hash
          AND e.type = NEW.type AND e.outcome = NEW.outcome AND e.at = NEW.at AND e.object_type NOT IN {stays}) THEN
        RAISE EXCEPTION 'entry % is not one of a segment that may leave', NEW.entry_id
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION audit_entry_leaves() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' AND EXISTS (SELECT 1 FROM audit_detached d
            WHERE d.entry_id = OLD.entry_id AND d.position = OLD.position AND d.leaf_hash = OLD.leaf_hash) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the record only grows: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION audit_entry_comes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM audit_detached WHERE entry_id = NEW.entry_id)
       OR EXISTS (SELECT 1 FROM audit_detached WHERE position = NEW.position) THEN
        RAISE EXCEPTION 'entry % or position % was detached and does not come again', NEW.entry_id, NEW.position
            USING ERRCODE = 'unique_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION audit_entry_exists() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
DECLARE
    named uuid;
BEGIN
    EXECUTE format('SELECT ($1).%I', TG_ARGV[0]) INTO named USING NEW;
    IF named IS NULL
       OR EXISTS (SELECT 1 FROM audit_pending WHERE entry_id = named)
       OR EXISTS (SELECT 1 FROM audit_entry WHERE entry_id = named)
       OR EXISTS (SELECT 1 FROM audit_detached WHERE entry_id = named) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '%.% names entry %, which is not in the record', TG_TABLE_NAME, TG_ARGV[0], named
        USING ERRCODE = 'foreign_key_violation';
END $$;

CREATE OR REPLACE FUNCTION audit_said(kind text, of_type text, of_id text) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
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
      OR EXISTS (
        SELECT 1 FROM audit_objectversion v JOIN audit_detached d USING (entry_id)
        WHERE v.object_type = of_type AND v.object_id = of_id AND d.type = kind AND d.outcome = 'ok')
$$;
""".replace("{stays}", STAYS)
TRIGGERS = (
    ("audit_segment", "audit_segment_comes", "INSERT", "ROW", "audit_segment_comes"),
    ("audit_segment", "audit_segment_no_change", "UPDATE OR DELETE", "ROW", "audit_refuse"),
    ("audit_segment", "audit_segment_no_truncate", "TRUNCATE", "STATEMENT", "audit_refuse"),
    ("audit_detached", "audit_detached_comes", "INSERT", "ROW", "audit_detached_comes"),
    ("audit_detached", "audit_detached_no_change", "UPDATE OR DELETE", "ROW", "audit_refuse"),
    ("audit_detached", "audit_detached_no_truncate", "TRUNCATE", "STATEMENT", "audit_refuse"),
    ("audit_entry", "audit_entry_comes", "INSERT", "ROW", "audit_entry_comes"),
    ("audit_entry", "audit_entry_no_change", "UPDATE OR DELETE", "ROW", "audit_entry_leaves"),
)


class Migration(migrations.Migration):
    """Segments and the index of what was detached."""

    dependencies = [("audit", "0008_retention")]
    operations = [
        migrations.CreateModel(
            name="Segment",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("start", models.BigIntegerField()),
                ("stop", models.BigIntegerField(unique=True)),
                ("root", models.BinaryField()),
                ("hashes", models.BinaryField()),
                ("archive", models.CharField(max_length=200)),
                ("archive_sha256", models.CharField(max_length=64)),
                ("entry_id", models.UUIDField()),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="Detached",
            fields=[
                ("entry_id", models.UUIDField(primary_key=True, serialize=False)),
                ("position", models.BigIntegerField(unique=True)),
                ("leaf_hash", models.BinaryField(unique=True)),
                ("type", models.CharField(max_length=64)),
                ("outcome", models.CharField(max_length=16)),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.RunSQL("DROP TRIGGER audit_entry_no_change ON audit_entry", migrations.RunSQL.noop),
        audit.migrations_sql.make_guards(FUNCTIONS, TRIGGERS, way_back=False),
        migrations.RunPython(audit.migrations_sql.set_rights, migrations.RunPython.noop),
    ]
