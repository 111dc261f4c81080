"""The only writer of the record: an event becomes a pending entry inside the caller's own transaction.

The rules
 * Outside a transaction nothing is appended: the entry commits with the act it records, or neither does (STYLE 5.3).
 * `at` is the database's clock. The leaf bytes are final here; position and tree come later, from the sequencer, so no
   lock is taken on any chain head (SECURITY 3.2).
 * Version n of an object follows version n-1 and names its leaf hash. Two writers of the same version: the second is
   refused by name (ObjectVersionTaken), a skipped version is refused (VersionGap).
 * One round trip (`one_statement`): the database fills its clock and the predecessor into the leaf, hashes it, and
   writes pending row, payload with its key, and version, if the data key is alive at that moment. The first payload
   about a person in this process asks for the key first, and makes it when there is none. Rows that name the entry in
   their column `entry` may ride in the same statement (`rows`), after it, or be written by the caller afterwards.
 * A payload is sealed under the data key of the person it is about, else the site's own. What says that a key or a
   payload was destroyed is sealed under the site's own: it must outlive that key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib import metadata
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, models

from audit import canonical, entries
from audit.domain import Appended, Event, EventInvalid
from audit.services import data_keys, keys, one_statement, riding
from audit.services.payloads import SealedPayload, seal_payload

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


class LeafDiffers(Exception):
    """A bug: the database made another leaf than the one we hash. The transaction must not commit."""


def append(event: Event, *, rows: Sequence[models.Model] = (), using: str = DEFAULT_DB_ALIAS) -> Appended:
    """Record `event` in the transaction now open on `using`, and return its entry's id and leaf hash.

    `rows` are new rows of models with a column `entry`: they are written with the entry, in their order, and name it.

    Raises NotInTransaction, EventInvalid (anonymous, missing, ...), UnknownKind, NotCanonical: bugs of the caller's.
    Raises ObjectVersionTaken when another writer was first: let it roll the transaction back.
    """
    connection = connections[using]
    if not connection.in_atomic_block:
        raise NotInTransaction(event.type)
    entries.check_event(event)
    with one_statement.prepared_cursor(connection) as cursor:
        written, kept = _written(cursor, event, rows, using)
    ref = event.object
    if not written.was_free:
        raise ObjectVersionTaken(f"{ref.type} {ref.id} version {ref.version} is already recorded")
    riding.settle(rows, entry=written.entry_id, numbers=written.numbers, using=using)
    payload_id = kept.id if kept else None
    done = Appended(entry_id=written.entry_id, leaf_hash=written.leaf_hash, at=written.at, payload_id=payload_id)
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


def _written(
    cursor: Any, event: Event, rows: Sequence[models.Model], using: str
) -> tuple[one_statement.Written, SealedPayload | None]:
    """Write it. A second time when the key we had in mind is not alive: destroyed, or its maker rolled back."""
    owner = _key_owner(event) if event.payload is not None else None
    for _ in range(data_keys.ATTEMPTS):
        kept = _sealed(cursor, event, owner, using)
        sketch = _sketch(event, kept)
        if (written := one_statement.write(cursor, sketch, of=event.object, kept=kept, rows=rows)) is not None:
            if entries.leaf_hash(sketch.leaf(written)) != written.leaf_hash:
                raise LeafDiffers(str(written.entry_id))
            return written, kept
        _check_no_gap(cursor, event)
        data_keys.forget(owner, using=using)
    raise data_keys.KeyContended(f"no data key could be had in {data_keys.ATTEMPTS} attempts")


def _sealed(cursor: Any, event: Event, owner: str | None, using: str) -> SealedPayload | None:
    if event.payload is None:
        return None
    body = canonical.dumps(dict(event.payload), profile=canonical.PAYLOAD)
    return seal_payload(body, under=data_keys.remembered(cursor, owner, using=using))


def _sketch(event: Event, kept: SealedPayload | None) -> one_statement.Draft:
    """The leaf, checked, with room for what the database fills in."""
    version = event.object.version
    chained = version is not None and version > 1
    tail = one_statement.fresh_tail()
    entry = entries.build(
        event,
        entry_id=one_statement.unfilled_id(tail),
        at=one_statement.NO_TIME,
        prev=one_statement.NO_HASH if chained else None,
        tenant_key=keys.tenant_key(),
        payload=(kept.id, kept.commit) if kept else None,
        software=_software(),
    )
    return one_statement.draft(entries.leaf_data(entry, origin=keys.origin()), tail, chained=chained)


def _check_no_gap(cursor: Any, event: Event) -> None:
    ref = event.object
    if ref.version is None or ref.version == 1:
        return
    cursor.execute(
        "SELECT 1 FROM audit_objectversion WHERE object_type = %s AND object_id = %s AND version = %s::bigint",
        [ref.type, ref.id, ref.version - 1],
    )
    if cursor.fetchone() is None:
        raise VersionGap(f"{ref.type} {ref.id}: version {ref.version} without the version before it")


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
