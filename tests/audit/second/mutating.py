"""Bundles to judge twice: honest ones, and such as were damaged anywhere and made to fit again as far as a thief can.

Every case is a function of its seed and number alone.
"""

from __future__ import annotations

import base64
import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any

from tests.audit.verify.maker import Log, Passkey, b64, note, spell, stamp, usual, zipped

Members = dict[str, bytes]
ASSERTION = ("authenticator_data", "client_data", "signature")
SHIFTS = (-86_400, -65, -63, -61, -59, 1, 3, 70, 86_400)
LINED = ("assertions", "batches", "checkpoints", "entries", "heads", "payloads", "rest")


@dataclass(frozen=True, slots=True)
class Case:
    """What an auditor is given, and how it came about."""

    how: str
    bundle: bytes
    policy: bytes
    receipts: tuple[bytes, ...] = ()
    seen: tuple[bytes, ...] = ()


@lru_cache(maxsize=1)
def logs() -> tuple[Log, ...]:
    """Small logs with everything in them that a bundle can hold."""
    signed = usual()
    for kind, account in (("es256", "17"), ("eddsa", "19")):
        passkey = Passkey(account, kind)
        passkey.enrol(signed)
        passkey.sign(signed, ("loop", f"l-{account}"))
        passkey.sign(signed, ("loop", f"l-{account}"), act={}, shown=False)
    signed.checkpoint()
    signed.add("approval.given", ("loop", "l-1"), esign={"meaning": "m", "record": "ab" * 32, "method": "session"})
    signed.checkpoint("w2", "w3", "w1")
    revoked, passkey = usual(quorum="any"), Passkey()
    passkey.enrol(revoked)
    passkey.sign(revoked)
    passkey.revoke(revoked)
    revoked.checkpoint()
    rotated = usual()
    rotated.rotate()
    rotated.checkpoint()
    rotated.add("window.closed", ("loop", "l-2"), subject="patient-8", payload={"mean": "1"})
    rotated.add("key.destroyed", ("data_key", "k-8"), subject="patient-8", reason_code="erasure")
    rotated.shredded |= {6, 9, 11} & rotated.payloads.keys()
    rotated.now += timedelta(seconds=30)
    rotated.checkpoint()
    tailed = usual()
    tailed.add("window.closed", ("loop", "l-2"), subject="patient-8", payload={"mean": "123 mm[Hg]"})
    tailed.checkpoint("w3")
    return usual(), signed, revoked, rotated, tailed, usual(quorum="none")


def _members(log: Log, dice: random.Random) -> Members:
    """A bundle of everything, or of some entries and what must come with them."""
    if dice.random() < 0.4:
        return log.members(withhold=[p for p in log.payloads if p and dice.random() < 0.05 * dice.randrange(2)])
    size = dice.choice(sorted(log.checkpoints)) if dice.random() < 0.3 else max(log.checkpoints)
    kept = {p for p in range(size) if dice.random() < dice.choice((0.2, 0.5, 0.9))}
    for position, entry in enumerate(log.entries[:size]):
        needed = entry["type"].startswith(("log.", "credential.", "signature.", "payload.", "key."))
        if needed or "esign" in entry:
            kept.add(position)
    return log.members(take=lambda p: p in kept, size=size, complete=False)


# --- one value somewhere becomes another ------------------------------------------------------------------------------


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [place for key, each in inner for place in _places(each, (*at, key))]


def _other(value: Any, dice: random.Random) -> Any:
    """Nearly the same value, or quite another."""
    strange = [
        None,
        True,
        False,
        0,
        1,
        -1,
        2**53 - 1,
        2**53,
        "",
        "1",
        [],
        {},
        "é",
        "e\u0301",
        "\n\u0301",
        "\x7f",
        "a" * 1025,
    ]
    if dice.random() < 0.15:
        return dice.choice(strange)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + dice.choice((-1, 1, 2, 1000))
    if isinstance(value, list):
        return dice.choice((value[1:], value * 2, value[::-1], [*value, value and value[0]]))
    if isinstance(value, dict):
        return {k: v for k, v in value.items() if dice.random() < 0.7} | ({"more": 1} if dice.random() < 0.3 else {})
    if not isinstance(value, str) or not value:
        return dice.choice(strange)
    at = dice.randrange(len(value))
    new = dice.choice("0123456789abcdefABCDEF+/=-_ .:TZ\n")
    return dice.choice(
        (value[:at] + new + value[at + 1 :], value[:at] + value[at + 1 :], value[:at] + new + value[at:])
    )


def _changed(value: Any, dice: random.Random) -> Any:
    value = copy.deepcopy(value)
    places = _places(value)
    if not places:
        return _other(value, dice)
    *path, last = dice.choice(places)
    inner = value
    for step in path:
        inner = inner[step]
    if isinstance(inner, dict) and dice.random() < 0.1:
        inner[str(last) + dice.choice(("", "x"))] = inner.pop(last) if dice.random() < 0.5 else 1
    elif isinstance(inner, dict) and dice.random() < 0.1:
        del inner[last]
    else:
        inner[last] = _other(inner[last], dice)
    return value


def _spelled(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def bent(data: bytes, dice: random.Random) -> bytes:
    """Bytes set, cut out, put in, or doubled."""
    at = dice.randrange(len(data) + 1)
    end = min(len(data), at + dice.choice((1, 1, 2, 8, 100)))
    new = bytes(dice.choice(b'0123456789abcdef{}[]",:-+/=\n \\\0') for _ in range(dice.choice((1, 1, 2, 5))))
    return dice.choice((data[:at] + new + data[end:], data[:at] + data[end:], data[:at] + new + data[at:],
                        data[:end] + data[at:]))  # fmt: skip


# --- what is done to a bundle -----------------------------------------------------------------------------------------


def _resigned(log: Log, members: Members, dice: random.Random, **said: Any) -> Members:
    counted = {"entries": members["entries.jsonl"].count(b"\n"), "batches": members["batches.jsonl"].count(b"\n")}
    try:
        return log.resigned(members, **((counted if dice.random() < 0.5 else {}) | said))
    except (ValueError, KeyError, TypeError):
        return members


def value_of_a_line(log: Log, members: Members, dice: random.Random) -> Members:
    """One value in one line."""
    name = dice.choice([f"{each}.jsonl" for each in LINED if members[f"{each}.jsonl"]])
    lines = members[name].splitlines()
    at = dice.randrange(len(lines))
    position, space, body = lines[at].partition(b" ") if name == "entries.jsonl" else (b"", b"", lines[at])
    lines[at] = position + space + _spelled(_changed(json.loads(body), dice))
    return _resigned(log, members | {name: b"".join(line + b"\n" for line in lines)}, dice)


def order_of_lines(log: Log, members: Members, dice: random.Random) -> Members:
    """Lines left out, doubled, swapped, or taken from another place."""
    name = dice.choice([f"{each}.jsonl" for each in LINED if members[f"{each}.jsonl"]])
    lines = members[name].splitlines(keepends=True)
    one, two = dice.randrange(len(lines)), dice.randrange(len(lines))
    match dice.randrange(4):
        case 0:
            del lines[one]
        case 1:
            lines.insert(two, lines[one])
        case 2:
            lines[one], lines[two] = lines[two], lines[one]
        case _:
            lines = lines[:one]
    return _resigned(log, members | {name: b"".join(lines)}, dice)


def bytes_of_a_member(log: Log, members: Members, dice: random.Random) -> Members:
    """Bytes anywhere."""
    name = dice.choice(sorted(members))
    done = members | {name: bent(members[name], dice)}
    return done if name.startswith("manifest") or dice.random() < 0.2 else _resigned(log, done, dice)


def manifest(log: Log, members: Members, dice: random.Random) -> Members:
    """The manifest says something else and is signed."""
    said = _changed(json.loads(members["manifest.json"]), dice)
    data = _spelled(said)
    try:
        return members | {"manifest.json": data, "manifest.note": log.manifest_note(data)}
    except (ValueError, KeyError, TypeError):
        return members | {"manifest.json": data}


def checkpoint_lines(log: Log, members: Members, dice: random.Random) -> Members:
    """Signatures of checkpoints left out, exchanged, put twice, or made by somebody else."""
    lines = [json.loads(line) for line in members["checkpoints.jsonl"].splitlines()]
    at = dice.randrange(len(lines))
    text, _, block = lines[at]["note"].rpartition("\n\n")
    signatures = block.splitlines(keepends=True)
    others = lines[dice.randrange(len(lines))]["note"].rpartition("\n\n")[2].splitlines(keepends=True)
    match dice.randrange(6):
        case 0:
            signatures.remove(dice.choice(signatures))
        case 1:
            signatures += [dice.choice(others)]
        case 2:
            key = dice.choice([*log.witnesses.values()])
            signatures += [key.cosign(f"{text}\n".encode(), int(log.now.timestamp()) + dice.choice((-99, 0, 99)))]
        case 3:
            signatures = [dice.choice([log.statement, *log.all_log_keys]).line(f"{text}\n".encode()), *signatures[1:]]
        case 4:
            text += "\nmore"
            signatures = [line.replace(" ", " ", 1) for line in others]
        case _:
            text += "\nan extension"
            data = f"{text}\n".encode()
            signatures = [log.all_log_keys[0].line(data)]
            signatures += [key.cosign(data, int(log.now.timestamp())) for key in log.witnesses.values()]
    lines[at]["note"] = f"{text}\n\n{''.join(signatures)}"
    return _resigned(log, members | {"checkpoints.jsonl": b"".join(spell(line) + b"\n" for line in lines)}, dice)


BUNDLES: tuple[Callable[[Log, Members, random.Random], Members], ...] = (
    value_of_a_line,
    value_of_a_line,
    order_of_lines,
    bytes_of_a_member,
    manifest,
    checkpoint_lines,
)


def lied(original: Log, dice: random.Random) -> Log:
    """An entry said something else before anybody saw it: tree, checkpoints and cosignatures fit the lie."""
    log = copy.deepcopy(original)
    at = dice.randrange(len(log.entries))
    how = dice.randrange(6)
    if how == 0 and at in log.payloads:
        salt, body = log.payloads[at]
        body = _spelled(_changed(json.loads(body), dice))
        log.payloads[at] = salt, body
        log.entries[at]["payload"]["commit"] = sha256(b"clinaiops/payload-commit/v1" + salt + body).hexdigest()
    elif how == 1 and log.evidence:
        at = dice.choice([*log.evidence])
        log.evidence[at] = _changed(log.evidence[at], dice)
    elif how == 3 and dice.random() < 0.5:
        moved = datetime.fromisoformat(log.entries[at]["at"]) + timedelta(seconds=dice.choice(SHIFTS))
        log.entries[at]["at"] = stamp(moved)
    elif how == 4 and log.evidence:
        at = dice.choice([*log.evidence])
        log.evidence[at] = refitted(log.entries[at], log.evidence[at], dice)
    elif how == 2:
        log.encoded[at] = bent(log.encoded[at], dice).replace(b"\n", b"")
    else:
        log.entries[at] = _changed(log.entries[at], dice)
    if how != 2:
        log.encoded[at] = _spelled(log.entries[at]).replace(b"\n", b"")
    log.hashes[at] = log.leaf_hash(log.encoded[at])
    relinked(log, at)
    return log


def refitted(entry: dict[str, Any], line: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """One byte of an assertion changed, and the entry made to name the assertion as it is now."""
    raw = {name: bytearray(base64.b64decode(line[name])) for name in ASSERTION}
    part = raw[dice.choice(ASSERTION)]
    part[dice.randrange(len(part))] ^= 1 << dice.randrange(8)
    framed = b"".join(len(raw[name]).to_bytes(4, "big") + bytes(raw[name]) for name in ASSERTION)
    entry["esign"]["assertion_sha256"] = sha256(framed).hexdigest()
    return line | {name: b64(bytes(part)) for name, part in raw.items()}


def relinked(log: Log, since: int) -> None:
    """Later versions name the leaves that now stand before them, and every head says the new root, well signed."""
    for at in range(since + 1, len(log.entries)):
        place, old = log.entries[at]["object"], log.hashes
        before = [n for n in range(at) if _place(log.entries[n]) == (place["type"], place["id"])]
        if place["version"] and place["version"] > 1 and before:
            place["prev"] = old[before[-1]].hex()
            log.encoded[at] = spell(log.entries[at])
            log.hashes[at] = log.leaf_hash(log.encoded[at])
    for size, line in log.checkpoints.items():
        if size <= since:
            continue
        text = log.head(size)
        old_lines = line["note"].rpartition("\n\n")[2].splitlines()
        known = [*log.all_log_keys, *log.witnesses.values()]
        signers = [key for each in old_lines for key in known if f" {key.name} {b64(key.id)[:5]}" in each]
        at_second = int.from_bytes(_decoded(old_lines[-1])[4:12], "big")
        signed = [key.line(text) if key.kind == 1 else key.cosign(text, at_second) for key in signers]
        log.checkpoints[size] = {"size": size, "note": note(text, *signed).decode()}


def _place(entry: Any) -> tuple[Any, Any]:
    try:
        return (entry["object"]["type"], entry["object"]["id"]) if entry["object"]["version"] else (None, None)
    except (KeyError, TypeError):
        return None, None


def _decoded(line: str) -> bytes:
    return base64.b64decode(line.split(" ")[2])


# --- one case ---------------------------------------------------------------------------------------------------------


def case(seed: int | str, number: int) -> Case:
    """The case of this number."""
    dice = random.Random(f"{seed}/differs/{number}")
    log = dice.choice(logs())
    beside = _beside(log, dice)
    kind = dice.random()
    if kind < 0.1:
        return replace(beside, how="honest", bundle=zipped(_members(log, dice)))
    if kind < 0.4:
        try:
            return replace(beside, how="lie", bundle=zipped(_members(lied(log, dice), dice)))
        except (KeyError, TypeError, AttributeError, ValueError):
            return replace(beside, how="honest", bundle=zipped(log.members()))
    if kind < 0.85:
        change = dice.choice(BUNDLES)
        return replace(beside, how=change.__name__, bundle=zipped(change(log, _members(log, dice), dice)))
    if kind < 0.9:
        return replace(beside, how="zip", bundle=bent(zipped(_members(log, dice)), dice))
    beside = replace(beside, bundle=zipped(_members(log, dice)))
    if kind < 0.94:
        return replace(beside, how="policy", policy=bent(beside.policy, dice))
    if kind < 0.97:
        return replace(beside, how="receipt", receipts=(bent(log.receipt(3), dice), *beside.receipts))
    return replace(beside, how="seen", seen=(bent(log.checkpoints[5]["note"].encode(), dice),))


def _beside(log: Log, dice: random.Random) -> Case:
    receipts, seen = [], []
    while dice.random() < 0.3:
        receipts.append(log.receipt(dice.randrange(len(log.entries))))
    if dice.random() < 0.3:
        seen.append(dice.choice([*log.checkpoints.values()])["note"].encode())
    return Case("", b"", log.policy(), tuple(receipts), tuple(seen))
