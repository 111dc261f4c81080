"""A consent names the text it is to; and nothing automated goes on without it, or against it.

Rules (CLINICAL 1.9 row 7, GDPR art. 22; N1)
 * A change goes straight to a patient only while the newest word on automated advice is yes, and none asks for care by
   people only. No word is no.
 * A proposal that the patient objected to (advice withdrawn, care by people only) waits for nobody, is not decided and
   not delivered. What a clinician wrote as an order is no proposal.
 * The words are those of the person: of the record that was kept and of all that were merged into it.
"""

from __future__ import annotations

from django.db import migrations, models

HOLDS = """
CREATE FUNCTION care_loops_newest_word(of_patient uuid, of_scope text, until timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE up(id) AS (
        SELECT of_patient UNION SELECT m.kept_id FROM care_loops_merge m JOIN up ON m.absorbed_id = up.id
    ), same(id) AS (
        SELECT id FROM up UNION SELECT m.absorbed_id FROM care_loops_merge m JOIN same ON m.kept_id = same.id
    )
    SELECT c.given FROM care_loops_consent c WHERE c.patient_id IN (SELECT id FROM same)
        AND c.scope = of_scope AND c.at <= until ORDER BY c.at DESC, c.id DESC LIMIT 1
$$;
CREATE FUNCTION care_loops_consent_holds() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_patient uuid;
    advice boolean;
    people_only boolean;
BEGIN
    SELECT l.patient_id INTO of_patient FROM care_loops_loop l WHERE l.id = NEW.loop_id AND l.origin = 'proposal';
    IF of_patient IS NULL THEN
        RETURN NULL;
    END IF;
    advice := care_loops_newest_word(of_patient, 'automated_advice', NEW.entered_at);
    people_only := coalesce(care_loops_newest_word(of_patient, 'human_only_care', NEW.entered_at), false);
    IF people_only OR advice IS FALSE OR (NEW.state = 'with_patient' AND advice IS NOT TRUE) THEN
        RAISE EXCEPTION 'loop % goes on to % without the consent of the patient', NEW.loop_id, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER care_loops_consent_holds AFTER INSERT ON care_loops_step
    DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW
    WHEN (NEW.state IN ('with_patient', 'with_clinician', 'approved', 'modified', 'delivered'))
    EXECUTE FUNCTION care_loops_consent_holds();
ALTER TABLE care_loops_step ENABLE ALWAYS TRIGGER care_loops_consent_holds;
"""


class Migration(migrations.Migration):
    """Columns and the trigger."""

    dependencies = [("care_loops", "0017_break_glass"), ("model_registry", "0006_words_on_research")]
    operations = [
        migrations.AddField("consent", "text_version", models.CharField(blank=True, default="", max_length=20)),
        migrations.AddField("consent", "text_sha256", models.CharField(blank=True, default="", max_length=64)),
        migrations.RunSQL(
            sql=HOLDS,
            reverse_sql=[
                "DROP FUNCTION care_loops_consent_holds() CASCADE",
                "DROP FUNCTION care_loops_newest_word(uuid, text, timestamptz)",
            ],
        ),
    ]
