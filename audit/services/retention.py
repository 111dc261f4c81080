"""Retention: what has expired goes, beside a tombstone that says how much, how old, under which policy.

The rules (DAT-09; 45 CFR 164.316(b)(2); 21 CFR 11.10(c))
 * Whoever keeps a class of data has a purger (setting AUDIT_RETENTION, dotted paths by class): it takes away what came
   before the cutoff, in transactions of its own, each with one `retention.purged` entry per person or period, with the
   count, the span of time, and the digest of what went. The record's chain is untouched: only entries are added.
 * What is under a legal hold stays, and is counted as held. Nothing under the minimum goes: the cutoff is refused here
   and, for evidence, by the database's own clock (`migrations_sql.expires_by_entry`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from audit.domain import Actor, Appended, Change, Event, ObjectRef, Purpose
from audit.entries import stamp
from audit.models import IdempotencyKey
from audit.retention import DataClass, Way, policy
from audit.selectors import next_version
from audit.services.recording import append
from audit.services.shredding import holds_for

OBJECT = "retention"
CHUNK = 20_000


class RetentionRefused(Exception):
    """A refusal: nothing is purged so; `code` names the rule."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True)
class Expiry:
    """One run over one class: what came before `cutoff` goes. `dry` counts only."""

    of: DataClass
    cutoff: datetime
    by: Actor
    now: datetime
    dry: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """What went for one person or period (`scope`), or would; `digest` is over the rows in order, in hex."""

    scope: str
    count: int
    oldest: datetime
    newest: datetime
    digest: str
    entry: UUID | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What has expired and stays, because of these holds."""

    scope: str
    count: int
    holds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Purged:
    """The result for one class."""

    name: str
    cutoff: datetime
    gone: tuple[Gone, ...]
    held: tuple[Held, ...]


Purger = Callable[[Expiry], Iterator[Gone | Held]]


def apply(*, by: Actor, now: datetime, dry: bool = False) -> tuple[Purged, ...]:
    """Purge every class that is purged, as of `now`. Raises RetentionRefused (no-purger, under-minimum)."""
    found = []
    for each in policy().classes:
        if each.way is not Way.PURGE:
            continue
        path = getattr(settings, "AUDIT_RETENTION", {}).get(each.name)
        if path is None:
            raise RetentionRefused("no-purger", f"nobody takes away {each.name}: name one in AUDIT_RETENTION")
        found.append(purge(import_string(path), Expiry(each, each.cutoff(now), by, now, dry)))
    return tuple(found)


def purge(purger: Purger, expiry: Expiry) -> Purged:
    """One class. Raises RetentionRefused: under-minimum."""
    if expiry.now - expiry.cutoff < expiry.of.minimum:
        raise RetentionRefused(
            "under-minimum", f"{expiry.of.name}: nothing younger than {expiry.of.minimum.days} days may go"
        )
    done = list(purger(expiry))
    gone = tuple(each for each in done if isinstance(each, Gone))
    return Purged(expiry.of.name, expiry.cutoff, gone, tuple(each for each in done if isinstance(each, Held)))


def entomb(expiry: Expiry, gone: Gone, *, subject: str | None = None) -> Appended:
    """The tombstone of what goes in the transaction now open. `subject` is the person it is about, by identifier."""
    object_id = f"{expiry.of.name}:{gone.scope}"
    return append(
        Event(
            type="retention.purged",
            occurred_at=expiry.now,
            actor=expiry.by,
            object=ObjectRef(OBJECT, object_id, next_version(OBJECT, object_id)),
            purpose=Purpose.LEGAL,
            subject=subject,
            reason_code=policy().version,
            change=Change(fields=("removed",), before=gone.digest),
            payload={
                "class": expiry.of.name,
                "count": gone.count,
                "oldest": stamp(gone.oldest),
                "newest": stamp(gone.newest),
                "digest": gone.digest,
                "policy": policy().version,
                "keep_days": expiry.of.keep.days,
            },
        )
    )


def purge_idempotency_answers(expiry: Expiry) -> Iterator[Gone | Held]:
    """Answers to requests under a key, by the month in which they were given. A hold on everything holds them."""
    old = IdempotencyKey.objects.filter(created_at__lt=expiry.cutoff)
    if (held := holds_for(None)) and (count := old.count()):
        yield Held("all", count, held)
        return
    for month in old.dates("created_at", "month"):
        with transaction.atomic():
            rows = list(
                old.filter(created_at__year=month.year, created_at__month=month.month)
                .order_by("pk")
                .values_list("pk", "actor", "route", "key", "body_sha256", "created_at")[:CHUNK]
            )
            if not rows:
                continue
            said = (f"{actor}|{route}|{key}|{bytes(body).hex()}" for _, actor, route, key, body, _ in rows)
            times = [row[-1] for row in rows]
            gone = Gone(f"{month:%Y-%m}", len(rows), min(times), max(times), digest_of(said))
            if not expiry.dry:
                IdempotencyKey.objects.filter(pk__in=[row[0] for row in rows]).delete()
                gone = with_entry(gone, entomb(expiry, gone))
        yield gone


def digest_of(rows: Iterator[str]) -> str:
    """SHA-256 over the rows, each on a line of its own, in hex."""
    digest = sha256()
    for row in rows:
        digest.update(row.encode() + b"\n")
    return digest.hexdigest()


def with_entry(gone: Gone, done: Appended) -> Gone:
    """The same with the entry that says so."""
    return Gone(gone.scope, gone.count, gone.oldest, gone.newest, gone.digest, done.entry_id)
