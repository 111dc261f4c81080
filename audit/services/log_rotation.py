"""The log's key is replaced: an entry names the old and the new one, both sign a checkpoint over it, the old one goes.

The rules (SECURITY 3.6, V13)
 * First `prepare`: the signer draws the next key and from then on signs with both; the entry `log.key_rotated` is
   written once. Then time for the witnesses and for whoever holds a policy file to learn the new key.
 * Then `retire`: only when a checkpoint over that entry, signed by both, is stored. The old key is gone for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit import notes
from audit.domain import Event, Job, ObjectRef, Purpose
from audit.models import Entry, ObjectVersion
from audit.selectors import next_version, payload_of
from audit.services import keys
from audit.services.publishing import rotations
from audit.services.recording import append
from audit.services.signing import Signer, SignerState


class NotYet(Exception):
    """The old key is still needed; the message says for what."""


class RotatingSigner(Signer, Protocol):
    """A signer that can be given its next key."""

    def prepare(self) -> SignerState:
        """Draw the next key; both sign from now on."""
        ...

    def retire(self) -> SignerState:
        """The next key takes over."""
        ...


@dataclass(frozen=True, slots=True)
class Rotation:
    """The key that goes and the one that comes."""

    old: notes.VerifierKey
    new: notes.VerifierKey


def prepare(signer: RotatingSigner, *, by: Job, now: datetime, using: str = DEFAULT_DB_ALIAS) -> Rotation:
    """Have both keys sign, and record it, once; a second call finds the first one's entry and changes nothing."""
    old, new = signer.prepare().verifier_keys
    if _named(new, using):
        return Rotation(old, new)
    origin = keys.origin()
    event = Event(
        type="log.key_rotated",
        occurred_at=now,
        actor=by,
        object=ObjectRef("log", origin, next_version("log", origin, using=using)),
        purpose=Purpose.AUDIT,
        payload={"old": str(old), "new": str(new)},
    )
    with transaction.atomic(using=using):
        append(event, using=using)
    return Rotation(old, new)


def _named(new: notes.VerifierKey, using: str) -> bool:
    """Whether an entry of the log, numbered or not, already names this key as the one that comes."""
    said = ObjectVersion.objects.using(using).filter(object_type="log", object_id=keys.origin())
    kept = (payload_of(entry_id, using=using) for entry_id in said.values_list("entry_id", flat=True))
    return str(new) in {payload.get("new") for payload in kept if isinstance(payload, Mapping)}


def retire(signer: RotatingSigner, *, using: str = DEFAULT_DB_ALIAS) -> notes.VerifierKey:
    """Have the next key take over; it. Raises NotYet, SignerRefused (`no-next-key`)."""
    known = signer.state().verifier_keys
    if len(known) > 1 and not _both_signed(known, using):
        raise NotYet("No stored checkpoint over the rotation's entry is signed by both keys yet. Run it again later.")
    return signer.retire().verifier_keys[0]


def _both_signed(known: tuple[notes.VerifierKey, ...], using: str) -> bool:
    """Whether the newest checkpoint lies over the newest rotation entry and carries both signatures."""
    entry = Entry.objects.using(using).filter(type="log.key_rotated").order_by("-position").first()
    if entry is None or rotations()[-1]["new"] != str(known[1]):
        return False
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT note FROM audit_checkpoint WHERE size > %s ORDER BY size LIMIT 1",
            [entry.position],
        )
        row = cursor.fetchone()
    return row is not None and len(notes.open_note(bytes(row[0]), keys=known)[1]) == len(known)
