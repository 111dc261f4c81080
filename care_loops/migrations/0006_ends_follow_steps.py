"""The end of a recommendation moves only with a step; tier, boundary and due time never move (N5)."""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import rights

FOLLOWS_A_STEP = """
CREATE FUNCTION care_loops_end_follows_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.expires_at <> OLD.expires_at AND (NEW.version = OLD.version OR NEW.expires_at < OLD.expires_at) THEN
        RAISE EXCEPTION 'the end of loop % moves only with a step, and only later', NEW.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER care_loops_end_follows_step BEFORE UPDATE ON care_loops_loop
    FOR EACH ROW EXECUTE FUNCTION care_loops_end_follows_step();
ALTER TABLE care_loops_loop ENABLE ALWAYS TRIGGER care_loops_end_follows_step;
"""


class Migration(migrations.Migration):
    """Rights and a trigger."""

    dependencies = [("care_loops", "0005_signed_limits_stay"), ("governance", "0003_ends_once")]
    operations = [
        rights({"care_loops_loop": ["state", "version", "withheld_reason", "expires_at"]}),
        migrations.RunSQL(sql=FOLLOWS_A_STEP, reverse_sql="DROP FUNCTION care_loops_end_follows_step() CASCADE"),
    ]
