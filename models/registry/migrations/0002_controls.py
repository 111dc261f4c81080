"""Approvals and examples only grow; an active version has two approvals by people other than its author (N7)."""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import controls

TWO_APPROVALS = """
CREATE FUNCTION model_registry_two_approvals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.active AND (
        SELECT count(DISTINCT a.approver_id) FROM model_registry_modelapproval a
        WHERE a.model_version_id = NEW.id AND a.digest = NEW.digest AND a.approver_id <> NEW.registered_by_id
    ) < 2 THEN
        RAISE EXCEPTION 'model % % is not approved by two people other than its author', NEW.name, NEW.version
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER model_registry_two_approvals AFTER INSERT OR UPDATE ON model_registry_modelversion
    DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION model_registry_two_approvals();
ALTER TABLE model_registry_modelversion ENABLE ALWAYS TRIGGER model_registry_two_approvals;
"""


class Migration(migrations.Migration):
    """Rights and triggers of this app's tables."""

    dependencies = [("model_registry", "0001_initial"), ("governance", "0002_controls"), ("audit", "0001_initial")]
    operations = [
        *controls(
            grows=["model_registry_modelapproval", "model_registry_example"],
            moves={"model_registry_modelversion": ["active"]},
        ),
        migrations.RunSQL(sql=TWO_APPROVALS, reverse_sql="DROP FUNCTION model_registry_two_approvals() CASCADE"),
    ]
