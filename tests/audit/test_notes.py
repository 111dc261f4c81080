"""Signed notes and checkpoints: the published example, Wycheproof's signatures, and every way a note can be bad."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit import notes
from audit.notes import NoteInvalid, TreeHead, VerifierKey

EXAMPLE_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
EXAMPLE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
ORIGIN = "clinaiops.invalid/log/test"
KEY = VerifierKey(ORIGIN, SECRET.public_key().public_bytes_raw())
HEAD = TreeHead(ORIGIN, 7, bytes(range(32)))
NOTE = notes.sign(HEAD.text(), name=ORIGIN, key=SECRET)


def test_the_published_example_verifies():
    key = VerifierKey.parse(EXAMPLE_KEY)
    note, signers = notes.open_note(EXAMPLE, keys=[key])
    assert signers == (key,)
    assert note.text.endswith(b"problem is.\n")
    assert str(key) == EXAMPLE_KEY


def test_wycheproofs_ed25519_signatures(data_set):
    groups = json.loads((data_set("wycheproof") / "ed25519_test.json").read_text())["testGroups"]
    results = set()
    for group in groups:
        key = VerifierKey("wycheproof", bytes.fromhex(group["publicKey"]["pk"]))
        for case in group["tests"]:
            good = key.verifies(bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert good == (case["result"] == "valid"), (case["tcId"], case["comment"])
            results.add(good)
    assert results == {True, False}


def test_a_checkpoint_comes_back_as_it_was_signed():
    assert notes.open_checkpoint(NOTE, origin=ORIGIN, keys=[KEY]) == HEAD


def test_unknown_signatures_are_passed_over_and_a_known_bad_one_refuses_the_note():
    unknown = notes.sign(HEAD.text(), name="witness.invalid/w", key=OTHER).rpartition(b"\n\n")[2]
    assert notes.open_checkpoint(NOTE + unknown, origin=ORIGIN, keys=[KEY]) == HEAD
    with pytest.raises(NoteInvalid, match="no-known-signature"):
        notes.open_note(NOTE, keys=[VerifierKey(ORIGIN, OTHER.public_key().public_bytes_raw())])
    witness = VerifierKey("witness.invalid/w", OTHER.public_key().public_bytes_raw())
    other_text = notes.sign(b"something else\n", name="witness.invalid/w", key=OTHER).rpartition(b"\n\n")[2]
    with pytest.raises(NoteInvalid, match="bad-signature"):
        notes.open_note(NOTE + other_text, keys=[KEY, witness])


@given(st.integers(0, len(NOTE) * 8 - 1))
def test_a_flipped_bit_anywhere_is_refused(bit):
    bent = bytearray(NOTE)
    bent[bit // 8] ^= 1 << bit % 8
    with pytest.raises(NoteInvalid):
        notes.open_checkpoint(bytes(bent), origin=ORIGIN, keys=[KEY])


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data):
    with pytest.raises(NoteInvalid):
        notes.open_checkpoint(data, origin=ORIGIN, keys=[KEY])


def test_a_checkpoint_of_another_log_is_refused_though_its_signature_is_good():
    foreign = notes.sign(TreeHead("other.invalid/log", 7, bytes(32)).text(), name=ORIGIN, key=SECRET)
    with pytest.raises(NoteInvalid, match="foreign-checkpoint"):
        notes.open_checkpoint(foreign, origin=ORIGIN, keys=[KEY])


@pytest.mark.parametrize(
    "text",
    [
        b"o\n07\n" + NOTE.split(b"\n")[2] + b"\n",
        b"o\n-1\n" + NOTE.split(b"\n")[2] + b"\n",
        b"o\n7\n\n",
        b"o\n7\nAAAA\n",
        b"o\n7\n",
        b"o\n7\n" + NOTE.split(b"\n")[2],
    ],
)
def test_a_malformed_statement_is_refused(text):
    with pytest.raises(NoteInvalid):
        TreeHead.parse(text)


def test_extension_lines_are_kept():
    head = TreeHead("o", 1, bytes(32), ("more",))
    assert TreeHead.parse(head.text()) == head


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"text\n", "no-signatures"),
        (b"text\n\n- name AAAA\n", "signature-line"),
        ("text\n\n— name AAA\n".encode(), "base64"),
        ("text\n\n— name AAAA\n".encode(), "signature-line"),
        (b"te\x00xt\n\n", "control-character"),
        (b"\xff", "not-utf8"),
        (NOTE + NOTE.rpartition(b"\n\n")[2] * 16, "too-many-signatures"),
        (b"x" * 1_000_001, "too-long"),
    ],
)
def test_a_malformed_note_is_refused_by_name(bad, code):
    with pytest.raises(NoteInvalid) as refused:
        notes.parse(bad)
    assert refused.value.code == code


@pytest.mark.parametrize("text", ["", "name", "name+00000000+AAAA", EXAMPLE_KEY.replace("c74f", "c74e"), "a b+1+AA=="])
def test_a_malformed_verifier_key_is_refused(text):
    with pytest.raises(NoteInvalid):
        VerifierKey.parse(text)


def test_text_without_a_final_newline_cannot_be_signed():
    with pytest.raises(NoteInvalid, match="unsignable"):
        notes.sign(b"text", name=ORIGIN, key=SECRET)
