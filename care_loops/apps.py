"""The care loops app."""

from __future__ import annotations

from django.apps import AppConfig


class CareLoopsConfig(AppConfig):
    """The patient's record and the four loops."""

    name = "care_loops"
    default_auto_field = "django.db.models.BigAutoField"
