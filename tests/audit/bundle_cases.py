"""A small log held in memory, and bundles of parts of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import entries, merkle, notes
from audit.bundles import Body, BundleWriter, LeftOut, Manifest, PayloadCounts, rest_between
from audit.domain import Event, Job, ObjectRef

ORIGIN = "bundles.example/log"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SALT, TENANT = b"s" * 32, b"t" * 32


def encoded_entries(count: int) -> list[bytes]:
    """Closed windows of three loops in turn, each with a payload."""
    found, heads = [], {}
    for n in range(count):
        name, version = f"loop-{n % 3}", n // 3 + 1
        said = b'{"n":%d}' % n
        entry = entries.build(
            Event(
                "window.closed",
                NOON,
                Job("close", "1"),
                ObjectRef("loop", name, version),
                subject="p",
                payload={"n": n},
            ),
            entry_id=UUID(int=n),
            at=NOON + timedelta(seconds=n),
            prev=heads.get(name),
            tenant_key=TENANT,
            payload=(UUID(int=n), entries.commitment(SALT, said)),
            software=entries.Software("1"),
        )
        leaf = entries.leaf_data(entry, origin=ORIGIN)
        heads[name] = entries.leaf_hash(leaf)
        found.append(leaf[len(entries.frame(ORIGIN)) :])
    return found


def leaf_hashes(encoded: list[bytes]) -> list[bytes]:
    """As they stand in the tree."""
    return [entries.leaf_hash(entries.frame(ORIGIN) + each) for each in encoded]


def checkpoint(hashes: list[bytes], size: int) -> bytes:
    """Signed by the log's key."""
    head = notes.TreeHead(ORIGIN, size, merkle.root(hashes[:size]))
    return notes.sign(head.text(), name=ORIGIN, key=LOG_KEY)


def write(target: Path, *, log: list[bytes], chosen: list[int], sizes: list[int], kind: str = "person") -> Manifest:
    """A bundle of the chosen positions, proved against checkpoints of the given sizes."""
    hashes, size = leaf_hashes(log), sizes[-1]
    with BundleWriter(target) as writer:
        for each in sizes:
            writer.checkpoint(each, checkpoint(hashes, each))
        newest = {n % 3: n for n in range(size)}
        for position in chosen if len(chosen) < size else ():
            if (last := newest.pop(position % 3, None)) is not None:
                writer.head(UUID(int=position), version=last // 3 + 1, leaf_hash=hashes[last])
        for position in chosen:
            writer.entry(position, log[position])
            writer.payload(UUID(int=position), Body(SALT, b'{"n":%d}' % position))
        for rest in rest_between(chosen, size=size, splits=sizes, subtree=merkle.subtree_of(hashes)):
            writer.rest(rest)
        return writer.finish(
            lambda files: Manifest(
                origin=ORIGIN,
                kind=kind,
                filter=(("actor", "17"),),
                made_at=entries.stamp(NOON),
                made_by=(("id", "17"), ("kind", "user")),
                size=size,
                root=merkle.root(hashes[:size]),
                entries=len(chosen),
                payloads=PayloadCounts(included=len(chosen)),
                batches=0,
                left_out=(LeftOut("entries", "outside-filter", size - len(chosen)),),
                complete_objects=False,
                files=files,
            ),
            sign=lambda text: notes.sign(text, name=f"{ORIGIN}/statement", key=KEY),
        )[0]
