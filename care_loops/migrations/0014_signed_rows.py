"""No decision, recall, target, boundary or alert limit without a signature over this very record (21 CFR 11.70)."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from governance.migrations_sql import signed_row

DECIDED = ("recommendation.approved", "recommendation.modified", "recommendation.rejected")


class Migration(migrations.Migration):
    """The signature of a recall, and the triggers."""

    dependencies = [("care_loops", "0013_second_reviews_drawn"), ("governance", "0007_signed_by_evidence")]

    operations = [
        migrations.AddField(
            model_name="step",
            name="signature",
            field=models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="governance.signature"
            ),
        ),
        signed_row("care_loops_decision", *DECIDED, signer="decided_by_id", of=("loop_id",)),
        signed_row(
            "care_loops_step",
            "recommendation.recalled",
            signer="actor_id",
            of=("loop_id",),
            version="seq",
            when="NEW.state = 'recalled' AND NEW.actor_kind <> 'service'",  # what nobody sent in time the clock takes back
        ),
        signed_row("care_loops_target", "target.signed", signer="signed_by_id", of=("id",)),
        signed_row(
            "care_loops_boundary", "boundary.signed", signer="signed_by_id", of=("patient_id",), version="version"
        ),
        signed_row(
            "care_loops_alertlimits",
            "alert_limits.signed",
            signer="signed_by_id",
            of=("patient_id",),
            version="version",
        ),
    ]
