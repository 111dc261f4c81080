"""A reading may be held back because only parts of it could be read."""

from __future__ import annotations

from django.db import migrations, models

HELD_BACK = (
    *("device_sentinel", "systolic_not_above_diastolic", "pulse_pressure_too_small", "systolic_out_of_range"),
    *("diastolic_out_of_range", "pulse_out_of_range", "future", "equivocal", "not_exact", "partly_read"),
)


class Migration(migrations.Migration):
    """A word of a closed set; no column changes."""

    dependencies = [("care_loops", "0025_probes")]

    operations = [
        migrations.AlterField(
            model_name="bloodpressure",
            name="quarantined",
            field=models.CharField(blank=True, choices=[(word, word) for word in HELD_BACK], max_length=40),
        ),
    ]
