"""T3, T15 to T20, T23, T24: bits, spellings, strange text, other logs, nodes for leaves, heads, payloads, files."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from audit import canonical, merkle, notes
from audit.notes import TreeHead

from .forging import JSONL, Attack, bundle, joined, manifested, resigned
from .fresh import witnessed
from .history import attacked, spot
from .world import LOG, ORIGIN, STRANGER, WITNESSES, Growing, Head, Record, World, grown, root_at, signed

Respell = Callable[[bytes, random.Random], bytes]


def _copy(
    name: str, world: World, members: dict[str, bytes], *, everything: bool = True, where: str = "copy"
) -> Attack:
    return Attack(name, where, members, tuple(world.receipts.values()), world.seen, everything=everything)


def flipped(world: World, dice: random.Random) -> Attack:
    """T3: one bit, anywhere in what is said; the manifest made to fit again or not."""
    chosen = None if dice.random() < 0.7 else sorted(dice.sample(range(world.covered), min(20, world.covered)))
    members = bundle(world, chosen=chosen, kind="everything" if chosen is None else "person")
    members = resigned(members, complete_objects=chosen is None)
    name = dice.choice([each for each in members if members[each]])
    data = bytearray(members[name])
    again = name.removesuffix(".jsonl") in JSONL and dice.random() < 0.6
    end = len(data)
    if again and name == "checkpoints.jsonl":  # beyond the text a flipped cosignature is one witness less, and no lie
        end = data.index(b"\\n\\n")
    place = dice.randrange(end)
    data[place] ^= 1 << dice.randrange(8)
    bent = members | {name: bytes(data)}
    return _copy("T3", world, resigned(bent) if again else bent, everything=chosen is None)


# --- T15 to T17: other spellings --------------------------------------------------------------------------------------


def _reordered(encoded: bytes, dice: random.Random) -> bytes:
    pairs = list(json.loads(encoded).items())
    dice.shuffle(pairs)
    return json.dumps(dict([*pairs[1:], pairs[0]]), separators=(",", ":"), ensure_ascii=False).encode()


def _nested(encoded: bytes, _dice: random.Random) -> bytes:
    entry = json.loads(encoded)
    entry["object"] = dict(reversed(entry["object"].items()))
    return json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode()


def _swap(old: bytes, new: bytes) -> Respell:
    return lambda encoded, _dice: encoded.replace(old, new, 1)


RESPELLINGS: tuple[Respell, ...] = (
    _swap(b":", b": "), _swap(b",", b", "), _swap(b"{", b"{ "), _swap(b"{", b"{\t"), _swap(b"}", b" }"),
    _swap(b"{", b"{\r"), lambda e, _: b" " + e, lambda e, _: e + b" ", lambda e, _: e + b"\t", _reordered, _nested,
    _swap(b'"v":1', b'"v":1.0'), _swap(b'"v":1', b'"v":1e0'), _swap(b'"v":1', b'"v":10e-1'), _swap(b'"v":1', b'"v":01'),
    _swap(b'"v":1', b'"v":true'), _swap(b'"outcome"', b'"out\\u0063ome"'), _swap(b'"ok"', b'"\\u006fk"'),
    _swap(b'"ok"', b'"\\u006Fk"'), _swap(b"log/tamper", b"log\\/tamper"), _swap(b'"v":1', b'"v":-1'),
)  # fmt: skip
STRAY: tuple[Respell, ...] = (
    _swap(b'"v":1', b'"v":1,"v":1'), _swap(b'{"actor"', b'{"v":1,"actor"'),
    _swap(b'"outcome"', b'"outcome":"error","outcome"'),
    lambda e, _: b"\xef\xbb\xbf" + e, lambda e, _: e + b"{}", lambda e, _: e + b"\x00", lambda e, _: e + b"//",
    lambda e, _: e[:-1], lambda e, _: b"[" + e + b"]", _swap(b'"v":1', b'"v":NaN'), lambda e, _: e.replace(b'"', b"'"),
    lambda e, _: e.decode().encode("utf-16"),
)  # fmt: skip


def _with_release(text: bytes) -> Respell:
    return lambda encoded, _dice: encoded.replace(b'"release":"1.0"', b'"release":"' + text + b'"')


STRANGE: tuple[Respell, ...] = tuple(
    map(
        _with_release,
        (b"Zoe\xcc\x88", b"\\ud800", b"\xed\xa0\x80", b"\xc0\xaf", b"\xff", b"e\xcc\x81\xcc\xa7", b"\xe2\x84\xab"),
    )
)
"""Never allowed, wherever it comes from: not in normal form C, lone surrogates, no UTF-8."""
LOOKALIKES = ("\u0430", "\u202e1.0", "1\u200d.0", "\uff11.0", "1.0\u00ad", "\u2024", "1\u00b70", "l.0")
"""Allowed in a new entry, and a lie in one that was seen."""


def respelled(world: World, dice: random.Random) -> Attack:
    """T15: white space, key order, escapes, 1.0 for 1."""
    return _respelled("T15", world, dice, RESPELLINGS)


def stray_bytes(world: World, dice: random.Random) -> Attack:
    """T16: a key twice, a byte order mark, bytes behind the end."""
    return _respelled("T16", world, dice, STRAY)


def strange_text(world: World, dice: random.Random) -> Attack:
    """T17: the same to the eye, other bytes."""
    if dice.random() < 0.5:
        return _respelled("T17", world, dice, STRANGE)
    return _respelled("T17", world, dice, tuple(_with_release(each.encode()) for each in LOOKALIKES), fresh=False)


def _respelled(
    name: str, world: World, dice: random.Random, ways: tuple[Respell, ...], *, fresh: bool = True
) -> Attack:
    """One entry in another spelling: a new one the witnesses have seen, one of those seen, or only in this copy."""
    how = dice.randrange(3 if fresh else 2)
    log = Growing(dice, world)
    log.act()
    position = spot(world, dice)
    record = log.world.records[-1] if how == 2 else world.records[position]
    while (changed := dice.choice(ways)(record.encoded, dice)) == record.encoded:
        pass
    bent = replace(record, encoded=changed)
    if how == 2:
        return witnessed(name, world, dice, [bent])
    records = [*world.records]
    records[position] = bent
    if how == 1:
        return attacked(name, world, dice, records, touched=position)
    return _copy(name, world, bundle(replace(world.copy(), records=records)))


# --- T18 to T20: the tree and its checkpoints -------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _other_log(size: int) -> World:
    return grown(random.Random(4711), size)


def spliced(world: World, dice: random.Random) -> Attack:
    """T18: an entry or a checkpoint of another log, or this one under another's name."""
    other, how = _other_log(min(200, len(world.records))), dice.randrange(4)
    position = dice.randrange(5, min(world.covered, other.covered))
    foreign = other.records[position]
    if how == 0:
        records = [*world.records]
        records[position] = foreign
        return attacked("T18", world, dice, records, touched=position)
    if how == 1:
        later = [record for record in other.records if (record.entry["object"]["version"] or 0) > 1]
        return witnessed("T18", world, dice, [dice.choice(later)])
    elsewhere = ORIGIN + "/elsewhere"
    if how == 2:
        return _copy("T18", world, resigned(bundle(world), origin=elsewhere))
    heads = [*world.heads]
    place = dice.randrange(len(heads))
    text = TreeHead(elsewhere, heads[place].size, root_at(world.records, [heads[place].size])[heads[place].size]).text()
    heads[place] = Head(heads[place].size, notes.sign(text, name=dice.choice((ORIGIN, elsewhere)), key=LOG))
    return _copy("T18", world, bundle(replace(world.copy(), heads=heads)))


def nodes_for_leaves(world: World, dice: random.Random) -> Attack:
    """T19: two leaves are passed off as one (64 bytes, left and right), or the hashes between as half as many."""
    size = 1 << (world.covered.bit_length() - 1)
    half, leaves = size // 2, [record.leaf for record in world.records[:size]]
    root = merkle.root(leaves)
    if dice.random() < 0.5:
        records = [Record(leaves[2 * n] + leaves[2 * n + 1]) for n in range(half)]
        forged = replace(world.copy(), records=records, heads=[Head(half, signed(half, root))])
        return _copy("T19", world, bundle(forged), where="covered")
    members = bundle(replace(world.copy(), heads=[Head(half, signed(half, root))]), chosen=[0], kind="person")
    rest = [{"start": n, "end": n + 1, "hash": merkle.root(leaves[2 * n : 2 * n + 2]).hex()} for n in range(1, half)]
    return _copy("T19", world, resigned(members | {"rest.jsonl": joined(rest)}), everything=False)


def checkpoint_bent(world: World, dice: random.Random) -> Attack:
    """T20: another text or key, a colliding name and id, a cosignature of elsewhere or another time, too many lines."""
    heads = [*world.heads]
    place = dice.choice([n for n, head in enumerate(heads) if head.size <= world.covered])
    head, how = heads[place], dice.randrange(8)
    note = notes.parse(head.note)
    lines = [each.line() for each in note.signatures]
    said = TreeHead.parse(note.text)
    if how == 0:
        other = notes.sign(replace(said, root=dice.randbytes(32)).text(), name=ORIGIN, key=LOG)
        new = other + b"".join(lines[1:])
    elif how == 1:
        new = notes.sign(note.text, name=ORIGIN, key=STRANGER) + b"".join(lines[1:])
    elif how == 2:
        theirs = notes.parse(notes.sign(note.text, name=ORIGIN, key=STRANGER)).signatures[0]
        new = note.text + b"\n" + replace(theirs, key_id=note.signatures[0].key_id).line() + b"".join(lines[1:])
    elif how == 3:
        new = note.text + b"\n" + b"".join(lines[1:] or [b""]) + (b"" if lines[1:] else b"\n")
    elif how == 4:
        borrowed = [each.line() for each in notes.parse(world.seen).signatures[1:]]
        while heads[place].size == TreeHead.parse(notes.parse(world.seen).text).size:
            place = dice.randrange(len(heads))
        note = notes.parse(heads[place].note)
        new = note.text + b"\n" + note.signatures[0].line() + b"".join(borrowed)
    elif how == 5:
        new = head.note + lines[0] * 17
    elif how == 6:
        name, key = dice.choice([*WITNESSES.items()])
        raw = notes.parse(head.note + notes.cosign(note.text, name=name, key=key, at=1_772_366_400)).signatures[-1]
        second = (1_772_366_401).to_bytes(8, "big")
        new = head.note + replace(raw, signature=second + raw.signature[8:]).line()
    else:
        heads[place], heads[place - 1] = heads[place - 1], heads[place]
        new = heads[place].note
    heads[place] = Head(heads[place].size, new)
    honest = bundle(world)
    bent = joined([{"size": each.size, "note": each.note.decode()} for each in heads])
    return _copy("T20", world, resigned(honest | {"checkpoints.jsonl": bent}))


def unwitnessed(world: World, dice: random.Random) -> Attack:
    """T20 too: every cosignature is gone. Nothing is false, and nothing is vouched for."""
    heads = [
        Head(head.size, signed(head.size, TreeHead.parse(notes.parse(head.note).text).root)) for head in world.heads
    ]
    return _copy("T20", world, bundle(replace(world.copy(), heads=heads)), where="tail")


# --- T23, T24: payloads and copies ------------------------------------------------------------------------------------


def payload_changed(world: World, dice: random.Random) -> Attack:
    """T23: what was said or measured is another, and the entry is as it was."""
    places = [n for n, r in enumerate(world.records[: world.heads[-1].size]) if r.payload and not r.erased]
    batches = [n for n in places if world.records[n].rows]
    records, how = [*world.records], dice.randrange(5)
    place = dice.choice(batches if how > 2 else places)
    record = records[place]
    assert record.payload is not None
    salt, body = record.payload
    if how == 0:
        said = canonical.loads(body, profile=canonical.PAYLOAD)
        name = dice.choice(sorted(said))
        said[name] = f"{said[name]}0"
        records[place] = replace(record, payload=(salt, canonical.spell(said)))
    elif how == 1:
        records[place] = replace(record, payload=(dice.randbytes(32), body))
    elif how == 2:
        records[place] = replace(record, erased=True)
    else:
        rows = [*(record.rows or ())]
        spot_ = dice.randrange(len(rows))
        rows[spot_ : spot_ + 1] = [] if how == 3 else [b"100/60" if rows[spot_] != b"100/60" else b"101/61"]
        records[place] = replace(record, rows=tuple(rows))
    return _copy("T23", world, bundle(replace(world.copy(), records=records)), where="covered")


def copy_bent(world: World, dice: random.Random) -> Attack:
    """T24: the copy an auditor was given is changed: an entry taken out, counts, hashes, names, keys."""
    how = dice.randrange(6)
    chains: dict[str, list[int]] = {}
    for position, record in enumerate(world.records[: world.covered]):
        if record.entry["object"]["version"]:
            chains.setdefault(record.entry["object"]["id"], []).append(position)
    chain = dice.choice([each for each in chains.values() if len(each) > 2])
    chosen = sorted({*range(5), *chain})
    missing = dice.choice(chain)
    if how == 0:  # one version is left out, everything else made to fit: whoever made the copy did it
        members = bundle(world, chosen=[each for each in chosen if each != missing], kind="patient")
        members = resigned(members | {"heads.jsonl": bundle(world, chosen=chosen, kind="patient")["heads.jsonl"]})
    elif how == 1:  # the same by somebody who has not the statement key
        members = bundle(world, chosen=[each for each in chosen if each != missing], kind="patient")
        said = json.loads(members["manifest.json"])
        said.pop("files")
        members = manifested(members, said, key=STRANGER)
    elif how == 2:  # a hash of what was left out
        members = bundle(world, chosen=chosen, kind="patient")
        lines = members["rest.jsonl"].splitlines(keepends=True)
        place = dice.randrange(len(lines))
        said = json.loads(lines[place])
        lines[place] = joined([said | {"hash": dice.randbytes(32).hex()}])
        members = resigned(members | {"rest.jsonl": b"".join(lines)})
    elif how == 3:  # what it says of itself
        members = bundle(world)
        said = json.loads(members["manifest.json"])
        change = dice.choice([{"entries": said["entries"] + 1}, {"size": said["size"] + 1},
                              {"root": dice.randbytes(32).hex()},
                              {"batches": said["batches"] + 1}, {"left_out": [{"what": "entries", "why": "w", "n": 1}]},
                              {"payloads": {"included": 1, "withheld": 0, "shredded": 0}}])  # fmt: skip
        members = resigned(members, **change)
    elif how == 4:  # another log with other keys, and its own policy beside it
        forged = world.copy()
        forged.heads = [
            Head(h.size, signed(h.size, TreeHead.parse(notes.parse(h.note).text).root, key=STRANGER))
            for h in world.heads
        ]
        members = resigned(bundle(forged), key=STRANGER)
    else:  # an entry stands elsewhere
        members = bundle(world, chosen=chosen, kind="patient")
        lines = members["entries.jsonl"].splitlines(keepends=True)
        last = lines[-1].partition(b" ")
        lines[-1] = b"%d " % (int(last[0]) + 1) + last[2]
        members = resigned(members | {"entries.jsonl": b"".join(lines)})
    return _copy("T24", world, members, everything=how in {3, 4})


OPERATIONS = {
    "T3": flipped, "T15": respelled, "T16": stray_bytes, "T17": strange_text, "T18": spliced, "T19": nodes_for_leaves,
    "T20": checkpoint_bent, "T23": payload_changed, "T24": copy_bent,
}  # fmt: skip
