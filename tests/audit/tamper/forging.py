"""What an attacker with the database, the log key and the statement key derives again, and the file he hands out."""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from audit import canonical, entries, merkle, notes
from audit.bundles import rest_between
from audit.bundles.writing import EPOCH

from .world import (
    ORIGIN,
    STATEMENT,
    STATEMENT_NAME,
    STRANGER,
    WITNESSES,
    Head,
    Record,
    World,
    b64,
    public,
    root_at,
    signed,
)

JSONL = ("assertions", "batches", "checkpoints", "entries", "heads", "payloads", "rest")
_ID = re.compile(rb'"id":"([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})"')
Members = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Attack:
    """What is handed to the auditor, and how far it lies.

    `where`: "covered" the lie is about what the quorum has seen; "fresh" it was there when they saw it; "tail" only
    entries nobody has seen are touched; "copy" the file was bent on its way. `seen` is the head the auditor remembers.
    """

    name: str
    where: str
    members: Members
    receipts: tuple[bytes, ...]
    seen: bytes
    everything: bool = True
    deflated: bool = False
    note: str = ""


# --- the record, made to fit again ------------------------------------------------------------------------------------


def rederived(records: Iterable[Record]) -> list[Record]:
    """Versions and `prev` of every object, counted and linked anew; approvals that no longer fit their passkey's
    assertion turned into such as the application attests; payloads shown again whose shredding is gone.

    What cannot be parsed stays as it is.
    """
    chains: dict[tuple[str, str], tuple[int, str]] = {}
    done, shredded = [], set[str]()
    for each in records:
        record = each
        try:
            entry = record.entry
            place = entry["object"]
            name = place["type"], place["id"]
            if place["version"] is not None:
                version, prev = chains.get(name, (0, None))
                changed = (place["version"], place["prev"]) != (version + 1, prev)
                place["version"], place["prev"] = version + 1, prev
                if record.evidence is not None and not _fits(entry, record.evidence):
                    entry["esign"] = {k: entry["esign"][k] for k in ("meaning", "record")} | {"method": "session"}
                    record, changed = replace(record, evidence=None), True
                record = record.saying(entry) if changed else record
                chains[name] = version + 1, record.leaf.hex()
            if entry["type"] == "payload.shredded":
                shredded.add(place["id"])
        except (ValueError, KeyError, TypeError):
            pass
        done.append(record)
    return [_shown_again(record, shredded) if record.erased else record for record in done]


def _fits(entry: dict[str, Any], evidence: dict[str, Any]) -> bool:
    said, place = json.loads(evidence["record"]), entry["object"]
    return bool(
        said["object"] == {"type": place["type"], "id": place["id"], "version": place["version"]}
        and (said["type"], said["subject"], said["account"]) == (entry["type"], entry["subject"], entry["actor"]["id"])
        and (said["meaning"], said["name_shown"]) == (entry["esign"]["meaning"], entry["esign"]["name_shown"])
        and entry["actor"]["kind"] == "user"
        and sha256(b"clinaiops/esign/v1" + evidence["record"].encode()).hexdigest() == entry["esign"]["record"]
    )


def _shown_again(record: Record, shredded: set[str]) -> Record:
    """Erased payloads that no entry shreds any more are shown; one whose entry no longer reads is such a payload."""
    try:
        if record.entry["payload"]["ref"] in shredded:
            return record
    except (ValueError, KeyError, TypeError):
        pass
    return replace(record, erased=False)


def reheaded(world: World, dice: random.Random, *, sizes: Iterable[int] | None = None) -> list[Head]:
    """Checkpoints over what the records say now, signed with the log key.

    Where a root is as it was, the old note stays good. Where it is not, no witness helps: he leaves cosignatures out,
    keeps the old ones, signs in a witness's name, or leaves the old checkpoint as it stands.
    """
    size = len(world.records)
    wanted = sorted({min(head.size, size) for head in world.heads} | {size} if sizes is None else set(sizes))
    roots, old = root_at(world.records, wanted), {head.size: head.note for head in world.heads}
    way = dice.choice(("bare", "bare", "kept", "impostor", "stranger", "left", "last only"))
    heads = []
    for each in wanted:
        note = old.get(each)
        same = note is not None and notes.TreeHead.parse(notes.parse(note).text).root == roots[each]
        if note is not None and (same or way == "left"):
            heads.append(Head(each, note))
        elif way != "last only" or each == wanted[-1]:
            heads.append(Head(each, signed(each, roots[each]) + _cosignatures(way, each, roots[each], note, dice)))
    return heads


def _cosignatures(way: str, size: int, root: bytes, old: bytes | None, dice: random.Random) -> bytes:
    text = notes.TreeHead(ORIGIN, size, root).text()
    second = 1_772_366_400 + dice.randrange(3600)
    if way == "kept" and old is not None:
        return b"".join(line.line() for line in notes.parse(old).signatures[1:])
    if way == "stranger":
        return b"".join(notes.cosign(text, name=name, key=STRANGER, at=second) for name in WITNESSES)
    if way == "impostor":
        lines = []
        for name, key in WITNESSES.items():
            forged = notes.parse(signed(size, root) + notes.cosign(text, name=name, key=STRANGER, at=second))
            true_id = notes.WitnessKey(name, public(key)).key_id
            lines.append(replace(forged.signatures[-1], key_id=true_id).line())
        return b"".join(lines)
    return b""


# --- the file ---------------------------------------------------------------------------------------------------------


def bundle(
    world: World, *, chosen: list[int] | None = None, kind: str = "everything", made_at: datetime | None = None
) -> Members:
    """The members of a bundle of the world as it is, signed with the statement key."""
    size = world.heads[-1].size
    positions = list(range(size)) if chosen is None else chosen
    heads = world.heads if chosen is None else proving(world, positions)
    sizes = [head.size for head in heads]
    here = [(position, world.records[position]) for position in positions]
    leaves = [record.leaf for record in world.records]
    rest = rest_between(positions, size=size, splits=sizes, subtree=merkle.subtree_of(leaves))
    lines: dict[str, list[Any]] = {
        "checkpoints": [{"size": head.size, "note": head.note.decode()} for head in heads],
        "heads": heads_of(world.records[:size], positions) if size > len(here) else [],
        "rest": [{"start": each.start, "end": each.end, "hash": each.hash.hex()} for each in rest],
        "payloads": [payload_line(r) for _, r in here if r.payload and not r.erased],
        "batches": [
            {"entry": id_of(r), "rows": [b64(row) for row in r.rows]}
            for _, r in here
            if r.rows is not None and not r.erased
        ],
        "assertions": [{"entry": id_of(r), **r.evidence} for _, r in here if r.evidence is not None],
    }
    members = {f"{name}.jsonl": joined(each) for name, each in lines.items()}
    members["entries.jsonl"] = b"".join(b"%d %b\n" % (position, record.encoded) for position, record in here)
    left_out = [{"what": "entries", "why": "outside the filter", "n": size - len(here)}] if size > len(here) else []
    said = {
        "v": 1, "format": "clinaiops/bundle/v1", "origin": ORIGIN, "kind": kind, "filter": {},
        "made_at": entries.stamp(made_at or world.now), "made_by": {"kind": "user", "id": "auditor"}, "size": size,
        "root": notes.TreeHead.parse(notes.parse(world.heads[-1].note).text).root.hex(), "entries": len(here),
        "payloads": {
            "included": len(lines["payloads"]), "withheld": 0, "shredded": sum(record.erased for _, record in here)
        },
        "batches": len(lines["batches"]), "left_out": left_out, "complete_objects": True,
    }  # fmt: skip
    return manifested(members, said)


def heads_of(records: list[Record], positions: list[int]) -> list[dict[str, Any]]:
    """How far each object goes of which an entry is here; what nobody can read has no object."""
    newest, lines = dict[tuple[str, str], dict[str, Any]](), []
    for record in records:
        if (place := _place(record)) is not None:
            newest[place[0], place[1]] = {"leaf": record.leaf.hex(), "version": place[2]}
    for position in positions:
        place = _place(records[position])
        if place is not None and place[:2] in newest:
            lines.append({"entry": id_of(records[position]), **newest.pop((place[0], place[1]))})
    return lines


def _place(record: Record) -> tuple[str, str, int] | None:
    try:
        said = record.entry["object"]
        return (said["type"], said["id"], said["version"]) if type(said["version"]) is int else None
    except (ValueError, KeyError, TypeError):
        return None


def proving(world: World, positions: list[int]) -> list[Head]:
    """The last checkpoint, those around each position, and the last one the quorum has seen."""
    sizes = [head.size for head in world.heads]
    needed = {sizes[-1], world.covered}
    for position in positions:
        needed |= {max((s for s in sizes if s <= position), default=sizes[-1]), min(s for s in sizes if s > position)}
    return [head for head in world.heads if head.size in needed]


def manifested(members: Members, said: dict[str, Any], *, key: Any = STATEMENT) -> Members:
    """The members with a manifest that fits them."""
    data = {name: body for name, body in members.items() if not name.startswith("manifest")}
    files = [{"name": n, "bytes": len(b), "sha256": sha256(b).hexdigest()} for n, b in sorted(data.items())]
    manifest = canonical.spell(said | {"files": files})
    root = b64(bytes.fromhex(said["root"]))
    lines = ("clinaiops/export-manifest/v1", said["origin"], said["size"], root, said["entries"])
    text = "".join(f"{line}\n" for line in (*lines, sha256(manifest).hexdigest())).encode()
    note = notes.sign(text, name=STATEMENT_NAME, key=key)
    return data | {"manifest.json": manifest, "manifest.note": note}


def resigned(members: Members, *, key: Any = STATEMENT, **changes: Any) -> Members:
    """A manifest made to fit bent members again."""
    said = json.loads(members["manifest.json"])
    said.pop("files")
    return manifested(members, said | changes, key=key)


def zipped(members: Members, *, deflated: bool = False) -> bytes:
    """The file, as our own writer makes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name, data in sorted(members.items()):
            info = zipfile.ZipInfo(name, date_time=EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
            info.create_system = 3
            info.external_attr = 0o600 << 16
            target.writestr(info, data)
    return out.getvalue()


def joined(values: list[Any]) -> bytes:
    return b"".join(canonical.spell(value) + b"\n" for value in values)


def payload_line(record: Record) -> dict[str, str]:
    assert record.payload is not None
    return {"entry": id_of(record), "salt": record.payload[0].hex(), "body": record.payload[1].decode()}


def id_of(record: Record) -> str:
    """The entry's id, as far as anybody can read it."""
    try:
        return str(record.entry["id"])
    except (ValueError, KeyError, TypeError):
        found = _ID.search(record.encoded)
        return found[1].decode() if found else "00000000-0000-7000-8000-000000000000"
