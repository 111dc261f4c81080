"""What is suspended goes no further: held by the database too, at commit (FAL-03, REGULATORY 2.3 Art. 14(4)(e)).

Rules
 * No step of a proposal to the patient or a clinician, no approval, no delivery, no yes of the patient, and no message of
   its change, while anything it rests on is suspended: pathway, model, boundary, cohort, type of a device, everything.
 * Asked at commit, so that a long transaction does not overtake the switch. A clinician's own order, a rejection, a
   recall, what expires and what the patient declines are never stopped.
"""

from __future__ import annotations

from django.db import migrations, models

from governance.migrations_sql import controls

STOPS = """
CREATE FUNCTION care_loops_suspended(of_loop uuid) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE
    l care_loops_loop%ROWTYPE;
    said jsonb;
    scopes text[];
    names text[];
BEGIN
    SELECT * INTO l FROM care_loops_loop WHERE id = of_loop;
    IF l.origin <> 'proposal' OR NOT EXISTS (
        SELECT 1 FROM governance_suspension s
        WHERE NOT EXISTS (SELECT 1 FROM governance_suspensionend e WHERE e.suspension_id = s.id)
    ) THEN
        RETURN NULL;
    END IF;
    said := l.evidence::jsonb;
    SELECT array_agg(t.scope), array_agg(t.name) INTO scopes, names FROM (
        VALUES ('everything', ''), ('pathway', l.pathway), ('model', l.model_name),
               ('model', l.model_name || '@' || l.model_version),
               ('boundary', coalesce(l.boundary_id::text, said #>> '{boundary,boundary_id}'))
        UNION ALL SELECT 'cohort', jsonb_array_elements_text(coalesce(said -> 'cohorts', '[]'))
        UNION ALL SELECT 'device_type', k.device_type FROM care_loops_knowndevice k
            WHERE k.device IN (SELECT r ->> 'device_id' FROM jsonb_array_elements(said -> 'readings') r)
    ) AS t(scope, name);
    RETURN governance_stopped(scopes, names);
END $$;

CREATE FUNCTION care_loops_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF care_loops_suspended(NEW.loop_id) IS NOT NULL THEN
        RAISE EXCEPTION 'recommendation % rests on what is suspended', NEW.loop_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER care_loops_step_goes_on AFTER INSERT ON care_loops_step
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.state IN ('with_patient', 'approved', 'modified', 'delivered', 'accepted')
          OR NEW.state = 'with_clinician' AND NEW.before = 'proposed')
    EXECUTE FUNCTION care_loops_goes_on();
CREATE CONSTRAINT TRIGGER care_loops_message_goes_on AFTER INSERT ON care_loops_message
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.loop_id IS NOT NULL AND NEW.kind <> 'recalled') EXECUTE FUNCTION care_loops_goes_on();
ALTER TABLE care_loops_step ENABLE ALWAYS TRIGGER care_loops_step_goes_on;
ALTER TABLE care_loops_message ENABLE ALWAYS TRIGGER care_loops_message_goes_on;
"""


class Migration(migrations.Migration):
    """The types of devices, and the triggers."""

    dependencies = [
        ("care_loops", "0015_taken_back_by_its_source"),
        ("governance", "0008_suspensions"),
        ("audit", "0001_initial"),
    ]
    operations = [
        migrations.CreateModel(
            name="KnownDevice",
            fields=[
                ("device", models.CharField(max_length=80, primary_key=True, serialize=False)),
                ("device_type", models.CharField(max_length=120)),
                ("entry", models.UUIDField()),
            ],
            options={"indexes": [models.Index(fields=["device_type"], name="known_device_type")]},
        ),
        *controls(grows=["care_loops_knowndevice"], moves={}),
        migrations.RunSQL(
            sql=STOPS,
            reverse_sql="DROP FUNCTION care_loops_goes_on() CASCADE; DROP FUNCTION care_loops_suspended(uuid)",
        ),
    ]
