"""Every bit of twenty entries, of their proofs and of a checkpoint, flipped one by one: none goes unseen (T3).

And two people who were shown two endings of one log: either of them, given the other's head, is told both (T11).
"""

import random
from datetime import timedelta

import pytest

from audit import merkle, notes
from audit.verify.spelling import CHECKS, Refused, parse
from audit.verify.walk import Range
from tests.audit.verify.judging import found, judge
from tests.audit.verify.maker import Log, root_of, usual

SEED = 20260301
ENTRIES = 20


@pytest.fixture(scope="module")
def log() -> Log:
    """Twenty entries and a checkpoint that two witnesses cosigned."""
    log = usual()
    while len(log.entries) < ENTRIES:
        log.add("window.closed", ("loop", f"l-{len(log.entries)}"))
    log.checkpoint()
    return log


def flips(data: bytes):
    """The data with each of its bits flipped, one at a time."""
    changed = bytearray(data)
    for bit in range(8 * len(data)):
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)
        changed[bit // 8] ^= 1 << bit % 8


def holds(leaf: bytes, position: int, root: bytes, proof: tuple[bytes, ...]) -> bool:
    """Whether this leaf hash stands at that position of the log, by our proof."""
    try:
        merkle.check_inclusion(index=position, size=ENTRIES, leaf=leaf, proof=proof, root=root)
    except merkle.ProofInvalid:
        return False
    return True


def test_every_bit_of_twenty_entries(log):
    """By the proof of inclusion and by the walk's tree. The twin: with the checking left out, some pass as entries."""
    subtree, tried, spelt = merkle.subtree_of(log.hashes), 0, 0
    root = root_of(log.hashes)
    for position, encoded in enumerate(log.encoded):
        proof = merkle.inclusion_proof(position, ENTRIES, subtree)
        assert holds(log.leaf_hash(encoded), position, root, proof)
        for changed in flips(encoded):
            tried += 1
            assert not holds(log.leaf_hash(changed), position, root, proof), (position, tried)
            if tried % 97 == 0:
                tree = Range()
                for n, leaf in enumerate(log.hashes):
                    tree.add(log.leaf_hash(changed) if n == position else leaf)
                assert tree.root() != root
            spelt += _passes_for_an_entry(changed) if tried % 7 == 0 else 0
    print(f"{tried} bits, {spelt} of a seventh of them are entries by their form alone")
    assert tried == 8 * sum(map(len, log.encoded)) > 50_000
    assert spelt > 100


def _passes_for_an_entry(changed: bytes) -> bool:
    try:
        return CHECKS["entry"](parse(changed, "spelling"))
    except Refused:
        return False


def test_every_bit_of_the_proofs(log):
    subtree, root = merkle.subtree_of(log.hashes), root_of(log.hashes)
    for position, encoded in enumerate(log.encoded):
        proof = merkle.inclusion_proof(position, ENTRIES, subtree)
        for n, each in enumerate(proof):
            for changed in flips(each):
                assert not holds(log.leaf_hash(encoded), position, root, (*proof[:n], changed, *proof[n + 1 :]))


def test_every_bit_of_a_checkpoint(log):
    """What is still read as a note says less than before, never something else: a name or a key id nobody knows."""
    note = log.checkpoints[ENTRIES]["note"].encode()
    text = log.head(ENTRIES)
    keys = [notes.VerifierKey.parse(log.log_keys[0].vkey)]
    said, by = notes.open_note(note, keys=keys)
    assert (said.text, len(by)) == (text, 1)
    refused = fewer = 0
    for changed in flips(note):
        try:
            said, by = notes.open_note(changed, keys=keys)
        except notes.NoteInvalid:
            refused += 1
            continue
        assert said.text == text
        fewer += 1
    print(f"{refused} refused, {fewer} with a line that nobody here signed")
    assert refused > 8 * len(text)


def test_bits_anywhere_in_a_bundle_through_the_whole_verifier(tmp_path, log):
    rng, members = random.Random(SEED), log.members()
    for _ in range(150):
        name = rng.choice(["entries.jsonl", "checkpoints.jsonl", "payloads.jsonl", "manifest.json", "batches.jsonl"])
        changed, bit = bytearray(members[name]), rng.randrange(8 * len(members[name]))
        changed[bit // 8] ^= 1 << bit % 8
        assert judge(tmp_path, members | {name: bytes(changed)}, log)["exit"] in {1, 2}, (name, bit)
    assert found(judge(tmp_path, members, log)) == (0, None)


# --- T11 --------------------------------------------------------------------------------------------------------------


def ending(name: str, *, more: int) -> Log:
    """The usual log with an ending of its own, cosigned: its witnesses are in it too."""
    log = usual()
    log.now += timedelta(minutes=1)
    for n in range(more):
        log.add("window.closed", ("loop", f"{name}-{n}"))
        log.checkpoint()
    return log


def test_two_people_who_were_shown_different_endings_are_told_both_heads(tmp_path):
    ours, theirs = ending("ours", more=4), ending("theirs", more=3)
    size = max(theirs.checkpoints)
    for log in (ours, theirs):
        assert found(judge(tmp_path, log.members(), log)) == (0, None), "each alone holds"
    head = theirs.checkpoints[size]["note"].encode()
    report = judge(tmp_path, ours.members(), ours, seen=[head])
    assert found(report) == (1, "seen-root")
    for log in (ours, theirs):
        assert root_of(log.hashes[:size]).hex() in report["failure"]["detail"]
    assert f"size {size}" in report["failure"]["detail"]
    assert found(
        judge(tmp_path, theirs.members(), theirs, seen=[ours.checkpoints[max(ours.checkpoints)]["note"].encode()])
    ) == (
        1,
        "seen-longer",
    )
    both = [head, ours.checkpoints[size]["note"].encode()]
    report = judge(tmp_path, ours.members(), ours, seen=both)
    assert found(report) == (1, "seen-root")
    for log in (ours, theirs):
        assert root_of(log.hashes[:size]).hex() in report["failure"]["detail"]
    common = min(ours.checkpoints)
    shared = theirs.checkpoints[common]["note"].encode()
    assert found(judge(tmp_path, ours.members(), ours, seen=[shared])) == (0, None), "what they share is no fault"
