"""Once an hour a timestamp authority may be asked to sign, with its own clock, that the newest checkpoint was there.

The rules (SECURITY 3.2, RFC 3161; audit/README 7 and V15)
 * Off unless AUDIT_TIMESTAMP_URL is set, and nobody is asked then. Only a digest leaves: SHA-256 of the checkpoint's
   text.
 * A token is kept only when it is what an auditor will accept: over that digest, with the number we drew, under the
   roots of AUDIT_TIMESTAMP_ROOTS (a PEM file), and from a clock that does not contradict ours. What is wrong is named.
 * An exchange takes 5 s at most. After a failure the authority is left alone, a minute at first, an hour at last:
   signing and witnessing go on without it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from audit import notes
from audit.services.exchanging import ExchangeFailed, exchange

EXCHANGE_S = 5.0
MAX_ANSWER = 65_536
EVERY_S = 3600
BEHIND, AHEAD = timedelta(seconds=2), timedelta(minutes=1)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 60.0, 3600.0
OK, GRANTED = 200, 0
SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")

_DUE = """
WITH newest AS (SELECT size, note, at FROM audit_checkpoint ORDER BY size DESC LIMIT 1)
SELECT size, note, at, clock_timestamp() FROM newest n
WHERE NOT EXISTS (SELECT FROM audit_timestamp t WHERE t.size = n.size OR t.at > clock_timestamp()
    - make_interval(secs => %s))
"""


class StampFailed(Exception):
    """No token; `code` is `roots`, `status-<n>`, `garbage`, `not-granted`, `nonce`, `imprint`, `signature`, `clock`, or
    as ExchangeFailed has it.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """A checkpoint to be stamped: its size, its text, when it was stored and what the database's clock says now."""

    size: int
    text: bytes
    at: datetime
    clock: datetime


@dataclass(slots=True)
class Stamper:
    """Asks when it is time to, and keeps away from an authority that fails."""

    using: str = "sequencer"
    failures: int = 0
    quiet_until: float = 0.0

    def round(self) -> str:
        """Ask if it is time; what went wrong by name, `paused` while it is left alone, "" otherwise."""
        url = settings.AUDIT_TIMESTAMP_URL
        if not url:
            return ""
        if time.monotonic() < self.quiet_until:
            return "paused"
        if (due := self._due()) is None:
            return ""
        try:
            self._store(due.size, url, token_for(due, url=url, roots=settings.AUDIT_TIMESTAMP_ROOTS))
        except StampFailed as err:
            self.quiet_until = time.monotonic() + min(FIRST_PAUSE_S * 2.0 ** min(self.failures, 9), LONGEST_PAUSE_S)
            self.failures += 1
            return err.code
        self.failures, self.quiet_until = 0, 0.0
        return ""

    def _due(self) -> Checkpointed | None:
        with connections[self.using].cursor() as cursor:
            cursor.execute(_DUE, [EVERY_S])
            row = cursor.fetchone()
        return Checkpointed(row[0], notes.parse(bytes(row[1])).text, row[2], row[3]) if row else None

    def _store(self, size: int, url: str, token: bytes) -> None:
        with transaction.atomic(using=self.using), connections[self.using].cursor() as cursor:
            cursor.execute(
                "INSERT INTO audit_timestamp (size, authority, token) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                [size, url[:255], token],
            )


def token_for(due: Checkpointed, *, url: str, roots: str) -> bytes:
    """The authority's answer over that checkpoint's text, verified, as the DER it came in; raises StampFailed."""
    under = _roots(roots)
    request = TimestampRequestBuilder().data(due.text).hash_algorithm(HashAlgorithm.SHA256).build()
    try:
        answer = exchange(
            url, body=request.as_bytes(), kind="application/timestamp-query", limit_s=EXCHANGE_S, most=MAX_ANSWER
        )
    except ExchangeFailed as err:
        raise StampFailed(err.code) from err
    if answer.status != OK:
        raise StampFailed(f"status-{answer.status}")
    try:
        _check(decode_timestamp_response(answer.body), due, nonce=request.nonce, under=under)
    except (ValueError, TypeError) as err:
        raise StampFailed("garbage") from err
    return answer.body


def _roots(path: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError) as err:
        raise StampFailed("roots") from err


def _check(said: TimeStampResponse, due: Checkpointed, *, nonce: int | None, under: list[x509.Certificate]) -> None:
    """Raise StampFailed at the first thing an auditor would not accept; ValueError where it cannot be read."""
    if said.status == GRANTED and (nonce is None or said.tst_info.nonce != nonce):
        raise StampFailed("nonce")
    _hold(said, due.text, under)
    if not due.at - BEHIND <= said.tst_info.gen_time <= due.clock + AHEAD:
        raise StampFailed("clock")


def _hold(said: TimeStampResponse, text: bytes, under: list[x509.Certificate]) -> None:
    """The token is over this text and, where roots are given, somebody's under them."""
    if said.status != GRANTED:
        raise StampFailed("not-granted")
    imprint, digest = said.tst_info.message_imprint, sha256(text).digest()
    if (imprint.hash_algorithm, imprint.message) != (SHA256, digest):
        raise StampFailed("imprint")
    try:
        if under:
            VerifierBuilder(roots=under).build().verify(said, digest)
    except VerificationError as err:
        raise StampFailed("signature") from err


_KEPT = (
    "SELECT t.size, t.token, c.note FROM audit_timestamp t LEFT JOIN audit_checkpoint c USING (size) ORDER BY t.size"
)


def unsound_token(*, using: str = DEFAULT_DB_ALIAS) -> tuple[int, str] | None:
    """The size under the first stored token that does not hold, and why; None when all do.

    Who signed it is asked where AUDIT_TIMESTAMP_ROOTS names a file: the roots of former authorities stay in it.
    """
    under = _roots(settings.AUDIT_TIMESTAMP_ROOTS) if settings.AUDIT_TIMESTAMP_ROOTS else []
    with connections[using].cursor() as cursor:
        cursor.execute(_KEPT)
        for size, token, note in cursor:
            try:
                if note is None:
                    return size, "stray"
                _hold(decode_timestamp_response(bytes(token)), notes.parse(bytes(note)).text, under)
            except StampFailed as err:
                return size, err.code
            except (ValueError, TypeError):
                return size, "garbage"
    return None
