"""What the database itself holds of the loops: growth only, legal moves, one head, an accountable clinician (N1, N5).

Rules
 * Evidence and history only grow; of the few heads that move, only the named columns may.
 * A step follows the step before it, along the table of moves as it stood when this migration was written. A test holds
   this copy equal to `transitions.MOVES`.
 * A step that puts a change before the patient rests on a decision that approved or modified it, or on a signed boundary
   of the same patient that stood at that moment.
 * At commit a loop's state and version are those of its last step.
"""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import controls

GROWS = [
    f"care_loops_{name}"
    for name in ["alertevent", "allergy", "bloodpressure", "boundary", "condition", "consent", "correction", "decision", "firstintake", "importrefusal", "intakelog", "lab", "merge", "message", "regimenentry", "sensorsample", "step", "symptom", "symptomreview", "target", "visitplan"]
]
MOVES_OF_HEADS = {
    "care_loops_patient": ["account_id", "died_at", "given_name", "family_name", "born_on", "sex", "zone"],
    "care_loops_careteammember": ["until", "responsible"],
    "care_loops_carerlink": ["until"],
    "care_loops_loop": ["state", "version", "withheld_reason", "due_at", "boundary_id", "tier"],
    "care_loops_alert": [
        *("severity", "pages", "locks", "bars", "same_day", "unverified", "asks", "rules", "words"),
        *("occurrences", "level", "escalates_at", "acknowledged_by_id", "acknowledged_at"),
        *("disposed_by_id", "disposed_at", "measured_at"),
    ],
}
LEGAL = {
    "": ["proposed"],
    "proposed": ["withheld", "with_patient", "with_clinician"],
    "with_patient": ["accepted", "declined", "with_clinician", "expired", "withdrawn"],
    "with_clinician": ["approved", "modified", "rejected", "expired", "withdrawn"],
    "approved": ["delivered", "recalled"],
    "modified": ["delivered", "recalled"],
    "delivered": ["accepted", "declined", "recalled", "expired"],
    "accepted": ["done", "recalled", "expired"],
}
_PAIRS = ", ".join(f"('{before}', '{after}')" for before, afters in LEGAL.items() for after in afters)

STEP_IS_LEGAL = f"""
CREATE FUNCTION care_loops_step_is_legal() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_seq integer := 0;
    last_state varchar := '';
BEGIN
    SELECT s.seq, s.state INTO last_seq, last_state FROM care_loops_step s
        WHERE s.loop_id = NEW.loop_id ORDER BY s.seq DESC LIMIT 1;
    IF NEW.seq <> coalesce(last_seq, 0) + 1 OR NEW.before <> coalesce(last_state, '') THEN
        RAISE EXCEPTION 'step % of loop % does not follow step % (%)', NEW.seq, NEW.loop_id, last_seq, last_state
            USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.before, NEW.state) NOT IN ({_PAIRS}) THEN
        RAISE EXCEPTION 'a loop cannot go from % to %', NEW.before, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER care_loops_step_is_legal BEFORE INSERT ON care_loops_step
    FOR EACH ROW EXECUTE FUNCTION care_loops_step_is_legal();
ALTER TABLE care_loops_step ENABLE ALWAYS TRIGGER care_loops_step_is_legal;
"""

SOMEONE_ANSWERS = """
CREATE FUNCTION care_loops_someone_answers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.decision_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM care_loops_decision d JOIN governance_signature g ON g.id = d.signature_id
        WHERE d.id = NEW.decision_id AND d.loop_id = NEW.loop_id AND g.signer_id = d.decided_by_id
          AND (NEW.state NOT IN ('delivered', 'accepted', 'done') OR d.kind IN ('approve', 'modify'))
    ) THEN
        RAISE EXCEPTION 'step of loop % names a decision that is not its own', NEW.loop_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.boundary_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM care_loops_boundary b JOIN care_loops_loop l ON l.id = NEW.loop_id
        WHERE b.id = NEW.boundary_id AND b.patient_id = l.patient_id AND b.signed_at <= NEW.entered_at
          AND (NEW.state <> 'with_patient' OR (b.starts_at <= NEW.entered_at AND NEW.entered_at < b.expires_at
               AND b.version = (SELECT max(v.version) FROM care_loops_boundary v
                                WHERE v.patient_id = b.patient_id AND v.signed_at <= NEW.entered_at)))
    ) THEN
        RAISE EXCEPTION 'step of loop % rests on a boundary that does not cover it', NEW.loop_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER care_loops_someone_answers AFTER INSERT ON care_loops_step
    DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION care_loops_someone_answers();
ALTER TABLE care_loops_step ENABLE ALWAYS TRIGGER care_loops_someone_answers;
"""

ONE_HEAD = """
CREATE FUNCTION care_loops_one_head() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_loop uuid;
    head_state varchar;
    head_version integer;
    last_state varchar;
    last_seq integer;
BEGIN
    of_loop := to_jsonb(NEW)->>TG_ARGV[0];
    SELECT l.state, l.version INTO head_state, head_version FROM care_loops_loop l WHERE l.id = of_loop;
    SELECT s.state, s.seq INTO last_state, last_seq FROM care_loops_step s
        WHERE s.loop_id = of_loop ORDER BY s.seq DESC LIMIT 1;
    IF last_seq IS NULL OR head_state <> last_state OR head_version <> last_seq THEN
        RAISE EXCEPTION 'a loop stands where its history does not: % % against % %',
            head_state, head_version, last_state, last_seq USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER care_loops_one_head AFTER INSERT OR UPDATE OF state, version ON care_loops_loop
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION care_loops_one_head('id');
CREATE CONSTRAINT TRIGGER care_loops_one_head_of_step AFTER INSERT ON care_loops_step
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION care_loops_one_head('loop_id');
ALTER TABLE care_loops_loop ENABLE ALWAYS TRIGGER care_loops_one_head;
ALTER TABLE care_loops_step ENABLE ALWAYS TRIGGER care_loops_one_head_of_step;
"""


class Migration(migrations.Migration):
    """Rights, growth, moves, heads, accountability."""

    dependencies = [
        ("care_loops", "0001_initial"),
        ("governance", "0002_controls"),
        ("audit", "0001_initial"),
    ]
    operations = [
        *controls(grows=GROWS, moves=MOVES_OF_HEADS),
        migrations.RunSQL(sql=STEP_IS_LEGAL, reverse_sql="DROP FUNCTION care_loops_step_is_legal() CASCADE"),
        migrations.RunSQL(sql=SOMEONE_ANSWERS, reverse_sql="DROP FUNCTION care_loops_someone_answers() CASCADE"),
        migrations.RunSQL(sql=ONE_HEAD, reverse_sql="DROP FUNCTION care_loops_one_head() CASCADE"),
    ]
