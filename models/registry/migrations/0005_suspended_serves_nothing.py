"""No release of a model while it, its pathway or everything is suspended: held by the database too (FAL-03)."""

from __future__ import annotations

from django.db import migrations

GOES_ON = """
CREATE FUNCTION model_registry_release_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM model_registry_modelversion m WHERE m.id = NEW.model_version_id AND governance_stopped(
            ARRAY['everything', 'pathway', 'model', 'model'],
            ARRAY['', m.pathway, m.name, m.name || '@' || m.version]) IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'a model that is suspended, or whose pathway is, is not released'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER model_registry_release_goes_on AFTER INSERT ON model_registry_modelrelease
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION model_registry_release_goes_on();
ALTER TABLE model_registry_modelrelease ENABLE ALWAYS TRIGGER model_registry_release_goes_on;
"""


class Migration(migrations.Migration):
    """The trigger."""

    dependencies = [("model_registry", "0004_signed_rows"), ("governance", "0008_suspensions")]
    operations = [
        migrations.RunSQL(sql=GOES_ON, reverse_sql="DROP FUNCTION model_registry_release_goes_on() CASCADE")
    ]
