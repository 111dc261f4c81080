"""Whoever owns the database changes the record behind its back; verification names the first entry that lies.

What cannot be seen from inside is said as plainly: a log cut back to an older checkpoint, a log rewritten by someone
who holds its key. Only a checkpoint kept outside shows those.
"""

import json
from uuid import UUID

import pytest

from audit import entries, keyring, merkle, notes, opening, sealing
from audit.models import Checkpoint, Entry, Payload
from audit.selectors import TILE_WIDTH
from audit.services import keys
from audit.services.verifying import Outside, verify_log
from tests.audit.builders import complete, cut_back, event, first_bad, id_at, number, record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])


def _rewrite(cursor, position: int, change, *, everywhere: bool = True) -> None:
    """Change an entry and whatever beside it repeats its hash, as a careful forger would."""
    row = Entry.objects.get(position=position)
    frame = entries.frame(keys.origin())
    entry = json.loads(bytes(row.leaf)[len(frame) :])
    change(entry)
    leaf = frame + json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    values = [leaf, entries.leaf_hash(leaf), *entries.columns(entry), entry["id"], position]
    cursor.execute(
        "UPDATE audit_entry SET leaf = %s, leaf_hash = %s, type = %s, at = %s, occurred_at = %s, actor_kind = %s,"
        " actor_id = %s, object_type = %s, object_id = %s, object_version = %s, subject = %s, outcome = %s,"
        " entry_id = %s WHERE position = %s",
        values,
    )
    if everywhere:
        place = entry["object"]
        cursor.execute(
            "UPDATE audit_objectversion SET leaf_hash = %s WHERE (object_type, object_id, version) = (%s, %s, %s)",
            [entries.leaf_hash(leaf), place["type"], place["id"], place["version"]],
        )


def _another_actor(entry: dict) -> None:
    entry["actor"] = {"kind": "user", "id": "18", "role": "clinician"}


def one_byte(c):
    c.execute(
        "UPDATE audit_entry SET leaf = set_byte(leaf, 80, (get_byte(leaf, 80) + 1) %% 128) WHERE position = 5", []
    )


def another_hash(c):
    c.execute("UPDATE audit_entry SET leaf_hash = sha256('x') WHERE position = 5")


def another_actor(c):
    _rewrite(c, 5, _another_actor)


def another_actor_roughly(c):
    _rewrite(c, 5, _another_actor, everywhere=False)


def back_dated(c):
    _rewrite(c, 5, lambda entry: entry.update(at="2020-01-01T00:00:00.000000Z"))


def an_unknown_key(c):
    _rewrite(c, 5, lambda entry: entry.update(comment="was agreed by telephone"))


def an_unknown_type(c):
    _rewrite(c, 5, lambda entry: entry.update(type="window.never_closed"))


def another_spelling(c):
    row = Entry.objects.get(position=5)
    leaf = bytes(row.leaf).replace(b'"v":1', b'"v": 1')
    c.execute("UPDATE audit_entry SET leaf = %s, leaf_hash = %s WHERE position = 5", [leaf, entries.leaf_hash(leaf)])


def deleted_with_a_gap(c):
    c.execute("DELETE FROM audit_entry WHERE position = 5")


def deleted_and_renumbered(c):
    c.execute("DELETE FROM audit_entry WHERE position = 5")
    for position in range(6, 12):
        c.execute("UPDATE audit_entry SET position = %s WHERE position = %s", [position - 1, position])


def swapped(c):
    c.execute("UPDATE audit_entry SET position = 99 WHERE position = 5")
    c.execute("UPDATE audit_entry SET position = 5 WHERE position = 6")
    c.execute("UPDATE audit_entry SET position = 6 WHERE position = 99")


def inserted(c):
    for position in range(11, 4, -1):
        c.execute("UPDATE audit_entry SET position = %s WHERE position = %s", [position + 1, position])
    row = Entry.objects.get(position=0)
    row.position, row.entry_id = 5, entries.fresh_id(row.at)
    c.execute(
        "INSERT INTO audit_entry SELECT 5, %s, leaf, sha256('y'), type, at, occurred_at, actor_kind, actor_id,"
        " object_type, object_id, object_version, subject, outcome FROM audit_entry WHERE position = 0",
        [row.entry_id],
    )


def another_search_column(c):
    c.execute("UPDATE audit_entry SET subject = repeat('0', 64) WHERE position = 5")


def another_row_id(c):
    c.execute("UPDATE audit_entry SET entry_id = gen_random_uuid() WHERE position = 5")


def payload_changed(c):
    c.execute(
        "UPDATE audit_payload SET body = set_byte(body, 20, get_byte(body, 20) # 1) WHERE entry_id = %s", [id_at(5)]
    )


def payload_of_another_patient(c):
    c.execute(
        "UPDATE audit_payload SET body = (SELECT body FROM audit_payload WHERE entry_id = %s) WHERE entry_id = %s",
        [id_at(4), id_at(5)],
    )


def _sealed_anew(c, *, with_commitment: bool) -> None:
    """As somebody would who has the database and the keys on disk."""
    kept, body = Payload.objects.get(entry_id=id_at(5)), b'{"mean":"120 mm[Hg]"}'
    key = keyring.live_keys([UUID(kept.dek_id)])[UUID(kept.dek_id)]
    own, salt = sealing.fresh_key(), sealing.fresh_key()
    sealed = sealing.seal(own, body, at=opening.body_place(kept.id, kept.dek_id))
    both = sealing.seal(key, own + salt, at=opening.key_place(kept.id, kept.dek_id))
    commit = entries.commitment(salt, body) if with_commitment else bytes(kept.commit)
    c.execute("UPDATE audit_payload SET body = %s, commit = %s WHERE id = %s", [sealed, commit, kept.id])
    c.execute("UPDATE audit_payloadkey SET sealed = %s WHERE payload_id = %s", [both, kept.id])


def payload_sealed_anew(c):
    _sealed_anew(c, with_commitment=False)


def payload_and_commitment_changed(c):
    _sealed_anew(c, with_commitment=True)


def payload_gone(c):
    c.execute("DELETE FROM audit_payload WHERE entry_id = %s", [id_at(5)])


def payload_key_gone(c):
    c.execute(
        "DELETE FROM audit_payloadkey k USING audit_payload p WHERE p.id = k.payload_id AND entry_id = %s", [id_at(5)]
    )


def payload_key_of_another(c):
    c.execute(
        "UPDATE audit_payloadkey SET sealed = (SELECT k.sealed FROM audit_payloadkey k JOIN audit_payload p"
        " ON p.id = k.payload_id WHERE p.entry_id = %s)"
        " WHERE payload_id = (SELECT id FROM audit_payload WHERE entry_id = %s)",
        [id_at(4), id_at(5)],
    )


def data_key_gone(c):
    c.execute("DELETE FROM audit_datakey")


def data_key_changed(c):
    c.execute("UPDATE audit_datakey SET wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1)")


def version_index_changed(c):
    c.execute("UPDATE audit_objectversion SET leaf_hash = sha256('z') WHERE entry_id = %s", [id_at(5)])


def version_index_gone(c):
    c.execute("DELETE FROM audit_objectversion WHERE entry_id = %s", [id_at(5)])


AT_ENTRY_FIVE = {
    one_byte: "leaf-hash",
    another_hash: "leaf-hash",
    another_actor_roughly: "version-index",
    an_unknown_key: "unknown-key",
    an_unknown_type: "schema",
    another_spelling: "other-spelling",
    another_search_column: "columns",
    another_row_id: "entry-id",
    payload_changed: "payload-sealed",
    payload_of_another_patient: "payload-sealed",
    payload_sealed_anew: "payload-commit",
    payload_and_commitment_changed: "payload-ref",
    payload_gone: "payload-missing",
    payload_key_gone: "payload-gone",
    payload_key_of_another: "payload-sealed",
    version_index_changed: "version-index",
    version_index_gone: "version-index",
}


@pytest.mark.parametrize("tamper", AT_ENTRY_FIVE, ids=lambda tamper: tamper.__name__)
def test_a_changed_entry_is_named(log, tamper):
    name = id_at(5)
    tamper(log)
    code, position, entry_id = first_bad()
    assert (code, position) == (AT_ENTRY_FIVE[tamper], 5)
    assert entry_id == name or tamper is another_row_id


IN_ORDER = {
    deleted_with_a_gap: ("position", 5),
    deleted_and_renumbered: ("version-gap", 7),
    swapped: ("checkpoint", 4),
    inserted: ("leaf-hash", 5),
}


@pytest.mark.parametrize("tamper", IN_ORDER, ids=lambda tamper: tamper.__name__)
def test_entries_taken_out_put_in_or_moved_are_noticed(log, tamper):
    tamper(log)
    code, position, _ = first_bad()
    assert (code.removesuffix("-root").replace("tree-state", "checkpoint"), position) == IN_ORDER[tamper]


@pytest.mark.parametrize("tamper", [another_actor, back_dated], ids=lambda tamper: tamper.__name__)
def test_a_careful_forger_is_caught_by_the_next_entry_of_the_object_or_the_next_root(log, tamper):
    tamper(log)
    assert first_bad()[:2] in {("tree-state-root", 4), ("prev", 8)}


def test_with_tree_states_rewritten_too_the_signed_checkpoint_still_says_no(log):
    record(event("lonely"))
    number()
    _rewrite(log, 12, _another_actor)
    tree = merkle.CompactRange.empty()
    for leaf in Entry.objects.order_by("position").values_list("leaf_hash", flat=True):
        tree.append(bytes(leaf))
    log.execute("UPDATE audit_treestate SET root = %s, hashes = %s WHERE size = 13", [tree.root(), tree.pack()])
    assert first_bad()[:2] == ("checkpoint-root", 12)


def test_a_full_tile_names_the_very_entry(log):
    record(*[event(f"many-{n}") for n in range(TILE_WIDTH)])
    number()
    _rewrite(log, 200, _another_actor)
    assert first_bad()[:2] == ("tile", 200)


def test_a_second_row_at_a_position_is_not_overlooked(log):
    log.execute("ALTER TABLE audit_entry DROP CONSTRAINT audit_entry_pkey")
    log.execute("ALTER TABLE audit_entry DROP CONSTRAINT audit_entry_leaf_hash_key")
    log.execute(
        "INSERT INTO audit_entry SELECT position, gen_random_uuid(), leaf, leaf_hash, type, at, occurred_at,"
        " actor_kind, actor_id, object_type, object_id, object_version, subject, outcome"
        " FROM audit_entry WHERE position = 11"
    )
    try:
        assert first_bad()[0] in {"position", "entries-hidden", "entry-id"}  # whichever of the two is read first
    finally:
        log.execute("DELETE FROM audit_entry")
        log.execute("ALTER TABLE audit_entry ADD PRIMARY KEY (position)")
        log.execute("ALTER TABLE audit_entry ADD UNIQUE (leaf_hash)")


@pytest.mark.parametrize("change", ["root = sha256('x')", "index = 7"])
def test_a_tile_that_would_spoil_proofs_is_named(log, change):
    record(*[event(f"many-{n}") for n in range(TILE_WIDTH)])
    number()
    log.execute(f"UPDATE audit_tile SET {change}")
    assert first_bad()[0] == "tile-stored"


def test_a_log_that_began_under_another_key_is_named(log):
    record(event("log", 1, kind="log.genesis", payload={"origin": keys.origin(), "vkey": "another"}))
    number()
    assert first_bad()[:2] == ("genesis-key", 12)


def checkpoint_note_changed(c):
    c.execute(
        "UPDATE audit_checkpoint SET note = replace(convert_from(note, 'UTF8'), E'\\n8\\n', E'\\n9\\n')::bytea"
        " WHERE size = 8"
    )


def checkpoint_signed_by_another_key(c):
    stranger = notes.Ed25519PrivateKey.generate()
    head = notes.TreeHead(keys.origin(), 8, bytes(Checkpoint.objects.get(size=8).root))
    c.execute(
        "UPDATE audit_checkpoint SET note = %s WHERE size = 8",
        [notes.sign(head.text(), name=keys.origin(), key=stranger)],
    )


def checkpoint_of_an_older_size(c):
    c.execute("UPDATE audit_checkpoint SET note = (SELECT note FROM audit_checkpoint WHERE size = 4) WHERE size = 8")


def checkpoint_invented(c):
    c.execute("INSERT INTO audit_checkpoint SELECT 13, root, note, key_name, at FROM audit_checkpoint WHERE size = 12")


def tail_cut_roughly(c):
    c.execute("DELETE FROM audit_entry WHERE position >= 10")


def range_of_the_tree_changed(c):
    c.execute("UPDATE audit_treestate SET hashes = sha256('x') WHERE size = 4")


def payload_of_nobody(c):
    c.execute(
        "INSERT INTO audit_payload SELECT gen_random_uuid(), gen_random_uuid(), commit, salt, alg, dek_id, body"
        " FROM audit_payload LIMIT 1"
    )


HEADS = {
    checkpoint_note_changed: "checkpoint-note",
    checkpoint_signed_by_another_key: "checkpoint-note",
    checkpoint_of_an_older_size: "checkpoint-note",
    checkpoint_invented: "checkpoint-beyond",
    tail_cut_roughly: "checkpoint-beyond",
    range_of_the_tree_changed: "tree-state-hashes",
    payload_of_nobody: "payload-orphan",
    data_key_gone: "payload-gone",
    data_key_changed: "payload-sealed",
}


@pytest.mark.parametrize("tamper", HEADS, ids=lambda tamper: tamper.__name__)
def test_what_stands_beside_the_entries_is_checked_too(log, tamper):
    tamper(log)
    assert first_bad()[0] == HEADS[tamper]


def test_a_checkpoint_taken_away_leaves_its_entries_shown_as_unsigned(log):
    """As are those that the publisher has not come to yet; only what was kept outside tells the two apart."""
    log.execute("DELETE FROM audit_checkpoint WHERE size = 12")
    report, _ = verify_log()
    assert (report.verified, report.signed, report.unsigned) == (True, 8, 4)


def test_a_log_cut_back_to_an_older_checkpoint_is_only_seen_from_outside(log):
    """From inside nothing can show it: the shorter log is a perfect log. A checkpoint kept elsewhere does."""
    seen = bytes(Checkpoint.objects.get(size=12).note)
    cut_back(log, 8)
    assert verify_log()[0].verified is True
    report, _ = verify_log(outside=Outside(checkpoint=seen))
    assert report.first_bad.code == "remembered-longer"
    record(*[event(f"new-{n}") for n in range(6)])  # grown past the old size again, as a restored backup would
    complete()
    assert verify_log()[0].verified is True
    assert verify_log(outside=Outside(checkpoint=seen))[0].first_bad.code == "remembered-root"


def test_a_log_rewritten_by_the_holder_of_its_key_is_only_seen_from_outside(log):
    seen = bytes(Checkpoint.objects.get(size=12).note)
    cut_back(log, 0)
    record(*[event(f"forged-{n}") for n in range(12)])
    complete()
    assert verify_log()[0].verified is True
    assert verify_log(outside=Outside(checkpoint=seen))[0].first_bad.code == "remembered-root"


def test_a_key_handed_round_beforehand_unmasks_a_log_signed_by_another(log):
    stranger = notes.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    outside = Outside(verifier_key=notes.VerifierKey(keys.origin(), stranger))
    assert verify_log(outside=outside)[0].first_bad.code == "checkpoint-note"


def test_device_batches_are_compared_with_their_readings(settings):
    settings.AUDIT_BATCH_ROWS = ""
    kept = [f"reading {n}".encode() for n in range(100)]
    payload = {"root": merkle.batch_root(kept).hex(), "count": 100}
    record(event("batch-1", kind="observation.batch_accepted", subject=None, payload=payload))
    complete()
    assert verify_log()[0].batches_unchecked == 1
    settings.AUDIT_BATCH_ROWS = f"{__name__}.batch_rows"
    BATCHES["batch-1"] = kept
    report, _ = verify_log()
    assert (report.verified, report.batches_checked) == (True, 1)
    BATCHES["batch-1"] = [*kept[:-1], b"reading 99, improved"]
    assert first_bad()[:2] == ("batch-root", 0)
    BATCHES["batch-1"] = kept[:-1]
    assert first_bad()[:2] == ("batch-root", 0)


BATCHES: dict[str, list[bytes]] = {}


def batch_rows(_type: str, batch: str):
    """The batches another app would keep."""
    return BATCHES.get(batch)


def test_verifying_beside_a_working_sequencer_raises_no_false_alarm():
    for n in range(5):
        record(*[event(f"a-{n}-{m}") for m in range(20)])
        number(limit=7)
        assert first_bad() is None


def test_the_kinds_of_tampering_are_told_apart():
    """A tamper table that named one rule for everything would show little."""
    assert len({*AT_ENTRY_FIVE.values(), *HEADS.values()}) >= 10
