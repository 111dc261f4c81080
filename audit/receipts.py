"""Receipts: a signed promise that an entry of this leaf hash will stand in the log by a named time.

The rules (SECURITY 1.1 table "repudiate receipt", RFC 6962 SCT)
 * A receipt is a signed note. Its text is five lines: "clinaiops/receipt/v1", the log's origin, the leaf hash in
   base64, the entry's own time, and the time by which it stands in the log (60 s later). The statement key signs it.
 * Whoever holds one holds the log to it: a log that is longer than the promise and lacks the leaf has broken its word.
 * The form is closed: other lines, another spelling of a time or hash, or another spacing are refused.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import merkle, notes

CONTEXT = "clinaiops/receipt/v1"
MERGE_WITHIN = timedelta(seconds=60)
MAX_RECEIPT = 4096
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class ReceiptInvalid(ValueError):
    """The bytes are no receipt of ours; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was promised: an entry of this leaf hash (32 bytes), written at `at`, stands in the log of `origin` by
    `merge_by`. Times are UTC.
    """

    origin: str
    leaf_hash: bytes
    at: datetime
    merge_by: datetime

    @classmethod
    def promise(cls, origin: str, leaf_hash: bytes, at: datetime) -> Receipt:
        """The promise we make for an entry."""
        return cls(origin, leaf_hash, at.astimezone(UTC), at.astimezone(UTC) + MERGE_WITHIN)

    def text(self) -> bytes:
        """The five lines, ready to be signed."""
        hashed = base64.b64encode(self.leaf_hash).decode()
        times = (each.astimezone(UTC).strftime(_TIME) for each in (self.at, self.merge_by))
        return "".join(f"{line}\n" for line in (CONTEXT, self.origin, hashed, *times)).encode()

    @classmethod
    def parse(cls, text: bytes) -> Receipt:
        """The promise in those lines; raises ReceiptInvalid."""
        try:
            context, origin, hashed, at, merge_by, end = text.decode().split("\n")
            receipt = cls(origin, base64.b64decode(hashed, validate=True), _time(at), _time(merge_by))
        except (ValueError, binascii.Error) as err:
            raise ReceiptInvalid("lines") from err
        if context != CONTEXT or end or len(receipt.leaf_hash) != merkle.HASH_SIZE:
            raise ReceiptInvalid("lines")
        if receipt.text() != text:
            raise ReceiptInvalid("other-spelling")
        if not receipt.at < receipt.merge_by <= receipt.at + MERGE_WITHIN:
            raise ReceiptInvalid("times")
        return receipt


def _time(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)


def sign(receipt: Receipt, *, name: str, key: Ed25519PrivateKey) -> bytes:
    """The receipt as a signed note."""
    return notes.sign(receipt.text(), name=name, key=key)


def check(data: bytes, *, keys: Iterable[notes.VerifierKey], origin: str | None = None) -> Receipt:
    """The promise in a signed receipt, signed by one of these statement keys and, if asked, about that log.

    Raises ReceiptInvalid (lines, times, origin, ...) or notes.NoteInvalid (the note or its signature).
    """
    if len(data) > MAX_RECEIPT:
        raise ReceiptInvalid("too-long")
    note, by = notes.open_note(data, keys=keys)
    receipt = Receipt.parse(note.text)
    if origin is not None and receipt.origin != origin:
        raise ReceiptInvalid("origin")
    if f"{receipt.origin}/statement" not in {key.name for key in by}:
        raise ReceiptInvalid("key-of-another-log")
    return receipt
