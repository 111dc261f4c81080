"""Heads seen elsewhere and receipts that do not fit; what cannot be used at all (README 10, V7, receipts, exit 2)."""

import io
import re
import struct
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from audit.verify.__main__ import verify
from tests.audit.verify.damage import Cases, look, renoted
from tests.audit.verify.judging import found
from tests.audit.verify.maker import Log, b64, key, note, usual, zipped

ROOT = Path(__file__).resolve().parents[3]
case = Cases()


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
    case.append(pytest.param(lambda c=_change: repacked(c), 2, _class, id=f"{_class}-{_name}"))


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
    case.append(pytest.param(policied(_change), 2, _class, id=_name))


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


@pytest.mark.parametrize(("make", "exit_status", "name"), case)
def test_it_is_found(tmp_path, make, exit_status, name):
    look(tmp_path, make, exit_status, name)


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
