"""T1, T2, T4 to T6, T8 to T12, T22: what was seen is changed, taken out, put in, moved, cut off or told anew."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from audit import canonical, entries
from audit.kinds import REGISTRY

from .forging import Attack, bundle, rederived, reheaded, resigned
from .world import Growing, Head, Record, World, grown

Operation = Callable[[World, random.Random], Attack]
FIRST = 5
"""The log's first words and the clinicians' passkeys stand before this position; operations reach them more rarely."""


def spot(world: World, dice: random.Random) -> int:
    """An entry the quorum has seen."""
    return dice.randrange(0 if dice.random() < 0.1 else FIRST, world.covered)


def attacked(
    name: str,
    world: World,
    dice: random.Random,
    records: list[Record],
    *,
    touched: int,
    heads: list[Head] | None = None,
) -> Attack:
    """Everything made to fit again around changed records, and handed out as if it were the log."""
    forged = world.copy()
    forged.records = rederived(records)
    forged.heads = reheaded(forged, dice) if heads is None else heads
    where = "covered" if touched < world.covered else "tail"
    made_at = world.now + timedelta(seconds=dice.choice((-3600, 0, 120, 86_400)))
    members = bundle(forged, made_at=made_at)
    return Attack(name, where, members, tuple(world.receipts.values()), world.seen, deflated=dice.random() < 0.1)


# --- T1, T2: one entry says something else ----------------------------------------------------------------------------


def edited(world: World, dice: random.Random) -> Attack:
    """T1: a value anywhere in an entry or its payload, by type, everything beside it made to fit."""
    while True:
        position = spot(world, dice)
        record = world.records[position]
        changed = _payload_edited(record, dice) if record.payload and dice.random() < 0.3 else _edited(record, dice)
        if changed is not None and changed != record:
            break
    records = [*world.records]
    records[position] = changed
    return attacked("T1", world, dice, records, touched=position)


def _edited(record: Record, dice: random.Random) -> Record | None:
    entry = record.entry
    paths = [path for path in _paths(entry) if path not in {("object", "version"), ("object", "prev")}]
    path = dice.choice(paths)
    inner: Any = entry
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = _other(path, inner[path[-1]], dice)
    return record.saying(entry)


def _payload_edited(record: Record, dice: random.Random) -> Record | None:
    assert record.payload is not None
    said = canonical.loads(record.payload[1], profile=canonical.PAYLOAD)
    name = dice.choice(sorted(said))
    said[name] = _other((name,), said[name], dice)
    kept = dice.randbytes(32), canonical.dumps(said, profile=canonical.PAYLOAD)
    entry = record.entry
    entry["payload"]["commit"] = entries.commitment(*kept).hex()
    return record.saying(entry, payload=kept)


def _paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        return [at]
    return [path for key, each in inner for path in _paths(each, (*at, key))]


def _other(path: tuple[Any, ...], value: Any, dice: random.Random) -> Any:
    """Another value of the same kind."""
    words = {
        "outcome": ("ok", "denied", "error"),
        "kind": ("user", "device", "service", "model"),
        "type": sorted(REGISTRY),
    }
    words["purpose"] = ("treatment", "audit", "quality", "legal")
    if len(path) < 3 and path[-1] in words and value in words[path[-1]]:
        return dice.choice([word for word in words[path[-1]] if word != value])
    if isinstance(value, int):
        return value + dice.choice((-1, 1, 1000))
    if not isinstance(value, str):
        return "1"
    if len(value) == 27 and value.endswith("Z"):
        moved = datetime.fromisoformat(value) + timedelta(seconds=dice.uniform(-86_400, 86_400))
        return entries.stamp(moved)
    if len(value) == 64:
        return dice.randbytes(32).hex()
    if len(value) == 36 and value.count("-") == 4:
        return value[:-4] + f"{(int(value[-4:], 16) ^ dice.randrange(1, 0xFFFF)):04x}"
    place = dice.randrange(len(value) + 1)
    return value[:place] + dice.choice("0123456789") + value[place:]


def another_actor(world: World, dice: random.Random) -> Attack:
    """T2: somebody else did it; or two entries swap their people."""
    records = [*world.records]
    while True:
        first, second = spot(world, dice), spot(world, dice)
        one, other = records[first].entry, records[second].entry
        if dice.random() < 0.5:
            one["actor"] = one["actor"] | {
                "kind": "user",
                "id": dice.choice(("17", "18", "23")),
                "role": "administrator",
            }
            second = first
        else:
            one["actor"], other["actor"] = other["actor"], one["actor"]
        if one != records[first].entry:
            break
    records[first] = records[first].saying(one)
    if second != first:
        records[second] = records[second].saying(other)
    return attacked("T2", world, dice, records, touched=min(first, second))


# --- T4, T5, T6, T8: out, in, elsewhere -------------------------------------------------------------------------------


def deleted(world: World, dice: random.Random) -> Attack:
    """T4: one to fifty entries are gone, and those behind them have moved up."""
    start = spot(world, dice)
    count = min(dice.choice((1, 1, 2, 5, 50)), world.covered - start)
    return attacked("T4", world, dice, [*world.records[:start], *world.records[start + count :]], touched=start)


def gap(world: World, dice: random.Random) -> Attack:
    """T5: entries are gone and those behind them have not moved; with a hash in their place, or without."""
    position = spot(world, dice)
    honest = bundle(world)
    chosen = [n for n in range(world.heads[-1].size) if n != position]
    members = bundle(world, chosen=chosen)
    if dice.random() < 0.5:
        members = resigned(members | {"rest.jsonl": b""}, left_out=[])
    members = resigned(members | {"checkpoints.jsonl": honest["checkpoints.jsonl"]})
    return Attack("T5", "covered", members, tuple(world.receipts.values()), world.seen)


def inserted(world: World, dice: random.Random) -> Attack:
    """T6: an act that never was, at any sixteenth of the log."""
    position = max(FIRST, world.covered * dice.randrange(1, 16) // 16)
    before = replace(world.copy(), records=world.records[:position])
    before.now = datetime.fromisoformat(world.records[position - 1].entry["at"])
    forger = Growing(dice, before)
    forger.act()
    records = [*forger.world.records, *world.records[position:]]
    return attacked("T6", world, dice, records, touched=position)


def swapped(world: World, dice: random.Random) -> Attack:
    """T8: two entries change places: neighbours, far apart, or two of one object."""
    records, how = [*world.records], dice.randrange(3)
    while True:
        first = spot(world, dice)
        second = spot(world, dice) if how else min(first + 1, world.covered - 1)
        same = records[first].entry["object"]["id"] == records[second].entry["object"]["id"]
        if first != second and (how < 2 or same):
            break
    records[first], records[second] = records[second], records[first]
    return attacked("T8", world, dice, records, touched=min(first, second))


# --- T9 to T12: another end, another history --------------------------------------------------------------------------


def truncated(world: World, dice: random.Random) -> Attack:
    """T9: the log is cut back to an older checkpoint, every byte of it genuine."""
    head = dice.randrange(len([each for each in world.heads if each.size < world.covered]))
    cut = replace(
        world.copy(), heads=world.heads[: head + 1], records=rederived(world.records[: world.heads[head].size])
    )
    cut.now = datetime.fromisoformat(cut.records[-1].entry["at"]) + timedelta(seconds=5)
    members = bundle(cut, made_at=dice.choice((cut.now, world.now)))
    return Attack("T9", "covered", members, tuple(world.receipts.values()), world.seen)


def restored(world: World, dice: random.Random) -> Attack:
    """T10: an old backup is put back, and the log has grown past its old size since."""
    size = dice.choice([head.size for head in world.heads if head.size < world.covered])
    more = dice.randrange(1, 40) + (len(world.records) - size if dice.random() < 0.5 else 0)
    return _forked("T10", world, dice, size, size + more)


def forked(world: World, dice: random.Random) -> Attack:
    """T11: another auditor is shown another end of the same length."""
    size = dice.choice([head.size for head in world.heads if head.size < world.covered])
    return _forked("T11", world, dice, size, len(world.records))


def _forked(name: str, world: World, dice: random.Random, size: int, end: int) -> Attack:
    before = replace(world.copy(), records=rederived(world.records[:size]))
    before.now = datetime.fromisoformat(before.records[-1].entry["at"])
    forger = Growing(dice, before)
    while len(forger.world.records) < end:
        forger.act()
    kept = replace(forger.world, heads=[head for head in world.heads if head.size <= size])
    sizes = {head.size for head in world.heads if head.size <= end} | {end}
    kept.heads = reheaded(replace(kept, heads=world.heads), dice, sizes=sizes)
    return attacked(name, world, dice, kept.records, touched=size, heads=kept.heads)


def replaced(world: World, dice: random.Random) -> Attack:
    """T12: every entry is another, under the same name and the same keys."""
    other = grown(random.Random(dice.getrandbits(32)), len(world.records), erased=0, share=0)
    other.heads = reheaded(replace(other, heads=world.heads), dice)
    return attacked("T12", world, dice, other.records, touched=0, heads=other.heads)


# --- T22: what nobody has seen yet ------------------------------------------------------------------------------------


def tail_changed(world: World, dice: random.Random) -> Attack:
    """T22: the unwitnessed end is edited, cut, thinned or lengthened."""
    start, records = world.covered, [*world.records]
    position = dice.randrange(start, len(records))
    match dice.randrange(4):
        case 0:
            entry = records[position].entry
            entry["actor"] = {"kind": "user", "id": "23", "role": "clinician"}
            records[position] = records[position].saying(entry)
        case 1:
            del records[position:]
        case 2:
            del records[position]
        case _:
            forger = Growing(dice, replace(world.copy(), records=records[:position]))
            forger.act()
            records = [*forger.world.records, *records[position:]]
    return attacked("T22", world, dice, records, touched=position)


OPERATIONS: dict[str, Operation] = {
    "T1": edited, "T2": another_actor, "T4": deleted, "T5": gap, "T6": inserted, "T8": swapped, "T9": truncated,
    "T10": restored, "T11": forked, "T12": replaced, "T22": tail_changed,
}  # fmt: skip
