"""Who a patient is, encrypted under the data key of the patient."""

from django.db import migrations


class Migration(migrations.Migration):
    """Who a patient is, encrypted under the data key of the patient."""

    dependencies = [("care_loops", "0008_limits_and_visits")]
    operations = []
