"""`verify_audit`: exit 0 only when everything holds, else the first bad entry by name, for people and for machines."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from audit.models import Checkpoint
from audit.services import sequence_until_empty, signing
from tests.audit.builders import cut_back, event, id_at, record, settle

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])


def _command(*arguments: str) -> tuple[int, dict]:
    out = StringIO()
    try:
        call_command("verify_audit", "--json", *arguments, stdout=out)
    except SystemExit as end:
        return end.code, json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def test_the_command_says_verified_with_size_and_root(log):
    code, said = _command()
    assert code == 0
    assert said | {"root": None} == {
        "verified": True, "entries": 12, "pending": 0, "first_bad": None, "size": 12, "root": None, "signed": 12,
        "unsigned": 0, "cosigned": 0,
        "checkpoints": 3, "batches": {"checked": 0, "unchecked": 0}, "shredded": 0, "detached": 0,
    }  # fmt: skip
    assert said["root"] == bytes(Checkpoint.objects.get(size=12).root).hex()


def test_the_command_names_the_first_bad_entry_and_fails(log):
    name = id_at(5)
    log.execute("UPDATE audit_payload SET body = '{}' WHERE entry_id = %s", [name])
    code, said = _command()
    assert (code, said["verified"]) == (1, False)
    assert (said["first_bad"]["entry_id"], said["first_bad"]["position"]) == (name, 5)
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_audit", stdout=out)
    assert name in out.getvalue()


def test_the_command_takes_a_checkpoint_kept_outside(log, tmp_path):
    kept = tmp_path / "checkpoint"
    kept.write_bytes(bytes(Checkpoint.objects.get(size=12).note))
    assert _command("--checkpoint", str(kept))[0] == 0
    cut_back(log, 8)
    code, said = _command("--checkpoint", str(kept))
    assert (code, said["first_bad"]["code"]) == (1, "remembered-longer")
    kept.write_bytes(b"not a note")
    with pytest.raises(CommandError) as refused:
        _command("--checkpoint", str(kept))
    assert refused.value.returncode == 2


def test_an_empty_record_verifies_and_one_of_which_nothing_is_numbered_does_not():
    code, empty = _command()
    assert (code, empty["entries"], empty["pending"]) == (0, 0, 0)
    record(event())
    code, said = _command()
    assert (code, said["verified"], said["pending"], said["entries"]) == (1, False, 1, 0)
    assert said.keys() == empty.keys()
    out = StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("verify_audit", stdout=out)
    assert end.value.code == 1
    assert out.getvalue().startswith("Nothing is verified yet: 1 entries are written and none is numbered.")
    assert "manage.py run_sequencer --once" in out.getvalue()
    for _ in range(2):  # the first names the log, in an entry of its own
        settle()
        call_command("run_sequencer", "--once", stdout=StringIO())
    code, said = _command()
    assert (code, said["verified"], said["pending"]) == (0, True, 0)
    assert said["entries"] >= 1


def test_the_key_can_be_handed_in_and_must_be_one(log):
    assert _command("--key", str(signing.first_key()))[0] == 0
    for useless in (["--key", "none"], ["--checkpoint", "/nowhere"]):
        with pytest.raises(CommandError) as refused:
            _command(*useless)
        assert refused.value.returncode == 2


def test_people_are_told_in_words(log):
    out = StringIO()
    record(event("pending"))
    call_command("verify_audit", stdout=out)
    assert out.getvalue().startswith("Verified: 12 entries")
    assert "1 entries are pending" in out.getvalue()
    sequence_until_empty()
    call_command("verify_audit", stdout=out)
    assert "1 entries are unsigned" in out.getvalue()
    log.execute("UPDATE audit_checkpoint SET note = 'x' WHERE size = 12")
    with pytest.raises(SystemExit):
        call_command("verify_audit", stdout=out)
    assert "NOT verified: checkpoint-note" in out.getvalue()
