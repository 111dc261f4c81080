"""The sequencer as a program, and what is said at every start about the database's roles."""

import json
import os
import signal
import subprocess
import sys
import time
from io import StringIO

import pytest
from django.core.management import call_command

from audit.checks import roles_are_separate
from audit.management.commands import run_sequencer
from audit.models import Entry
from audit.services import keys
from tests.audit.builders import PATIENCE_S, event, first_bad, record, settle

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])


def test_once_numbers_what_is_there_and_stops():
    record(event())
    settle()
    out = StringIO()
    call_command("run_sequencer", "--once", "--json", stdout=out)
    assert json.loads(out.getvalue())["numbered"] >= 1
    call_command("run_sequencer", "--once", stdout=out)
    assert "entries numbered. `run_publisher --once` has them signed." in out.getvalue()


_PROGRAM = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django
django.setup()
from django.conf import settings
settings.AUDIT_KEYS_DIR = sys.argv[1]
from django.core.management import call_command
call_command("run_sequencer")
"""


def _wait_for(count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while Entry.objects.count() < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_runs_until_told_to_stop_and_survives_a_lost_connection(database_urls, owner_db):
    environment = os.environ | database_urls | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(keys.keys_dir())], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        record(event("before"))
        _wait_for(2)  # the log's genesis and ours
        owner_db.execute("SELECT current_database()")
        (name,) = owner_db.fetchone()
        _end_sessions_of_the_sequencer(database_urls["DATABASE_URL_SEQUENCER"], name)
        record(event("after"))
        _wait_for(3)
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[1]
    assert process.returncode == 0
    assert "trying again" in said
    assert first_bad() is None


def _end_sessions_of_the_sequencer(url: str, database: str) -> None:
    """As that role itself: it may end its own sessions."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as own:
        own.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND usename = current_user AND pid <> pg_backend_pid()",
            [database],
        )


def test_separate_roles_are_checked_at_every_start(settings):
    assert roles_are_separate() == []
    settings.DATABASE_ROLES = dict.fromkeys(("default", "owner", "sequencer"), "hospital")
    assert [said.id for said in roles_are_separate()] == ["audit.W001"]


def test_the_wait_between_batches_is_short_enough_for_the_receipt():
    """An entry is to be numbered well within the minute the receipt promises."""
    assert run_sequencer.IDLE_S <= 1
