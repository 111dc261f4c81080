"""The audit application as Django sees it."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Registers the tables and the system check of database rights."""

    name = "audit"
    label = "audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the check that says when the database cannot keep the record append-only."""
        from audit import checks  # noqa: F401  (registration by import, as Django's check framework asks)
