"""The governance app."""

from __future__ import annotations

from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    """Authority: accounts, roles, signatures, policies."""

    name = "governance"
    default_auto_field = "django.db.models.BigAutoField"
