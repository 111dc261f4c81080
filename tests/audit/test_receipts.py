"""Receipts: what was promised can be read back, and nothing else passes for one."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import entries, merkle, notes, receipts
from audit.models import Entry
from audit.receipts import Receipt, ReceiptInvalid
from audit.selectors import subtree_reader
from audit.services import keys
from audit.services.receipts import receipt_for, receipts_of
from tests.audit.builders import NOON, complete, event, record

ORIGIN = "hospital.example/log"
SECRET = notes.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = notes.VerifierKey(f"{ORIGIN}/statement", SECRET.public_key().public_bytes_raw())
LEAF = entries.leaf_hash(b"an entry")


def signed(receipt: Receipt, name: str = KEY.name) -> bytes:
    return receipts.sign(receipt, name=name, key=SECRET)


GOOD = Receipt.promise(ORIGIN, LEAF, NOON)


@given(st.binary(min_size=32, max_size=32), st.datetimes(min_value=NOON.replace(tzinfo=None)), st.integers(0, 999_999))
def test_what_is_promised_is_read_back(leaf, at, micro):
    at = at.replace(tzinfo=NOON.tzinfo, microsecond=micro, year=min(at.year, 9000))
    receipt = Receipt.promise(ORIGIN, leaf, at)
    assert receipts.check(signed(receipt), keys=[KEY], origin=ORIGIN) == receipt
    assert receipt.merge_by - receipt.at == timedelta(seconds=60)


@given(st.integers(0, len(signed(GOOD)) * 8 - 1))
def test_every_flipped_bit_is_noticed(bit):
    data = bytearray(signed(GOOD))
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises((ReceiptInvalid, notes.NoteInvalid)):
        receipts.check(bytes(data), keys=[KEY], origin=ORIGIN)


TEXT = GOOD.text().decode()
ODD = {
    "lines": [TEXT.replace("receipt/v1", "esign/v1"), TEXT + "more\n", TEXT.replace("2026-03-01", "1 March"), "\n" * 5],
    "other-spelling": [TEXT.replace("12:00:00.000000Z", "12:00:00.0Z")],
    "times": [TEXT.replace("12:01:00", "13:01:00"), TEXT.replace("12:01:00", "11:00:00")],
    "origin": [TEXT.replace(ORIGIN, "other.example/log")],
}


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in ODD.items() for text in texts])
def test_what_is_signed_but_no_receipt_is_refused_by_name(code, text):
    with pytest.raises(ReceiptInvalid) as refused:
        receipts.check(notes.sign(text.encode(), name=KEY.name, key=SECRET), keys=[KEY], origin=ORIGIN)
    assert refused.value.code == code


def test_a_statement_key_speaks_for_its_own_log_only():
    foreign = notes.VerifierKey("other.example/log/statement", KEY.public)
    with pytest.raises(ReceiptInvalid, match="key-of-another-log"):
        receipts.check(signed(GOOD, foreign.name), keys=[foreign])
    with pytest.raises(ReceiptInvalid, match="too-long"):
        receipts.check(b"x" * 5000, keys=[KEY])


@pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])
def test_a_receipt_costs_no_question_and_is_kept_by_the_log(django_assert_num_queries):
    (done,) = record(event())
    keys.statement_key()
    with django_assert_num_queries(0):
        given_out = receipt_for(done)
    promise = receipts.check(given_out, keys=[keys.statement_vkey()], origin=keys.origin())
    assert (promise.leaf_hash, promise.at) == (done.leaf_hash, done.at)
    assert receipts_of([done.entry_id]) == {done.entry_id: given_out}
    complete()
    assert receipts_of([done.entry_id]) == {done.entry_id: given_out}
    row = Entry.objects.get(entry_id=done.entry_id)
    proof = merkle.inclusion_proof(row.position, 1, subtree_reader())
    merkle.check_inclusion(index=row.position, size=1, leaf=promise.leaf_hash, proof=proof, root=subtree_reader()(0, 1))
