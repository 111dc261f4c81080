"""Entries, chains, roots and times that do not hold (README 10, V4 to V6, V8, V9)."""

import json
from datetime import timedelta

import pytest

from tests.audit.verify.damage import Cases, look, put, renoted, rows, with_rows
from tests.audit.verify.judging import found, judge
from tests.audit.verify.maker import spell, usual

case = Cases()


# --- V4, V5, V8: the entries ----------------------------------------------------------------------------------------


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
    case.append(pytest.param(lambda r=_respell: put(encoded=r), 1, "entry-spelling", id=f"entry-spelling-{_name}"))

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

    case.append(pytest.param(lambda m=_misshape: put(m), 1, "entry-schema", id=f"entry-schema-{_name}"))


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


case += [
    pytest.param(lambda s=_seconds: dated(timedelta(seconds=s)), 1, "time-before", id=f"time-before-{_seconds}")
    for _seconds in (-62.000001, -63, -3600, -86_400 * 3650)
]
case += [
    pytest.param(lambda s=_seconds: dated(timedelta(seconds=s)), 1, "time-after", id=f"time-after-{_seconds}")
    for _seconds in (102.000001, 103, 3600, 86_400 * 3650)
]


@pytest.mark.parametrize("seconds", [-62, -61, -2, 0, 50, 101, 102])
def test_times_within_the_bounds_hold(tmp_path, seconds):
    bundle, log = dated(timedelta(seconds=seconds))
    assert found(judge(tmp_path, bundle, log)) == (0, None)


@pytest.mark.parametrize(("make", "exit_status", "name"), case)
def test_it_is_found(tmp_path, make, exit_status, name):
    look(tmp_path, make, exit_status, name)
