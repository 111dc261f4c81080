"""A bundle is the same bytes every time, proves what is in it and what is not, and refuses what it cannot be."""

import io
import zipfile
from hashlib import sha256
from uuid import UUID

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from audit import merkle, notes
from audit.bundles import Abandoned, Bundle, BundleInvalid, BundleWriter, Manifest, rest_between
from tests.audit.bundle_cases import KEY, ORIGIN, SALT, encoded_entries, leaf_hashes, write

LOG = encoded_entries(20)


@pytest.fixture
def bundle(tmp_path):
    """Four entries of twenty, proved at three sizes."""
    target = tmp_path / "bundle.zip"
    write(target, log=LOG, chosen=[0, 5, 6, 17], sizes=[6, 13, 20])
    return target


# --- what proves it ---------------------------------------------------------------------------------------------------


@given(st.data())
def test_entries_and_hashes_tile_the_log_and_pass_through_every_checkpoint(data):
    size = data.draw(st.integers(1, 70))
    chosen = sorted(data.draw(st.sets(st.integers(0, size - 1))))
    splits = data.draw(st.sets(st.integers(1, size)))
    hashes = [sha256(bytes([n])).digest() for n in range(size)]
    rest = list(rest_between(chosen, size=size, splits=splits, subtree=merkle.subtree_of(hashes)))
    event(f"gaps: {min(len(rest), 3)}")

    tree, roots, used = merkle.CompactRange.empty(), {}, 0
    by_start = {each.start: each for each in rest}
    while tree.size < size:
        if tree.size in chosen:
            assert tree.size not in by_start
            tree.append(hashes[tree.size])
        else:
            _put(tree, by_start[tree.size])
            used += 1
        roots[tree.size] = tree.root()
    assert tree.size == size
    assert len(by_start) == len(rest) == used
    for split in splits | {size}:
        assert roots[split] == merkle.root(hashes[:split])


def _put(tree, rest):
    """A whole subtree at the end of the range: it joins its equal on the left, as a carry does."""
    width, node = rest.end - rest.start, rest.hash
    assert width & (width - 1) == 0
    assert rest.start % width == 0
    size = tree.size
    while size & width:
        node = merkle.node_hash(tree.hashes.pop(), node)
        size, width = size & ~width, width << 1
    tree.hashes.append(node)
    tree.size = rest.end


def test_a_gap_takes_few_hashes():
    hashes = [bytes(32)] * 1024
    rest = list(rest_between([511], size=1024, splits=[1024], subtree=merkle.subtree_of(hashes)))
    assert [(each.start, each.end) for each in rest][-1] == (512, 1024)
    assert len(rest) == 10


# --- writing ----------------------------------------------------------------------------------------------------------


def test_the_same_content_is_the_same_bytes(tmp_path):
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    for target in (first, second):
        write(target, log=LOG, chosen=[1, 2, 19], sizes=[7, 20])
    assert first.read_bytes() == second.read_bytes()
    write(second, log=LOG, chosen=[1, 3, 19], sizes=[7, 20])
    assert first.read_bytes() != second.read_bytes()


def test_the_archive_says_nothing_of_the_machine(bundle):
    with zipfile.ZipFile(bundle) as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == sorted(info.filename for info in infos)
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert {(info.create_system, info.extra, info.comment) for info in infos} == {(3, b"", b"")}


def test_giving_up_in_the_middle_leaves_no_file(tmp_path):
    with BundleWriter(tmp_path / "bundle.zip") as writer:
        writer.entry(0, LOG[0])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Abandoned):
        writer.entry(1, LOG[1])


def test_the_manifest_is_signed_with_what_it_stands_for(bundle):
    with Bundle.open(bundle) as opened:
        key = notes.VerifierKey(f"{ORIGIN}/statement", KEY.public_key().public_bytes_raw())
        note, _ = notes.open_note(opened.note, keys=[key])
        assert note.text == opened.manifest.statement(sha256(opened.manifest_bytes).hexdigest())
        assert note.text.split(b"\n")[0] == b"clinaiops/export-manifest/v1"


# --- reading ----------------------------------------------------------------------------------------------------------


def test_what_was_written_is_read(bundle):
    with Bundle.open(bundle) as opened:
        assert [(e.position, e.encoded) for e in opened.entries()] == [(n, LOG[n]) for n in (0, 5, 6, 17)]
        assert [e.leaf_hash for e in opened.entries()] == [leaf_hashes(LOG)[n] for n in (0, 5, 6, 17)]
        assert [(p.entry_id, p.salt, p.said()) for p in opened.payloads()] == [
            (UUID(int=n), SALT, {"n": n}) for n in (0, 5, 6, 17)
        ]
        assert [c.size for c in opened.checkpoints()] == [6, 13, 20]
        assert opened.manifest == Manifest.decode(opened.manifest_bytes)
        assert opened.manifest.chosen("actor") == "17"
        opened.check_members()


def _rewritten(bundle, **changed):
    """The archive with members replaced (a name with None: taken out)."""
    out = io.BytesIO()
    with zipfile.ZipFile(bundle) as before, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            key = name.replace(".", "_")
            data = changed.get(key, before.read(name))
            if data is not None:
                after.writestr(name, data)
        for name, data in changed.get("more", []):
            after.writestr(name, data)
    out.seek(0)
    return out


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"rest_jsonl": None}, "members"),
        ({"more": [("extra.txt", b"")]}, "members"),
        ({"more": [("../evil", b"")]}, "members"),
        ({"manifest_json": b"{}"}, "manifest"),
        ({"manifest_json": b"[1"}, "manifest"),
        ({"manifest_json": b" " * 70_000}, "member-too-long"),
        ({"entries_jsonl": b"0 {}\n"}, "member-length"),
    ],
)
def test_what_is_not_a_bundle_is_refused_by_name(bundle, changed, code):
    with pytest.raises(BundleInvalid) as refused:
        Bundle.open(_rewritten(bundle, **changed))
    assert refused.value.code == code


def test_a_changed_member_is_found_when_it_is_read(bundle):
    with zipfile.ZipFile(bundle) as archive:
        entries_jsonl = bytearray(archive.read("entries.jsonl"))
    entries_jsonl[-3] ^= 1
    with Bundle.open(_rewritten(bundle, entries_jsonl=bytes(entries_jsonl))) as opened:
        with pytest.raises(BundleInvalid):
            list(opened.entries())
        with pytest.raises(BundleInvalid) as refused:
            opened.check_members()
    assert refused.value.code == "member-digest"


@given(st.integers(0, 6000), st.binary(min_size=1, max_size=4))
def test_a_damaged_file_is_refused_or_reads_as_before(tmp_path_factory, at, noise):
    target = tmp_path_factory.getbasetemp() / "damaged.zip"
    if not target.exists():
        write(target, log=LOG, chosen=[0, 5, 6, 17], sizes=[6, 13, 20])
    data = bytearray(target.read_bytes())
    at %= len(data)
    data[at : at + len(noise)] = noise
    try:
        with Bundle.open(io.BytesIO(bytes(data))) as opened:
            opened.check_members()
            assert [e.position for e in opened.entries()] == [0, 5, 6, 17]
            event("reads as before")
    except BundleInvalid as refused:
        event(f"refused: {refused.code}")


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_zip_is_refused_by_name(data):
    with pytest.raises(BundleInvalid):
        Bundle.open(io.BytesIO(data))
