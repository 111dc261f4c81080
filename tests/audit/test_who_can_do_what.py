"""Thirteen statements, four roles, every evidence table: what is denied, what a guard stops, what succeeds and is seen.

SECURITY 0 finding 5. Each statement meets rows that are there and is rolled back. The database stops the application;
it does not stop its owner or a superuser, whose acts are seen by drift (guards, rights) or by verification (rows).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections, transaction

from audit.migrations_sql import EVIDENCE
from audit.services import drift, guards
from audit.services.verifying import verify_log
from config.embedded import home
from config.embedded.postgres import _admin_dsn
from tests.audit.authority import Authority
from tests.audit.builders import complete, event, first_bad, record
from tests.audit.test_rights import COLUMN, filled

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])

DONE, GUARD, NONE = "done", "guard", "no right"
# Of the statements below, where the role may add rows at all: there it may insert and copy.
ADDS = {
    "app": {"audit_pending", "audit_objectversion", "audit_payload"},
    "sequencer": {
        "audit_entry",
        "audit_treestate",
        "audit_tile",
        "audit_checkpoint",
        "audit_cosignature",
        "audit_timestamp",
    },
}
SEALED = {"audit_segment", "audit_detached"}  # a row comes only beside what says so: a guard asks
TABLE = """
statement                    app        sequencer  owner      superuser
insert                       adds       adds       asked      asked
copy                         adds       adds       asked      asked
update                       no right   no right   guard      guard
delete                       no right   pending    guard      guard
truncate                     no right   no right   guard      guard
upsert                       no right   no right   guard      guard
replica, then update         no right   no right   no right   guard
disable trigger              no right   no right   done       done
drop trigger                 no right   no right   done       done
replace function             no right   no right   done       done
drop table                   no right   no right   done       done
rename and replace           no right   no right   done       done
grant to the application     no right   no right   done       done
"""
STATEMENTS = {
    "update": "UPDATE {t} SET {c} = {c}",
    "delete": "DELETE FROM {t}",
    "truncate": "TRUNCATE {t}",
    "replica, then update": "SET LOCAL session_replication_role = replica; UPDATE {t} SET {c} = {c}",
    "disable trigger": "ALTER TABLE {t} DISABLE TRIGGER {t}_no_change",
    "drop trigger": "DROP TRIGGER {t}_no_change ON {t}",
    "replace function": "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN RETURN NEW; END'",
    "drop table": "DROP TABLE {t} CASCADE",
    "rename and replace": "ALTER TABLE {t} RENAME TO {t}_former; CREATE TABLE {t} (LIKE {t}_former INCLUDING ALL)",
    "grant to the application": "GRANT UPDATE ON {t} TO {app}",
}
NEW_VALUE = {
    "uuid": "gen_random_uuid()",
    "bigint": "(SELECT max({c}) + 1 FROM {t})",
    "smallint": "{c}",
    "character varying": "{c} || 'x'",
    "bytea": "sha256({c})",
}
GARBAGE = {"audit_cosignature": "(256, 'w', 'x')", "audit_timestamp": "(256, 'a', 'x')"}
FOUND = {
    "audit_pending": "pending-columns",
    "audit_objectversion": "version-astray",
    "audit_payload": "payload-orphan",
    "audit_entry": "leaf-hash",
    "audit_treestate": "checkpoint-beyond",
    "audit_tile": "tile-beyond",
    "audit_checkpoint": "checkpoint-beyond",
    "audit_cosignature": "checkpoint-cosignature",
    "audit_timestamp": "timestamp-garbage",
    "audit_segment": None,  # nobody puts one in unasked: a guard stops the owner too
    "audit_detached": None,
}


@pytest.fixture
def roles(app_db, sequencer_db, owner_db) -> Iterator[dict[str, psycopg.Cursor]]:
    """A cursor of each; the superuser is the embedded database's own."""
    found = {"app": app_db, "sequencer": sequencer_db, "owner": owner_db}
    if not settings.EMBEDDED:
        yield found
        return
    with psycopg.connect(_admin_dsn(home(), connection.settings_dict["NAME"]), autocommit=True) as admin:
        yield found | {"superuser": admin.cursor()}


def expected(role: str) -> dict[tuple[str, str], str]:
    """(statement, table) to outcome, from the table above."""
    rows = [line.split("  ") for line in TABLE.strip().splitlines()]
    header, *body = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    said = {row[0]: row[header.index(role)] for row in body}
    special = {
        "adds": lambda table: DONE if table in ADDS[role] else NONE,
        "asked": lambda table: GUARD if table in SEALED else DONE,
        "pending": lambda table: GUARD if table == "audit_pending" else NONE,  # what stands in the log leaves it
    }
    return {
        (name, table): special.get(outcome, lambda _, always=outcome: always)(table)
        for name, outcome in said.items()
        for table in EVIDENCE
    }


def everything(owner_db: psycopg.Cursor) -> None:
    """A row in every evidence table; those of segments come past their guards, which are put back."""
    filled()
    for table in SEALED & {*EVIDENCE}:
        owner_db.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_comes")
        if table == "audit_segment":
            owner_db.execute("INSERT INTO audit_segment VALUES (1, 0, 256, 'x', 'x', 'x', 'x', gen_random_uuid())")
        else:
            owner_db.execute("INSERT INTO audit_detached VALUES (gen_random_uuid(), 9999, 'x', 'x.x', 'ok', now())")
        owner_db.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_comes")


def a_new_row(cursor: psycopg.Cursor, role: psycopg.Cursor, table: str) -> tuple[str, list]:
    """Columns that the role may name, and the values of a row that is there under keys that are not."""
    role.execute(
        "SELECT attname, format_type(atttypid, NULL), EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid"
        " AND i.indisunique AND a.attnum = ANY(i.indkey)), has_column_privilege(attrelid, attnum, 'INSERT')"
        " FROM pg_attribute a WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        [table],
    )
    columns = role.fetchall()
    named = [each for each in columns if each[3]] or columns
    values = [NEW_VALUE[kind].format(c=name, t=table) if key else name for name, kind, key, _ in named]
    cursor.execute(f"SELECT {', '.join(values)} FROM {table} LIMIT 1")
    return ", ".join(name for name, *_ in named), list(cursor.fetchone())


def perform(name: str, cursor: psycopg.Cursor, table: str, row: tuple[str, list]) -> None:
    columns, values = row
    if name == "copy":
        with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            copy.write_row(values)
    elif name in {"insert", "upsert"}:
        again = ""
        if name == "upsert":
            cursor.execute(f"SELECT {columns} FROM {table} LIMIT 1")
            values = cursor.fetchone()
            cursor.execute(
                "SELECT string_agg(attname, ', ') FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND"
                " a.attnum = ANY(i.indkey) WHERE i.indrelid = %s::regclass AND indisunique AND attname = ANY(%s)"
                " GROUP BY i.indexrelid, indnkeyatts HAVING count(*) = indnkeyatts ORDER BY i.indexrelid LIMIT 1",
                [table, columns.split(", ")],
            )
            again = f" ON CONFLICT ({cursor.fetchone()[0]}) DO UPDATE SET {COLUMN[table]} = EXCLUDED.{COLUMN[table]}"
        marks = ", ".join(["%s"] * len(values))
        cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks}){again}", values)
    else:
        app = settings.DATABASE_ROLES["default"]
        cursor.execute(STATEMENTS[name].format(t=table, c=COLUMN[table], app=app))
    if name.startswith("grant"):  # who has nothing to give is only warned
        cursor.execute("SELECT has_table_privilege(%s, %s, 'UPDATE')", [settings.DATABASE_ROLES["default"], table])
        if not cursor.fetchone()[0]:
            raise psycopg.errors.InsufficientPrivilege


@contextmanager
def undone(cursor: psycopg.Cursor) -> Iterator[None]:
    with cursor.connection.transaction(force_rollback=True):
        yield


def outcome(name: str, cursor: psycopg.Cursor, table: str, row: tuple[str, list]) -> str:
    try:
        with undone(cursor):
            perform(name, cursor, table, row)
    except psycopg.errors.InsufficientPrivilege as err:
        return GUARD if "audit_" in (err.diag.context or "") else NONE
    return DONE


@pytest.mark.parametrize("role", ["app", "sequencer", "owner", "superuser"])
def test_every_role_can_do_what_the_table_says_and_nothing_else(role, roles, owner_db):
    if role not in roles:
        pytest.skip("the database is not ours: a superuser of it is not at hand")
    everything(owner_db)
    found = {}
    for table in EVIDENCE:
        row = a_new_row(owner_db, roles[role], table)
        for name in ("insert", "copy", "upsert", *STATEMENTS):
            found[name, table] = outcome(name, roles[role], table, row)
    wrong = {key: (found[key], said) for key, said in expected(role).items() if found.get(key) != said}
    assert wrong == {}
    assert found.keys() == expected(role).keys()
    assert len({name for name, _ in found}) == 13


def test_a_change_of_guards_or_rights_that_succeeds_is_seen_at_once(roles, owner_db):
    """By whoever did it: drift looks at what is there."""
    everything(owner_db)
    assert drift.check() == ()
    unseen = []
    for role in roles.keys() & {"owner", "superuser"}:
        for (name, table), said in expected(role).items():
            if said == DONE and name in STATEMENTS:
                with undone(roles[role]):
                    perform(name, roles[role], table, ("", []))
                    if not guards.differences(roles[role]):
                        unseen.append((role, name, table))
    assert unseen == []
    assert drift.check() == ()


def test_a_row_that_is_put_in_past_the_application_is_found_by_verification(owner_db, settings, tmp_path):
    """Whoever puts it in, verification reads the same: the owner here. Nothing of an honest log is called false."""
    (tmp_path / "roots.pem").write_bytes(Authority().pem)
    settings.AUDIT_TIMESTAMP_ROOTS = str(tmp_path / "roots.pem")
    record(*[event(f"loop-{n}") for n in range(256)])
    complete()
    record(event("pending"))
    assert first_bad() is None
    found = {}
    for table in EVIDENCE:
        with transaction.atomic(using="owner"):
            with connections["owner"].cursor() as cursor:
                if table in GARBAGE:
                    cursor.execute(f"INSERT INTO {table} VALUES {GARBAGE[table]}")
                elif table not in SEALED:
                    columns, values = a_new_row(cursor, owner_db, table)
                    marks = ", ".join(["%s"] * len(values))
                    cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", values)
            found[table] = getattr(verify_log(using="owner")[0].first_bad, "code", None)
            transaction.set_rollback(True, using="owner")
    assert found == {table: code for table, code in FOUND.items() if table in EVIDENCE}
