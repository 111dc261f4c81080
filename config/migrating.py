"""Making the tables of an empty database in a third of the time: a migration renders only what it can change.

The rules
 * After each operation Django renders again, of all models so far, the one that changed, whatever it points to, and
   whatever else points there. Nearly everything here points to an account, so that was everything, 400 times over.
 * What the tables come out as depends on the model that changed and on those that point to it. Only these are rendered.
 * Code that a migration runs gets models rendered afresh and whole, as Django gives them: the state says so
   (`is_delayed`).
 * `tests/config/test_tables_are_the_models.py` compares the tables that come of it with the models, column by column.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.migrations.state import ProjectState

FIND = "_find_reload_model"  # Django's own name for what it renders again


@contextmanager
def rendering_what_changed() -> Iterator[None]:
    """While this lasts, migrations run so."""
    before = getattr(ProjectState, FIND)
    setattr(ProjectState, FIND, _touched)
    try:
        yield
    finally:
        setattr(ProjectState, FIND, before)


def _touched(self: ProjectState, app_label: str, model_name: str, delay: bool = False) -> set[tuple[str, str]]:  # noqa: ARG001
    """The model that changed and those that point to it."""
    self.is_delayed = True
    touched = {(app_label, model_name)}
    try:
        fields = self.apps.get_model(app_label, model_name)._meta.get_fields(include_hidden=True)  # noqa: SLF001
    except LookupError:  # it is new: nothing points to it yet
        return touched
    pointing: list[Any] = [field.related_model for field in fields if field.auto_created and field.is_relation]
    labels = [model._meta.label_lower for model in pointing if hasattr(model, "_meta")]  # noqa: SLF001
    return touched | {(app, name) for app, _, name in (label.partition(".") for label in labels)}
