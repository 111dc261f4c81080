"""Every class of failure of README 10 has bundles that show it. The liar here holds our database and all our keys.

Each case damages a good log or bundle and signs again what we could sign, so that only one check can see it.
"""

import base64
import io
import json
import re
import struct
import zipfile
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from audit.verify.__main__ import verify
from tests.audit.verify.judging import found, judge
from tests.audit.verify.maker import Log, Passkey, b64, key, note, root_of, spell, usual, zipped

ROOT = Path(__file__).resolve().parents[3]
CASES = []


def case(exit_status: int, name: str):
    """A case makes (bundle, log) or (bundle, log, files)."""

    def keep(make):
        CASES.append(pytest.param(make, exit_status, name, id=f"{name}-{make.__name__}"))
        return make

    return keep


def rows(members: dict[str, bytes], name: str) -> list[dict]:
    return [json.loads(line) for line in members[f"{name}.jsonl"].splitlines()]


def with_rows(log: Log, members: dict[str, bytes], name: str, lines: list[dict], **said) -> dict[str, bytes]:
    return log.resigned(members | {f"{name}.jsonl": b"".join(spell(line) + b"\n" for line in lines)}, **said)


def first_row(name: str, change, **how):
    """The usual bundle with the first row of a member changed, and the manifest signed again."""
    log = usual()
    members = log.members(**how)
    lines = rows(members, name)
    lines[0] |= change(lines[0]) if callable(change) else change
    return with_rows(log, members, name, lines), log


def renoted(log: Log, size: int, text: bytes | None = None, signers=None, witnesses=("w1", "w2")) -> None:
    """The checkpoint of a size, said and signed anew."""
    text = log.head(size) if text is None else text
    at = int(log.now.timestamp())
    lines = [each.line(text) for each in (signers if signers is not None else log.log_keys)]
    lines += [log.witnesses[name].cosign(text, at) for name in witnesses]
    log.checkpoints[size]["note"] = note(text, *lines).decode()


# --- V1, V14: the manifest ------------------------------------------------------------------------------------------


@case(1, "manifest-digest")
def a_line_by_an_unknown_key_is_added():
    log = usual()
    members = log.members()
    longer = members["checkpoints.jsonl"].replace(b'\\n","size":9', f'\\n— x {b64(bytes(68))}\\n","size":9'.encode())
    assert longer != members["checkpoints.jsonl"]
    return members | {"checkpoints.jsonl": longer}, log


@case(1, "manifest-count")
def one_payload_more_is_said_to_be_withheld():
    log = usual()
    return log.resigned(log.members(), payloads={"included": 6, "withheld": 1, "shredded": 1}), log


@case(1, "manifest-count")
def an_entry_is_said_not_to_be_left_out():
    log = usual()
    return log.resigned(log.members(take=lambda p: p != 4, complete=False), left_out=[]), log


@case(1, "manifest-count")
def a_payload_is_lost_without_a_shredding():
    log = usual()
    members = log.members()
    return with_rows(log, members, "payloads", rows(members, "payloads")[:-1]), log


@case(1, "manifest-count")
def everything_is_not_everything():
    log = usual()
    return log.members(take=lambda p: p != 4, kind="everything", complete=False), log


@case(1, "line-form")
def a_line_says_more():
    return first_row("payloads", {"more": 1})


@case(1, "line-form")
def a_line_is_not_finished():
    log = usual()
    members = log.members()
    return log.resigned(members | {"payloads.jsonl": members["payloads.jsonl"][:-1]}), log


@case(1, "line-form")
def a_line_is_spelled_with_a_space():
    log = usual()
    members = log.members()
    return log.resigned(members | {"payloads.jsonl": members["payloads.jsonl"].replace(b'{"', b'{ "', 1)}), log


@case(1, "line-form")
def a_position_is_spelled_otherwise():
    log = usual()
    members = log.members()
    return log.resigned(members | {"entries.jsonl": b"0" + members["entries.jsonl"]}), log


@case(1, "manifest-signature")
def the_manifest_is_changed():
    log = usual()
    members = log.members()
    return members | {"manifest.json": members["manifest.json"].replace(b"auditor", b"nobody!")}, log


@case(1, "manifest-signature")
def the_manifest_is_signed_by_the_logs_key():
    log = usual()
    members = log.members()
    text = members["manifest.note"].rpartition(b"\n\n")[0] + b"\n"
    other = key(log.statement.name, 1)
    return members | {"manifest.note": note(text, other.line(text))}, log


@case(1, "tiling")
def an_entry_is_taken_out():
    log = usual()
    members = log.members()
    lines = members["entries.jsonl"].splitlines(keepends=True)
    return log.resigned(members | {"entries.jsonl": b"".join(lines[:4] + lines[5:])}), log


@case(1, "tiling")
def a_hash_covers_a_checkpoint():
    log = usual()
    members = log.members(take=lambda p: p in {0, 2, 8}, complete=False)
    joined = {"start": 4, "end": 6, "hash": root_of(log.hashes[4:6]).hex()}
    lines = [each for each in rows(members, "rest") if each["start"] not in {4, 5}]
    return with_rows(log, members, "rest", sorted([*lines, joined], key=lambda each: each["start"])), log


@case(1, "tiling")
def hashes_overlap():
    log = usual()
    members = log.members(take=lambda p: p != 6, complete=False)
    return with_rows(log, members, "rest", rows(members, "rest") * 2), log


# --- V2, V3, V13: the checkpoints -----------------------------------------------------------------------------------


@case(1, "checkpoint-form")
def a_note_without_signatures():
    return first_row("checkpoints", {"note": "log.example/clinic\n5\n"})


@case(1, "checkpoint-form")
def a_checkpoint_of_two_lines():
    log = usual()
    renoted(log, 9, f"{log.origin}\n9\n".encode())
    return log.members(), log


@case(1, "checkpoint-form")
def a_checkpoint_whose_root_is_no_base64():
    log = usual()
    renoted(log, 9, f"{log.origin}\n9\n!!!!\n".encode())
    return log.members(), log


@case(1, "checkpoint-form")
def a_checkpoint_of_a_size_with_nought_before_it():
    log = usual()
    renoted(log, 9, log.head(9).replace(b"\n9\n", b"\n09\n"))
    return log.members(), log


@case(1, "checkpoint-form")
def a_note_of_another_size():
    log = usual()
    renoted(log, 9, log.head(8))
    return log.members(), log


@case(1, "checkpoint-form")
def seventeen_signatures():
    log = usual()
    text = log.head(9)
    log.checkpoints[9]["note"] = note(
        text, *[each.line(text) for each in [*log.log_keys, *(key("x", n) for n in range(20, 36))]]
    ).decode()
    return log.members(), log


@case(1, "checkpoint-origin")
def the_checkpoint_of_another_log():
    log = usual()
    renoted(log, 9, log.head(9).replace(b"clinic", b"forged"))
    return log.members(), log


@case(1, "checkpoint-signature")
def signed_by_an_unknown_key():
    log = usual()
    renoted(log, 9, signers=[key(log.origin, 8)])
    return log.members(), log


@case(1, "checkpoint-signature")
def a_signature_of_something_else():
    log = usual()
    log.checkpoints[9]["note"] = note(log.head(9), log.log_keys[0].line(b"something else\n")).decode()
    return log.members(), log


@case(1, "checkpoint-signature")
def a_witness_signs_for_the_log():
    log = usual()
    renoted(log, 9, signers=[])
    return log.members(), log


@case(1, "checkpoint-order")
def checkpoints_go_backwards():
    log = usual()
    members = log.members()
    lines = rows(members, "checkpoints")
    return with_rows(log, members, "checkpoints", [lines[1], lines[0], lines[2]]), log


@case(1, "checkpoint-order")
def the_manifest_names_another_root():
    log = usual()
    return log.resigned(log.members(), root=root_of(log.hashes[:9]).hex()), log


@case(1, "cosignature")
def a_cosignature_is_not_good():
    log = usual()
    text = log.head(9)
    bad = log.witnesses["w3"].cosign(b"another\n", 1772366400)
    log.checkpoints[9]["note"] = note(text, log.log_keys[0].line(text), bad).decode()
    return log.members(), log


@case(1, "cosignature")
def a_cosignature_is_given_another_time():
    log = usual()
    line = log.checkpoints[9]["note"].splitlines()[-1].split(" ")[2]
    raw = bytearray(base64.b64decode(line))
    raw[11] ^= 1
    log.checkpoints[9]["note"] = log.checkpoints[9]["note"].replace(line, b64(bytes(raw)))
    return log.members(), log


@case(1, "key-genesis")
def the_log_began_under_a_stolen_name():
    log = Log(genesis=False)
    log.add("log.genesis", ("log", log.origin), payload={"origin": log.origin, "vkey": key(log.origin, 8).vkey})
    log.checkpoint()
    return log.members(), log


@case(1, "key-genesis")
def the_first_words_are_withheld():
    log = usual()
    return log.members(withhold=[0]), log


@case(1, "key-rotation")
def a_key_the_policy_does_not_know():
    log = usual()
    log.add(
        "log.key_rotated", ("log", log.origin), payload={"old": log.log_keys[0].vkey, "new": key(log.origin, 8).vkey}
    )
    log.checkpoint()
    return log.members(), log


@case(1, "key-rotation")
def rotated_from_a_key_that_was_not_in_force():
    log = usual()
    log.add(
        "log.key_rotated",
        ("log", log.origin),
        payload={"old": log.all_log_keys[1].vkey, "new": log.all_log_keys[0].vkey},
    )
    log.checkpoint()
    return log.members(), log


@case(1, "key-not-in-force")
def the_old_key_goes_on_signing():
    log = usual()
    log.rotate()
    log.checkpoint()
    log.log_keys = log.all_log_keys[:1]
    log.add("window.closed", ("loop", "l-3"))
    log.checkpoint()
    return log.members(), log


@case(1, "key-not-in-force")
def only_the_new_key_signs_the_change():
    log = usual()
    log.rotate()
    log.log_keys = log.log_keys[1:]
    log.checkpoint()
    return log.members(), log


@case(1, "key-not-in-force")
def a_key_of_the_policy_before_its_time():
    log = usual()
    renoted(log, 9, signers=log.all_log_keys[1:])
    return log.members(), log


# --- V4, V5, V8: the entries ----------------------------------------------------------------------------------------


def put(change=None, encoded=None) -> tuple:
    """A log that holds one entry as the liar wants it, with everything signed over it by log and witnesses."""
    log = usual()
    entry = json.loads(log.encoded[6]) | {"id": "019ca945-00ff-7000-8000-0000000000ff"}
    entry = change(entry) if change else entry
    log.put(entry, encoded(entry) if encoded else None)
    log.checkpoint()
    return log.members(), log


RESPELLED = {
    "spaces": lambda e: json.dumps(e, sort_keys=True).encode(),
    "another_order": lambda e: json.dumps(dict(sorted(e.items(), reverse=True)), separators=(",", ":")).encode(),
    "escapes": lambda e: spell(e).replace(b"operations", b"oper\\u0061tions").replace(b"treatment", b"tre\\u0061tment"),
    "a_key_twice": lambda e: spell(e)[:-1] + b',"v":1}',
    "a_byte_order_mark": lambda e: b"\xef\xbb\xbf" + spell(e),
    "bytes_behind": lambda e: spell(e) + b" ",
    "a_float": lambda e: spell(e).replace(b'"v":1', b'"v":1.0'),
    "minus_nought": lambda e: spell(e).replace(b'"v":1', b'"v":-0'),
    "another_normal_form": lambda e: spell(e | {"reason_code": "x"}).replace(b'"x"', '"e\u0301"'.encode()),
    "a_lone_surrogate": lambda e: spell(e).replace(b'"v":1', b'"v":"\\ud800"'),
    "not_utf8": lambda e: spell(e).replace(b"treatment", b"tr\xffatment"),
    "nothing": lambda _: b"",
    "deep": lambda _: b"[" * 20_000,
}
for _name, _respell in RESPELLED.items():
    CASES.append(pytest.param(lambda r=_respell: put(encoded=r), 1, "entry-spelling", id=f"entry-spelling-{_name}"))

MISSHAPEN = {
    "unknown_key": {"more": 1},
    "missing_key": None,
    "nobody_acted": {"actor": {"kind": "nobody", "id": "x"}},
    "a_day_that_is_not": {"at": "2026-02-30T00:00:00.000000Z"},
    "other_digits": {"at": "\u0662026-02-20T00:00:00.000000Z"},
    "a_version_without_prev": {"object": {"type": "x", "id": "y", "version": 2, "prev": None}},
    "true_is_not_one": {"v": True},
}
for _name, _change in MISSHAPEN.items():

    def _misshape(e, c=_change):
        return {k: v for k, v in e.items() if k != "sw"} if c is None else e | c

    CASES.append(pytest.param(lambda m=_misshape: put(m), 1, "entry-schema", id=f"entry-schema-{_name}"))


@case(1, "entry-size")
def a_leaf_too_long():
    log = usual()
    room = 65_536 - len(f"clinaiops/audit-entry/v1\n{log.origin}\n")
    log.put({"id": "long"}, b" " * room)
    log.checkpoint()
    return log.members(), log


@case(1, "root")
def a_word_is_changed():
    log = usual()
    log.encoded[1] = log.encoded[1].replace(b"treatment", b"research")
    return log.members(), log


@case(1, "root")
def an_actor_is_swapped():
    log = usual()
    log.encoded[6] = log.encoded[6].replace(b'"id":"17"', b'"id":"18"')
    return log.members(), log


@case(1, "root")
def a_hash_left_out_is_another():
    log = usual()
    log.hashes[4] = b"\0" * 32
    members = log.members(take=lambda p: p in {0, 2, 8}, complete=False)
    return members, log


@case(1, "root")
def two_entries_are_swapped():
    log = usual()
    log.encoded[6], log.encoded[7] = log.encoded[7], log.encoded[6]
    log.payloads[6], log.payloads[7] = log.payloads[7], log.payloads.pop(6, None) or log.payloads[7]
    log.entries[6], log.entries[7] = log.entries[7], log.entries[6]
    members = log.members()
    lines = [each for each in rows(members, "payloads") if each["entry"] != log.entries[7]["id"]]
    return with_rows(log, members, "payloads", lines), log


@case(1, "root")
def the_leaf_of_another_log():
    log, other = usual(), usual(origin="log.example/other")
    other.checkpoint()
    log.hashes = other.hashes[:]
    for size in log.checkpoints:
        renoted(log, size)
    return log.members(), log


@case(1, "duplicate-id")
def an_entry_is_played_again():
    log = usual()
    log.put(log.entries[6])
    log.checkpoint()
    return log.members(), log


@case(1, "prev")
def the_chain_of_an_object_is_broken():
    log = usual()
    log.versions["loop", "l-2"] = (2, "00" * 32)
    log.add("window.closed", ("loop", "l-2"))
    log.checkpoint()
    return log.members(), log


@case(1, "version-gap")
def a_version_is_missing():
    log = usual()
    log.versions["loop", "l-2"] = (3, log.versions["loop", "l-2"][1])
    log.add("window.closed", ("loop", "l-2"))
    log.checkpoint()
    return log.members(), log


@case(1, "version-gap")
def a_selection_that_says_its_objects_are_whole():
    log = usual()
    return log.members(take=lambda p: p != 3, complete=True), log


@case(1, "version-order")
def a_version_twice():
    log = usual()
    log.versions["loop", "l-2"] = (1, log.hashes[7].hex())
    log.add("window.closed", ("loop", "l-2"))
    log.checkpoint()
    return log.members(), log


# --- V9: times ------------------------------------------------------------------------------------------------------


def dated(shift: timedelta):
    """An entry dated so far from the checkpoint before it; the checkpoint that covers it comes 100 s later."""
    log = usual()
    last = log.now.replace(microsecond=0)
    log.checkpoints[10]["note"] = ""
    renoted(log, 10, signers=log.log_keys)
    seen = int(log.now.timestamp())
    log.add("window.closed", ("loop", "l-9"), at=last + shift)
    log.now = last + timedelta(seconds=100)
    log.checkpoint()
    assert seen == int(last.timestamp())
    return log.members(), log


CASES += [
    pytest.param(lambda s=_seconds: dated(timedelta(seconds=s)), 1, "time-before", id=f"time-before-{_seconds}")
    for _seconds in (-62.000001, -63, -3600, -86_400 * 3650)
]
CASES += [
    pytest.param(lambda s=_seconds: dated(timedelta(seconds=s)), 1, "time-after", id=f"time-after-{_seconds}")
    for _seconds in (102.000001, 103, 3600, 86_400 * 3650)
]


@pytest.mark.parametrize("seconds", [-62, -61, -2, 0, 50, 101, 102])
def test_times_within_the_bounds_hold(tmp_path, seconds):
    bundle, log = dated(timedelta(seconds=seconds))
    assert found(judge(tmp_path, bundle, log)) == (0, None)


# --- V10: signatures ------------------------------------------------------------------------------------------------


def signed(*, enrol=True, confirmed_by="18", passkey=None, before=None, **how):
    log, passkey = usual(), passkey or Passkey()
    if enrol:
        passkey.enrol(log, confirmed_by=confirmed_by)
    if before:
        before(log, passkey)
    passkey.sign(log, **how)
    log.checkpoint()
    return log.members(), log


def without_evidence():
    _, log = signed()
    log.evidence.clear()
    return log.members(), log


def evidence_for_another_method():
    return signed(esign={"method": "session"})


def played_again():
    log, passkey = usual(), Passkey()
    passkey.enrol(log)
    first = passkey.sign(log)
    entry = log.entries[first]
    again = log.add(entry["type"], ("loop", "l-1"), subject="patient-7", esign=entry["esign"], actor=entry["actor"])
    log.evidence[again] = log.evidence[first]
    log.checkpoint()
    return log.members(), log


def forged_by_an_administrator():
    """A perfect-looking approval by a person whose key the administrator does not have."""
    log, victim, forger = usual(), Passkey(), Passkey(kind="eddsa")
    victim.enrol(log)
    forger.account, forger.credential = victim.account, victim.credential
    forger.sign(log)
    log.checkpoint()
    return log.members(), log


def acted_twice_on_one_signature():
    log, passkey = usual(), Passkey()
    passkey.enrol(log)
    entry = log.entries[passkey.sign(log, act={}) + 1]
    log.add(entry["type"], ("loop", "l-1"), subject="patient-7", esign=entry["esign"], actor=entry["actor"])
    log.checkpoint()
    return log.members(), log


def stray_at_the_end():
    log = usual()
    members = log.members()
    Passkey().sign(log)
    line = {"entry": log.entries[-1]["id"]} | log.evidence[len(log.entries) - 1]
    return with_rows(log, members, "assertions", [line]), log


for _name, _make in {
    "esign-missing": without_evidence,
    "esign-stray": evidence_for_another_method,
    "esign-stray-at_the_end": stray_at_the_end,
    "esign-method": lambda: put(lambda e: e | {"esign": {"meaning": "m", "record": "ab" * 32, "method": "wink"}}),
    "esign-record-of_another_object": lambda: signed(record={"object": {"type": "loop", "id": "l-2", "version": 1}}),
    "esign-record-of_another_version": lambda: signed(record={"object": {"type": "loop", "id": "l-1", "version": 3}}),
    "esign-record-of_another_patient": lambda: signed(record={"subject": None}),
    "esign-record-with_another_meaning": lambda: signed(record={"meaning": "review"}),
    "esign-record-by_another_person": lambda: signed(record={"account": "18"}),
    "esign-record-under_another_name": lambda: signed(esign={"name_shown": "Dr Who"}),
    "esign-record-changed_after": lambda: signed(esign={"record": "ab" * 32}),
    "esign-record-played_again": played_again,
    "esign-record-for_another_act": lambda: signed(act={"kind": "recommendation.rejected", "reason_code": "x"}),
    "esign-record-for_another_object": lambda: signed(act={"thing": ("loop", "l-2")}),
    "esign-record-for_another_patient": lambda: signed(act={"subject": "patient-8"}),
    "esign-missing-twice": acted_twice_on_one_signature,
    "esign-content": lambda: signed(line={"content": '{"dose":"50 mg"}'}),
    "esign-content-without_salt": lambda: signed(line={"content_salt": None}),
    "esign-challenge": lambda: signed(line={"nonce": b64(b"o" * 32)}),
    "esign-challenge-of_an_enrolment": lambda: signed(ceremony="webauthn.create"),
    "esign-challenge-in_the_clear": lambda: signed(origin="http://desk.clinic.example"),
    "esign-flags": lambda: signed(flags=1),
    "esign-flags-nobody_there": lambda: signed(flags=4),
    "esign-rp": lambda: signed(origin="https://clinic.example.evil"),
    "esign-signature": lambda: signed(line={"signature": b64(b"\x30\x06\x02\x01\x01\x02\x01\x01")}),
    "esign-signature-of_another_assertion": lambda: signed(esign={"assertion_sha256": "ab" * 32}),
    "esign-key": forged_by_an_administrator,
    "esign-key-never_enrolled": lambda: signed(enrol=False),
    "esign-key-not_confirmed": lambda: signed(confirmed_by=None),
    "esign-key-confirmed_by_its_owner": lambda: signed(confirmed_by="17"),
    "esign-key-revoked": lambda: signed(before=lambda log, passkey: passkey.revoke(log)),
    "esign-key-of_another_name": lambda: signed(esign={"key_id": "ab" * 32}),
}.items():
    _class = "-".join(_name.split("-")[:2])
    CASES.append(pytest.param(_make, 1, _class, id=_name))


@case(1, "esign-reused")
def one_assertion_for_two_entries():
    """Only possible where the object's version stands still: an act without a version, signed once, entered twice."""
    log, passkey = usual(), Passkey()
    passkey.enrol(log)
    first = passkey.sign(log, record={"object": {"type": "loop", "id": "l-1", "version": None}})
    entry = log.entries[first]
    entry["object"] |= {"version": None, "prev": None}
    log.encoded[first] = spell(entry)
    log.hashes[first] = log.leaf_hash(log.encoded[first])
    log.put(entry | {"id": "019ca945-00ff-7000-8000-0000000000ff"})
    log.evidence[first + 1] = log.evidence[first]
    log.checkpoint()
    return log.members(), log


# --- V11, V12: readings and payloads --------------------------------------------------------------------------------


@case(1, "batch-root")
def a_reading_is_changed():
    return first_row("batches", lambda line: {"rows": [b64(b"row 1"), *line["rows"][1:]]})


@case(1, "batch-root")
def a_reading_is_taken_away():
    return first_row("batches", lambda line: {"rows": line["rows"][:-1]})


@case(1, "batch-stray")
def readings_for_no_batch():
    return first_row("batches", {"entry": "019ca945-00ff-7000-8000-0000000000ff"})


@case(1, "payload-commit")
def a_payload_is_changed():
    return first_row("payloads", lambda _: {"salt": "00" * 32})


@case(1, "payload-spelling")
def a_payload_is_spelled_otherwise():
    log = usual()
    position = log.add("window.closed", ("loop", "l-3"), payload={"mean": "1"})
    salt, body = b"s" * 32, b'{"mean" : "1"}'
    log.payloads[position] = (salt, body)
    entry = log.entries[position]
    entry["payload"]["commit"] = sha256(b"clinaiops/payload-commit/v1" + salt + body).hexdigest()
    log.encoded[position] = spell(entry)
    log.hashes[position] = log.leaf_hash(log.encoded[position])
    log.checkpoint()
    return log.members(), log


@case(1, "payload-shredded")
def what_was_shredded_is_still_there():
    log = usual()
    log.shredded = set()
    return log.members(), log


@case(1, "payload-stray")
def a_payload_for_no_entry():
    log = usual()
    members = log.members()
    stray = {"entry": "019ca945-00ff-7000-8000-0000000000ff", "salt": "00" * 32, "body": "{}"}
    return with_rows(log, members, "payloads", [*rows(members, "payloads"), stray]), log


# --- V7, receipts ---------------------------------------------------------------------------------------------------


@case(1, "seen-root")
def somebody_was_shown_another_log():
    log, other = usual(), usual()
    other.hashes[3] = b"\1" * 32
    renoted(other, 5)
    return log.members(), log, {"seen": [other.checkpoints[5]["note"].encode()]}


@case(1, "seen-root")
def two_auditors_were_shown_different_logs():
    log, other = usual(), usual()
    other.hashes[3] = b"\1" * 32
    renoted(other, 9)
    heads = [each.checkpoints[9]["note"].encode() for each in (log, other)]
    return log.members(), log, {"seen": heads}


@case(1, "seen-longer")
def the_log_was_cut_back():
    log = usual()
    seen = log.checkpoints[10]["note"].encode()
    return log.members(size=9), log, {"seen": [seen]}


@case(1, "receipt-missing")
def the_tail_was_rewritten():
    log = usual()
    promised = log.add("window.closed", ("loop", "l-3"), payload={"mean": "1"})
    receipt = log.receipt(promised)
    for held in (log.entries, log.encoded, log.hashes):
        held.pop()
    log.payloads.pop(promised)
    log.now += timedelta(seconds=70)
    log.checkpoint()
    return log.members(), log, {"receipts": [receipt]}


@case(1, "receipt-at")
def a_receipt_for_another_time():
    log = usual()
    return log.members(), log, {"receipts": [log.receipt(3, at="2026-03-01T11:00:00.000000Z")]}


# --- exit 2: what cannot be used ------------------------------------------------------------------------------------


def repacked(change):
    """The usual bundle's file with something done to its zip."""
    log = usual()
    return change(zipped(log.members()), log), log


def flagged(data: bytes, _: Log) -> bytes:
    at = data.index(b"PK\x01\x02")
    return data[: at + 8] + b"\1" + data[at + 9 :]


def other_method(data: bytes, _: Log) -> bytes:
    at = data.index(b"PK\x01\x02")
    return data[: at + 10] + b"\x0c" + data[at + 11 :]


def broken_inside(data: bytes, _: Log) -> bytes:
    at = data.index(b"entries.jsonl") + 200
    return data[:at] + bytes(byte ^ 0xFF for byte in data[at : at + 8]) + data[at + 8 :]


def something_between(data: bytes, _: Log) -> bytes:
    at = data.index(b"PK\x01\x02")
    end = data.rindex(b"PK\x05\x06")
    start = struct.unpack("<I", data[end + 16 : end + 20])[0] + 5
    return data[:at] + b"extra" + data[at : end + 16] + struct.pack("<I", start) + data[end + 20 :]


def _bomb(_: bytes, log: Log) -> bytes:
    return zipped(log.members() | {"payloads.jsonl": b"\0" * (40 << 20)})


def _twice(_: bytes, log: Log) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name, data in sorted(log.members().items()):
            target.writestr(name, data)
        with pytest.warns(UserWarning, match="Duplicate"):
            target.writestr("rest.jsonl", b"")
    return out.getvalue()


def _big_directory(data: bytes, _: Log) -> bytes:
    end = data.rindex(b"PK\x05\x06")
    return data[: end + 12] + struct.pack("<I", 1 << 20) + data[end + 16 :]


for _name, _change in {
    "not-a-zip-empty": lambda _data, _log: b"",
    "not-a-zip-text": lambda _data, _log: b"%PDF" * 30,
    "not-a-zip-cut": lambda data, _: data[:-30],
    "not-a-zip-with_a_comment": lambda data, _: data[:-2] + b"\5\0hello",
    "not-a-zip-with_a_long_directory": _big_directory,
    "zip-damaged": broken_inside,
    "zip-members-missing": lambda _, log: zipped({k: v for k, v in log.members().items() if k != "rest.jsonl"}),
    "zip-members-more": lambda _, log: zipped(log.members() | {"../../etc/passwd": b""}),
    "zip-members-twice": _twice,
    "zip-encrypted": flagged,
    "zip-method": other_method,
    "zip-ratio": _bomb,
    "zip-overlap-before": lambda data, _: b"#!/bin/sh\n" + data,
    "zip-overlap-between": something_between,
    "line-too-long": lambda _, log: zipped(log.members() | {"rest.jsonl": b"x" * 2000}),
    "manifest-form": lambda _, log: zipped(log.resigned(log.members(), kind="some")),
    "manifest-form-no_json": lambda _, log: zipped(log.members() | {"manifest.json": b"{"}),
    "manifest-form-other_members": lambda _, log: zipped(log.resigned(log.members(), more="x")),
    "format-unknown": lambda _, log: zipped(log.resigned(log.members(), format="clinaiops/bundle/v2")),
    "format-unknown-no_object": lambda _, log: zipped(log.members() | {"manifest.json": b"[]"}),
}.items():
    _class = re.match("not-a-zip|[a-z]+-(?:too-long|[a-z]+)", _name)[0]
    CASES.append(pytest.param(lambda c=_change: repacked(c), 2, _class, id=f"{_class}-{_name}"))


def policied(change):
    def make():
        log = usual()
        return log.members(), log, {}, change(log.policy().decode(), log).encode()

    return make


def _drop(word: str):
    return lambda text, _: "\n".join(line for line in text.split("\n") if not line.startswith(word))


for _name, _change in {
    "policy-form-no_quorum": _drop("quorum"),
    "policy-form-two_quorums": lambda text, _: text + "quorum none\n",
    "policy-form-unknown_line": lambda text, _: text + "trust everybody\n",
    "policy-form-a_key_twice": lambda text, log: text + f"witness w9 {log.witnesses['w1'].vkey}\n",
    "policy-form-a_name_twice": lambda text, _: text + f"witness w1 {key('w9', 40, 4).vkey}\n",
    "policy-form-a_witness_key_for_the_log": lambda text, log: text + f"log {key(log.origin, 41, 4).vkey}\n",
    "policy-form-a_wrong_key_id": lambda text, _: text.replace("+02869c2c+", "+02869c2d+"),
    "policy-form-an_unknown_member": lambda text, _: text.replace("group enough 2 w1 w2 w3", "group enough 2 w1 w2 w4"),
    "policy-form-a_member_twice": lambda text, _: text.replace("group enough 2 w1 w2 w3", "group enough 2 w1 w1 w3"),
    "policy-form-too_many_asked": lambda text, _: text.replace("group enough 2", "group enough 4"),
    "policy-form-none_asked": lambda text, _: text.replace("group enough 2", "group enough 0"),
    "policy-form-a_group_named_none": lambda text, _: text.replace("group enough 2", "group none 2").replace(
        "quorum enough", "quorum none"
    ),
    "policy-form-defined_later": lambda text, log: "quorum enough\n" + _drop("quorum")(text, log),
    "policy-form-control_characters": lambda text, _: text + "\0",
    "policy-form-carriage_returns": lambda text, _: text.replace("\n", "\r\n"),
    "policy-form-too_long": lambda text, _: text + "#" * 70_000,
    "policy-log": lambda text, log: _drop("log")(text, log) + f"log {key('log.example/other', 42).vkey}\n",
    "policy-statement": _drop("statement"),
}.items():
    _class = "-".join(_name.split("-")[:2])
    CASES.append(pytest.param(policied(_change), 2, _class, id=_name))


@case(2, "receipt-form")
def a_receipt_that_is_none():
    log = usual()
    return log.members(), log, {"receipts": [b'{"receipt": 3}']}


@case(2, "receipt-form")
def another_statement_as_a_receipt():
    log = usual()
    return log.members(), log, {"receipts": [log.members()["manifest.note"]]}


@case(2, "receipt-signature")
def a_receipt_by_somebody_else():
    log = usual()
    text = log.receipt(3).rpartition(b"\n\n")[0] + b"\n"
    return log.members(), log, {"receipts": [note(text, key(log.statement.name, 50).line(text))]}


@case(2, "receipt-signature")
def a_receipt_by_the_key_of_another_log():
    log = usual()
    text = log.receipt(3).rpartition(b"\n\n")[0] + b"\n"
    stranger = key("log.example/other/statement", 43)
    policy = log.policy(f"statement {stranger.vkey}")
    return log.members(), log, {"receipts": [note(text, stranger.line(text))]}, policy


@case(2, "receipt-signature")
def a_receipt_that_was_changed():
    log = usual()
    return log.members(), log, {"receipts": [log.receipt(3).replace(b"2026", b"2025", 1)]}


@case(2, "seen-form")
def a_head_that_is_none():
    log = usual()
    return log.members(), log, {"seen": [b"hello"]}


@case(2, "seen-signature")
def a_head_of_another_log():
    log = usual()
    text = b"log.example/other\n1\n" + b64(b"\0" * 32).encode() + b"\n"
    return log.members(), log, {"seen": [note(text, key("log.example/other", 60).line(text))]}


@case(2, "tsa-roots")
def roots_that_are_none():
    log = usual()
    return log.members(), log, {"tsa": [b"no certificate"]}


@pytest.mark.parametrize(("make", "exit_status", "name"), CASES)
def test_it_is_found(tmp_path, make, exit_status, name):
    bundle, log, *more = make()
    files = more[0] if more else {}
    report = judge(tmp_path, bundle, more[1] if len(more) > 1 else log, **files)
    assert found(report) == (exit_status, name), report["failure"]
    assert report["result"] == ("wrong" if exit_status == 1 else "unusable")


def test_a_bundle_that_unpacks_to_more_than_a_verifier_takes_is_refused_before_it_is_read(tmp_path):
    packed, size = 22 << 20, (4 << 30) - 2
    directory, at = b"", 0
    path = tmp_path / "vast.zip"
    with path.open("wb") as file:
        for name in sorted(usual().members()):
            small = name.startswith("manifest")
            lengths = (10, 10) if small else (packed, size)
            fields = struct.pack("<5H3I2H", 20, 0, 8, 0, 33, 0, *lengths, len(name), 0)
            file.seek(at)
            file.write(b"PK\x03\x04" + fields + name.encode())
            directory += (
                b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack("<3H2I", 0, 0, 0, 0, at) + name.encode()
            )
            at += 30 + len(name) + lengths[0]
        file.seek(at)
        file.write(directory + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 8, 8, len(directory), at, 0))
    report = {"result": "unusable", "exit": 2, "failure": None}
    (tmp_path / "policy").write_bytes(usual().policy())
    verify([str(path), "--policy", str(tmp_path / "policy")], report)
    assert found(report) == (2, "zip-size")


def test_files_that_are_not_there_and_words_that_are_not_understood_are_refused(tmp_path):
    report = {"failure": None}
    verify([str(tmp_path / "none"), "--policy", str(tmp_path / "none")], report)
    assert report["failure"]["class"] == "file-unreadable"
    verify(["--what"], report)
    assert report["failure"]["class"] == "usage"
    verify([str(ROOT / "README.md"), "--policy", str(ROOT)], report)
    assert report["failure"]["class"] == "file-unreadable"
