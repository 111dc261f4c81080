"""What the entrance has told of devices: which type each is, so that a type can be suspended. Nothing else is known."""

from __future__ import annotations

from django.db import models


class KnownDevice(models.Model):
    """A device by its opaque reference, as readings name it, and its type."""

    device = models.CharField(max_length=80, primary_key=True)
    device_type = models.CharField(max_length=120)
    entry = models.UUIDField()

    class Meta:
        indexes = [models.Index(name="known_device_type", fields=["device_type"])]
