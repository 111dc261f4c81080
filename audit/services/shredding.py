"""Shredding: a payload, or everything that was sealed for a person, can never be opened again.

The rules (SECURITY 1.3, 3.6)
 * The key goes, and with it the salt of the commitment; entry, leaf and commitment stay, so the log still verifies.
 * Each shredding is an entry in the same transaction, with its legal basis and the person who approved it, who is
   another than the one who does it. The database lets no key go without that entry (migration 0002).
 * Under a legal hold nothing is shredded: the hold is named.
 * What speaks of the log itself (its name, its keys) is not shredded: without it the log cannot be verified.
 * Copies outside this database are not reached. A backup of the keys outlives this: docs/operations.md says how long.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit import entries, keyring
from audit.domain import Actor, Appended, Event, ObjectRef, Person, Purpose
from audit.opening import SEALED
from audit.services import keys
from audit.services.recording import append

_BASIS = re.compile(r"[A-Za-z0-9_.:@/-]{1,128}")
_OF_THE_LOG = ("log.", "key.", "payload.")


class ShreddingRefused(Exception):
    """A refusal; `code` names the rule, `detail` says more."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True)
class Lawful:
    """Why something may be shredded, and who answers for it. `basis` is a code such as `gdpr-art-17`."""

    basis: str
    approver: str


def holds_for(pseudonym: str | None, *, using: str = DEFAULT_DB_ALIAS) -> tuple[str, ...]:
    """The legal holds on a person (by pseudonym) or on everything, by name; none where no table of holds stands."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT to_regclass('audit_legalhold') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return ()
        cursor.execute(
            "SELECT name FROM audit_legalhold WHERE released_at IS NULL AND (subject IS NULL OR subject = %s)"
            " ORDER BY name",
            [pseudonym],
        )
        return tuple(name for (name,) in cursor.fetchall())


def shred_payload(
    payload_id: UUID, *, lawful: Lawful, by: Actor, now: datetime, using: str = DEFAULT_DB_ALIAS
) -> Appended:
    """Destroy the key and salt of one payload; the entry that says so.

    Raises ShreddingRefused: basis, approver, no-such-payload, payload-is-plain, payload-of-the-log, already-shredded,
    legal-hold. Raises recording.ObjectVersionTaken when somebody else is just doing it.
    """
    _check(lawful, by)
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(_PAYLOAD, [payload_id])
        if (row := cursor.fetchone()) is None:
            raise ShreddingRefused("no-such-payload", str(payload_id))
        alg, keyed, alive, pseudonym, leaf, detached = row
        if alg != SEALED:
            raise ShreddingRefused("payload-is-plain", "it was written before payloads were sealed and has no key")
        if not keyed or not alive:
            raise ShreddingRefused("already-shredded", str(payload_id))
        if (detached or _type_in(leaf)).startswith(_OF_THE_LOG):
            raise ShreddingRefused("payload-of-the-log", str(payload_id))
        _not_held(pseudonym, using)
        done = append(_said("payload.shredded", ("payload", payload_id), lawful, by, now), using=using)
        cursor.execute("DELETE FROM audit_payloadkey WHERE payload_id = %s", [payload_id])
    return done


def shred_person(subject: str, *, lawful: Lawful, by: Actor, now: datetime, using: str = DEFAULT_DB_ALIAS) -> Appended:
    """Destroy the data key of a person (by the identifier their events carry): every payload about them and every
    identifying field sealed for them is closed. What is recorded later gets a new key.

    Raises ShreddingRefused: basis, approver, no-key, legal-hold.
    """
    _check(lawful, by)
    pseudonym = entries.pseudonym(subject, tenant_key=keys.tenant_key())
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT id FROM audit_datakey WHERE subject = %s AND destroyed_at IS NULL FOR NO KEY UPDATE", [pseudonym]
        )
        if (row := cursor.fetchone()) is None:
            raise ShreddingRefused("no-key", "nothing was ever sealed for this person, or it is shredded already")
        _not_held(pseudonym, using)
        done = append(_said("key.destroyed", ("data_key", row[0]), lawful, by, now, subject=subject), using=using)
        cursor.execute(
            "UPDATE audit_datakey SET wrapped = ''::bytea, destroyed_at = clock_timestamp() WHERE id = %s", [row[0]]
        )
    transaction.on_commit(keyring.forget, using=using)
    return done


_PAYLOAD = """
SELECT p.alg, k.payload_id IS NOT NULL, d.id IS NOT NULL, d.subject,
       coalesce((SELECT leaf FROM audit_entry e WHERE e.entry_id = p.entry_id),
                (SELECT leaf FROM audit_pending q WHERE q.entry_id = p.entry_id)),
       (SELECT type FROM audit_detached x WHERE x.entry_id = p.entry_id)
FROM audit_payload p
LEFT JOIN audit_payloadkey k ON k.payload_id = p.id
LEFT JOIN audit_datakey d ON d.id = k.dek_id AND d.destroyed_at IS NULL
WHERE p.id = %s
"""


def _type_in(leaf: Any) -> str:
    if leaf is None:
        raise ShreddingRefused("no-such-entry", "the payload's entry is not in the record")
    return str(entries.read_leaf(bytes(leaf), origin=keys.origin())["type"])


def _check(lawful: Lawful, by: Actor) -> None:
    if _BASIS.fullmatch(lawful.basis) is None:
        raise ShreddingRefused("basis", "name the legal basis as a code, such as gdpr-art-17")
    if not lawful.approver.strip() or len(lawful.approver) > 200:
        raise ShreddingRefused("approver", "name the person who approved it")
    if isinstance(by, Person) and by.id == lawful.approver.strip():
        raise ShreddingRefused("approver", "who approves it is another than who does it")


def _not_held(pseudonym: str | None, using: str) -> None:
    if held := holds_for(pseudonym, using=using):
        raise ShreddingRefused("legal-hold", ", ".join(held))


def _said(
    kind: str, of: tuple[str, UUID], lawful: Lawful, by: Actor, now: datetime, subject: str | None = None
) -> Event:
    return Event(
        type=kind,
        occurred_at=now,
        actor=by,
        object=ObjectRef(of[0], str(of[1]), 1),
        purpose=Purpose.LEGAL,
        subject=subject,
        reason_code=lawful.basis,
        payload={"approver": lawful.approver.strip(), "legal_basis": lawful.basis},
    )
