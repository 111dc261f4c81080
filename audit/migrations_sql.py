"""What the database itself enforces: rights, append-only triggers, and the reference from a domain row to its entry.

The rules (SECURITY 1.2, DESIGN 7 and 8)
 * Evidence tables: the application inserts and selects; the sequencer has only what it needs; nobody has UPDATE,
   TRUNCATE, REFERENCES or TRIGGER. Working tables have their narrow grants.
 * Triggers on UPDATE, DELETE and TRUNCATE stop the owner's accidents and `session_replication_role = replica`
   (ENABLE ALWAYS). They do not stop an owner or superuser who disables them: that is what the tree, its checkpoints and
   what is kept outside are for.
 * The only DELETE is of a pending row that stands in the log with the same leaf hash.
 * A domain row names its entry by plain uuid; a deferred constraint trigger asks at commit whether the entry exists.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import migrations

EVIDENCE = (
    "audit_pending",
    "audit_objectversion",
    "audit_payload",
    "audit_entry",
    "audit_treestate",
    "audit_tile",
    "audit_checkpoint",
    "audit_cosignature",
    "audit_timestamp",
    "audit_segment",
    "audit_detached",
)
WORKING = (
    "audit_datakey",
    "audit_payloadkey",
    "audit_idempotencykey",
    "audit_outbox",
    "audit_inbox",
    "audit_denialtally",
    "audit_export",
    "audit_legalhold",
)

GRANTS: dict[str, dict[str, str]] = {
    "app": {
        "audit_pending": "SELECT, INSERT (entry_id, leaf, leaf_hash, prev)",
        "audit_objectversion": "SELECT, INSERT",
        "audit_payload": "SELECT, INSERT",
        "audit_entry": "SELECT",
        "audit_treestate": "SELECT",
        "audit_tile": "SELECT",
        "audit_checkpoint": "SELECT",
        "audit_cosignature": "SELECT",
        "audit_timestamp": "SELECT",
        "audit_segment": "SELECT",
        "audit_detached": "SELECT",
        "audit_datakey": "SELECT, INSERT (id, subject, kek_id, wrapped), UPDATE (kek_id, wrapped, destroyed_at)",
        "audit_payloadkey": "SELECT, INSERT, DELETE",
        "audit_idempotencykey": "SELECT, INSERT, DELETE",
        "audit_outbox": "SELECT, INSERT, UPDATE (attempts, available_at, sent_at, parked_at, last_error)",
        "audit_inbox": "SELECT, INSERT",
        "audit_denialtally": "SELECT, INSERT, DELETE, UPDATE (count)",
        "audit_export": "SELECT, INSERT, UPDATE (state, attempts, done, total, sha256, report_sha256, bytes, entries,"
        " error, begun_at, ended_at, expires_at)",
        "audit_legalhold": "SELECT, INSERT (name, subject), UPDATE (released_at)",
    },
    "sequencer": {
        "audit_pending": "SELECT, DELETE",
        "audit_entry": "SELECT, INSERT",
        "audit_treestate": "SELECT, INSERT",
        "audit_tile": "SELECT, INSERT",
        "audit_checkpoint": "SELECT, INSERT",
        "audit_cosignature": "SELECT, INSERT",
        "audit_timestamp": "SELECT, INSERT",
        "audit_segment": "SELECT",
        "audit_detached": "SELECT",
    },
}

FUNCTIONS = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the record only grows: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION audit_pending_leaves() RETURNS trigger LANGUAGE plpgsql
SET search_path = {schema}, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM audit_entry e WHERE e.entry_id = OLD.entry_id AND e.leaf_hash = OLD.leaf_hash) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'entry % is not in the log yet: its pending row stays', OLD.entry_id
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION audit_entry_exists() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
DECLARE
    named uuid;
BEGIN
    EXECUTE format('SELECT ($1).%I', TG_ARGV[0]) INTO named USING NEW;
    IF named IS NULL
       OR EXISTS (SELECT 1 FROM audit_pending WHERE entry_id = named)
       OR EXISTS (SELECT 1 FROM audit_entry WHERE entry_id = named) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '%.% names entry %, which is not in the record', TG_TABLE_NAME, TG_ARGV[0], named
        USING ERRCODE = 'foreign_key_violation';
END $$;
"""


def guard(_apps: Any, schema_editor: Any) -> None:
    """Make every evidence table refuse UPDATE, DELETE and TRUNCATE, whoever asks.

    The functions name their schema, the temporary one last, so that nobody can slip a table of that name before ours.
    """
    quote = schema_editor.connection.ops.quote_name
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        schema = quote(cursor.fetchone()[0])
        cursor.execute(FUNCTIONS.replace("{schema}", schema))
        for table in _here(cursor, EVIDENCE):
            rows = "UPDATE" if table == "audit_pending" else "UPDATE OR DELETE"
            cursor.execute(_trigger(table, f"{table}_no_change", rows, "ROW", "audit_refuse"))
            cursor.execute(_trigger(table, f"{table}_no_truncate", "TRUNCATE", "STATEMENT", "audit_refuse"))
        cursor.execute(_trigger("audit_pending", "audit_pending_leaves", "DELETE", "ROW", "audit_pending_leaves"))


def guard_tables(*tables: str) -> migrations.RunPython:
    """An operation for a later migration: its new evidence tables get their guards and every table its rights."""

    def forwards(apps: Any, schema_editor: Any) -> None:
        with schema_editor.connection.cursor() as cursor:
            for table in tables:
                cursor.execute(_trigger(table, f"{table}_no_change", "UPDATE OR DELETE", "ROW", "audit_refuse"))
                cursor.execute(_trigger(table, f"{table}_no_truncate", "TRUNCATE", "STATEMENT", "audit_refuse"))
        set_rights(apps, schema_editor)

    return migrations.RunPython(forwards, migrations.RunPython.noop)


def make_guards(
    functions: str, triggers: Sequence[tuple[str, str, str, str, str]], *, way_back: bool = True
) -> migrations.RunPython:
    """An operation for a later migration: functions (`{schema}` stands for ours), and triggers that fire for a replica
    too, each (table, name, events, ROW or STATEMENT, function). Without `way_back` it is not undone.
    """

    def forwards(_apps: Any, schema_editor: Any) -> None:
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("SELECT quote_ident(current_schema())")
            cursor.execute(functions.replace("{schema}", cursor.fetchone()[0]))
            for name in _TAKES.findall(functions):
                cursor.execute(f"REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC")
            for trigger in triggers:
                cursor.execute(_trigger(*trigger))

    def backwards(_apps: Any, schema_editor: Any) -> None:
        with schema_editor.connection.cursor() as cursor:
            for table, name, *_ in triggers:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
            for name in re.findall(r"CREATE FUNCTION (\w+)", functions):
                cursor.execute(f"DROP FUNCTION {name} CASCADE")

    return migrations.RunPython(forwards, backwards if way_back else None)


def _here(cursor: Any, tables: tuple[str, ...]) -> list[str]:
    """Those of the tables that exist by now: a later migration brings its own."""
    cursor.execute("SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL", [list(tables)])
    found = {name for (name,) in cursor.fetchall()}
    return [table for table in tables if table in found]


def _trigger(table: str, name: str, events: str, level: str, function: str) -> str:
    return (
        f"CREATE TRIGGER {name} BEFORE {events} ON {table} FOR EACH {level} EXECUTE FUNCTION {function}();"
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"
    )


def unguard(_apps: Any, schema_editor: Any) -> None:
    """Take the guards back, when the migration itself is undone and the tables go with them."""
    with schema_editor.connection.cursor() as cursor:
        for function in ("audit_refuse", "audit_pending_leaves", "audit_entry_exists"):
            cursor.execute(f"DROP FUNCTION {function}() CASCADE")


def role_names() -> dict[str, str]:
    """The database roles that rights are given to, by part: the site's settings, else the environment, else ours."""
    known: dict[str, str] = getattr(settings, "DATABASE_ROLES", {})
    env = os.environ
    return {
        "app": env.get("CLINAIOPS_DB_APP_ROLE") or known.get("default") or "clinaiops_app",
        "sequencer": env.get("CLINAIOPS_DB_SEQUENCER_ROLE") or known.get("sequencer") or "clinaiops_sequencer",
    }


def set_rights(_apps: Any, schema_editor: Any) -> None:
    """Give each role its rights on the record's tables and take every other right away.

    A role that does not exist here, or that owns the tables, is passed over: the system check says so at every start.
    A right on a column that a later migration adds is given there.
    """
    connection = schema_editor.connection
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        (owner,) = cursor.fetchone()
        tables = _here(cursor, (*EVIDENCE, *WORKING))
        for table in tables:
            cursor.execute(f"REVOKE ALL ON {table} FROM PUBLIC")
        for part, role in role_names().items():
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
            if role == owner or cursor.fetchone() is None:
                continue
            for table in tables:
                cursor.execute(f"REVOKE ALL ON {table} FROM {quote(role)}")
                if granted := GRANTS[part].get(table):
                    cursor.execute(f"GRANT {_on_columns_here(cursor, table, granted)} ON {table} TO {quote(role)}")


def _on_columns_here(cursor: Any, table: str, granted: str) -> str:
    cursor.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped", [table]
    )
    here = {name for (name,) in cursor.fetchall()}
    return re.sub(
        r"\(([^)]*)\)", lambda m: f"({', '.join(name for name in m[1].split(', ') if name in here)})", granted
    )


# The functions that are asked something: nobody but the guards asks them.
_TAKES = re.compile(r"FUNCTION (\w+\([^)]+\))")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def entry_reference_trigger(table: str, column: str) -> migrations.RunSQL:
    """An operation for another app's migration: `table.column` (uuid, may be null) must name an entry at commit.

    The migration depends on ("audit", "0001_initial").
    """
    for name in (table, column):
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"not a plain name: {name!r}")
    trigger = f"{table}_{column}_in_record"[:63]
    create = (
        f"CREATE CONSTRAINT TRIGGER {trigger} AFTER INSERT OR UPDATE OF {column} ON {table}"
        f" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_entry_exists('{column}')"
    )
    return migrations.RunSQL(
        sql=[create, f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}"],
        reverse_sql=[f"DROP TRIGGER {trigger} ON {table}"],
    )


_EXPIRES = """
CREATE FUNCTION <table>_expires() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = <schema>, pg_temp AS $$
DECLARE
    asked text;
BEGIN
    IF EXISTS (SELECT 1 FROM gone WHERE <age> > clock_timestamp() - interval '<minimum>') THEN
        RAISE EXCEPTION 'nothing of <table> goes before <minimum> have passed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    FOR asked IN SELECT DISTINCT <scope> FROM gone LOOP
        IF NOT audit_may_expire('<class>', asked) THEN
            RAISE EXCEPTION 'no entry of this transaction says that <class> of % has expired, or it is held', asked
                USING ERRCODE = 'insufficient_privilege';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER <table>_expires AFTER <event> ON <table> REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION <table>_expires();
ALTER TABLE <table> ENABLE ALWAYS TRIGGER <table>_expires;
DROP TRIGGER <table>_stays ON <table>;
"""
_STAYS = """
CREATE TRIGGER <table>_stays BEFORE UPDATE ON <table> FOR EACH ROW EXECUTE FUNCTION audit_refuse();
ALTER TABLE <table> ENABLE ALWAYS TRIGGER <table>_stays;
"""
_EMPTIED = """
CREATE FUNCTION <table>_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.<empties> <> ''::bytea OR to_jsonb(NEW) - '<empties>' <> to_jsonb(OLD) - '<empties>' THEN
        RAISE EXCEPTION 'of <table> only <empties> may be emptied' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER <table>_stays BEFORE DELETE ON <table> FOR EACH ROW EXECUTE FUNCTION audit_refuse();
ALTER TABLE <table> ENABLE ALWAYS TRIGGER <table>_stays;
CREATE TRIGGER <table>_emptied BEFORE UPDATE ON <table> FOR EACH ROW EXECUTE FUNCTION <table>_emptied();
ALTER TABLE <table> ENABLE ALWAYS TRIGGER <table>_emptied;
"""


def expires_by_entry(
    table: str, *, of_class: str, minimum: str, age: str, scope: str, empties: str = ""
) -> migrations.RunPython:
    """An operation for another app's migration: rows of a table that only grew may go once they have expired.

    A row goes (or, with `empties`, that column of it becomes empty and nothing else changes) only when its `age` lies
    `minimum` before the database's clock, beside a `retention.purged` entry of the same transaction about `of_class`
    and the row's `scope` (an expression), and under no legal hold. The migration depends on audit's 0008_retention.
    """
    words = {"table": table, "class": of_class, "minimum": minimum, "age": age, "scope": scope, "empties": empties}
    words["event"] = "UPDATE" if empties else "DELETE"

    def forwards(_apps: Any, schema_editor: Any) -> None:
        quote = schema_editor.connection.ops.quote_name
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("SELECT quote_ident(current_schema()), current_user")
            schema, owner = cursor.fetchone()
            text = _EXPIRES + (_EMPTIED if empties else _STAYS)
            for word, meant in {**words, "schema": schema}.items():
                text = text.replace(f"<{word}>", meant)
            cursor.execute(text)
            role = role_names()["app"]
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
            if role != owner and cursor.fetchone() is not None:
                right = f"UPDATE ({empties})" if empties else "DELETE"
                cursor.execute(f"GRANT {right} ON {table} TO {quote(role)}")

    return migrations.RunPython(forwards, migrations.RunPython.noop)
