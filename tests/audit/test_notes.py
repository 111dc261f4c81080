"""Signed notes and checkpoints: the published example, Wycheproof's signatures, and every way a note can be bad."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit import notes
from audit.notes import Cosignature, NoteInvalid, TreeHead, VerifierKey, WitnessKey

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


# --- cosignatures -----------------------------------------------------------------------------------------------------

EVE = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
WITNESS = WitnessKey("witness.invalid/w1", OTHER.public_key().public_bytes_raw())
SECOND = WitnessKey("witness.invalid/w2", EVE.public_key().public_bytes_raw())
SEEN_AT = 1_727_964_367
LINE = notes.cosign(HEAD.text(), name=WITNESS.name, key=OTHER, at=SEEN_AT)
COSIGNED = NOTE + LINE
A_WITNESS_IN_THE_WILD = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
ANOTHER_IN_THE_WILD = "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO"
IN_THE_WILD = (  # a checkpoint of the public log Arche 2025h1, as its witnesses published it on 23 May 2026
    "arche2025h1.staging.ct.transparency.dev\n"
    "1432088532\n"
    "U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n"
    "\n"
    "— arche2025h1.staging.ct.transparency.dev "
    "ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=\n"
    "— witness1.smartit.nu/witness1 "
    "pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==\n"
    "— remora.n621.de "
    "2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==\n"
).encode()
LOG_IN_THE_WILD = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"


def line_of(key, raw: bytes) -> bytes:
    return f"— {key.name} {base64.b64encode(key.key_id + raw).decode()}\n".encode()


def test_a_published_checkpoint_and_its_two_published_cosignatures_verify():
    witnesses = [WitnessKey.parse(text) for text in (ANOTHER_IN_THE_WILD, A_WITNESS_IN_THE_WILD)]
    assert [str(key) for key in witnesses] == [ANOTHER_IN_THE_WILD, A_WITNESS_IN_THE_WILD]
    log = VerifierKey.parse(LOG_IN_THE_WILD)
    assert notes.open_checkpoint(IN_THE_WILD, origin=log.name, keys=[log]).size == 1_432_088_532
    seen = notes.cosignatures(IN_THE_WILD, witnesses=witnesses)
    assert seen == tuple(Cosignature(key, 0x6A122120) for key in witnesses)
    with pytest.raises(NoteInvalid, match="bad-signature"):
        notes.cosignatures(IN_THE_WILD.replace(b"1432088532", b"1432088533"), witnesses=witnesses)


def test_a_cosignature_comes_back_with_its_witness_and_time():
    assert notes.cosignatures(COSIGNED, witnesses=[WITNESS, SECOND]) == (Cosignature(WITNESS, SEEN_AT),)
    assert notes.open_checkpoint(COSIGNED, origin=ORIGIN, keys=[KEY]) == HEAD
    assert notes.open_note(COSIGNED, keys=[WITNESS])[1] == (WITNESS,)
    assert notes.cosignatures(NOTE, witnesses=[WITNESS]) == ()


def test_what_a_witness_signs_is_put_together_byte_by_byte():
    raw = notes.parse(COSIGNED).signatures[-1].signature
    assert (len(raw), raw[:8]) == (72, SEEN_AT.to_bytes(8, "big"))
    OTHER.public_key().verify(raw[8:], b"cosignature/v1\ntime 1727964367\n" + HEAD.text())


def test_a_witnesss_key_cannot_stand_for_a_logs_nor_a_logs_for_a_witnesss():
    same = VerifierKey(WITNESS.name, WITNESS.public)
    assert same.key_id != WITNESS.key_id
    for text, reader in ((str(WITNESS), VerifierKey), (str(same), WitnessKey)):
        with pytest.raises(NoteInvalid, match="verifier-key"):
            reader.parse(text)
    with pytest.raises(NoteInvalid, match="no-known-signature"):
        notes.open_note(LINE_ALONE, keys=[same])
    assert notes.cosignatures(notes.sign(HEAD.text(), name=same.name, key=OTHER), witnesses=[WITNESS]) == ()


LINE_ALONE = HEAD.text() + b"\n" + LINE


def test_of_two_times_by_one_witness_the_earlier_counts():
    later = notes.cosign(HEAD.text(), name=WITNESS.name, key=OTHER, at=SEEN_AT + 60)
    for note in (NOTE + LINE + later, NOTE + later + LINE):
        assert notes.cosignatures(note, witnesses=[WITNESS]) == (Cosignature(WITNESS, SEEN_AT),)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        notes.parse(COSIGNED).signatures[-1].signature[:-1],
        notes.parse(COSIGNED).signatures[-1].signature + b"\x00",
        bytes(8) + notes.parse(COSIGNED).signatures[-1].signature[8:],
        (2**63).to_bytes(8, "big") + notes.parse(COSIGNED).signatures[-1].signature[8:],
        (SEEN_AT + 1).to_bytes(8, "big") + notes.parse(COSIGNED).signatures[-1].signature[8:],
        SEEN_AT.to_bytes(8, "big") + OTHER.sign(HEAD.text()),
        OTHER.sign(HEAD.text()),
    ],
    ids=["empty", "short", "long", "no-time", "time-too-large", "another-time", "plain-signature", "no-time-at-all"],
)
def test_a_bad_cosignature_by_a_known_witness_refuses_the_note(raw):
    with pytest.raises(NoteInvalid) as refused:
        notes.cosignatures(NOTE + line_of(WITNESS, raw), witnesses=[WITNESS])
    assert refused.value.code == ("bad-signature" if raw else "signature-line")


def test_a_zero_time_and_one_beyond_sixty_three_bits_are_refused_though_well_signed():
    for at in (0, 2**63):
        raw = at.to_bytes(8, "big") + OTHER.sign(b"cosignature/v1\ntime %d\n" % at + HEAD.text())
        with pytest.raises(NoteInvalid, match="bad-signature"):
            notes.cosignatures(NOTE + line_of(WITNESS, raw), witnesses=[WITNESS])
        with pytest.raises(NoteInvalid, match="unsignable"):
            notes.cosign(HEAD.text(), name=WITNESS.name, key=OTHER, at=at)


def test_a_cosignature_of_another_checkpoint_and_one_under_anothers_name_count_for_nothing():
    other = notes.cosign(TreeHead(ORIGIN, 8, bytes(32)).text(), name=WITNESS.name, key=OTHER, at=SEEN_AT)
    with pytest.raises(NoteInvalid, match="bad-signature"):
        notes.cosignatures(NOTE + other, witnesses=[WITNESS])
    borrowed = notes.cosign(HEAD.text(), name=WITNESS.name, key=EVE, at=SEEN_AT)
    assert notes.cosignatures(NOTE + borrowed, witnesses=[WITNESS]) == ()
    colliding = line_of(WITNESS, notes.parse(NOTE + borrowed).signatures[-1].signature)
    with pytest.raises(NoteInvalid, match="bad-signature"):
        notes.cosignatures(NOTE + colliding, witnesses=[WITNESS])


@given(st.integers(0, len(COSIGNED) * 8 - 1))
def test_a_flipped_bit_in_a_cosigned_checkpoint_never_leaves_the_same_statement_cosigned(bit):
    bent = bytearray(COSIGNED)
    bent[bit // 8] ^= 1 << bit % 8
    try:
        head = notes.open_checkpoint(bytes(bent), origin=ORIGIN, keys=[KEY])
        seen = notes.cosignatures(bytes(bent), witnesses=[WITNESS])
    except NoteInvalid:
        return
    assert (head, seen) == (HEAD, ())  # only a name or key id was hit: the line is a stranger's now


def test_a_size_no_log_reaches_is_refused():
    TreeHead.parse(TreeHead("o", 2**63 - 1, bytes(32)).text())
    with pytest.raises(NoteInvalid, match="checkpoint-size"):
        TreeHead.parse(TreeHead("o", 2**63, bytes(32)).text())
