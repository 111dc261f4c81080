"""The only writer of the record: an event becomes a pending entry inside the caller's own transaction.

The rules
 * Outside a transaction nothing is appended: the entry commits with the act it records, or neither does (STYLE 5.3).
 * `at` is the database's clock. The leaf bytes are final here; position and tree come later, from the sequencer, so no
   lock is taken on any chain head (SECURITY 3.2).
 * Version n of an object follows version n-1 and names its leaf hash. Two writers of the same version: the second is
   refused by name (ObjectVersionTaken), a skipped version is refused (VersionGap).
 * Two round trips: one question (clock, predecessor, data key), one statement that writes pending row, payload with
   its key, and version. The first payload about a person takes two more, to make the person's data key.
 * A payload is sealed under the data key of the person it is about, else the site's own. What says that a key or a
   payload was destroyed is sealed under the site's own: it must outlive that key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import lru_cache
from importlib import metadata
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from audit import canonical, entries
from audit.domain import Appended, Event, EventInvalid
from audit.services import data_keys, keys
from audit.services.payloads import SEALED, SealedPayload, seal_payload

OUTLIVES_THE_KEY = frozenset({"payload.shredded", "key.destroyed"})


_COLLECTED: ContextVar[list[tuple[str, Appended]] | None] = ContextVar("collected", default=None)


class NotInTransaction(Exception):
    """The caller's bug: an event outside a transaction could outlive, or be outlived by, what it records."""


class ObjectVersionTaken(Exception):
    """A refusal: somebody else has just recorded this version of the object. Look again, then decide again."""

    code = "object-version-taken"


class VersionGap(Exception):
    """The caller's bug: the version before this one was never recorded."""

    code = "object-version-gap"


def append(event: Event, *, using: str = DEFAULT_DB_ALIAS) -> Appended:
    """Record `event` in the transaction now open on `using`, and return its entry's id and leaf hash.

    Raises NotInTransaction, EventInvalid (anonymous, missing, ...), UnknownKind, NotCanonical: bugs of the caller's.
    Raises ObjectVersionTaken when another writer was first: let it roll the transaction back.
    """
    connection = connections[using]
    if not connection.in_atomic_block:
        raise NotInTransaction(event.type)
    entries.check_event(event)
    with connection.cursor() as cursor:
        at, prev, key = _look(cursor, event)
        kept = _sealed(cursor, event, key)
        entry_id = entries.fresh_id(at)
        entry = entries.build(
            event,
            entry_id=entry_id,
            at=at,
            prev=prev,
            tenant_key=keys.tenant_key(),
            payload=(kept.id, kept.commit) if kept else None,
            software=_software(),
        )
        leaf = entries.leaf_data(entry, origin=keys.origin())
        leaf_hash = entries.leaf_hash(leaf)
        _write(cursor, event, entry_id, leaf, leaf_hash, prev, kept)
    done = Appended(entry_id=entry_id, leaf_hash=leaf_hash, at=at, payload_id=kept.id if kept else None)
    if (collected := _COLLECTED.get()) is not None:
        collected.append((event.type, done))
    return done


@contextmanager
def collecting() -> Iterator[list[tuple[str, Appended]]]:
    """What is appended inside, in order, each with its kind: for doors that hand out a receipt for what was done."""
    found: list[tuple[str, Appended]] = []
    token = _COLLECTED.set(found)
    try:
        yield found
    finally:
        _COLLECTED.reset(token)


def _key_owner(event: Event) -> str | None:
    """The pseudonym under whose data key the payload is sealed; None for the site's own."""
    if event.subject is None or event.type in OUTLIVES_THE_KEY:
        return None
    return entries.pseudonym(event.subject, tenant_key=keys.tenant_key())


def _look(cursor: Any, event: Event) -> tuple[datetime, bytes | None, data_keys.OpenKey | None]:
    """The database's clock, the leaf hash of the version before this one, and the data key when there is a payload."""
    ref, asked, values, owner = event.object, ["clock_timestamp()", "NULL::bytea", "NULL::text"], [], None
    chained = ref.version is not None and ref.version > 1
    if ref.version is not None and chained:
        asked[1] = (
            "(SELECT leaf_hash FROM audit_objectversion WHERE object_type = %s AND object_id = %s AND version = %s)"
        )
        values += [ref.type, ref.id, ref.version - 1]
    if event.payload is not None:
        owner = _key_owner(event)
        asked[2], named = data_keys.alive(owner)
        values += named
    cursor.execute(f"SELECT {', '.join(asked)}", values)
    at, prev, key = cursor.fetchone()
    if chained and prev is None:
        raise VersionGap(f"{ref.type} {ref.id}: version {ref.version} without the version before it")
    return at, bytes(prev) if prev is not None else None, data_keys.opened(key, owner)


def _sealed(cursor: Any, event: Event, key: data_keys.OpenKey | None) -> SealedPayload | None:
    if event.payload is None:
        return None
    body = canonical.dumps(dict(event.payload), profile=canonical.PAYLOAD)
    return seal_payload(body, under=key or data_keys.key_for(cursor, _key_owner(event)))


_PENDING = "INSERT INTO audit_pending (entry_id, leaf, leaf_hash, prev) VALUES (%s, %s, %s, %s)"
_PAYLOAD = (
    "WITH kept AS (INSERT INTO audit_payload (id, entry_id, commit, salt, alg, dek_id, body)"
    " VALUES (%s, %s, %s, ''::bytea, %s, %s, %s)),"
    " keyed AS (INSERT INTO audit_payloadkey (payload_id, dek_id, sealed) VALUES (%s, %s, %s)) "
)
_VERSION = (
    "INSERT INTO audit_objectversion (object_type, object_id, version, entry_id, leaf_hash)"
    " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)


def _write(
    cursor: Any,
    event: Event,
    entry_id: UUID,
    leaf: bytes,
    leaf_hash: bytes,
    prev: bytes | None,
    kept: SealedPayload | None,
) -> None:
    """One statement; the version row decides between two writers, and is asked without breaking the transaction."""
    ref = event.object
    pending = [entry_id, leaf, leaf_hash, prev]
    payload: list[Any] = []
    if kept:
        dek = str(kept.dek_id)
        payload = [kept.id, entry_id, kept.commit, SEALED, dek, kept.body, kept.id, kept.dek_id, kept.key]
    head = _PAYLOAD if kept else ""
    if ref.version is None:
        cursor.execute(head + _PENDING, [*payload, *pending])
        return
    joined = f"{head}, queued AS ({_PENDING}) {_VERSION}" if kept else f"WITH queued AS ({_PENDING}) {_VERSION}"
    cursor.execute(joined, [*payload, *pending, ref.type, ref.id, ref.version, entry_id, leaf_hash])
    if cursor.rowcount != 1:
        raise ObjectVersionTaken(f"{ref.type} {ref.id} version {ref.version} is already recorded")


@lru_cache(maxsize=1)
def _software() -> entries.Software:
    release = getattr(settings, "RELEASE", "") or _installed_release()
    return entries.Software(release=release, image_sha256=getattr(settings, "IMAGE_SHA256", "") or None)


def _installed_release() -> str:
    try:
        return metadata.version("clinaiops")
    except metadata.PackageNotFoundError:
        return "unreleased"


__all__ = ["EventInvalid", "NotInTransaction", "ObjectVersionTaken", "VersionGap", "append"]
