"""The model registry app."""

from __future__ import annotations

from django.apps import AppConfig


class ModelRegistryConfig(AppConfig):
    """Predictors, cards, approvals, examples."""

    name = "models.registry"
    label = "model_registry"
    default_auto_field = "django.db.models.BigAutoField"
