"""Have the guards of the record been changed? Triggers, functions, rights, owners, compared with the migrations.

The rules (SECURITY 1.2, T25)
 * What should be is read from the code that made it (`audit/migrations_sql.py`, the record's migrations); what is, from
   the catalogue of the database. Each difference is one line of words.
 * Triggers of other tables in this schema must at least not be switched off.
 * Nothing is repaired here: whoever changed a guard had the rights to, and their act is to be seen, not undone.
 * A difference is logged, shown by the metrics, and recorded as `log.drift_seen`, through another role than the one
   that can change guards; when it is gone, that is recorded too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit.domain import Event, Job, ObjectRef, Purpose
from audit.migrations_sql import EVIDENCE, FUNCTIONS, GRANTS, WORKING, role_names
from audit.models import ObjectVersion
from audit.selectors import next_version, payload_of
from audit.services import keys
from audit.services.recording import ObjectVersionTaken, append

log = logging.getLogger(__name__)
MOST = 50
OBJECT = "guards"
ROW, BEFORE, INSERT, DELETE, UPDATE, TRUNCATE = 1, 2, 4, 8, 16, 32
_EVENTS = {
    "INSERT": INSERT,
    "UPDATE": UPDATE,
    "DELETE": DELETE,
    "UPDATE OR DELETE": UPDATE | DELETE,
    "TRUNCATE": TRUNCATE,
}
_FUNCTION = re.compile(r"CREATE (?:OR REPLACE )?FUNCTION (\w+)\(.*?\$\$(.*?)\$\$;", re.DOTALL)
# The migrations that made guards after the first one; what a later one makes anew is as it says.
_MADE_GUARDS = ("0002_data_keys", "0007_legal_hold", "0008_retention", "0009_segments")
_GRANT = re.compile(r"(\w+)(?: \(([^)]*)\))?")

_TRIGGERS = """
SELECT c.relname, t.tgname, t.tgenabled::text, p.proname, t.tgtype::int, t.tgqual IS NULL
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace
"""
_SOURCES = "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
_TABLES = """
SELECT c.relname, pg_get_userbyid(c.relowner), c.relkind::text, c.relhasrules FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(%s)
"""
_RIGHTS = """
SELECT c.relname, coalesce(r.rolname, 'PUBLIC'), a.privilege_type, NULL
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(%s) AND a.grantee <> c.relowner
UNION ALL
SELECT c.relname, coalesce(r.rolname, 'PUBLIC'), a.privilege_type, t.attname
FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN LATERAL aclexplode(t.attacl) a
LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(%s) AND a.grantee <> c.relowner
"""


def check(*, using: str = DEFAULT_DB_ALIAS) -> tuple[str, ...]:
    """Every difference between the guards as they are and as the migrations made them, in words, in order."""
    with connections[using].cursor() as cursor:
        return differences(cursor)


def differences(cursor: Any) -> tuple[str, ...]:
    """The same as seen by one cursor, inside its transaction."""
    tables = [*EVIDENCE, *WORKING]
    cursor.execute(_TRIGGERS)
    found = {(table, name): rest for table, name, *rest in cursor.fetchall()}
    cursor.execute(_SOURCES)
    sources: dict[str, str] = dict(cursor.fetchall())
    cursor.execute(_TABLES, [tables])
    held = {table: rest for table, *rest in cursor.fetchall()}
    cursor.execute(_RIGHTS, [tables, tables])
    rights = {tuple(row) for row in cursor.fetchall()}
    return tuple(sorted([*_triggers(found), *_functions(sources), *_owners(held), *_granted(rights, held)]))


def watch(*, by: Job, now: datetime, using: str = DEFAULT_DB_ALIAS) -> tuple[str, ...]:
    """Look, log what has changed since the last look, and record it; what was found."""
    found = check(using=using)[:MOST]
    if found == last_seen(using=using):
        return found
    for line in found:
        log.error("the record's guards have changed: %s", line)
    origin = keys.origin()
    event = Event(
        type="log.drift_seen",
        occurred_at=now,
        actor=by,
        object=ObjectRef(OBJECT, origin, next_version(OBJECT, origin, using=using)),
        purpose=Purpose.AUDIT,
        payload={"found": list(found)},
    )
    try:
        with transaction.atomic(using=using):
            append(event, using=using)
    except ObjectVersionTaken:
        pass  # another publisher has just said it
    return found


def last_seen(*, using: str = DEFAULT_DB_ALIAS) -> tuple[str, ...]:
    """What the newest look that found a change has found; empty when the guards were as they should be."""
    named = ObjectVersion.objects.using(using).filter(object_type=OBJECT, object_id=keys.origin())
    newest = named.order_by("-version").values_list("entry_id", flat=True).first()
    said = payload_of(newest, using=using) if newest else None
    return tuple(said["found"]) if isinstance(said, Mapping) else ()


# --- what should be ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _expected_triggers() -> dict[tuple[str, str], tuple[str, int]]:
    """(table, trigger) → its function and what it fires on, as the catalogue keeps it."""
    expected = {}
    for table in EVIDENCE:
        rows = UPDATE if table == "audit_pending" else UPDATE | DELETE
        expected[table, f"{table}_no_change"] = ("audit_refuse", ROW | BEFORE | rows)
        expected[table, f"{table}_no_truncate"] = ("audit_refuse", BEFORE | TRUNCATE)
    expected["audit_pending", "audit_pending_leaves"] = ("audit_pending_leaves", ROW | BEFORE | DELETE)
    for made in _later_guards():
        for table, name, events, level, function in made.TRIGGERS:
            expected[table, name] = (function, BEFORE | _EVENTS[events] | (ROW if level == "ROW" else 0))
    return expected


@lru_cache(maxsize=1)
def _expected_sources() -> dict[str, str]:
    return dict(_FUNCTION.findall(FUNCTIONS + "".join(made.FUNCTIONS for made in _later_guards())))


def _later_guards() -> list[Any]:
    return [import_module(f"audit.migrations.{name}") for name in _MADE_GUARDS]


def _expected_rights(part: str, table: str) -> Iterator[tuple[str, str | None]]:
    """(right, column or None) that a part's role has on a table."""
    for right, columns in _GRANT.findall(GRANTS[part].get(table, "")):
        for column in columns.split(",") if columns else [None]:
            yield right, column.strip() if column else None


# --- what is ----------------------------------------------------------------------------------------------------------


def _triggers(found: dict[tuple[str, str], list[Any]]) -> Iterator[str]:
    expected = _expected_triggers()
    for (table, name), (function, fires) in expected.items():
        if (table, name) not in found:
            yield f"trigger {name} on {table} is gone"
            continue
        enabled, calls, kind, unconditional = found[table, name]
        if enabled != "A":
            yield f"trigger {name} on {table} is switched off or not for replicas ({enabled})"
        if (calls, kind) != (function, fires) or not unconditional:
            yield f"trigger {name} on {table} does something else"
    for (table, name), (enabled, *_) in found.items():
        if table in EVIDENCE and (table, name) not in expected:
            yield f"trigger {name} on {table} is not ours"
        elif enabled == "D" and (table, name) not in expected:
            yield f"trigger {name} on {table} is switched off"


def _functions(sources: dict[str, str]) -> Iterator[str]:
    for name, source in _expected_sources().items():
        if name not in sources:
            yield f"function {name} is gone"
        elif sources[name] != source:
            yield f"function {name} was replaced"


def _owners(held: dict[str, list[Any]]) -> Iterator[str]:
    expected = getattr(settings, "DATABASE_ROLES", {}).get("owner")
    for table in (*EVIDENCE, *WORKING):
        if table not in held:
            yield f"table {table} is gone"
            continue
        owner, kind, rules = held[table]
        if expected and owner != expected:
            yield f"table {table} belongs to {owner}, not to {expected}"
        if kind not in {"r", "p"} or rules:
            yield f"table {table} is a view or has rules"


def _granted(rights: set[tuple[Any, ...]], held: dict[str, list[Any]]) -> Iterator[str]:
    parts = role_names()
    if len({*parts.values(), *(owner for owner, *_ in held.values())}) <= len(parts):
        return  # one role for several parts: the check at every start says so
    expected = {
        (table, parts[part], right, column)
        for part in parts
        for table in held
        for right, column in _expected_rights(part, table)
    }
    ours = set(parts.values())
    for table, role, right, column in rights - expected:
        if role in ours or right != "SELECT" or role == "PUBLIC":
            yield f"{role} may {right} {table}{f' ({column})' if column else ''}, and should not"
    for table, role, right, column in expected - rights:
        yield f"{role} may no longer {right} {table}{f' ({column})' if column else ''}"
