"""A backup and the way back: in two parts, of one moment, verified before anything may be served from it."""

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from psycopg import sql

from audit.services.backups import BackupRefused, Parts
from config.grants import connect_as_owner
from tests.audit.builders import event, number, record
from tests.real_database import _drop

pytestmark = [pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"]), pytest.mark.slow]
SECRET = "Ada Byron was dizzy on Tuesday"


@pytest.fixture
def parts(tmp_path) -> Parts:
    """Two places for the two parts."""
    return Parts(tmp_path / "here", tmp_path / "there")


@pytest.fixture
def empty_database():
    """A database with nothing in it, as the owner would make one."""
    name = f"clinaiops_test_{os.getpid()}_restored"
    with connect_as_owner(name="postgres") as owner:
        _drop(owner, name)
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield name
        _drop(owner, name)


@pytest.fixture
def backed_up(parts, transactional_db) -> Parts:
    """Five entries in the log, one still pending, and the backup of them."""
    record(*[event(f"loop-{n}", payload={"said": SECRET}) for n in range(5)])
    number()
    record(event("late"))
    call_command("backup", str(parts.record), str(parts.keys), stdout=StringIO(), stderr=StringIO())
    return parts


def put_back(
    parts: Parts, name: str, home: Path, urls: dict[str, str], **more: str
) -> subprocess.CompletedProcess[str]:
    """Run `restore` on another machine: its own state folder, an empty database, the same roles."""
    old = urls["DATABASE_URL"].rpartition("/")[2].partition("?")[0]
    there = {
        key: url.replace(f"/{old}", f"/{name}") if key.startswith("DATABASE") else url for key, url in urls.items()
    }
    environment = os.environ | there | {"CLINAIOPS_HOME": str(home), "CLINAIOPS_PG_BIN": settings.POSTGRES_BIN} | more
    command = [sys.executable, "manage.py", "restore", str(parts.record), str(parts.keys), "--json"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)


def tables(name: str) -> dict[str, int]:
    """How many rows each table has."""
    with connect_as_owner(name=name) as owner:
        names = [
            row[0]
            for row in owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
        ]
        counted = {}
        for table in names:
            found = owner.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
            counted[table] = found[0] if found else 0
        return counted


def test_what_was_backed_up_is_there_again_and_verifies(backed_up, empty_database, database_urls, tmp_path):
    before = tables(psycopg.conninfo.conninfo_to_dict(database_urls["DATABASE_URL"])["dbname"])
    done = put_back(backed_up, empty_database, tmp_path / "home", database_urls)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["entries"], said["pending"], said["verified"]) == (5, 1, True)
    after = tables(empty_database)
    recorded = {table for table in after if after[table] != before[table]}
    # The backup's own entry came after the dump; the restored record has one entry that says where it continues.
    assert recorded <= {"audit_pending", "audit_objectversion", "audit_payload", "audit_payloadkey", "audit_datakey"}


def test_entries_that_were_pending_can_be_numbered_after_the_return(backed_up, empty_database, database_urls, tmp_path):
    assert put_back(backed_up, empty_database, tmp_path / "home", database_urls).returncode == 0
    with connect_as_owner(name=empty_database) as owner:
        held_up = owner.execute(
            "SELECT count(*) FROM audit_pending WHERE NOT pg_visible_in_snapshot(txid, pg_current_snapshot())"
        ).fetchone()
    assert held_up == (0,)


def test_the_append_only_rights_and_triggers_come_back_too(backed_up, empty_database, database_urls, tmp_path):
    assert put_back(backed_up, empty_database, tmp_path / "home", database_urls).returncode == 0
    app = psycopg.conninfo.conninfo_to_dict(database_urls["DATABASE_URL"]) | {"dbname": empty_database}
    with psycopg.connect(**app, autocommit=True) as connection:
        for statement in (
            "UPDATE audit_entry SET type = 'x'",
            "DELETE FROM audit_payload",
            "TRUNCATE audit_checkpoint",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
    with connect_as_owner(name=empty_database) as owner, pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner.execute("UPDATE audit_entry SET type = 'x'")


def test_the_record_s_part_alone_opens_no_payload(backed_up, empty_database, database_urls, tmp_path):
    assert all(SECRET.encode() not in path.read_bytes() for path in backed_up.record.iterdir())
    done = subprocess.run(
        [Path(settings.POSTGRES_BIN or "/usr/bin", "pg_restore"), "--file=-", backed_up.record / "record.dump"],
        capture_output=True,
        check=True,
    )
    assert SECRET.encode() not in done.stdout
    copied = [
        part
        for table in ("audit_datakey", "audit_payloadkey")
        for part in done.stdout.split(b"\n")
        if b"COPY public." + table.encode() in part
    ]
    assert copied == []
    assert b"COPY public.audit_payload " in done.stdout  # the search looks into what it should


@pytest.mark.parametrize("which", ["record/record.dump", "keys/data-keys.dump", "keys/keys/tenant.key"])
def test_a_part_that_was_changed_is_refused_before_anything_is_written(
    backed_up, which, empty_database, database_urls, tmp_path
):
    part, _, name = which.partition("/")
    path = getattr(backed_up, part) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = put_back(backed_up, empty_database, tmp_path / "home", database_urls)
    assert done.returncode == 2
    assert "damaged: not as the manifest says" in done.stderr
    assert tables(empty_database) == {}


def test_parts_of_two_backups_do_not_go_together(backed_up, tmp_path, empty_database, database_urls):
    other = Parts(tmp_path / "here-2", tmp_path / "there-2")
    call_command("backup", str(other.record), str(other.keys), stdout=StringIO(), stderr=StringIO())
    done = put_back(Parts(backed_up.record, other.keys), empty_database, tmp_path / "home", database_urls)
    assert (done.returncode, "parts-differ" in done.stderr) == (2, True)


def test_a_database_with_tables_is_never_written_over(backed_up, empty_database, database_urls, tmp_path):
    assert put_back(backed_up, empty_database, tmp_path / "home", database_urls).returncode == 0
    again = put_back(backed_up, empty_database, tmp_path / "home", database_urls)
    assert (again.returncode, "not-empty" in again.stderr) == (2, True)


def test_a_key_that_is_there_already_is_not_replaced_by_another(backed_up, empty_database, database_urls, tmp_path):
    (tmp_path / "home/keys").mkdir(parents=True)
    (tmp_path / "home/keys/tenant.key").write_bytes(bytes(32))
    done = put_back(backed_up, empty_database, tmp_path / "home", database_urls)
    assert (done.returncode, "other-keys" in done.stderr) == (2, True)
    assert (tmp_path / "home/keys/tenant.key").read_bytes() == bytes(32)


def test_the_two_parts_are_never_written_to_one_place(tmp_path, transactional_db):
    for record_part, keys_part in (
        (tmp_path, tmp_path),
        (tmp_path, tmp_path / "keys"),
        (tmp_path / "a" / "b", tmp_path / "a"),
    ):
        with pytest.raises(BackupRefused, match="apart"):
            Parts(record_part, keys_part)
    (tmp_path / "used").mkdir()
    (tmp_path / "used/letter.txt").write_text("something else")
    with pytest.raises(CommandError, match="not-empty"):
        call_command("backup", str(tmp_path / "used"), str(tmp_path / "k"), stdout=StringIO(), stderr=StringIO())


def test_a_backup_in_which_an_entry_was_changed_is_not_served_from(
    parts, empty_database, database_urls, owner_db, tmp_path
):
    record(event("loop-1"), event("loop-2"))
    number()
    owner_db.execute("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_no_change")
    owner_db.execute("UPDATE audit_entry SET actor_id = 'somebody else' WHERE position = 1")
    owner_db.execute("ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_no_change")
    call_command("backup", str(parts.record), str(parts.keys), stdout=StringIO(), stderr=StringIO())
    done = put_back(parts, empty_database, tmp_path / "home", database_urls)
    assert (done.returncode, "Restored, but NOT verified: columns" in done.stderr) == (1, True)
