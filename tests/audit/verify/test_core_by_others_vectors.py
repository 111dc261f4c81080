"""The core against vectors that others made: RFC 6962 proofs, Ed25519 signatures, and those of audit/README.md."""

import base64
import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from audit.verify.notes import PLAIN, Key, Policy, open_note, read_head, verifies
from audit.verify.spelling import Refused, parse
from audit.verify.walk import Range
from tests.audit.verify.judging import found, judge
from tests.audit.verify.maker import Log, batch_root, root_of


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


README = Path(__file__).resolve().parents[3] / "audit" / "README.md"
LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
ROOTS = "e3b0c44298fc1c14 6e340b9cffb37a98 fac54203e7cc696c aeb6bcfe274b70a1 d37ee418976dd957 4e3bbb1f7b478dcf"
ROOTS += " 76e67dadbcdf1e10 ddb89be403809e32 5dc9da79a70659a9"


def test_roots_of_the_reference_leaves():
    for size, root in enumerate(ROOTS.split()):
        tree = Range()
        for leaf in LEAVES[:size]:
            tree.add(leaf_hash(bytes.fromhex(leaf)))
        assert tree.root().hex().startswith(root)
    assert leaf_hash(b"L123456").hex().startswith("395aa064")


def test_subtrees_give_the_same_root_as_leaves():
    hashes = [sha256(b"%d" % n).digest() for n in range(40)]
    for size in range(41):
        tree = Range()
        while tree.size < size:
            width = tree.size & -tree.size or 32
            while tree.size + width > size:
                width >>= 1
            tree.add(root_of(hashes[tree.size : tree.size + width]), width)
        assert tree.root() == root_of(hashes[:size])


# A published proof names subtrees; the core walks subtrees. So a proof is laid out as the tiling it speaks of.


def _split(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


def _inclusion(index: int, start: int, end: int) -> list[tuple[int, int]]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_inclusion(index, start, middle), (middle, end)]
    return [*_inclusion(index, middle, end), (start, middle)]


def _consistency(old: int, start: int, end: int, *, whole: bool) -> list[tuple[int, int]]:
    if old == end - start:
        return [] if whole else [(start, end)]
    half = _split(end - start)
    if old <= half:
        return [*_consistency(old, start, start + half, whole=whole), (start + half, end)]
    return [*_consistency(old - half, start + half, end, whole=False), (start, start + half)]


def _walked(tiles: list[tuple[tuple[int, int], bytes]], heads: dict[int, bytes]) -> bool:
    """Whether the tiles, in order, pass through every head. A last one that is no perfect subtree ends the tree."""
    tree, agreed, last = Range(), set(), max(heads)
    for (start, end), node in sorted(tiles):
        width = end - start
        if start != tree.size or len(node) != 32:
            return False
        if width & (width - 1) or start % width:
            tree.hashes.append(node)
            tree.size = end
        else:
            tree.add(node, width)
        if tree.size in heads and tree.root() == heads[tree.size]:
            agreed.add(tree.size)
    return agreed == set(heads) and tree.size == last


def _hashes(values) -> list[bytes]:
    return [base64.b64decode(value) for value in values or []]


def _inclusion_holds(case: dict) -> bool:
    index, size, proof = case["leafIdx"], case["treeSize"], _hashes(case["proof"])
    if not 0 <= index < size:
        return False
    path = _inclusion(index, 0, size)
    if len(path) != len(proof):
        return False
    leaf = ((index, index + 1), base64.b64decode(case["leafHash"]))
    return _walked([leaf, *zip(path, proof, strict=True)], {size: base64.b64decode(case["root"])})


def _consistency_holds(case: dict) -> bool:
    old, new, proof = case["size1"], case["size2"], _hashes(case["proof"])
    roots = [base64.b64decode(case[name] or "") for name in ("root1", "root2")]
    if not 1 <= old <= new:
        return False
    path = _consistency(old, 0, new, whole=True)
    if old == new or not old & (old - 1):
        path, proof = [(0, old), *path], [roots[0], *proof]
    if len(path) != len(proof) or (old == new and roots[0] != roots[1]):
        return False
    return _walked(list(zip(path, proof, strict=True)), {old: roots[0], new: roots[1]})


@pytest.mark.parametrize(("kind", "holds"), [("inclusion", _inclusion_holds), ("consistency", _consistency_holds)])
def test_every_published_proof_vector(data_set, kind, holds):
    paths = sorted((data_set("merkle_rfc6962") / "testdata" / kind).rglob("*.json"))
    cases = [json.loads(path.read_text()) for path in paths]
    assert [str(path) for path, case in zip(paths, cases, strict=True) if holds(case) == case["wantErr"]] == []
    assert {case["wantErr"] for case in cases} == {True, False}
    assert len(cases) >= 40


def test_wycheproofs_ed25519_signatures(data_set):
    groups = json.loads((data_set("wycheproof") / "ed25519_test.json").read_text())["testGroups"]
    results = set()
    for group in groups:
        for case in group["tests"]:
            key = bytes.fromhex(group["publicKey"]["pk"])
            good = verifies(key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert good == (case["result"] == "valid"), (case["tcId"], case["comment"])
            results.add(good)
    assert results == {True, False}


NOTE_EXAMPLE = """Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore \
NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
"""  # of C2SP signed-note


def test_the_note_of_the_specification_is_read_and_its_unknown_signer_passed_over():
    text, signed = open_note(NOTE_EXAMPLE.encode(), [])
    assert (text.decode().count("\n"), signed) == (4, {})
    with pytest.raises(ValueError, match="not a checkpoint"):
        read_head(text)


def test_what_the_specification_of_the_format_shows_is_what_is_true():
    log = Log()
    log.add("consent.given", ("consent", "c-1"), subject="patient-7")
    log.add("observation.batch_accepted", ("batch", "b-1"), subject="patient-7", rows=[b"135/85", b"128/80"])
    log.checkpoint()
    said, members = README.read_text(encoding="utf-8"), log.members()
    shown = [
        log.policy().decode(),
        log.checkpoints[3]["note"],
        log.receipt(1).decode(),
        members["manifest.note"].decode(),
    ]
    shown += [members["manifest.json"].decode(), root_of(log.hashes).hex(), root_of(log.hashes[:2]).hex()]
    shown += [f"{p} {log.encoded[p].decode()}\n=> {log.hashes[p].hex()}" for p in range(3)]
    part = log.members(take=lambda p: p in (0, 2))
    shown += [part["rest.jsonl"].decode(), part["heads.jsonl"].decode(), batch_root(log.rows[2]).hex()]
    assert [each for each in shown if each.strip() not in said] == []


def test_the_vectors_of_the_readme_verify_from_its_text_alone(tmp_path):
    blocks = re.findall(r"^```\n(.*?)^```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    policy = Policy(next(block for block in blocks if block.startswith("# made")).encode())
    entries = re.findall(r"^\d ({.*})\n=> ([0-9a-f]{64})$", "\n".join(blocks), re.MULTILINE)
    frame = b"clinaiops/audit-entry/v1\nlog.example/clinic\n"
    assert [leaf_hash(frame + line.encode()).hex() for line, _ in entries] == [digest for _, digest in entries]
    assert len(entries) == 3
    checkpoint = next(block for block in blocks if block.startswith("log.example/clinic\n3\n"))
    text, signed = open_note(checkpoint.encode(), [*policy.logs, *policy.witnesses.values()])
    assert policy.judge(signed) == (True, 1772366400)
    assert read_head(text)[2] == root_of([bytes.fromhex(digest) for _, digest in entries])


def test_keys_are_read_in_one_spelling_and_for_one_use():
    vkey = Log().log_keys[0].vkey
    assert Key.parse(vkey, PLAIN).public == Log().log_keys[0].public
    for bad in (vkey[:-1], vkey.replace("+2f", "+2F"), vkey + "=", "x" + vkey, "+".join(vkey.split("+")[:2]), ""):
        with pytest.raises(ValueError, match=r".*"):
            Key.parse(bad, PLAIN)
    with pytest.raises(ValueError, match="not a key for this use"):
        Key.parse(vkey, 4)


@pytest.mark.parametrize(
    "data",
    [b'{"a":1e2}', b"NaN", b'{"b":1,"a":2}', b'{"a":1,"a":1}', b"\xef\xbb\xbf1", b"1 ", b'"\\u0061"', b"[" * 9999],
)
def test_another_spelling_is_refused(data):
    with pytest.raises(Refused):
        parse(data, "spelling")


@pytest.mark.parametrize(("asked", "holds"), [("any", 0), ("2", 0), ("all", 3), ("3", 3)])
def test_the_quorum_is_counted_as_the_policy_says(tmp_path, asked, holds):
    log = Log(quorum=asked)
    log.checkpoint("w1", "w2")
    assert found(judge(tmp_path, log.members(), log))[0] == holds


def test_groups_of_groups_and_the_second_at_which_they_were_enough():
    log = Log()
    lines = [f"witness {name} {each.vkey}" for name, each in log.witnesses.items()]
    text = "\n".join([f"log {log.log_keys[0].vkey}", *lines, "group a any w1 w2", "group b all a w3", "quorum b", ""])
    policy = Policy(text.encode())
    keys = {name: policy.witnesses[name] for name in policy.witnesses}
    assert policy.judge({keys["w1"]: 50, keys["w2"]: 20, keys["w3"]: 30}) == (True, 30)
    assert policy.judge({keys["w1"]: 50, keys["w3"]: 30}) == (True, 50)
    assert policy.judge({keys["w1"]: 50, keys["w2"]: 20}) == (False, None)
