"""That a person takes no medicines is a line of the regimen of its own: no drug, no dose, from outside (N2)."""

from __future__ import annotations

from django.db import migrations, models

KNOWN = models.Q(known=True, unknown_reason="") & ~models.Q(ingredient="")
UNKNOWN = models.Q(known=False) & ~models.Q(unknown_reason="")
NOTHING = models.Q(status="nothing", unknown_reason="")


class Migration(migrations.Migration):
    """The status, and what goes with it."""

    dependencies = [("care_loops", "0021_less_is_not_held")]

    operations = [
        migrations.AlterField(
            "regimenentry",
            "status",
            models.CharField(
                max_length=10, choices=[("active", "active"), ("stopped", "stopped"), ("nothing", "nothing")]
            ),
        ),
        migrations.RemoveConstraint("regimenentry", "regimen_unknown_has_reason"),
        migrations.AddConstraint(
            "regimenentry",
            models.CheckConstraint(name="regimen_unknown_has_reason", condition=KNOWN | UNKNOWN | NOTHING),
        ),
        migrations.AddConstraint(
            "regimenentry",
            models.CheckConstraint(
                name="regimen_nothing_names_no_drug",
                condition=~models.Q(status="nothing")
                | models.Q(known=True, ingredient="", daily_dose_mg__isnull=True, loop__isnull=True),
            ),
        ),
    ]
