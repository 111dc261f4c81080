"""Signatures, readings and payloads that do not hold (README 10, V10 to V12)."""

from hashlib import sha256

import pytest

from tests.audit.verify.damage import Cases, first_row, look, put, rows, with_rows
from tests.audit.verify.maker import Passkey, b64, spell, usual

case = Cases()


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
    case.append(pytest.param(_make, 1, _class, id=_name))


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


@pytest.mark.parametrize(("make", "exit_status", "name"), case)
def test_it_is_found(tmp_path, make, exit_status, name):
    look(tmp_path, make, exit_status, name)
