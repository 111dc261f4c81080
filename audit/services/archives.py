"""The archives of detached segments: read entry by entry, and held against what the log keeps of them.

The rules (SECURITY 3.6; 21 CFR 11.10(c))
 * An archive is believed when it is, to the byte, the file that a numbered entry `segment.sealed` names, and its
   entries give, one after the other from the first segment on, the root that this entry names.
 * For an export its entries stand beside the table, in a table of that transaction alone: each must have the place,
   the identifier and the leaf hash that stayed here of it, and all of them must be there.
 * An archive that is not there is named, and what it holds is left out. One that is another file than the one that was
   sealed is refused by name: nothing is exported until somebody has looked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from audit import entries, merkle
from audit.bundles import Bundle, BundleInvalid
from audit.bundles.writing import file_sha256
from audit.models import Segment
from audit.selectors import payload_of
from audit.services import keys

OBJECT = "segment"
STAYS = ("log", "credential", "payload", "data_key", "site_key", "hold", "retention", "segment")
HERE = "audit_entry"  # the table of entries
WITH_ARCHIVED = "entries_with_archived"  # a view over it and the archives read, of one transaction
_ARCHIVED = "entries_archived"


class SegmentRefused(Exception):
    """A refusal: it is not sealed, detached or read so; `code` names the rule."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed segment: its number, its positions [start, stop), the root at its end, and its archive."""

    number: int
    start: int
    stop: int
    root: bytes
    archive: str
    archive_sha256: str


@dataclass(frozen=True, slots=True)
class Archived:
    """An entry as an archive has it; `columns` are what its leaf says."""

    position: int
    entry_id: UUID
    leaf: bytes
    leaf_hash: bytes
    columns: tuple[Any, ...]


def archives_dir() -> Path:
    """The folder where this site keeps its archives; it need not be there."""
    configured = getattr(settings, "AUDIT_ARCHIVES_DIR", "")
    return Path(configured) if configured else settings.HOME.path / "archives"


# --- one archive ------------------------------------------------------------------------------------------------------


def read_archive(sealed: Sealed, path: Path) -> Iterator[Archived]:
    """The entries of the segment, in order. Raises SegmentRefused: archive-missing, archive-differs."""
    if not path.is_file():
        raise SegmentRefused("archive-missing", f"{path.name} is not there")
    if file_sha256(path) != sealed.archive_sha256:
        raise SegmentRefused("archive-differs", f"{path.name} is not the file that was sealed")
    at = sealed.start
    try:
        with Bundle.open(path) as bundle:
            for each in bundle.entries():
                if not sealed.start <= each.position < sealed.stop:
                    continue
                if each.position != at:
                    break
                at += 1
                leaf = entries.frame(keys.origin()) + each.encoded
                yield Archived(each.position, UUID(each.entry["id"]), leaf, each.leaf_hash, entries.columns(each.entry))
    except BundleInvalid as err:
        raise SegmentRefused("archive-differs", f"{path.name}: {err}") from err
    if at != sealed.stop:
        raise SegmentRefused("archive-differs", f"{path.name} lacks the entry at {at}")


def archived_entries(folder: Path, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[Archived]:
    """Every entry of every detached segment, in order, from the archives in a folder. Raises as `read_archive`."""
    for sealed in segments_detached(using=using):
        yield from read_archive(sealed, folder / sealed.archive)


def segments_detached(*, using: str = DEFAULT_DB_ALIAS) -> list[Sealed]:
    """Every detached segment, in order, as its row says."""
    return [
        Sealed(row.number, row.start, row.stop, bytes(row.root), row.archive, row.archive_sha256)
        for row in Segment.objects.using(using).order_by("number")
    ]


def sealed_as_said(number: int, *, using: str = DEFAULT_DB_ALIAS) -> tuple[Sealed, UUID, int]:
    """What the newest numbered `segment.sealed` of this number says, its id and its place. Raises SegmentRefused."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT entry_id, position FROM audit_entry WHERE type = 'segment.sealed' AND object_type = %s"
            " AND object_id = %s ORDER BY position DESC LIMIT 1",
            [OBJECT, str(number)],
        )
        row = cursor.fetchone()
    said = payload_of(row[0], using=using) if row else None
    if row is None or not isinstance(said, dict):
        raise SegmentRefused("not-sealed", f"no numbered entry says that segment {number} is sealed")
    root = bytes.fromhex(said["root"])
    sealed = Sealed(number, said["start"], said["stop"], root, said["archive"], said["archive_sha256"])
    return sealed, row[0], row[1]


# --- for an export ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Missing:
    """How many entries an archive holds that could not be looked into."""

    archive: str
    entries: int


@dataclass(frozen=True, slots=True)
class Entries:
    """Where an export finds entries: the relation to ask, and what no archive was there for."""

    relation: str = HERE
    missing: tuple[Missing, ...] = ()


def bring_in(folder: Path | None, *, using: str = DEFAULT_DB_ALIAS) -> Entries:
    """The entries of the table and, from the archives in `folder`, those that left it, in the caller's transaction.

    Without a folder nothing is read and all is missing. Raises SegmentRefused: archive-differs, tiles-differ.
    """
    gone = segments_detached(using=using)
    there = [each for each in gone if folder is not None and (folder / each.archive).is_file()]
    missing = tuple(Missing(each.archive, _left(each, using)) for each in gone if each not in there)
    if not there or folder is None:
        return Entries(missing=missing)
    with connections[using].cursor() as cursor:
        cursor.execute(f"DROP VIEW IF EXISTS pg_temp.{WITH_ARCHIVED}")
        cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{_ARCHIVED}")
        cursor.execute(f"CREATE TEMP TABLE {_ARCHIVED} (LIKE {HERE} INCLUDING INDEXES) ON COMMIT DROP")
        for sealed in there:
            _bring_one(cursor, sealed, folder / sealed.archive, using)
        cursor.execute(f"ANALYZE pg_temp.{_ARCHIVED}")
        cursor.execute(
            f"CREATE TEMP VIEW {WITH_ARCHIVED} AS SELECT * FROM {HERE} UNION ALL SELECT * FROM pg_temp.{_ARCHIVED}"  # noqa: S608
        )
    return Entries(WITH_ARCHIVED, missing)


_COPY = (
    f"COPY pg_temp.{_ARCHIVED} (position, entry_id, leaf, leaf_hash, type, at, occurred_at, actor_kind, actor_id,"
    " object_type, object_id, object_version, subject, outcome) FROM STDIN"
)
_STRAY = f"""
SELECT count(*) FILTER (WHERE a.position IS NULL OR a.entry_id <> d.entry_id OR a.leaf_hash <> d.leaf_hash)
FROM audit_detached d LEFT JOIN pg_temp.{_ARCHIVED} a USING (position)
WHERE d.position >= %s AND d.position < %s
"""  # noqa: S608  (constants)


def _bring_one(cursor: Any, sealed: Sealed, path: Path, using: str) -> None:
    """The entries of one archive that are not in the table any more, held against what stayed of them."""
    said, _, _ = sealed_as_said(sealed.number, using=using)
    if said != sealed:
        raise SegmentRefused("archive-differs", f"segment {sealed.number} is not the one that an entry says was sealed")
    tree = _anchor_before(sealed, using)
    with cursor.copy(_COPY) as copy:
        for each in read_archive(sealed, path):
            tree.append(each.leaf_hash)
            if each.columns[5] not in STAYS:
                copy.write_row((each.position, each.entry_id, each.leaf, each.leaf_hash, *each.columns))
    if tree.root() != sealed.root:
        raise SegmentRefused("archive-differs", f"{path.name} does not give the root of the log at {sealed.stop}")
    cursor.execute(_STRAY, [sealed.start, sealed.stop])
    if stray := cursor.fetchone()[0]:
        raise SegmentRefused("archive-differs", f"{path.name}: {stray} entries are not those that left from here")


def _anchor_before(sealed: Sealed, using: str) -> merkle.CompactRange:
    """The tree at the segment's start, as the segment before left it; it gives the root which that one's entry says."""
    row = Segment.objects.using(using).filter(stop=sealed.start).first()
    if row is None:
        return merkle.CompactRange.empty()
    tree = merkle.CompactRange.unpack(row.stop, bytes(row.hashes))
    if tree.root() != sealed_as_said(row.number, using=using)[0].root:
        raise SegmentRefused("tiles-differ", f"the anchor of segment {row.number} is not the one that was sealed")
    return tree


def _left(sealed: Sealed, using: str) -> int:
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM audit_detached WHERE position >= %s AND position < %s", [sealed.start, sealed.stop]
        )
        return int(cursor.fetchone()[0])
