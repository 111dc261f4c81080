"""What a clinician signed that gives less is held by no suspension and no objection; what is late is not delivered.

Rules (PRODUCT N1, N3; FAL-03)
 * A signed reduction or stop is delivered, told and accepted whatever is suspended, and whatever the patient said of
   automated advice: it is care. Nothing is approved or modified meanwhile: the clinician writes an order.
 * Everything else that was decided is not delivered past its time, and what was proposed not while the operating mode of
   its pathway is stopped, off, or was never set.
"""

from __future__ import annotations

from django.db import migrations

LESS = """
CREATE FUNCTION care_loops_less_signed(of_loop uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT 1 FROM care_loops_decision d
        WHERE d.loop_id = of_loop AND d.final_change::jsonb ->> 'kind' IN ('step_down', 'stop')
    )
$$;
"""

GOES_ON = """
CREATE OR REPLACE FUNCTION care_loops_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    on_its_way boolean := TG_TABLE_NAME = 'care_loops_message';
BEGIN
    IF NOT on_its_way THEN
        on_its_way := NEW.state IN ('delivered', 'accepted');
    END IF;
    IF on_its_way AND care_loops_less_signed(NEW.loop_id) THEN
        RETURN NULL;
    END IF;
    IF care_loops_suspended(NEW.loop_id) IS NOT NULL THEN
        RAISE EXCEPTION 'recommendation % rests on what is suspended', NEW.loop_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
"""

GOES_ON_BEFORE = """
CREATE OR REPLACE FUNCTION care_loops_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF care_loops_suspended(NEW.loop_id) IS NOT NULL THEN
        RAISE EXCEPTION 'recommendation % rests on what is suspended', NEW.loop_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
"""

CONSENT = """
DROP TRIGGER care_loops_consent_holds ON care_loops_step;
CREATE CONSTRAINT TRIGGER care_loops_consent_holds AFTER INSERT ON care_loops_step
    DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW
    WHEN (NEW.state IN ('with_patient', 'with_clinician', 'approved', 'modified')
          OR NEW.state = 'delivered' AND NOT care_loops_less_signed(NEW.loop_id))
    EXECUTE FUNCTION care_loops_consent_holds();
ALTER TABLE care_loops_step ENABLE ALWAYS TRIGGER care_loops_consent_holds;
"""

CONSENT_BEFORE = """
DROP TRIGGER care_loops_consent_holds ON care_loops_step;
CREATE CONSTRAINT TRIGGER care_loops_consent_holds AFTER INSERT ON care_loops_step
    DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW
    WHEN (NEW.state IN ('with_patient', 'with_clinician', 'approved', 'modified', 'delivered'))
    EXECUTE FUNCTION care_loops_consent_holds();
ALTER TABLE care_loops_step ENABLE ALWAYS TRIGGER care_loops_consent_holds;
"""

IN_FORCE = """
CREATE FUNCTION care_loops_pathway_stopped(of_pathway text, at timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT (p.body::jsonb ->> 'stopped')::boolean OR p.body::jsonb ->> 'mode' = 'off'
        FROM governance_policyversion p
        WHERE p.kind = 'operating_mode' AND p.subject = of_pathway AND p.effective_from <= at
        ORDER BY p.version DESC LIMIT 1
    ), true)
$$;
CREATE FUNCTION care_loops_delivered_in_force() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    l care_loops_loop%ROWTYPE;
BEGIN
    IF care_loops_less_signed(NEW.loop_id) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO l FROM care_loops_loop WHERE id = NEW.loop_id;
    IF l.expires_at <= NEW.entered_at THEN
        RAISE EXCEPTION 'recommendation % is past its time', NEW.loop_id USING ERRCODE = 'check_violation';
    END IF;
    IF l.origin = 'proposal' AND care_loops_pathway_stopped(l.pathway, NEW.entered_at) THEN
        RAISE EXCEPTION 'the pathway of recommendation % is stopped', NEW.loop_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER care_loops_delivered_in_force AFTER INSERT ON care_loops_step
    FOR EACH ROW WHEN (NEW.state = 'delivered') EXECUTE FUNCTION care_loops_delivered_in_force();
ALTER TABLE care_loops_step ENABLE ALWAYS TRIGGER care_loops_delivered_in_force;
"""


class Migration(migrations.Migration):
    """The triggers."""

    dependencies = [("care_loops", "0020_rows_come_by_their_entry"), ("governance", "0011_policies_by_quorum")]

    operations = [
        migrations.RunSQL(sql=LESS, reverse_sql="DROP FUNCTION care_loops_less_signed(uuid)"),
        migrations.RunSQL(sql=GOES_ON, reverse_sql=GOES_ON_BEFORE),
        migrations.RunSQL(sql=CONSENT, reverse_sql=CONSENT_BEFORE),
        migrations.RunSQL(
            sql=IN_FORCE,
            reverse_sql=[
                "DROP FUNCTION care_loops_delivered_in_force() CASCADE",
                "DROP FUNCTION care_loops_pathway_stopped(text, timestamptz)",
            ],
        ),
    ]
