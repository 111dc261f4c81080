"""No approval and no release of a predictor without a signature over this very version (N7; 21 CFR 11.70)."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from governance.migrations_sql import controls, signed_row

RELEASED = """
CREATE FUNCTION model_registry_is_released() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.active AND NOT EXISTS (
        SELECT 1 FROM model_registry_modelrelease r JOIN audit_pending p ON p.entry_id = r.entry
        WHERE r.model_version_id = NEW.id AND r.digest = NEW.digest AND p.txid = pg_current_xact_id()
    ) THEN
        RAISE EXCEPTION 'model % % is put to work without a signed release', NEW.name, NEW.version
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER model_registry_is_released AFTER INSERT OR UPDATE OF active ON model_registry_modelversion
    DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION model_registry_is_released();
ALTER TABLE model_registry_modelversion ENABLE ALWAYS TRIGGER model_registry_is_released;
"""


class Migration(migrations.Migration):
    """Signatures of approvals, releases, and the triggers."""

    dependencies = [
        ("governance", "0007_signed_by_evidence"),
        ("model_registry", "0003_moves_have_entries"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="modelapproval",
            name="signature",
            field=models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="governance.signature"
            ),
        ),
        migrations.CreateModel(
            name="ModelRelease",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("digest", models.CharField(max_length=64)),
                ("released_at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                (
                    "model_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="releases",
                        to="model_registry.modelversion",
                    ),
                ),
                (
                    "released_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "signature",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="governance.signature"
                    ),
                ),
            ],
        ),
        *controls(grows=["model_registry_modelrelease"], moves={}),
        signed_row("model_registry_modelapproval", "model.approved", signer="approver_id", of=("model_version_id",)),
        signed_row("model_registry_modelrelease", "model.activated", signer="released_by_id", of=("model_version_id",)),
        migrations.RunSQL(sql=RELEASED, reverse_sql="DROP FUNCTION model_registry_is_released() CASCADE"),
    ]
