"""What an insider with the database and every key but the witnesses' hands out by hand, judged by both verifiers.

He signs manifests, receipts and checkpoints as he likes; each case is one lie that random damage would hardly make.
"""

from __future__ import annotations

import json
import struct
import zipfile
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from tests.audit.second.judge import judge as second
from tests.audit.verify.judging import found, judge
from tests.audit.verify.maker import Log, Passkey, b64, key, note, spell, usual, zipped

LIES = []


def lie(exit_status: int, name: str | None):
    """A lie makes (bundle, log) or (bundle, log, files)."""

    def keep(make):
        LIES.append(pytest.param(make, exit_status, name, id=make.__name__))
        return make

    return keep


def resaid(log: Log, members: dict[str, bytes], name: str, change) -> dict[str, bytes]:
    """The lines of a member after a change to them, signed again."""
    lines = [json.loads(line) for line in members[f"{name}.jsonl"].splitlines()]
    return log.resigned(members | {f"{name}.jsonl": b"".join(spell(line) + b"\n" for line in change(lines))})


# --- the log's first words, and its keys ----------------------------------------------------------------------------


@lie(1, "key-genesis")
def a_selection_without_the_logs_first_words():
    """Without them no key is in force, and a key that was given up could go on signing."""
    log = usual()
    return log.members(take=lambda p: p in {4, 5}, complete=False), log


@lie(1, "key-genesis")
def first_words_that_were_denied():
    log = Log(genesis=False)
    vkey = log.log_keys[0].vkey
    log.add("log.genesis", ("log", log.origin), payload={"origin": log.origin, "vkey": vkey}, outcome="denied")
    log.checkpoint()
    return log.members(), log


@lie(1, "key-not-in-force")
def a_rotation_left_out_of_a_selection():
    log = usual()
    log.rotate()
    log.checkpoint()
    log.add("consent.given", ("consent", "c-2"), subject="patient-9")
    log.checkpoint()
    return log.members(take=lambda p: p in {0, 11}, complete=False), log


# --- what is gone ---------------------------------------------------------------------------------------------------


@lie(1, "manifest-count")
def a_shredding_that_names_a_person_instead_of_a_payload():
    """All of somebody's payloads are called shredded by one entry whose object is named as their subject is."""
    log = usual()
    subject = log.entries[7]["subject"]
    log.add("payload.shredded", ("payload", subject), purpose="legal")
    log.checkpoint()
    members = log.members(withhold=[7, 9])
    return log.resigned(members, payloads={"included": 4, "shredded": 3, "withheld": 0}, left_out=[]), log


@lie(1, "manifest-count")
def payloads_called_shredded_of_which_no_entry_speaks():
    log = usual()
    members = log.members(withhold=[7])
    return log.resigned(members, payloads={"included": 5, "shredded": 2, "withheld": 0}, left_out=[]), log


@lie(1, "esign-key")
def a_revocation_whose_payload_is_withheld():
    log, passkey = usual(), Passkey()
    passkey.enrol(log)
    passkey.revoke(log)
    passkey.sign(log)
    log.checkpoint()
    return log.members(withhold=[12]), log


@lie(1, "esign-key")
def a_revocation_whose_payload_was_shredded():
    log, passkey = usual(), Passkey()
    passkey.enrol(log)
    passkey.revoke(log)
    log.shred(12)
    passkey.sign(log)
    log.checkpoint()
    return log.members(), log


# --- receipts and heads ---------------------------------------------------------------------------------------------


@lie(1, "receipt-at")
def two_receipts_for_one_entry():
    """The second, which fits, must not make the first be forgotten."""
    log = usual()
    early = log.receipt(3, at="2026-03-01T11:59:00.000000Z")
    return log.members(), log, {"receipts": [early, log.receipt(3)]}


@lie(1, "receipt-at")
def two_promises_for_one_entry():
    log = usual()
    late = log.receipt(9, by="2027-03-01T12:00:00.000000Z")
    return log.members(size=9), log, {"receipts": [log.receipt(9), late]}


@lie(2, "receipt-signature")
def a_receipt_of_another_log():
    """No leaf of another log can be here: to call its promise broken would accuse an honest log."""
    log, other = usual(), usual(origin="log.example/other")
    other.statement = key("log.example/other/statement", 44)
    policy = log.policy(f"log {key('log.example/other', 45).vkey}", f"statement {other.statement.vkey}")
    return log.members(), log, {"receipts": [other.receipt(3)]}, policy


@lie(1, "seen-root")
def a_head_of_size_nought_with_a_root():
    log = usual()
    text = f"{log.origin}\n0\n{b64(bytes(32))}\n".encode()
    return log.members(), log, {"seen": [note(text, log.log_keys[0].line(text))]}


@lie(1, "cosignature")
def a_cosignature_of_another_size():
    log = usual()
    other = log.checkpoints[5]["note"].splitlines(keepends=True)[-1]
    log.checkpoints[10]["note"] += other
    return log.members(), log


@lie(1, "cosignature")
def a_cosignature_of_another_log():
    log = usual()
    text = log.head(10).replace(log.origin.encode(), b"log.example/other", 1)
    log.checkpoints[10]["note"] += log.witnesses["w2"].cosign(text, int(log.now.timestamp()))
    return log.members(), log


@lie(1, "checkpoint-signature")
def a_checkpoint_in_the_name_of_the_statement_key():
    log = usual()
    text = log.head(10)
    log.checkpoints[10]["note"] = note(text, log.statement.line(text)).decode()
    return log.members(), log


# --- the tree -------------------------------------------------------------------------------------------------------


@lie(1, "root")
def a_node_as_a_leaf():
    """The data of an inner node, put where a leaf stands."""
    log = usual()
    log.encoded[4] = b"\1" + log.hashes[4] + log.hashes[5]
    members = log.members()
    lines = members["entries.jsonl"].split(b"\n")
    lines[4] = b"4 " + spell(log.entries[4] | {"reason_code": "x"})
    return log.resigned(members | {"entries.jsonl": b"\n".join(lines)}), log


@lie(1, "tiling")
def a_hash_over_an_entry_that_is_there():
    log = usual()
    members = log.members(take=lambda p: p not in {6, 7}, complete=False)
    line = {"start": 6, "end": 8, "hash": "00" * 32}
    return resaid(log, members, "rest", lambda _: [{"start": 4, "end": 5, "hash": "00" * 32}, line]), log


@lie(1, "tiling")
def an_entry_beyond_the_size():
    log = usual()
    members = log.members(size=9)
    return log.resigned(members | {"entries.jsonl": members["entries.jsonl"] + b"9 " + log.encoded[9] + b"\n"}), log


@lie(1, "tiling")
def a_hash_of_half_the_world():
    log = usual()
    members = log.members(size=9)
    return resaid(log, members, "rest", lambda _: [{"start": 0, "end": 1 << 52, "hash": "00" * 32}]), log


@lie(1, "checkpoint-order")
def a_size_that_no_checkpoint_has():
    log = usual()
    left = [{"what": "entries", "why": "future", "n": (1 << 52) - 10}]
    heads = b"".join(spell(line) + b"\n" for line in log._heads([*range(10)], 1 << 52))
    members = log.members(complete=False) | {"heads.jsonl": heads}
    return log.resigned(members, size=1 << 52, left_out=left, kind="patient"), log


# --- other spellings ------------------------------------------------------------------------------------------------


@lie(1, "payload-spelling")
def a_number_that_readers_round():
    log = usual()
    log.add("window.closed", ("loop", "l-3"), payload={"mean": 2**53})
    log.checkpoint()
    return log.members(), log


@lie(1, "batch-root")
def a_count_that_is_true():
    log = usual()
    log.add("observation.batch_accepted", ("batch", "b-2"), rows=[b"1"], payload={"count": True})
    log.checkpoint()
    return log.members(), log


@lie(1, "line-form")
def a_token_that_is_no_base64():
    log = usual()
    log.checkpoints[10]["timestamp"] = "AA=A"
    return log.members(), log


@lie(1, "line-form")
def a_reading_with_stray_bits():
    log = usual()
    return resaid(log, log.members(), "batches", lambda lines: [lines[0] | {"rows": ["AB=="]}]), log


@lie(1, "manifest-signature")
def a_manifest_note_that_says_more():
    log = usual()
    members = log.members()
    text = members["manifest.note"].rpartition(b"\n\n")[0] + b"\nand more\n"
    return members | {"manifest.note": note(text, log.statement.line(text))}, log


def client(**said):
    """A signed act whose client data say something else, over which the passkey signed."""

    def make():
        log, passkey = usual(), Passkey()
        passkey.enrol(log)
        private, position = passkey.private, passkey.sign(log)
        line, entry = log.evidence[position], log.entries[position]
        data = json.loads(_raw(line["client_data"])) | said
        authenticator = _raw(line["authenticator_data"])
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.hashes import SHA256

        signature = private.sign(authenticator + sha256(spell(data)).digest(), ec.ECDSA(SHA256()))
        framed = b"".join(struct.pack(">I", len(part)) + part for part in (authenticator, spell(data), signature))
        entry["esign"]["assertion_sha256"] = sha256(framed).hexdigest()
        log.encoded[position] = spell(entry)
        log.hashes[position] = log.leaf_hash(log.encoded[position])
        log.evidence[position] = line | {"client_data": b64(spell(data)), "signature": b64(signature)}
        log.checkpoint()
        return log.members(), log

    return make


def _raw(text: str) -> bytes:
    import base64

    return base64.b64decode(text)


for _id, _exit, _said in (
    ("as_it_was", 0, {}),
    ("on_a_port", 0, {"origin": "https://desk.clinic.example:8443"}),
    ("from_within_another_page", 1, {"crossOrigin": True}),
    ("nought_is_not_false", 1, {"crossOrigin": 0}),
    ("a_path", 1, {"origin": "https://desk.clinic.example/path"}),
    ("somebody_at", 1, {"origin": "https://evil.example@desk.clinic.example"}),
    ("capitals", 1, {"origin": "HTTPS://desk.clinic.example"}),
):
    LIES.append(pytest.param(client(**_said), _exit, "esign-challenge" if _exit else None, id=f"client_data_{_id}"))


@lie(1, "esign-content")
def content_that_is_not_canonical():
    log, passkey = usual(), Passkey()
    passkey.enrol(log)
    content, salt = b'{"dose": "5 mg"}', b"s" * 32
    digest = sha256(b"clinaiops/esign-content/v1" + salt + content).hexdigest()
    passkey.sign(log, record={"content": digest}, line={"content": content.decode()})
    log.checkpoint()
    return log.members(), log


# --- zips -----------------------------------------------------------------------------------------------------------


def packed(change):
    log = usual()
    return change(zipped(log.members(), zipfile.ZIP_STORED)), log


def _with(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _end(data: bytes, directory: int, start: int) -> bytes:
    return data[:-10] + struct.pack("<II", directory, start) + data[-2:]


def header_of_another_size(data: bytes) -> bytes:
    return _with(data, 22, struct.pack("<I", 1))


def header_of_another_digest(data: bytes) -> bytes:
    return _with(data, data.rindex(b"PK\3\4") + 14, b"\1\2\3\4")


def header_of_another_name(data: bytes) -> bytes:
    return _with(data, data.rindex(b"PK\3\4") + 30, b"REST")


def names_in_capitals(data: bytes) -> bytes:
    return data.replace(b"rest.jsonl", b"Rest.jsonl")


def a_name_with_a_nought(data: bytes) -> bytes:
    at = data.rindex(b"PK\1\2")
    longer = data[: at + 28] + struct.pack("<H", 12) + data[at + 30 : at + 56] + b"\0x" + data[at + 56 :]
    directory, start = struct.unpack("<II", data[-10:-2])
    return _end(longer, directory + 2, start)


def a_descriptor_behind_a_member(data: bytes) -> bytes:
    """The last member's sizes stand behind it instead of before."""
    at, directory = data.rindex(b"PK\3\4"), data.index(b"PK\1\2")
    descriptor = b"PK\7\x08" + data[at + 14 : at + 26]
    local = _with(_with(data[:directory], at + 6, b"\x08"), at + 14, bytes(12))
    central = _with(data[directory:], data[directory:].rindex(b"PK\1\2") + 8, b"\x08")
    length, start = struct.unpack("<II", data[-10:-2])
    return _end(local + descriptor + central, length, start + 16)


def something_behind(data: bytes) -> bytes:
    return data + b"more"


def something_before(data: bytes) -> bytes:
    return b"more" + data


def a_directory_that_lies_about_its_place(data: bytes) -> bytes:
    length, start = struct.unpack("<II", data[-10:-2])
    return _end(data, length, start + 8)


ZIPS = (
    header_of_another_size,
    header_of_another_digest,
    header_of_another_name,
    names_in_capitals,
    a_name_with_a_nought,
    a_descriptor_behind_a_member,
    something_behind,
    something_before,
    a_directory_that_lies_about_its_place,
)
LIES += [pytest.param(lambda c=change: packed(c), 2, "", id=f"zip_with_{change.__name__}") for change in ZIPS]


# --- what looks like a lie and is none ------------------------------------------------------------------------------


@lie(0, None)
def a_checkpoint_with_extension_lines():
    log = usual()
    text = log.head(10) + b"an extension\nanother\n"
    signed = [log.log_keys[0].line(text), *(log.witnesses[w].cosign(text, 1_772_366_500) for w in ("w1", "w3"))]
    log.checkpoints[10]["note"] = note(text, *signed).decode()
    return log.members(), log


@lie(0, None)
def an_entry_from_before_1970_with_no_checkpoint_before_it():
    log, past = Log(genesis=False), datetime(1969, 3, 1, tzinfo=UTC)
    said, named = {"origin": log.origin, "vkey": log.log_keys[0].vkey}, "019ca945-00ff-7000-8000-0000000000ff"
    log.add("log.genesis", ("log", log.origin), payload=said, at=past, id=named)
    log.checkpoint()
    return log.members(), log


@lie(0, None)
def a_policy_that_asks_for_no_witness():
    log = usual(quorum="none")
    return log.members(), log


@pytest.mark.parametrize(("make", "exit_status", "name"), LIES)
def test_both_verifiers_judge_it_so(tmp_path, make, exit_status, name):
    """The class of what is wrong is the specification's; of a zip that is bent any class may be told first."""
    bundle, log, *more = make()
    files, policy = (more[0] if more else {}), (more[1] if len(more) > 1 else log.policy())
    report = judge(tmp_path, bundle, policy, **files)
    other = second(zipped(bundle) if isinstance(bundle, dict) else bundle, policy, **files)
    assert (report["exit"], other.exit) == (exit_status, exit_status), (report["failure"], other)
    if name != "":
        assert (found(report)[1], other.kind) == (name, name), (report["failure"], other)


def test_a_head_from_a_witness_does_not_hide_another_that_was_seen(tmp_path):
    """Two heads of one size, both signed by the log: whichever of them the bundle has, the log told two stories."""
    log, other = usual(), usual()
    other.hashes[3] = b"\1" * 32
    heads = [each.head(10) for each in (log, other)]
    seen = [note(text, log.log_keys[0].line(text)) for text in heads]
    for given in (seen, seen[::-1]):
        assert found(judge(tmp_path, log.members(), log, seen=given)) == (1, "seen-root")
