"""Looking for entries: by who, about whom, what, when, how it ended. Nothing here writes, and no payload is opened.

The rules
 * Newest first, in the order of the log, by keyset: the next page begins below the last position shown, so that a page
   stays what it was while the log grows.
 * What is compared are the columns beside the leaf, which verification compares with the leaf.
 * An entry that is not numbered yet is found by its identifier only.
 * Times are those of the database's clock (`at`): they cannot be set by who acted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from audit import canonical, entries, merkle
from audit.kinds import UnknownKind
from audit.services import keys

PAGE = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; what is empty matches everything. `subject` is a pseudonym, `until` is beyond the range."""

    kinds: tuple[str, ...] = ()
    actor: str = ""
    subject: str = ""
    object_type: str = ""
    object_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    outcome: str = ""

    def asked(self) -> dict[str, str]:
        """The terms that were given, as text."""
        said = {
            "kinds": " ".join(self.kinds),
            "actor": self.actor,
            "about": self.subject,
            "object": ":".join(filter(None, (self.object_type, self.object_id))),
            "since": entries.stamp(self.since) if self.since else "",
            "until": entries.stamp(self.until) if self.until else "",
            "outcome": self.outcome,
        }
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as its searched columns say it; `position` None while it is pending.

    Of one that was detached only kind, time, outcome and, where it moved something, the object are known here: the
    rest stands in its archive.
    """

    position: int | None
    entry_id: UUID
    type: str
    at: datetime
    occurred_at: datetime
    actor_kind: str
    actor_id: str
    object_type: str
    object_id: str
    version: int | None
    subject: str | None
    outcome: str
    detached: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Entries found, newest first; `below` is where the next page begins, None at the end.

    `unsearched` are the detached segments of the time looked at, where what was asked (who, about whom) is not known
    here: only an export with their archives looks there.
    """

    lines: tuple[Line, ...]
    below: int | None
    unsearched: tuple[Gone, ...] = ()


_COLUMNS = (
    "position, entry_id, type, at, occurred_at, actor_kind, actor_id, object_type, object_id, object_version, subject,"
    " outcome"
)


def search(wanted: Wanted, *, below: int | None = None, limit: int = PAGE, using: str = DEFAULT_DB_ALIAS) -> Page:
    """One page of what is found below a position."""
    conditions, values = _conditions(wanted)
    if below is not None:
        conditions.append("position < %s")
        values.append(below)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    asked = f"SELECT {_COLUMNS} FROM audit_entry{where} ORDER BY position DESC LIMIT %s"  # noqa: S608  (constants)
    with connections[using].cursor() as cursor:
        cursor.execute(asked, [*values, limit + 1])
        rows = [Line(*row) for row in cursor.fetchall()]
    unsearched: tuple[Gone, ...] = ()
    if wanted.actor or wanted.subject:
        unsearched = segments_between(wanted.since, wanted.until, using=using)
    else:
        rows = sorted([*rows, *_gone(wanted, below, limit + 1, using)], key=lambda line: -(line.position or 0))
    lines = tuple(rows[:limit])
    return Page(lines, lines[-1].position if len(rows) > limit else None, unsearched)


_GONE = """
SELECT d.position, d.entry_id, d.type, d.at, d.at, '', '', coalesce(v.object_type, ''), coalesce(v.object_id, ''),
       v.version, NULL, d.outcome, true
FROM audit_detached d LEFT JOIN audit_objectversion v ON v.entry_id = d.entry_id
"""


def _gone(wanted: Wanted, below: int | None, limit: int, using: str) -> list[Line]:
    """What was detached and is what is looked for, as far as its kind, its time, its outcome and its object say."""
    asked: list[tuple[str, Any]] = [
        ("d.type = ANY(%s)", list(wanted.kinds)),
        ("v.object_type = %s", wanted.object_type),
        ("v.object_id = %s", wanted.object_id),
        ("d.at >= %s", wanted.since),
        ("d.at < %s", wanted.until),
        ("d.outcome = %s", wanted.outcome),
    ]
    given = [(condition, value) for condition, value in asked if value]
    if below is not None:
        given.append(("d.position < %s", below))
    where = f" WHERE {' AND '.join(condition for condition, _ in given)}" if given else ""
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"{_GONE}{where} ORDER BY d.position DESC LIMIT %s",
            [*(value for _, value in given), limit],
        )
        return [Line(*row) for row in cursor.fetchall()]


def _conditions(wanted: Wanted) -> tuple[list[str], list[Any]]:
    asked: list[tuple[str, Any]] = [
        ("type = ANY(%s)", list(wanted.kinds)),
        ("actor_id = %s", wanted.actor),
        ("subject = %s", wanted.subject),
        ("object_type = %s", wanted.object_type),
        ("object_id = %s", wanted.object_id),
        ("at >= %s", wanted.since),
        ("at < %s", wanted.until),
        ("outcome = %s", wanted.outcome),
    ]
    given = [(condition, value) for condition, value in asked if value]
    return [condition for condition, _ in given], [value for _, value in given]


# --- what left --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gone:
    """A segment whose entries were moved into an archive: its number, positions [start, stop), the file, its digest,
    the entry that sealed it, and between which times its entries were recorded.
    """

    number: int
    start: int
    stop: int
    archive: str
    archive_sha256: str
    sealed_by: UUID
    since: datetime
    until: datetime


_SEGMENTS = """
SELECT s.number, s.start, s.stop, s.archive, s.archive_sha256, s.entry_id, d.since, d.until
FROM audit_segment s, LATERAL (
    SELECT (SELECT at FROM audit_detached WHERE position >= s.start ORDER BY position LIMIT 1) AS since,
           (SELECT at FROM audit_detached WHERE position < s.stop ORDER BY position DESC LIMIT 1) AS until) d
"""


def segments_between(
    since: datetime | None, until: datetime | None, *, using: str = DEFAULT_DB_ALIAS
) -> tuple[Gone, ...]:
    """The detached segments with entries of that time, in order."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"{_SEGMENTS} WHERE d.until >= coalesce(%s, '-infinity'::timestamptz)"
            " AND d.since < coalesce(%s, 'infinity'::timestamptz) ORDER BY s.number",
            [since, until],
        )
        return tuple(Gone(*row) for row in cursor.fetchall())


@dataclass(frozen=True, slots=True)
class Left:
    """What stays of an entry that was detached, and of which segment it is."""

    line: Line
    leaf_hash: bytes
    segment: Gone


def detached_entry(entry_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> Left | None:
    """What stays of a detached entry; None when there is none of that identifier."""
    with connections[using].cursor() as cursor:
        cursor.execute(f"{_GONE} WHERE d.entry_id = %s", [entry_id])
        row = cursor.fetchone()
        if row is None:
            return None
        cursor.execute("SELECT leaf_hash FROM audit_detached WHERE entry_id = %s", [entry_id])
        leaf_hash = bytes(cursor.fetchone()[0])
        cursor.execute(f"{_SEGMENTS} WHERE s.start <= %s AND s.stop > %s", [row[0], row[0]])
        return Left(Line(*row), leaf_hash, Gone(*cursor.fetchone()))


# --- one entry --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stored:
    """One entry as it is stored: its exact leaf bytes, their hash as stored, and what they say.

    `entry` is None, with `unsound` saying why, when the bytes are no entry of this log.
    """

    position: int | None
    entry_id: UUID
    leaf: bytes
    leaf_hash: bytes
    entry: Mapping[str, Any] | None
    unsound: str = ""

    @property
    def canonical(self) -> bytes:
        """The canonical entry bytes behind the frame."""
        frame = entries.frame(keys.origin())
        return self.leaf.removeprefix(frame)

    @property
    def hash_holds(self) -> bool:
        """Whether the stored hash is that of the stored bytes."""
        return merkle.leaf_hash(self.leaf) == self.leaf_hash


def stored_entry(entry_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> Stored | None:
    """The entry, numbered or pending; None when there is none."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT position, entry_id, leaf, leaf_hash FROM audit_entry WHERE entry_id = %s"
            " UNION ALL SELECT NULL::bigint, entry_id, leaf, leaf_hash FROM audit_pending WHERE entry_id = %s LIMIT 1",
            [entry_id, entry_id],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    leaf = bytes(row[2])
    try:
        said, wrong = entries.read_leaf(leaf, origin=keys.origin()), ""
    except (entries.EntryInvalid, canonical.NotCanonical, UnknownKind) as reason:
        said, wrong = None, str(reason)
    return Stored(row[0], row[1], leaf, bytes(row[3]), said, wrong)


@dataclass(frozen=True, slots=True)
class Around:
    """The entries beside one: of the same object by version, and in the log by position. None where there is none."""

    before: UUID | None
    after: UUID | None
    newest_version: int | None
    log_before: UUID | None
    log_after: UUID | None


def around(stored: Stored, *, using: str = DEFAULT_DB_ALIAS) -> Around:
    """What stands beside an entry."""
    place = stored.entry["object"] if stored.entry is not None else {}
    versions: dict[int, UUID] = {}
    newest = None
    with connections[using].cursor() as cursor:
        if place.get("version") is not None:
            at = place["version"]
            cursor.execute(
                "SELECT version, entry_id, (SELECT max(version) FROM audit_objectversion"
                " WHERE object_type = %s AND object_id = %s) FROM audit_objectversion"
                " WHERE object_type = %s AND object_id = %s AND version IN (%s, %s, %s)",
                [place["type"], place["id"], place["type"], place["id"], at - 1, at, at + 1],
            )
            for version, entry_id, most in cursor.fetchall():
                versions[version], newest = entry_id, most
        beside: dict[int, UUID] = {}
        if stored.position is not None:
            places = [stored.position - 1, stored.position + 1]
            cursor.execute(
                "SELECT position, entry_id FROM audit_entry WHERE position = ANY(%s)"
                " UNION ALL SELECT position, entry_id FROM audit_detached WHERE position = ANY(%s)",
                [places, places],
            )
            beside = dict(cursor.fetchall())
    version, position = place.get("version") or 0, stored.position if stored.position is not None else -9
    return Around(
        versions.get(version - 1), versions.get(version + 1), newest, beside.get(position - 1), beside.get(position + 1)
    )


def payload_id_of(entry_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> tuple[UUID, bool] | None:
    """Where the payload of an entry is kept, and whether its key is still there; None when it has none."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT p.id, p.alg = 'plain/v1' OR EXISTS (SELECT 1 FROM audit_payloadkey k JOIN audit_datakey d"
            " ON d.id = k.dek_id AND d.destroyed_at IS NULL WHERE k.payload_id = p.id)"
            " FROM audit_payload p WHERE p.entry_id = %s",
            [entry_id],
        )
        row = cursor.fetchone()
    return (row[0], bool(row[1])) if row else None


def summaries(entry_ids: Iterable[UUID], *, using: str = DEFAULT_DB_ALIAS) -> dict[UUID, Line]:
    """Numbered entries by their identifiers."""
    asked = f"SELECT {_COLUMNS} FROM audit_entry WHERE entry_id = ANY(%s)"  # noqa: S608  (constants)
    with connections[using].cursor() as cursor:
        cursor.execute(asked, [list(entry_ids)])
        return {row[1]: Line(*row) for row in cursor.fetchall()}
