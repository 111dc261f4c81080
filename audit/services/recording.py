"""The only writer of the record: an event becomes a pending entry inside the caller's own transaction.

The rules
 * Outside a transaction nothing is appended: the entry commits with the act it records, or neither does (STYLE 5.3).
 * `at` is the database's clock. The leaf bytes are final here; position and tree come later, from the sequencer, so no
   lock is taken on any chain head (SECURITY 3.2).
 * Version n of an object follows version n-1 and names its leaf hash. Two writers of the same version: the second is
   refused by name (ObjectVersionTaken), a skipped version is refused (VersionGap).
 * Two round trips: one question (clock and predecessor), one statement that writes pending row, payload and version.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib import metadata
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from audit import canonical, entries
from audit.domain import Appended, Event, EventInvalid
from audit.services import keys

PLAIN = "plain/v1"


class NotInTransaction(Exception):
    """The caller's bug: an event outside a transaction could outlive, or be outlived by, what it records."""


class ObjectVersionTaken(Exception):
    """A refusal: somebody else has just recorded this version of the object. Look again, then decide again."""

    code = "object-version-taken"


class VersionGap(Exception):
    """The caller's bug: the version before this one was never recorded."""

    code = "object-version-gap"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A payload on its way into its own table."""

    id: UUID
    commit: bytes
    salt: bytes
    body: bytes


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
        at, prev = _clock_and_prev(cursor, event)
        kept = _commit_to(event)
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
    return Appended(entry_id=entry_id, leaf_hash=leaf_hash, at=at, payload_id=kept.id if kept else None)


def _clock_and_prev(cursor: Any, event: Event) -> tuple[datetime, bytes | None]:
    """The database's clock, and the leaf hash of the version before this one."""
    ref = event.object
    if ref.version is None or ref.version == 1:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0], None
    cursor.execute(
        "SELECT clock_timestamp(), (SELECT leaf_hash FROM audit_objectversion"
        " WHERE object_type = %s AND object_id = %s AND version = %s)",
        [ref.type, ref.id, ref.version - 1],
    )
    at, prev = cursor.fetchone()
    if prev is None:
        raise VersionGap(f"{ref.type} {ref.id}: version {ref.version} without version {ref.version - 1}")
    return at, bytes(prev)


def _commit_to(event: Event) -> _Kept | None:
    if event.payload is None:
        return None
    body = canonical.dumps(dict(event.payload), profile=canonical.PAYLOAD)
    salt = secrets.token_bytes(entries.SALT_SIZE)
    return _Kept(id=uuid.uuid4(), commit=entries.commitment(salt, body), salt=salt, body=body)


_PENDING = "INSERT INTO audit_pending (entry_id, leaf, leaf_hash, prev) VALUES (%s, %s, %s, %s)"
_PAYLOAD = (
    "WITH kept AS (INSERT INTO audit_payload (id, entry_id, commit, salt, alg, body) VALUES (%s, %s, %s, %s, %s, %s)) "
)
_VERSION = (
    "INSERT INTO audit_objectversion (object_type, object_id, version, entry_id, leaf_hash)"
    " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)


def _write(
    cursor: Any, event: Event, entry_id: UUID, leaf: bytes, leaf_hash: bytes, prev: bytes | None, kept: _Kept | None
) -> None:
    """One statement; the version row decides between two writers, and is asked without breaking the transaction."""
    ref = event.object
    pending = [entry_id, leaf, leaf_hash, prev]
    payload = [kept.id, entry_id, kept.commit, kept.salt, PLAIN, kept.body] if kept else []
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
