"""Every change of a guard is seen: triggers, functions, rights, owners, rules (T25). Each undone, nothing is seen."""

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from audit.domain import Job
from audit.migrations_sql import EVIDENCE
from audit.models import Pending
from audit.selectors import payload_of
from audit.services import drift
from config.embedded import home
from config.embedded.postgres import _admin_dsn
from tests.audit.builders import NOON, complete, first_bad

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])
APP, SEQUENCER = settings.DATABASE_ROLES["default"], settings.DATABASE_ROLES["sequencer"]
REPLACED = "CREATE OR REPLACE FUNCTION {f}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'"
BY = Job("publisher", "1")
CHANGES = [
    *(f"ALTER TABLE {table} DISABLE TRIGGER {table}_no_change" for table in EVIDENCE),
    *(f"DROP TRIGGER {table}_no_truncate ON {table}" for table in EVIDENCE),
    "ALTER TABLE audit_entry ENABLE TRIGGER audit_entry_no_change",
    "ALTER TABLE audit_entry ENABLE REPLICA TRIGGER audit_entry_no_change",
    "DROP TRIGGER audit_pending_leaves ON audit_pending",
    (
        "DROP TRIGGER audit_entry_no_change ON audit_entry; CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR"
        " DELETE ON audit_entry FOR EACH ROW WHEN (false) EXECUTE FUNCTION audit_refuse();"
        " ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_no_change"
    ),
    "CREATE TRIGGER helpful BEFORE INSERT ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    *(REPLACED.format(f=name) for name in ("audit_refuse", "audit_pending_leaves", "audit_entry_exists")),
    "DROP FUNCTION audit_refuse() CASCADE",
    f"GRANT UPDATE ON audit_entry TO {APP}",
    f"GRANT UPDATE (leaf) ON audit_entry TO {APP}",
    f"GRANT DELETE ON audit_checkpoint TO {SEQUENCER}",
    f"GRANT TRUNCATE ON audit_payload TO {APP}",
    f"REVOKE INSERT ON audit_cosignature FROM {SEQUENCER}",
    f"REVOKE SELECT ON audit_entry FROM {APP}",
    "GRANT SELECT ON audit_payload TO PUBLIC",
    "ALTER TABLE audit_tile RENAME TO audit_former_tile",
    "CREATE RULE quiet AS ON INSERT TO audit_checkpoint DO INSTEAD NOTHING",
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_guard_is_seen_and_a_good_one_is_not(change, owner_db):
    assert drift.check() == ()
    with owner_db.connection.transaction(force_rollback=True):
        owner_db.execute(change)
        assert drift.differences(owner_db), change
    assert drift.check() == ()


def test_there_are_thirty_mutations():
    assert len(CHANGES) >= 30


@pytest.mark.skipif(not settings.EMBEDDED, reason="a superuser of the database is needed: embedded database only")
def test_another_owner_is_seen():
    with psycopg.connect(_admin_dsn(home(), connection.settings_dict["NAME"]), autocommit=True) as admin:
        admin.execute(f"ALTER TABLE audit_treestate OWNER TO {APP}")
        try:
            assert f"table audit_treestate belongs to {APP}, not to {settings.DATABASE_ROLES['owner']}" in drift.check()
        finally:
            admin.execute(f"ALTER TABLE audit_treestate OWNER TO {settings.DATABASE_ROLES['owner']}")
            admin.execute(f"REVOKE ALL ON audit_treestate FROM {APP}")
            admin.execute(f"GRANT SELECT ON audit_treestate TO {APP}")
    assert drift.check() == ()


def test_what_is_seen_is_recorded_once_and_its_end_too(owner_db, caplog):
    assert drift.watch(by=BY, now=NOON) == ()
    assert Pending.objects.count() == 0
    owner_db.execute("ALTER TABLE audit_tile DISABLE TRIGGER audit_tile_no_change")
    try:
        found = drift.watch(by=BY, now=NOON)
        assert drift.watch(by=BY, now=NOON) == found != ()
        assert Pending.objects.count() == 1
        assert payload_of(Pending.objects.get().entry_id)["found"] == list(found)
        assert "audit_tile_no_change" in caplog.text
    finally:
        owner_db.execute("ALTER TABLE audit_tile ENABLE ALWAYS TRIGGER audit_tile_no_change")
    assert drift.watch(by=BY, now=NOON) == ()
    assert complete() == 2
    assert first_bad() is None
