"""The registry as Django knows it."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """Installed under the label `model_registry`, because `models` says too little in a table's name."""

    name = "models.registry"
    label = "model_registry"
    default_auto_field = "django.db.models.BigAutoField"
