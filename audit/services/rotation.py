"""A new site key, and every living data key wrapped by it, while everything goes on.

The rules (SECURITY 1.3, 3.6)
 * Only wrappings change: nothing that was sealed is sealed again. Rows are taken in batches, each its own transaction;
   who reads meanwhile finds a row wrapped by the old key or by the new one, and both are on disk.
 * The new key is on disk before it is named by an entry `key.rotated`, and named before anything is wrapped by it. The
   database wraps a key anew only by a newer site key that an entry names.
 * Where several machines serve, the new key is drawn first (`draw`), copied to all, and then named (`finish`).
 * Interrupted, it is taken up by asking again (`finish`): nothing is lost in between.
 * The old file stays where it is. When nothing is wrapped by it, an operator may take it away, with the backups of the
   database that need it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit import keyring
from audit.domain import Actor, Event, ObjectRef, Purpose
from audit.selectors import named_objects, next_version
from audit.services import keys
from audit.services.data_keys import COLUMNS, wrapped
from audit.services.recording import append

BATCH = 500
Progress = Callable[[int, int], None]
"""(data keys wrapped anew so far, data keys that were to be)."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """The site key now in force, how many data keys were wrapped anew, and how many each site key still wraps."""

    site_key: str
    rewrapped: int
    wrapped_by: tuple[tuple[str, int], ...]


def rotate(
    *,
    by: Actor,
    now: datetime,
    finish: bool = False,
    batch: int = BATCH,
    progress: Progress | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> Rotated:
    """Draw a new site key and wrap every living data key by it; with `finish`, by the newest there is.

    Raises keyring.KeyLost, before anything is done, when a site key in use is missing on disk.
    """
    in_use = [name for name, _ in wrapped_by(using=using)]
    for name in in_use:
        keyring.site_key(name)
    newest = _newest_on_disk() if finish else draw(using=using)
    _name_it(newest, in_use, by=by, now=now, using=using)
    done, total = 0, sum(n for name, n in wrapped_by(using=using) if name != newest)
    while moved := _batch(newest, batch, using):
        done += moved
        if progress:
            progress(done, max(total, done))
    return Rotated(newest, done, tuple(wrapped_by(using=using)))


def draw(*, using: str = DEFAULT_DB_ALIAS) -> str:
    """A new site key on disk, and nothing else: it wraps nothing until `rotate` with `finish` names it. Its name."""
    known = {_newest_on_disk(), *(name for name, _ in wrapped_by(using=using)), *named_objects("site_key", using=using)}
    return keys.draw_site_key(max(map(keyring.site_key_number, known)) + 1)


def _newest_on_disk() -> str:
    keys.wrapping_site_key()  # draws the very first
    return keyring.site_key_names()[-1]


def wrapped_by(*, using: str = DEFAULT_DB_ALIAS) -> list[tuple[str, int]]:
    """How many living data keys each site key wraps."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT kek_id, count(*) FROM audit_datakey WHERE destroyed_at IS NULL GROUP BY kek_id ORDER BY kek_id"
        )
        return [(name, int(count)) for name, count in cursor.fetchall()]


def _name_it(newest: str, before: list[str], *, by: Actor, now: datetime, using: str) -> None:
    """The entry that names the new key, unless it stands; a key that nothing came before needs none."""
    if next_version("site_key", newest, using=using) > 1 or keyring.site_key_names() == [newest]:
        return
    event = Event(
        type="key.rotated",
        occurred_at=now,
        actor=by,
        object=ObjectRef("site_key", newest, 1),
        purpose=Purpose.OPERATIONS,
        payload={"from": sorted(before), "to": newest},
    )
    with transaction.atomic(using=using):
        append(event, using=using)


_OLD = (
    f"SELECT {COLUMNS} FROM audit_datakey k WHERE k.kek_id <> %s AND k.destroyed_at IS NULL"  # noqa: S608  (ours)
    " ORDER BY k.id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED"
)
_REWRAP = (
    "UPDATE audit_datakey d SET kek_id = n.kek_id, wrapped = n.wrapped"
    " FROM unnest(%s::uuid[], %s::text[], %s::bytea[]) AS n(id, kek_id, wrapped) WHERE d.id = n.id"
)


def _batch(newest: str, size: int, using: str) -> int:
    """Some data keys wrapped by the newest site key; 0 when none is left."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(_OLD, [newest, size])
        moved = [_moved(row, newest) for row in cursor.fetchall()]
        if moved:
            cursor.execute(_REWRAP, [[m.id for m in moved], [m.kek_id for m in moved], [m.wrapped for m in moved]])
    return len(moved)


def _moved(row: tuple[Any, ...], newest: str) -> keyring.DataKey:
    stored = keyring.DataKey(row[0], row[1], row[2], bytes(row[3]))
    return wrapped(stored, keyring.unwrap(stored), by=newest)
