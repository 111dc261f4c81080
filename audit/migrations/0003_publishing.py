"""Checkpoints are published: signed by the signer, cosigned by witnesses."""

from django.db import migrations


class Migration(migrations.Migration):
    """Checkpoints are published: signed by the signer, cosigned by witnesses."""

    dependencies = [("audit", "0002_data_keys")]
    operations = []
