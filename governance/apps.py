"""The governance app."""

from __future__ import annotations

from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    """Authority: accounts, roles, signatures, policies."""

    name = "governance"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks that refuse unsafe settings of a site."""
        from . import checks  # noqa: F401  (registration by import, as Django's check framework asks)
