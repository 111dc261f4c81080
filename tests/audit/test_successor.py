"""A log that begins after one of which entries were lost says so in its first entry, and cannot pretend otherwise."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from audit.bundles.selecting import Report, Selection
from audit.domain import Purpose
from audit.models import Entry
from audit.selectors import payload_of
from audit.services import keys
from audit.services.exporting import Handing, export_bundle
from audit.services.verifying import verify_log
from tests.audit.builders import JOB, NOON, complete, event, record
from tests.audit.outside import verdict
from tests.audit.watched import WatchedLog

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])
OLD = WatchedLog()


@pytest.fixture
def old(tmp_path):
    """What is kept of the old log: its checkpoint over 40 entries, of which 30 are left."""
    path = tmp_path / "checkpoint"
    path.write_bytes(OLD.note(40))
    return {"checkpoint": path, "key": str(OLD.vkey), "entries_left": 30, "incident": "incident report 7 of 2026"}


def test_the_first_entry_names_the_old_log_and_the_gap(old, tmp_path):
    out = StringIO()
    call_command("found_successor_log", **old, stdout=out)
    assert "40 entries, of which those from 30 on are missing" in out.getvalue()
    record(event("first"))
    complete()
    genesis = Entry.objects.get(position=0)
    said = payload_of(genesis.entry_id)["succeeds"]
    assert (genesis.type, said["origin"], said["gap"]) == ("log.genesis", OLD.origin, {"start": 30, "stop": 40})
    assert said["note"].encode() == OLD.note(40)
    assert verify_log()[0].verified is True
    handing = Handing(Purpose.AUDIT, "auditor")
    bundle = tmp_path / "b.zip"
    export_bundle(Selection(Report.EVERYTHING), may_read=lambda _: False, by=JOB, now=NOON, out=bundle, handing=handing)
    assert verdict(bundle)[0] in (0, 3)


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"entries_left": 40}, "no-gap"),
        ({"entries_left": -1}, "no-gap"),
        ({"incident": " "}, "incident"),
        ({"key": str(WatchedLog(seed=9).vkey)}, "note"),
        ({"key": "no key"}, "cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused_and_no_log_begins(old, other, code):
    with pytest.raises(CommandError, match=code):
        call_command("found_successor_log", **old | other)
    complete()
    assert not Entry.objects.exists()


def test_a_log_does_not_succeed_itself_nor_begin_twice(old, tmp_path):
    same = WatchedLog(origin=keys.origin())
    own = tmp_path / "own"
    own.write_bytes(same.note(40))
    with pytest.raises(CommandError, match="same-origin"):
        call_command("found_successor_log", **old | {"checkpoint": own, "key": str(same.vkey)})
    record(event("work"))
    with pytest.raises(CommandError, match="log-begun"):
        call_command("found_successor_log", **old)
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("found_successor_log", **old | {"checkpoint": tmp_path / "nowhere"})
