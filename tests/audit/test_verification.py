"""The verification alone, over a log held in memory: every flipped bit is found, and no clean log is accused."""

from dataclasses import replace
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import canonical, entries, merkle, notes
from audit.stored import StoredEntry, StoredHead, StoredPayload
from audit.verification import Verification, as_json, check_tiles
from tests.audit.builders import NOON, event

ORIGIN = "clinaiops.invalid/log/test"
SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = notes.VerifierKey(ORIGIN, SECRET.public_key().public_bytes_raw())


def a_log(size: int, *, objects: int = 3, every: int = 4) -> tuple[list[StoredEntry], list[StoredHead]]:
    """Entries over a few objects with payloads, and a tree state and a signed checkpoint after every few."""
    rows, heads, last, tree = [], [], {}, merkle.CompactRange.empty()
    for n in range(size):
        rows.append(_row(n, f"loop-{n % objects}", n // objects + 1, last))
        tree.append(rows[-1].leaf_hash)
        if (n + 1) % every == 0 or n + 1 == size:
            head = notes.TreeHead(ORIGIN, n + 1, tree.root())
            heads.append(StoredHead(n + 1, tree.root(), None, tree.pack()))
            heads.append(StoredHead(n + 1, tree.root(), notes.sign(head.text(), name=ORIGIN, key=SECRET)))
    return rows, heads


def _row(n: int, name: str, version: int, last: dict[str, bytes]) -> StoredEntry:
    entry_id, ref = UUID(int=n + 1), UUID(int=1000 + n)
    body = canonical.dumps({"mean": f"{130 + n % 20}.5 mm[Hg]"}, profile=canonical.PAYLOAD)
    salt = bytes([n % 256]) * 32
    commit = entries.commitment(salt, body)
    entry = entries.build(
        event(name, version),
        entry_id=entry_id,
        at=NOON,
        prev=last.get(name),
        tenant_key=bytes(32),
        payload=(ref, commit),
        software=entries.Software("1"),
    )
    leaf = entries.leaf_data(entry, origin=ORIGIN)
    last[name] = entries.leaf_hash(leaf)
    kept = StoredPayload(ref, commit, salt, body)
    return StoredEntry(n, entry_id, leaf, last[name], entries.columns(entry), last[name], kept)


def verify(rows, heads, **more):
    return Verification(origin=ORIGIN, keys=(KEY,), heads=iter(heads), **more).run(iter(rows))


LOG = a_log(14)


@given(st.integers(0, 40), st.integers(1, 5), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_no_clean_log_is_accused(size, objects, every):
    report = verify(*a_log(size, objects=objects, every=every))
    assert (report.first_bad, report.entries, report.signed) == (None, size, size)


def _flip(data: bytes, bit: int) -> bytes:
    bent = bytearray(data)
    bent[bit // 8 % len(bent)] ^= 1 << bit % 8
    return bytes(bent)


FIELDS = ("leaf", "leaf_hash", "version_hash", "commit", "salt", "body")


def _bent_row(row: StoredEntry, field: str, bit: int) -> StoredEntry:
    if field in ("commit", "salt", "body"):
        return replace(row, payload=replace(row.payload, **{field: _flip(getattr(row.payload, field), bit)}))
    return replace(row, **{field: _flip(getattr(row, field), bit)})


@given(st.integers(0, 13), st.sampled_from(FIELDS), st.integers(0, 5000))
@settings(max_examples=400, deadline=None)
def test_every_flipped_bit_of_an_entry_is_found_at_that_entry(position, field, bit):
    rows, heads = LOG
    report = verify([*rows[:position], _bent_row(rows[position], field, bit), *rows[position + 1 :]], heads)
    assert report.first_bad.position == position
    assert report.first_bad.entry_id == str(rows[position].entry_id)


@given(st.integers(0, len(LOG[1]) - 1), st.sampled_from(["root", "note"]), st.integers(0, 5000))
@settings(max_examples=200, deadline=None)
def test_every_flipped_bit_of_a_head_is_found(number, field, bit):
    rows, heads = LOG
    head = heads[number]
    value = getattr(head, field) or head.hashes
    field = field if getattr(head, field) else "hashes"
    bent = [*heads[:number], replace(head, **{field: _flip(value, bit)}), *heads[number + 1 :]]
    assert verify(rows, bent).first_bad.code.startswith(("checkpoint-", "tree-state-"))


def _relabelled(rows: list[StoredEntry]) -> list[StoredEntry]:
    return [replace(row, position=n) for n, row in enumerate(rows)]


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_entries_left_out_doubled_or_swapped_are_found_though_renumbered(data):
    rows, heads = LOG
    first = data.draw(st.integers(0, 12))
    second = data.draw(st.integers(first + 1, 13))
    swapped = list(rows)
    swapped[first], swapped[second] = rows[second], rows[first]
    for forged in ([*rows[:first], *rows[second:]], [*rows[:second], rows[first], *rows[second:]], swapped):
        assert verify(_relabelled(forged), heads).verified is False


def test_a_chain_without_signed_heads_lets_a_full_rewrite_through_which_is_why_they_are_there():
    """The power check: with the heads recomputed under a stolen key, only what is kept outside says no."""
    rows, heads = LOG
    seen = notes.open_checkpoint(heads[-1].note, origin=ORIGIN, keys=[KEY])
    shorter = a_log(8)
    assert verify(*shorter).verified is True
    assert verify(*shorter, remembered=seen).first_bad.code == "remembered-longer"
    assert verify(*a_log(14, objects=2), remembered=seen).first_bad.code == "remembered-root"
    assert verify(rows, heads, remembered=seen).verified is True


def test_a_payload_in_a_form_not_known_here_is_not_called_good():
    rows, heads = LOG
    odd = replace(rows[2], payload=replace(rows[2].payload, unsound="sealed in an unknown way"))
    assert verify([*rows[:2], odd, *rows[3:]], heads).first_bad.code == "payload-sealed"


def test_rows_are_read_once_and_not_beyond_the_first_that_lies():
    rows, heads = LOG
    read = []

    def reader():
        for row in rows:
            read.append(row.position)
            yield _bent_row(row, "leaf", 3) if row.position == 4 else row

    assert verify(reader(), heads).first_bad.position == 4
    assert read == [0, 1, 2, 3, 4]


def test_the_report_reads_the_same_for_machines():
    assert '"verified": true' in as_json(verify(*LOG), pending=2)
    assert '"pending": 2' in as_json(verify(*LOG), pending=2)


@pytest.mark.parametrize("spoil", ["root", "order", "above"])
def test_stored_tiles_must_fit_each_other(spoil):
    hashes = [[merkle.leaf_hash(bytes([n, m])) for m in range(256)] for n in range(256)]
    tiles = [(0, n, b"".join(held), merkle.root(held)) for n, held in enumerate(hashes)]
    roots = [root for *_, root in tiles]
    tiles.append((1, 0, b"".join(roots), merkle.root(roots)))
    assert check_tiles(tiles) is None
    match spoil:
        case "root":
            tiles[3] = (*tiles[3][:3], bytes(32))
        case "order":
            tiles[3], tiles[4] = tiles[4], tiles[3]
        case "above":
            tiles[-1] = (1, 0, b"".join(reversed(roots)), merkle.root(list(reversed(roots))))
    assert check_tiles(tiles).code == "tile-stored"
