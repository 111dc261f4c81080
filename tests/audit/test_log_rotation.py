"""The log's key is replaced: named in the log, signed over by both, and no other change of key is believed."""

import pytest
from django.core.management import CommandError, call_command

from audit import notes
from audit.models import Checkpoint
from audit.services import keys, log_rotation, signing
from audit.services.publishing import known_keys, publish
from audit.services.verifying import Outside, verify_log
from audit.signer import Folder
from tests.audit.builders import JOB, NOON, event, first_bad, number, record, settle
from tests.signers import InProcess

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])


class Rotating(InProcess):
    """The whole signer of a folder: memory, keys and their replacement."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        super().__init__(folder.core())

    def prepare(self):
        self.core = self.folder.prepare()
        return self.state()

    def retire(self):
        self.core = self.folder.retire()
        return self.state()


@pytest.fixture
def signer(settings, tmp_path):
    """A fresh home's signer, with everything it remembers."""
    settings.AUDIT_KEYS_DIR = tmp_path / "keys"
    keys._kept.cache_clear()
    folder = Folder(tmp_path / "keys" / "signer", keys.origin())
    with folder.held():
        yield Rotating(folder)
    keys._kept.cache_clear()


def grown(signer, *events) -> None:
    """These entries (one more when none is named) with a checkpoint over them."""
    record(*(events or [event(f"a-{Checkpoint.objects.count()}")]))
    settle()
    from audit.services import sequence_until_empty

    sequence_until_empty()
    publish(signer=signer)


def test_both_sign_then_the_new_one_alone_and_everything_verifies(signer):
    grown(signer)
    rotation = log_rotation.prepare(signer, by=JOB, now=NOON)
    assert log_rotation.prepare(signer, by=JOB, now=NOON) == rotation
    with pytest.raises(log_rotation.NotYet):
        log_rotation.retire(signer)
    grown(signer)
    assert log_rotation.prepare(signer, by=JOB, now=NOON) == rotation
    assert first_bad() is None
    assert log_rotation.retire(signer) == rotation.new
    grown(signer)
    assert known_keys() == (rotation.old, rotation.new)
    assert first_bad() is None
    report, _ = verify_log(outside=Outside(verifier_key=rotation.old))
    assert (report.verified, report.unsigned) == (True, 0)
    last = bytes(Checkpoint.objects.order_by("size").last().note)
    assert notes.open_note(last, keys=[rotation.old, rotation.new])[1] == (rotation.new,)
    assert verify_log(outside=Outside(checkpoint=last))[0].verified


def _resigned(owner_db, size: int, *secrets: notes.Ed25519PrivateKey) -> None:
    """The checkpoint of that size, signed anew by these keys alone."""
    row = Checkpoint.objects.get(size=size)
    text = notes.TreeHead(keys.origin(), size, bytes(row.root)).text()
    first, *others = (notes.sign(text, name=keys.origin(), key=secret) for secret in secrets)
    owner_db.execute("ALTER TABLE audit_checkpoint DISABLE TRIGGER USER")
    owner_db.execute(
        "UPDATE audit_checkpoint SET note = %s WHERE size = %s",
        [first + b"".join(note[len(text) + 1 :] for note in others), size],
    )
    owner_db.execute("ALTER TABLE audit_checkpoint ENABLE ALWAYS TRIGGER audit_checkpoint_no_change")
    owner_db.execute("ALTER TABLE audit_checkpoint ENABLE ALWAYS TRIGGER audit_checkpoint_no_truncate")


def test_a_key_counts_only_from_where_the_log_names_it(signer, owner_db):
    grown(signer)
    log_rotation.prepare(signer, by=JOB, now=NOON)
    old, new = signer.core._keys
    grown(signer)
    log_rotation.retire(signer)
    grown(signer)
    assert [row.size for row in Checkpoint.objects.order_by("size")] == [1, 3, 4]
    for size, secrets in ((1, [new]), (3, [new]), (3, [old]), (4, [old])):
        kept = bytes(Checkpoint.objects.get(size=size).note)
        _resigned(owner_db, size, *secrets)
        assert first_bad()[0] == "checkpoint-note", (size, len(secrets))
        owner_db.execute("ALTER TABLE audit_checkpoint DISABLE TRIGGER USER")
        owner_db.execute("UPDATE audit_checkpoint SET note = %s WHERE size = %s", [kept, size])
        owner_db.execute("ALTER TABLE audit_checkpoint ENABLE ALWAYS TRIGGER audit_checkpoint_no_change")
        owner_db.execute("ALTER TABLE audit_checkpoint ENABLE ALWAYS TRIGGER audit_checkpoint_no_truncate")
    assert first_bad() is None


@pytest.mark.parametrize("spoil", ["old", "new"])
def test_a_rotation_that_names_keys_wrongly_is_found(spoil):
    """Whoever can write entries cannot bring a key of their own into force with them."""
    stranger = str(notes.VerifierKey(keys.origin(), bytes(32)))
    said = {"old": str(signing.first_key()), "new": stranger} | {spoil: "nobody+key" if spoil == "new" else stranger}
    record(event("log", 1, kind="log.key_rotated", subject=None, payload=said))
    number()
    assert first_bad()[:2] == ("rotation", 0)


def test_the_command_says_what_comes_next_and_refuses_to_retire_too_early():
    with pytest.raises(CommandError, match="no-next-key"):
        call_command("rotate_log_key", "--retire")
