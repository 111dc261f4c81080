"""Every change of a guard is seen: triggers, functions, rights, owners, rules (T25). Each undone, nothing is seen.

On the record's own tables and on those of the rest of the house.
"""

import json
from io import StringIO

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from audit.domain import Job
from audit.migrations_sql import EVIDENCE
from audit.models import Pending
from audit.selectors import payload_of
from audit.services import drift, guards
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
ELSEWHERE = [
    *(
        f"ALTER TABLE {table} DISABLE TRIGGER {table}_stays"
        for table in ("care_loops_step", "care_loops_decision", "care_loops_loop", "model_registry_modelapproval")
    ),
    *(
        f"DROP TRIGGER {table}_no_truncate ON {table}"
        for table in ("care_loops_step", "care_loops_bloodpressure", "governance_user", "edge_wearables_device")
    ),
    *(
        f"ALTER TABLE {table} DISABLE TRIGGER USER"
        for table in ("care_loops_target", "governance_roleheld", "model_registry_modelversion", "care_loops_alert")
    ),
    *(
        REPLACED.format(f=name)
        for name in (
            "care_loops_step_is_legal",
            "care_loops_someone_answers",
            "care_loops_one_head",
            "care_loops_decision_has_step",
            "care_loops_alert_only_graver",
            "care_loops_limits_follow",
            "governance_nobody_above",
        )
    ),
    "ALTER FUNCTION audit_said(text, text, text) SECURITY INVOKER",
    "ALTER FUNCTION audit_entry_exists() RESET search_path",
    "GRANT EXECUTE ON FUNCTION audit_said(text, text, text) TO PUBLIC",
    "DROP FUNCTION care_loops_reason_follows_step() CASCADE",
    "ALTER TABLE care_loops_step ENABLE TRIGGER care_loops_step_is_legal",
    "CREATE TRIGGER helpful BEFORE INSERT ON governance_user FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    f"GRANT UPDATE ON care_loops_decision TO {APP}",
    f"GRANT UPDATE (kind) ON care_loops_decision TO {APP}",
    f"GRANT DELETE ON care_loops_bloodpressure TO {APP}",
    f"GRANT SELECT ON care_loops_patient TO {SEQUENCER}",
    f"REVOKE INSERT ON care_loops_step FROM {APP}",
    "GRANT SELECT ON governance_user TO PUBLIC",
    f"GRANT CREATE ON SCHEMA public TO {APP}",
    "CREATE RULE quiet AS ON INSERT TO care_loops_step DO INSTEAD NOTHING",
    "ALTER TABLE care_loops_decision RENAME TO care_loops_former_decision",
    "ALTER TABLE care_loops_bloodpressure DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE audit_entry ENABLE ROW LEVEL SECURITY",
    "DROP POLICY care_loops_lab_seen ON care_loops_lab",
    "ALTER POLICY care_loops_loop_seen ON care_loops_loop USING (true)",
    "ALTER POLICY care_loops_loop_seen ON care_loops_loop WITH CHECK (true)",
    f"ALTER POLICY care_loops_loop_seen ON care_loops_loop TO {SEQUENCER}",
    "CREATE POLICY wide ON care_loops_patient USING (true)",
    "ALTER FUNCTION care_loops_seen() SECURITY INVOKER",
    "ALTER FUNCTION governance_viewer() IMMUTABLE",
]


@pytest.mark.parametrize("change", [*CHANGES, *ELSEWHERE])
def test_a_changed_guard_is_seen_and_a_good_one_is_not(change, owner_db):
    assert drift.check() == ()
    with owner_db.connection.transaction(force_rollback=True):
        owner_db.execute(change)
        assert guards.differences(owner_db), change
    assert drift.check() == ()


def test_there_are_thirty_mutations_here_and_there():
    assert len({*CHANGES}) >= 30
    assert len({*ELSEWHERE}) >= 30


def test_the_list_is_what_the_migrations_make(transactional_db):
    """After a change of tables or guards: `manage.py migrate`, `manage.py guards --write`, and commit the list."""
    with connection.cursor() as cursor:
        assert guards.as_they_are(cursor) == json.loads(settings.AUDIT_GUARDS.read_text(encoding="utf-8"))


def test_every_table_and_every_trigger_of_the_house_is_on_the_list(owner_db):
    listed = guards.as_installed()
    owner_db.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    assert {f"table {name}" for (name,) in owner_db.fetchall()} <= listed.keys()
    assert sum(name.startswith("trigger ") for name in listed) > 100
    assert all(what.startswith("always; ") for name, what in listed.items() if name.startswith("trigger "))
    assert not any("anybody may call" in what for name, what in listed.items() if "audit_said" in name)


def test_a_reader_of_the_sites_own_is_no_drift_and_a_writer_is(owner_db):
    owner_db.execute("SELECT rolname FROM pg_roles WHERE rolname = 'pg_monitor'")
    with owner_db.connection.transaction(force_rollback=True):
        owner_db.execute("GRANT SELECT ON care_loops_patient, audit_entry TO pg_monitor")
        assert guards.differences(owner_db) == ()
        owner_db.execute("GRANT UPDATE (leaf) ON audit_entry TO pg_monitor")
        assert guards.differences(owner_db) == ("rights of pg_monitor on audit_entry: not ours, SELECT, UPDATE (leaf)",)


def test_with_one_role_for_everything_triggers_and_functions_are_still_compared(owner_db, settings):
    settings.DATABASE_ROLES = dict.fromkeys(("default", "owner", "sequencer"), settings.DATABASE_ROLES["owner"])
    assert guards.differences(owner_db) == ()
    with owner_db.connection.transaction(force_rollback=True):
        owner_db.execute("DROP TRIGGER audit_tile_no_change ON audit_tile")
        assert guards.differences(owner_db) == ("trigger audit_tile_no_change on audit_tile: gone",)


@pytest.mark.parametrize("said", [None, "", "[1]", "{"])
def test_a_list_that_cannot_be_read_is_told(settings, tmp_path, said):
    settings.AUDIT_GUARDS = tmp_path / f"guards-{said}.json"
    if said is not None:
        settings.AUDIT_GUARDS.write_text(said)
    assert [line.partition(":")[0] for line in drift.check()] == ["the list of what should be cannot be read"]


def test_the_command_says_what_differs_and_draws_the_list_up(settings, tmp_path, owner_db):
    out = StringIO()
    call_command("guards", stdout=out)
    assert out.getvalue() == "As installed.\n"
    owner_db.execute("ALTER TABLE audit_tile DISABLE TRIGGER audit_tile_no_change")
    try:
        with pytest.raises(CommandError, match="trigger audit_tile_no_change on audit_tile: now switched off"):
            call_command("guards")
    finally:
        owner_db.execute("ALTER TABLE audit_tile ENABLE ALWAYS TRIGGER audit_tile_no_change")
    drawn, settings.AUDIT_GUARDS = settings.AUDIT_GUARDS.read_text(encoding="utf-8"), tmp_path / "guards.json"
    call_command("guards", "--write", stdout=out)
    assert settings.AUDIT_GUARDS.read_text(encoding="utf-8") == drawn


@pytest.mark.skipif(not settings.EMBEDDED, reason="a superuser of the database is needed: embedded database only")
def test_another_owner_is_seen():
    with psycopg.connect(_admin_dsn(home(), connection.settings_dict["NAME"]), autocommit=True) as admin:
        admin.execute(f"ALTER TABLE audit_treestate OWNER TO {APP}")
        try:
            assert "table audit_treestate: now table of the app" in drift.check()
        finally:
            admin.execute(f"ALTER TABLE audit_treestate OWNER TO {settings.DATABASE_ROLES['owner']}")
            admin.execute(f"REVOKE ALL ON audit_treestate FROM {APP}")
            admin.execute(f"GRANT SELECT ON audit_treestate TO {APP}")
    assert drift.check() == ()


POWERS = {
    "ALTER ROLE {app} SUPERUSER": "superuser",
    "ALTER ROLE {app} CREATEROLE": "createrole",
    "ALTER ROLE {app} BYPASSRLS": "bypassrls",
    "ALTER ROLE {app} REPLICATION": "replication",
    "GRANT {owner} TO {app}": "member of {owner}",
    "GRANT pg_write_all_data TO {app}": "member of pg_write_all_data",
}


@pytest.mark.skipif(not settings.EMBEDDED, reason="a superuser of the database is needed: embedded database only")
@pytest.mark.parametrize("change", POWERS)
def test_a_power_given_to_the_application_is_seen(change, transactional_db):
    """Roles are the whole cluster's: the change is seen inside its own transaction, which is rolled back."""
    named = {"app": APP, "owner": settings.DATABASE_ROLES["owner"]}
    with psycopg.connect(_admin_dsn(home(), connection.settings_dict["NAME"]), autocommit=True) as admin:
        with admin.transaction(force_rollback=True):
            admin.execute(change.format(**named))
            told = guards.differences(admin.cursor())
            assert told == (f"role app: not ours, {POWERS[change].format(**named)}",)


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
