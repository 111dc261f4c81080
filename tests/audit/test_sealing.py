"""Sealing: published vectors, and nothing opens anywhere but in its own place."""

import json
from dataclasses import replace
from itertools import product

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from audit import sealing
from audit.sealing import NotOpened, Place

HERE = Place("patients", "name", "row-1", "key-1")

# The GCM submission to NIST (McGrew, Viega), test cases 13, 14 and 16, of 256-bit keys and 96-bit nonces:
# key, nonce, associated data, plain text, ciphertext ‖ tag.
GCM = [
    ("00" * 32, "00" * 12, "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
    ("00" * 32, "00" * 12, "", "00" * 16, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"),
    (
        "feffe9928665731c6d6a8f9467308308" * 2,
        "cafebabefacedbaddecaf888",
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        (
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
            "b16aedf5aa0de657ba637b39"
        ),
        (
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
            "c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
        ),
    ),
]


@pytest.mark.parametrize(("key", "nonce", "said", "plain", "sealed"), GCM)
def test_the_cipher_is_aes_gcm_as_published(key, nonce, said, plain, sealed):
    cipher = AESGCM(bytes.fromhex(key))
    assert cipher.encrypt(bytes.fromhex(nonce), bytes.fromhex(plain), bytes.fromhex(said)).hex() == sealed


def test_what_is_sealed_is_nonce_then_ciphertext_then_tag_of_that_cipher():
    key = sealing.fresh_key()
    sealed = sealing.seal(key, b"Ada Example", at=HERE)
    assert len(sealed) == 12 + len(b"Ada Example") + 16
    assert AESGCM(key).decrypt(sealed[:12], sealed[12:], HERE.associated()) == b"Ada Example"


def test_hmac_agrees_with_the_published_vectors(data_set):
    found = json.loads((data_set("wycheproof") / "hmac_sha256_test.json").read_text())
    outcomes = {"valid": 0, "invalid": 0}
    for group in found["testGroups"]:
        size = group["tagSize"] // 8
        for case in group["tests"]:
            tag = sealing.hmac.digest(bytes.fromhex(case["key"]), bytes.fromhex(case["msg"]), "sha256")[:size]
            assert (tag == bytes.fromhex(case["tag"])) is (case["result"] == "valid"), case["tcId"]
            outcomes[case["result"]] += 1
    assert min(outcomes.values()) > 20


@given(st.binary(max_size=300))
def test_what_was_sealed_opens_in_its_place(plain):
    key = sealing.fresh_key()
    assert sealing.unseal(key, sealing.seal(key, plain, at=HERE), at=HERE) == plain
    assert sealing.unseal_once(key, sealing.seal_once(key, plain, at=HERE), at=HERE) == plain


@pytest.mark.parametrize("part", ["table", "column", "row_id", "key_id"])
def test_moved_to_another_table_column_row_or_key_it_does_not_open(part):
    key = sealing.fresh_key()
    sealed = sealing.seal(key, b"Ada", at=HERE)
    with pytest.raises(NotOpened):
        sealing.unseal(key, sealed, at=replace(HERE, **{part: "other"}))


def test_under_another_key_it_does_not_open():
    sealed = sealing.seal(sealing.fresh_key(), b"Ada", at=HERE)
    with pytest.raises(NotOpened):
        sealing.unseal(sealing.fresh_key(), sealed, at=HERE)


def test_every_flipped_bit_and_every_cut_is_found():
    key = sealing.fresh_key()
    sealed = sealing.seal(key, b"Ada", at=HERE)
    changed = [
        sealed[:n] + bytes([sealed[n] ^ 1 << bit]) + sealed[n + 1 :] for n, bit in product(range(len(sealed)), range(8))
    ]
    for wrong in [*changed, *(sealed[:n] for n in range(len(sealed))), sealed + b"\x00"]:
        with pytest.raises(NotOpened):
            sealing.unseal(key, wrong, at=HERE)


@given(st.lists(st.text(), min_size=4, max_size=4), st.lists(st.text(), min_size=4, max_size=4))
def test_no_two_places_are_spelled_alike(one, other):
    assert (Place(*one).associated() == Place(*other).associated()) is (one == other)


def test_places_whose_parts_run_together_are_told_apart():
    """The reason for the lengths: without them these two are one."""
    one, other = Place("ab", "c", "d", "e"), Place("a", "bc", "d", "e")
    assert one.table + one.column == other.table + other.column
    assert one.associated() != other.associated()


def test_a_nonce_is_not_used_twice():
    key = sealing.fresh_key()
    assert len({sealing.seal(key, b"same", at=HERE)[:12] for _ in range(10_000)}) == 10_000


def test_a_key_of_another_size_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        sealing.seal(b"short", b"x", at=HERE)
    with pytest.raises(NotOpened):
        sealing.unseal_once(b"short", bytes(40), at=HERE)


def test_a_blind_index_finds_the_same_value_of_the_same_column_and_nothing_else():
    secret = sealing.fresh_key()
    names, ids = (sealing.index_key(secret, column=column) for column in ("names", "ids"))
    assert sealing.blind_index(ids, "p-1") == sealing.blind_index(ids, "p-1 ")
    assert sealing.blind_index(ids, "p-1") != sealing.blind_index(ids, "P-1")
    assert sealing.blind_index(ids, "p-1") != sealing.blind_index(names, "p-1")
    assert sealing.blind_index(names, "Zoë  van Dam", fold=True) == sealing.blind_index(
        names, "ZOE\u0308 VAN DAM", fold=True
    )
    assert len(sealing.blind_index(ids, "p-1")) == 16
    other = sealing.index_key(sealing.fresh_key(), column="ids")
    assert sealing.blind_index(other, "p-1") != sealing.blind_index(ids, "p-1")
