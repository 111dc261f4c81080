"""The tables that the migrations make are those of the models: each column's type and emptiness, key and constraint.

Migrations run while only what they can change is rendered (`config/migrating.py`); this is what would show if that were
too little.
"""

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.db.migrations.state import ProjectState

from config.grants import connect_as_owner
from config.migrating import rendering_what_changed

COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
"""
KEYS = """
SELECT c.relname, a.attname, f.relname, b.attname
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
JOIN pg_attribute b ON b.attrelid = f.oid AND b.attnum = k.confkey[1]
WHERE k.contype = 'f' AND cardinality(k.conkey) = 1
"""
NAMES = "SELECT conname FROM pg_constraint UNION SELECT relname FROM pg_class WHERE relkind IN ('i', 'I')"
UNIQUE = """
SELECT c.relname, a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
WHERE i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL
"""


def asked(cursor, statement: str) -> list[tuple]:
    cursor.execute(statement)
    return cursor.fetchall()


def ours() -> list[type[models.Model]]:
    return [model for model in apps.get_models(include_auto_created=True) if model._meta.managed]


def differences(cursor) -> list[str]:
    """What a model says and its table does not."""
    found = []
    columns = {(table, column): (kind, full) for table, column, kind, full in asked(cursor, COLUMNS)}
    keys, names, unique = (set(asked(cursor, statement)) for statement in (KEYS, NAMES, UNIQUE))
    for model in ours():
        table = model._meta.db_table
        for field in model._meta.local_concrete_fields:
            at = (table, field.column)
            cursor.execute("SELECT format_type(to_regtype(%s), to_regtypemod(%s))", [field.db_type(connection)] * 2)
            said = (cursor.fetchone()[0], not field.null)
            ours_to_say = not (model._meta.auto_created and field.primary_key)  # Django's own, of two minds about it
            if columns.get(at) != said and ours_to_say:
                found.append(f"{table}.{field.column}: {columns.get(at)}, not {said}")
            if field.is_relation and field.db_constraint:
                target = field.target_field
                if (*at, target.model._meta.db_table, target.column) not in keys:
                    found.append(f"{table}.{field.column} points nowhere")
            if field.unique and at not in unique:
                found.append(f"{table}.{field.column} is not unique")
        named = (one.name for one in (*model._meta.constraints, *model._meta.indexes))
        found += [f"{table} lacks {name}" for name in named if (name,) not in names]
    return found


@pytest.mark.django_db
def test_every_column_key_and_constraint_of_a_model_is_in_its_table():
    assert len(ours()) > 100
    with connection.cursor() as cursor:
        assert differences(cursor) == []


def test_a_table_that_differs_in_one_thing_is_found(transactional_db):
    name = connection.settings_dict["NAME"]
    for change, seen in (
        (
            "ALTER TABLE governance_invitation ALTER COLUMN accepted_at SET NOT NULL",
            "governance_invitation.accepted_at",
        ),
        ("ALTER TABLE django_session ALTER COLUMN session_key TYPE varchar(41)", "django_session.session_key"),
        ("ALTER TABLE django_content_type DROP COLUMN model CASCADE", "django_content_type.model"),
    ):
        with connect_as_owner(name=name) as owner, owner.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(change)
            assert any(line.startswith(seen) for line in differences(cursor)), change
            cursor.execute("ROLLBACK")


def test_what_a_migrations_code_is_given_is_rendered_whole():
    """A model that changed after all were rendered: code sees it, and what points at it, as Django would show them."""
    state = ProjectState.from_apps(apps)
    state.apps  # noqa: B018 - rendered, as it is after the first operation
    with rendering_what_changed():
        state.add_field("contenttypes", "contenttype", "planted", models.IntegerField(null=True), preserve_default=True)
        state.clear_delayed_apps_cache()
        kind = state.apps.get_model("contenttypes", "contenttype")
        assert kind._meta.get_field("planted").null
        permission = state.apps.get_model("auth", "permission")
        assert permission._meta.get_field("content_type").related_model is kind
    assert not hasattr(ContentType, "planted")


def test_django_renders_as_it_does_outside_of_ours():
    before = ProjectState._find_reload_model
    with rendering_what_changed():
        assert ProjectState._find_reload_model is not before
    assert ProjectState._find_reload_model is before
