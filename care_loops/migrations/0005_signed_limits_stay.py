"""What was signed stays as it was signed, and nothing is put before a patient beside the loops.

Rules
 * The drugs of a boundary are part of it: they come with it in one transaction, and only grow (N1).
 * A message that speaks of a change belongs to a loop, and every message names its own entry (N1, N5).
 * Who somebody is, and what a loop was proposed as, is not edited in place; membership of a team ends once; a record's
   account, once tied, stays; the clock of an alert stands still only for a person or at the end of its ladder (N4, N5).
"""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import ends_once, only_grows, rights

DRUGS_COME_WITH_BOUNDARY = """
CREATE FUNCTION care_loops_drugs_come_with_boundary() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    made bigint;
    here bigint := pg_current_xact_id()::text::bigint;
BEGIN
    -- The boundary's xmin is 32 bits wide; the rest of its number is that of the newest transaction at most.
    SELECT (here & ~4294967295::bigint) | b.xmin::text::bigint INTO made
        FROM care_loops_boundary b WHERE b.id = NEW.boundary_id;
    IF made > here + 2147483648 THEN
        made := made - 4294967296;
    END IF;
    IF made IS NULL OR made < 0 OR pg_xact_status(made::text::xid8) IS DISTINCT FROM 'in progress' THEN
        RAISE EXCEPTION 'boundary % was signed without this drug', NEW.boundary_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER care_loops_drugs_come_with_boundary BEFORE INSERT ON care_loops_boundarydrug
    FOR EACH ROW EXECUTE FUNCTION care_loops_drugs_come_with_boundary();
ALTER TABLE care_loops_boundarydrug ENABLE ALWAYS TRIGGER care_loops_drugs_come_with_boundary;
"""

MESSAGE_IS_OWN = """
CREATE FUNCTION care_loops_message_words_are_own() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.loop_id IS NULL OR NOT EXISTS (
        SELECT 1 FROM care_loops_loop l JOIN audit_objectversion v ON v.object_type = 'message'
          AND v.object_id = NEW.id::text AND v.version = 1 AND v.entry_id = NEW.entry
        WHERE l.id = NEW.loop_id AND l.patient_id = NEW.patient_id
    ) THEN
        RAISE EXCEPTION 'message % is of no loop of this patient, or names an entry that is not its own', NEW.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER care_loops_message_words_are_own AFTER INSERT ON care_loops_message
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION care_loops_message_words_are_own();
ALTER TABLE care_loops_message ENABLE ALWAYS TRIGGER care_loops_message_words_are_own;
"""

HEADS = """
CREATE FUNCTION care_loops_account_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.account_id IS NOT NULL AND NEW.account_id IS DISTINCT FROM OLD.account_id THEN
        RAISE EXCEPTION 'record % has an account', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER care_loops_account_stays BEFORE UPDATE OF account_id ON care_loops_patient
    FOR EACH ROW EXECUTE FUNCTION care_loops_account_stays();
ALTER TABLE care_loops_patient ENABLE ALWAYS TRIGGER care_loops_account_stays;

CREATE FUNCTION care_loops_clock_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.acknowledged_at IS NULL AND NEW.disposed_at IS NULL AND NEW.escalates_at IS DISTINCT FROM OLD.escalates_at
       AND NEW.level = OLD.level AND NEW.occurrences = OLD.occurrences THEN
        RAISE EXCEPTION 'the clock of alert % is moved by nobody', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER care_loops_clock_runs BEFORE UPDATE OF escalates_at ON care_loops_alert
    FOR EACH ROW EXECUTE FUNCTION care_loops_clock_runs();
ALTER TABLE care_loops_alert ENABLE ALWAYS TRIGGER care_loops_clock_runs;
"""

NARROWER = {
    "care_loops_boundarydrug": (),
    "care_loops_patient": ("account_id", "died_at"),
    "care_loops_loop": ("state", "version", "withheld_reason"),
}


class Migration(migrations.Migration):
    """Signed limits, messages, heads."""

    dependencies = [
        ("care_loops", "0004_stricter_controls"),
        ("governance", "0002_controls"),
        ("audit", "0001_initial"),
    ]
    operations = [
        rights(NARROWER),
        only_grows("care_loops_boundarydrug"),
        migrations.RunSQL(
            sql=DRUGS_COME_WITH_BOUNDARY,
            reverse_sql="DROP FUNCTION care_loops_drugs_come_with_boundary() CASCADE",
        ),
        migrations.RunSQL(sql=MESSAGE_IS_OWN, reverse_sql="DROP FUNCTION care_loops_message_words_are_own() CASCADE"),
        migrations.RunSQL(
            sql=HEADS,
            reverse_sql=[
                "DROP FUNCTION care_loops_account_stays() CASCADE",
                "DROP FUNCTION care_loops_clock_runs() CASCADE",
            ],
        ),
        ends_once("care_loops_careteammember", "until"),
        ends_once("care_loops_carerlink", "until"),
    ]
