"""What each database role can do to the record, by statement, compared with a table (SECURITY 0 finding 5)."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections, transaction

from audit.migrations_sql import EVIDENCE, WORKING, set_rights
from audit.services import segments
from config.embedded import home
from config.embedded.postgres import _admin_dsn
from tests.audit.builders import JOB, NOON, complete, event, record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])

COLUMN = {
    "audit_pending": "prev",
    "audit_objectversion": "leaf_hash",
    "audit_payload": "body",
    "audit_entry": "leaf",
    "audit_treestate": "root",
    "audit_tile": "root",
    "audit_checkpoint": "note",
    "audit_cosignature": "line",
    "audit_timestamp": "token",
    "audit_segment": "root",
    "audit_detached": "leaf_hash",
    "audit_datakey": "wrapped",
    "audit_payloadkey": "sealed",
    "audit_idempotencykey": "body",
    "audit_outbox": "payload",
    "audit_inbox": "at",
    "audit_denialtally": "actor",
    "audit_export": "asked",
    "audit_legalhold": "released_at",
}
STATEMENTS = {
    "select": "SELECT count(*) FROM {t}",
    "update": "UPDATE {t} SET {c} = {c} WHERE false",
    "delete": "DELETE FROM {t} WHERE false",
    "truncate": "TRUNCATE {t}",
    "insert all": "INSERT INTO {t} SELECT * FROM {t} WHERE false",
    "upsert": "INSERT INTO {t} SELECT * FROM {t} WHERE false ON CONFLICT DO NOTHING",
    "disable trigger": "ALTER TABLE {t} DISABLE TRIGGER ALL",
    "drop trigger": "DROP TRIGGER {t}_no_change ON {t}",
    "create trigger": "CREATE TRIGGER x BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "create rule": "CREATE RULE x AS ON INSERT TO {t} DO INSTEAD NOTHING",
    "add column": "ALTER TABLE {t} ADD COLUMN x int",
    "rename": "ALTER TABLE {t} RENAME TO x",
    "drop table": "DROP TABLE {t}",
    "change owner": "ALTER TABLE {t} OWNER TO CURRENT_USER",
    "lock": "LOCK TABLE {t} IN ACCESS EXCLUSIVE MODE",
    "references": "CREATE TABLE x (id bigint REFERENCES {t})",
    "copy in": "COPY {t} FROM STDIN",
}
ON_DATABASE = {
    "replace trigger function": "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NEW; END'",
    "drop trigger function": "DROP FUNCTION audit_refuse() CASCADE",
    "replica": "SET session_replication_role = replica",
    "become owner": "SET ROLE {owner}",
    "shadow table": "CREATE TABLE audit_shadow (id int)",
}
# What is allowed; everything else is denied. Who may delete may also lock the table: PostgreSQL makes no difference.
ADD = {"select", "insert all", "upsert", "copy in"}
ALLOWED = {
    "app": {
        "audit_pending": {"select"},  # INSERT of four columns only: not of the transaction number
        "audit_objectversion": ADD,
        "audit_payload": ADD,
        "audit_entry": {"select"},
        "audit_treestate": {"select"},
        "audit_tile": {"select"},
        "audit_checkpoint": {"select"},
        "audit_cosignature": {"select"},
        "audit_timestamp": {"select"},
        "audit_segment": {"select"},
        "audit_detached": {"select"},
        "audit_datakey": {"select", "update"},  # INSERT of what comes, UPDATE of the wrapping; triggers ask for entries
        "audit_payloadkey": ADD | {"delete", "lock"},  # no UPDATE; a row leaves only beside its entry
        "audit_idempotencykey": ADD | {"delete", "lock"},
        "audit_outbox": ADD,  # UPDATE of the columns of delivery only: not of what is delivered
        "audit_inbox": ADD,
        "audit_denialtally": ADD | {"delete", "lock"},  # UPDATE of the count only
        "audit_export": ADD,  # UPDATE of how far it is only: not of what was asked
        "audit_legalhold": {"select", "update"},  # INSERT of name and person; triggers ask for entries
    },
    "sequencer": {
        "audit_pending": {"select", "delete", "lock"},
        "audit_entry": ADD,
        "audit_treestate": ADD,
        "audit_tile": ADD,
        "audit_checkpoint": ADD,
        "audit_cosignature": ADD,
        "audit_timestamp": ADD,
        "audit_segment": {"select"},
        "audit_detached": {"select"},
    },
}


def _may(cursor: psycopg.Cursor, statement: str) -> bool:
    """Whether the role may; whatever it did is undone."""
    try:
        with cursor.connection.transaction(force_rollback=True):
            if statement.startswith("COPY"):
                with cursor.copy(statement):
                    pass
            else:
                cursor.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return False
    except (
        psycopg.errors.UndefinedObject
    ):  # a working table has no guard of that name to drop; owning is asked elsewhere
        return False
    return True


@pytest.mark.parametrize("role", ["app", "sequencer"])
def test_a_role_can_do_what_the_table_says_and_nothing_else(role, app_db, sequencer_db):
    cursor = {"app": app_db, "sequencer": sequencer_db}[role]
    found = {
        table: {name for name, text in STATEMENTS.items() if _may(cursor, text.format(t=table, c=COLUMN[table]))}
        for table in (*EVIDENCE, *WORKING)
    }
    assert {table: may for table, may in found.items() if may} == ALLOWED[role]


@pytest.mark.parametrize("role", ["app", "sequencer"])
def test_a_role_cannot_change_the_guards_or_become_another(role, app_db, sequencer_db):
    cursor = {"app": app_db, "sequencer": sequencer_db}[role]
    assert [
        name
        for name, statement in ON_DATABASE.items()
        if _may(cursor, statement.format(owner=settings.DATABASE_ROLES["owner"]))
    ] == []


def test_the_owner_can_be_told_apart_by_the_same_statements(owner_db):
    """The power check: the statements above do succeed for a role that may."""
    allowed = {name for name, text in STATEMENTS.items() if _may(owner_db, text.format(t="audit_entry", c="leaf"))}
    assert allowed == set(STATEMENTS) - {"truncate"}  # stopped by the guard even without a row


def filled() -> None:
    """At least one row in every evidence table: full tiles need 256 entries."""
    record(*[event(f"loop-{n}") for n in range(256)])
    complete()
    record(event("pending"))
    with connections["sequencer"].cursor() as cursor:
        cursor.execute("INSERT INTO audit_cosignature (size, key_name, line) VALUES (256, 'w', 'x')")
        cursor.execute("INSERT INTO audit_timestamp (size, authority, token) VALUES (256, 'a', 'x')")


def detached(folder) -> None:
    """And the first 256 of them detached, with something pending after it."""
    segments.seal(until=datetime.now(tz=UTC) + timedelta(days=1), out=folder, by=JOB, now=NOON)
    complete()
    segments.detach(1, archives=folder, by=JOB, now=NOON, using="owner")


def _rows(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return cursor.fetchone()[0]


def test_the_owners_own_update_delete_and_truncate_are_stopped(owner_db, tmp_path):
    filled()
    detached(tmp_path)
    for table in EVIDENCE:
        before = _rows(table)
        assert before > 0, table
        for statement in (
            f"UPDATE {table} SET {COLUMN[table]} = {COLUMN[table]}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner_db.execute(statement)
        assert _rows(table) == before


def test_every_guard_also_holds_for_a_replica(owner_db):
    owner_db.execute(
        "SELECT tgrelid::regclass::text, tgenabled::text FROM pg_trigger"
        " WHERE tgrelid::regclass::text = ANY(%s) AND NOT tgisinternal",
        [list(EVIDENCE)],
    )
    guards = owner_db.fetchall()
    assert {table for table, _ in guards} == set(EVIDENCE)
    assert {enabled for _, enabled in guards} == {"A"}


@pytest.mark.skipif(not settings.EMBEDDED, reason="a superuser of the database is needed: embedded database only")
def test_a_superuser_who_plays_replica_is_stopped_and_one_who_disables_the_trigger_is_not():
    """The second half is the honest one: against a superuser only the tree and what is kept outside speak."""
    filled()
    with psycopg.connect(_admin_dsn(home(), connection.settings_dict["NAME"])) as admin:
        admin.execute("SET session_replication_role = replica")
        for statement in ("UPDATE audit_entry SET leaf = leaf", "DELETE FROM audit_entry", "TRUNCATE audit_entry"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), admin.transaction():
                admin.execute(statement)
        with admin.transaction(force_rollback=True):
            admin.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
            assert admin.execute("DELETE FROM audit_entry").rowcount == 256


def test_the_sequencer_can_only_delete_what_stands_in_the_log(sequencer_db):
    record(event())
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not in the log yet"):
        sequencer_db.execute("DELETE FROM audit_pending")
    complete()
    assert _rows("audit_pending") == 0


def test_a_temporary_table_of_the_same_name_does_not_deceive_the_guard(sequencer_db):
    record(event())
    sequencer_db.execute("CREATE TEMPORARY TABLE audit_entry AS SELECT entry_id, leaf_hash FROM audit_pending")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not in the log yet"):
        sequencer_db.execute("DELETE FROM audit_pending")


def test_with_one_role_for_everything_the_rights_are_passed_over_and_the_guards_stay(owner_db, settings):
    """Such a site works; the check at every start says what it lacks."""
    settings.DATABASE_ROLES = dict.fromkeys(("default", "owner", "sequencer"), settings.DATABASE_ROLES["owner"])
    before = _grants(owner_db)
    editor = SimpleNamespace(connection=connections["owner"])
    with transaction.atomic(using="owner"):
        set_rights(None, editor)
        transaction.set_rollback(True, using="owner")
    settings.DATABASE_ROLES = settings.DATABASE_ROLES | {"default": "nobody_here", "sequencer": "nobody_either"}
    with transaction.atomic(using="owner"):
        set_rights(None, editor)
    assert _grants(owner_db) == before


def _grants(owner_db) -> list:
    owner_db.execute("SELECT relname, relacl::text FROM pg_class WHERE relname LIKE 'audit_%' ORDER BY 1")
    return owner_db.fetchall()
