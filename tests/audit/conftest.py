"""A log to be tampered with."""

from importlib import import_module

import pytest
from django.db import connection

from audit.migrations_sql import EVIDENCE
from tests.audit.builders import event, first_bad, number, record

KEY_GUARDS = tuple(
    guard
    for name in ("0002_data_keys", "0007_legal_hold")
    for guard in import_module(f"audit.migrations.{name}").TRIGGERS
    if guard[0] in {"audit_datakey", "audit_payloadkey"}
)
SEGMENT_GUARDS = import_module("audit.migrations.0009_segments").TRIGGERS
KEYS = ("audit_datakey", "audit_payloadkey")


@pytest.fixture
def another_sha256(owner_db):
    """A database whose owner put another hash function before PostgreSQL's, for the application's connection."""
    owner_db.execute(
        "CREATE FUNCTION public.sha256(bytea) RETURNS bytea LANGUAGE sql IMMUTABLE"
        r" AS $$ SELECT pg_catalog.sha256('\x01'::bytea || $1) $$"
    )
    with connection.cursor() as cursor:
        cursor.execute("SET search_path = public, pg_catalog")
    yield
    connection.close()
    owner_db.execute("DROP FUNCTION public.sha256(bytea)")


@pytest.fixture
def log(owner_db):
    """Twelve entries in three checkpoints, and a cursor of the owner with every guard switched off."""
    for start in (0, 4, 8):
        record(*[event(f"loop-{n % 3}", n // 3 + 1) for n in range(start, start + 4)])
        number()
    assert first_bad() is None
    for table in (*EVIDENCE, *KEYS):
        owner_db.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    yield owner_db
    for table in EVIDENCE:
        owner_db.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_change")
        owner_db.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_truncate")
    owner_db.execute("ALTER TABLE audit_pending ENABLE ALWAYS TRIGGER audit_pending_leaves")
    for table, name, *_ in (*KEY_GUARDS, *SEGMENT_GUARDS):
        owner_db.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
