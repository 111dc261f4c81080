"""Membership, responsibility, a date of death and the reason for nothing move only with their entry (N5)."""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import moves_by_entry

REASON_FOLLOWS_A_STEP = """
CREATE FUNCTION care_loops_reason_follows_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.withheld_reason IS DISTINCT FROM OLD.withheld_reason
       AND (NEW.version = OLD.version OR NEW.state <> 'withheld') THEN
        RAISE EXCEPTION 'why loop % is withheld moves only with the step that withholds it', NEW.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER care_loops_reason_follows_step BEFORE UPDATE ON care_loops_loop
    FOR EACH ROW EXECUTE FUNCTION care_loops_reason_follows_step();
ALTER TABLE care_loops_loop ENABLE ALWAYS TRIGGER care_loops_reason_follows_step;
"""


class Migration(migrations.Migration):
    """Triggers."""

    dependencies = [("care_loops", "0010_second_reviews"), ("governance", "0006_moves_have_entries")]
    operations = [
        moves_by_entry("care_loops_patient", ["died_at"], kinds=["patient.corrected"], of="id"),
        moves_by_entry(
            "care_loops_careteammember",
            ["until", "responsible"],
            kinds=["care_team.left", "care_team.handed_over"],
            of="id",
        ),
        moves_by_entry("care_loops_carerlink", ["until"], kinds=["carer.left"], of="id"),
        migrations.RunSQL(
            sql=REASON_FOLLOWS_A_STEP, reverse_sql="DROP FUNCTION care_loops_reason_follows_step() CASCADE"
        ),
    ]
