"""What the database refuses besides: a step without its own entry, a limit that does not cover, an alert made milder.

Rules
 * A step names the entry of that very step of that very loop, not merely some entry (N5).
 * Approved, modified and rejected rest on a decision of that kind, by the person who signed it, no later than the step.
 * What goes to the patient on a boundary alone is a step up that the boundary names, within its maximum, while it stands;
   so is the patient's yes to it (N1).
 * A decision has its step; a line of the regimen written by a loop, and a message about one, come after the loop
   reached the patient (N1).
 * An open alert only gets graver, a closed one stays as it is, and it is closed or acknowledged by an event (N4, N5).
"""

from __future__ import annotations

from django.db import migrations

SOMEONE_ANSWERS = """
CREATE OR REPLACE FUNCTION care_loops_someone_answers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM audit_objectversion v WHERE v.object_type = 'recommendation'
          AND v.object_id = NEW.loop_id::text AND v.version = NEW.seq AND v.entry_id = NEW.entry
    ) THEN
        RAISE EXCEPTION 'step % of loop % names an entry that is not its own', NEW.seq, NEW.loop_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.decision_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM care_loops_decision d JOIN governance_signature g ON g.id = d.signature_id
        WHERE d.id = NEW.decision_id AND d.loop_id = NEW.loop_id AND g.signer_id = d.decided_by_id
          AND d.decided_at <= NEW.entered_at AND g.signed_at <= NEW.entered_at
          AND (NEW.decided_by_id IS NULL OR NEW.decided_by_id = d.decided_by_id)
          AND CASE NEW.state
              WHEN 'approved' THEN d.kind = 'approve'
              WHEN 'modified' THEN d.kind = 'modify'
              WHEN 'rejected' THEN d.kind = 'reject'
              ELSE d.kind IN ('approve', 'modify') END
    ) THEN
        RAISE EXCEPTION 'step of loop % names a decision that is not its own', NEW.loop_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.boundary_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM care_loops_boundary b
        JOIN care_loops_loop l ON l.id = NEW.loop_id
        JOIN governance_signature g ON g.id = b.signature_id
        WHERE b.id = NEW.boundary_id AND b.patient_id = l.patient_id AND b.signed_at <= NEW.entered_at
          AND g.signer_id = b.signed_by_id AND g.signed_at <= b.signed_at
          AND (NOT (NEW.state = 'with_patient' OR NEW.state = 'accepted' AND NEW.decision_id IS NULL) OR (
               b.starts_at <= NEW.entered_at AND NEW.entered_at < b.expires_at
               AND b.version = (SELECT max(v.version) FROM care_loops_boundary v
                                WHERE v.patient_id = b.patient_id AND v.signed_at <= NEW.entered_at)
               AND EXISTS (
                   SELECT 1 FROM care_loops_boundarydrug t WHERE t.boundary_id = b.id AND t.allow_up
                     AND l.outcome::jsonb #>> '{change,kind}' = 'step_up'
                     AND t.ingredient = l.outcome::jsonb #>> '{change,ingredient}'
                     AND t.max_daily_dose_mg >= (l.outcome::jsonb #>> '{change,new_daily_dose,value}')::numeric)))
    ) THEN
        RAISE EXCEPTION 'step of loop % rests on a boundary that does not cover it', NEW.loop_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
"""

DECISION_HAS_STEP = """
CREATE FUNCTION care_loops_decision_has_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM care_loops_step s WHERE s.decision_id = NEW.id AND s.loop_id = NEW.loop_id
          AND s.state IN ('approved', 'modified', 'rejected') AND s.entry = NEW.entry
    ) THEN
        RAISE EXCEPTION 'decision % entered no state', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER care_loops_decision_has_step AFTER INSERT ON care_loops_decision
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION care_loops_decision_has_step();
ALTER TABLE care_loops_decision ENABLE ALWAYS TRIGGER care_loops_decision_has_step;
"""

AFTER_THE_PATIENT = """
CREATE FUNCTION care_loops_reached_patient() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.loop_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM care_loops_step s WHERE s.loop_id = NEW.loop_id AND s.state = ANY (TG_ARGV)
    ) THEN
        RAISE EXCEPTION '% of loop %, which has not come so far', TG_TABLE_NAME, NEW.loop_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER care_loops_line_was_accepted AFTER INSERT ON care_loops_regimenentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION care_loops_reached_patient('accepted');
CREATE CONSTRAINT TRIGGER care_loops_message_was_due AFTER INSERT ON care_loops_message
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION care_loops_reached_patient('with_patient', 'delivered');
ALTER TABLE care_loops_regimenentry ENABLE ALWAYS TRIGGER care_loops_line_was_accepted;
ALTER TABLE care_loops_message ENABLE ALWAYS TRIGGER care_loops_message_was_due;
"""

ALERTS = """
CREATE FUNCTION care_loops_alert_only_graver() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ladder varchar[] := ARRAY['info', 'card', 'urgent', 'critical'];
BEGIN
    IF OLD.disposed_at IS NOT NULL
       OR (OLD.locks AND NOT NEW.locks) OR (OLD.pages AND NOT NEW.pages) OR (OLD.same_day AND NOT NEW.same_day)
       OR NOT NEW.bars @> OLD.bars OR NEW.occurrences < OLD.occurrences
       OR array_position(ladder, NEW.severity) < array_position(ladder, OLD.severity) THEN
        RAISE EXCEPTION 'alert % only gets graver, and once closed stays as it is', OLD.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER care_loops_alert_only_graver BEFORE UPDATE ON care_loops_alert
    FOR EACH ROW EXECUTE FUNCTION care_loops_alert_only_graver();
ALTER TABLE care_loops_alert ENABLE ALWAYS TRIGGER care_loops_alert_only_graver;

CREATE FUNCTION care_loops_alert_by_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.disposed_at IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM care_loops_alertevent e WHERE e.alert_id = NEW.id AND e.kind = 'disposed'
              AND e.actor_id = NEW.disposed_by_id::text AND e.at = NEW.disposed_at))
       OR (NEW.acknowledged_at IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM care_loops_alertevent e WHERE e.alert_id = NEW.id AND e.kind = 'acknowledged'
              AND e.actor_id = NEW.acknowledged_by_id::text AND e.at = NEW.acknowledged_at)) THEN
        RAISE EXCEPTION 'alert % was acknowledged or closed without an event', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER care_loops_alert_by_event
    AFTER INSERT OR UPDATE OF acknowledged_at, acknowledged_by_id, disposed_at, disposed_by_id ON care_loops_alert
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION care_loops_alert_by_event();
ALTER TABLE care_loops_alert ENABLE ALWAYS TRIGGER care_loops_alert_by_event;

CREATE FUNCTION care_loops_alert_event_is_own() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM audit_objectversion v WHERE v.object_type = 'alert'
          AND v.object_id = NEW.alert_id::text AND v.entry_id = NEW.entry
    ) THEN
        RAISE EXCEPTION 'an event of alert % names an entry that is not its own', NEW.alert_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER care_loops_alert_event_is_own AFTER INSERT ON care_loops_alertevent
    DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION care_loops_alert_event_is_own();
ALTER TABLE care_loops_alertevent ENABLE ALWAYS TRIGGER care_loops_alert_event_is_own;
"""


class Migration(migrations.Migration):
    """Accountability and alerts, held tighter."""

    dependencies = [("care_loops", "0003_boundary_covers"), ("governance", "0002_controls"), ("audit", "0001_initial")]
    operations = [
        migrations.RunSQL(sql=SOMEONE_ANSWERS, reverse_sql=migrations.RunSQL.noop),
        migrations.RunSQL(
            sql=DECISION_HAS_STEP, reverse_sql="DROP FUNCTION care_loops_decision_has_step() CASCADE"
        ),
        migrations.RunSQL(sql=AFTER_THE_PATIENT, reverse_sql="DROP FUNCTION care_loops_reached_patient() CASCADE"),
        migrations.RunSQL(
            sql=ALERTS,
            reverse_sql=[
                "DROP FUNCTION care_loops_alert_only_graver() CASCADE",
                "DROP FUNCTION care_loops_alert_by_event() CASCADE",
                "DROP FUNCTION care_loops_alert_event_is_own() CASCADE",
            ],
        ),
    ]
