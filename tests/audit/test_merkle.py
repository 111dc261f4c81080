"""The tree: the published vectors, every one of them, and what the compact range promises."""

import base64
import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import merkle

LEAVES = [
    bytes.fromhex(h)
    for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = (
    "e3b0c44298fc1c14",
    "6e340b9cffb37a98",
    "fac54203e7cc696c",
    "aeb6bcfe274b70a1",
    "d37ee418976dd957",
    "4e3bbb1f7b478dcf",
    "76e67dadbcdf1e10",
    "ddb89be403809e32",
    "5dc9da79a70659a9",
)


@pytest.mark.parametrize("size", range(9))
def test_roots_of_the_reference_leaves(size):
    assert merkle.root(merkle.leaf_hash(leaf) for leaf in LEAVES[:size]).hex().startswith(ROOTS[size])


def test_the_hashers_own_vectors():
    assert merkle.leaf_hash(b"L123456").hex().startswith("395aa064")
    assert merkle.node_hash(b"N123", b"N456").hex().startswith("aa217fe8")
    assert merkle.EMPTY_ROOT == sha256(b"").digest() == merkle.CompactRange.empty().root()


def test_a_node_cannot_be_passed_off_as_a_leaf():
    left, right = merkle.leaf_hash(b"a"), merkle.leaf_hash(b"b")
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)


def test_the_last_leaf_is_not_doubled():
    three = [merkle.leaf_hash(bytes([n])) for n in range(3)]
    assert merkle.root(three) != merkle.root([*three, three[-1]])


def _vectors(data_set, kind: str) -> list[tuple[str, dict]]:
    folder = Path(data_set("merkle_rfc6962")) / "testdata" / kind
    return [(str(path), json.loads(path.read_text())) for path in sorted(folder.rglob("*.json"))]


def _hashes(values: list[str] | None) -> list[bytes]:
    return [base64.b64decode(value) for value in values or []]


def _inclusion_holds(case: dict) -> bool:
    try:
        merkle.check_inclusion(
            index=case["leafIdx"],
            size=case["treeSize"],
            leaf=base64.b64decode(case["leafHash"]),
            proof=_hashes(case["proof"]),
            root=base64.b64decode(case["root"]),
        )
    except merkle.ProofInvalid:
        return False
    return True


def _consistency_holds(case: dict) -> bool:
    try:
        merkle.check_consistency(
            old=case["size1"],
            new=case["size2"],
            proof=_hashes(case["proof"]),
            old_root=base64.b64decode(case["root1"] or ""),
            new_root=base64.b64decode(case["root2"] or ""),
        )
    except merkle.ProofInvalid:
        return False
    return True


@pytest.mark.parametrize(("kind", "holds"), [("inclusion", _inclusion_holds), ("consistency", _consistency_holds)])
def test_every_published_proof_vector(data_set, kind, holds):
    vectors = _vectors(data_set, kind)
    wrong = [name for name, case in vectors if holds(case) == case["wantErr"]]
    assert wrong == []
    assert {case["wantErr"] for _, case in vectors} == {True, False}
    assert len(vectors) >= 40


def test_consistency_from_the_empty_tree_is_an_error():
    leaf = merkle.leaf_hash(b"a")
    with pytest.raises(merkle.ProofInvalid, match="from-empty-tree"):
        merkle.check_consistency(old=0, new=1, proof=(), old_root=merkle.EMPTY_ROOT, new_root=leaf)
    with pytest.raises(ValueError, match="at least one leaf"):
        merkle.consistency_proof(0, 1, merkle.subtree_of([leaf]))


def _recursive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 2.1.1 as it is written."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + _recursive_root(leaves[:split]) + _recursive_root(leaves[split:])).digest()


def _tree(size: int) -> list[bytes]:
    return [merkle.leaf_hash(n.to_bytes(4, "big")) for n in range(size)]


@pytest.mark.parametrize("size", [*range(70), 255, 256, 257])
def test_the_compact_range_has_the_root_of_the_definition(size):
    grown = merkle.CompactRange.empty()
    for leaf in _tree(size):
        grown.append(leaf)
    assert grown.root() == _recursive_root(_tree(size))
    assert merkle.CompactRange.unpack(size, grown.pack()) == grown


def test_a_stored_range_of_the_wrong_size_is_refused():
    with pytest.raises(ValueError, match="has 2 hashes"):
        merkle.CompactRange.unpack(3, b"\x00" * 32)


def test_every_proof_made_is_accepted_and_no_other_place_is():
    for size in range(1, 34):
        leaves = _tree(size)
        root, subtree = merkle.root(leaves), merkle.subtree_of(leaves)
        for index, leaf in enumerate(leaves):
            proof = merkle.inclusion_proof(index, size, subtree)
            merkle.check_inclusion(index=index, size=size, leaf=leaf, proof=proof, root=root)
            with pytest.raises(merkle.ProofInvalid):
                merkle.check_inclusion(index=index + 1, size=size, leaf=leaf, proof=proof, root=root)
        for old in range(1, size + 1):
            proof = merkle.consistency_proof(old, size, subtree)
            old_root = merkle.root(leaves[:old])
            merkle.check_consistency(old=old, new=size, proof=proof, old_root=old_root, new_root=root)


@given(size=st.integers(2, 200), seed=st.integers(0, 2**32), bit=st.integers(0, 255), data=st.data())
def test_a_bent_proof_is_never_accepted(size, seed, bit, data):
    leaves = [merkle.leaf_hash(seed.to_bytes(8, "big") + n.to_bytes(4, "big")) for n in range(size)]
    root, subtree = merkle.root(leaves), merkle.subtree_of(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = list(merkle.inclusion_proof(index, size, subtree))
    step = data.draw(st.integers(0, len(proof) - 1))
    bent = bytearray(proof[step])
    bent[bit // 8] ^= 1 << bit % 8
    for wrong in ([*proof[:step], bytes(bent), *proof[step + 1 :]], proof[:-1], [*proof, root], [b"", *proof]):
        with pytest.raises(merkle.ProofInvalid):
            merkle.check_inclusion(index=index, size=size, leaf=leaves[index], proof=wrong, root=root)


def test_a_batch_root_depends_on_rows_their_order_and_where_one_ends():
    rows = [bytes([n]) * 3 for n in range(130)]
    root = merkle.batch_root(rows)
    assert root != merkle.batch_root([rows[1], rows[0], *rows[2:]])
    assert root != merkle.batch_root(rows[:-1])
    assert merkle.batch_root([b"ab", b"c"]) != merkle.batch_root([b"a", b"bc"])
    assert root != merkle.batch_root(rows, tile_rows=1)
    assert merkle.batch_root([]) == merkle.EMPTY_ROOT
