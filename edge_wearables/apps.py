"""The entrance as Django knows it."""

from django.apps import AppConfig


class EdgeWearablesConfig(AppConfig):
    """Devices and what they send."""

    name = "edge_wearables"
    default_auto_field = "django.db.models.BigAutoField"
