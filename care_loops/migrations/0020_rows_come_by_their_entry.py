"""Who belongs to a record, what they agreed to, alerts and visits come only with their own entry (N4, N5, N10).

Rules
 * An entry of something else, or of another transaction, brings nobody into a care team or to a record as carer.
 * An entry brings one person, one word, one plan: no second row goes by under it.
 * A consent is the word of the person whom its entry names.
 * An alert moves, gets graver or is acted on by its own entries alone; its severity is one of the ladder.
"""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import comes_by_entry, moves_by_entry

GRAVER = """
CREATE OR REPLACE FUNCTION care_loops_alert_only_graver() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ladder varchar[] := ARRAY['info', 'card', 'urgent', 'critical'];
BEGIN
    IF OLD.disposed_at IS NOT NULL
       OR (OLD.locks AND NOT NEW.locks) OR (OLD.pages AND NOT NEW.pages) OR (OLD.same_day AND NOT NEW.same_day)
       OR NOT NEW.bars @> OLD.bars OR NOT NEW.rules @> OLD.rules OR NEW.occurrences < OLD.occurrences
       OR array_position(ladder, NEW.severity) IS NULL
       OR array_position(ladder, NEW.severity) < array_position(ladder, OLD.severity) THEN
        RAISE EXCEPTION 'alert % only gets graver, and once closed stays as it is', OLD.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""
ONCE = ("care_loops_careteammember", "care_loops_carerlink", "care_loops_consent", "care_loops_visitplan")
HEAD = (
    *("severity", "pages", "locks", "bars", "same_day", "unverified", "asks", "rules", "measured_at", "occurrences"),
    *("level", "acknowledged_by_id", "acknowledged_at", "disposed_by_id", "disposed_at"),
)
KINDS = ("alert.coalesced", "alert.acknowledged", "alert.disposed", "alert.escalated")


class Migration(migrations.Migration):
    """Triggers."""

    dependencies = [("care_loops", "0019_cohorts_and_adverse_events"), ("governance", "0014_rows_come_by_their_entry")]
    operations = [
        comes_by_entry("care_loops_careteammember", "care_team.joined", "care_team.handed_over"),
        comes_by_entry("care_loops_carerlink", "carer.joined"),
        comes_by_entry("care_loops_consent", "consent.given", "consent.withdrawn", person="by_id"),
        comes_by_entry("care_loops_alert", "alert.raised", of="id"),
        comes_by_entry("care_loops_alertevent", "alert.raised", *KINDS, of="alert_id"),
        comes_by_entry("care_loops_visitplan", "visit.planned"),
        comes_by_entry("care_loops_visit", "visit.recorded", "visit.closed", "visit.cancelled"),
        *(
            migrations.RunSQL(
                sql=f"CREATE UNIQUE INDEX {table}_of_one_entry ON {table} (entry)",
                reverse_sql=f"DROP INDEX {table}_of_one_entry",
            )
            for table in ONCE
        ),
        migrations.RunSQL(sql=GRAVER, reverse_sql=migrations.RunSQL.noop),
        moves_by_entry("care_loops_alert", HEAD, kinds=KINDS, of="id"),
    ]
