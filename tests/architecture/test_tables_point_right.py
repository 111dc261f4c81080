"""Foreign keys follow the line of imports, protect what they point to, and never touch the record (DESIGN 1)."""

from collections.abc import Iterable

import pytest
from django.apps import apps
from django.db import models
from django.test.utils import isolate_apps

ORDER = ("edge_wearables", "care_loops", "model_registry", "governance", "audit")


def wrong_links(tables: Iterable[type[models.Model]]) -> list[str]:
    """Every relation of ours that points left, does not protect, or joins the record with anything else."""
    found = []
    for table in tables:
        for field in table._meta.get_fields(include_hidden=False):
            if not field.is_relation or field.auto_created or field.related_model is None:
                continue
            source, target = table._meta.app_label, field.related_model._meta.app_label
            if target not in ORDER:
                continue
            name = f"{source}.{table.__name__}.{field.name} -> {target}"
            if ORDER.index(target) < ORDER.index(source):
                found.append(f"{name}: points left")
            if "audit" in {source, target} and source != target:
                found.append(f"{name}: joins the record")
            if not field.many_to_many and field.remote_field.on_delete is not models.PROTECT:
                found.append(f"{name}: does not protect")
    return found


def our_tables() -> list[type[models.Model]]:
    """Every table of the five apps."""
    return [table for label in ORDER for table in apps.get_app_config(label).get_models(include_auto_created=False)]


def test_links_between_tables_point_right_and_protect():
    assert our_tables()
    assert wrong_links(our_tables()) == []


@pytest.mark.parametrize(
    ("source", "target", "on_delete", "reason"),
    [
        ("governance", "care_loops.Patient", models.PROTECT, "points left"),
        ("care_loops", "edge_wearables.Device", models.PROTECT, "points left"),
        ("care_loops", "governance.User", models.CASCADE, "does not protect"),
        ("care_loops", "audit.Entry", models.PROTECT, "joins the record"),
        ("audit", "governance.User", models.PROTECT, "joins the record"),
    ],
)
def test_a_planted_wrong_link_is_found(source, target, on_delete, reason):
    label, name = target.split(".")
    with isolate_apps():
        pointed = _table(name, label, {})
        planted = _table("Planted", source, {"link": models.ForeignKey(pointed, on_delete=on_delete)})
    assert any(finding.endswith(reason) for finding in wrong_links([planted]))


def _table(name: str, label: str, fields: dict) -> type[models.Model]:
    meta = type("Meta", (), {"app_label": label})
    return type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **fields})
