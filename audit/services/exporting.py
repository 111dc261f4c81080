"""Writes a bundle from the record: what was chosen, what proves it, and the entry that says it was taken out.

The rules (GOV-08, SEC-06, SECURITY 3.5 V14)
 * One unmoving view of the tables. The bundle ends at the last signed checkpoint; what is not under it is counted.
 * Where entries are left out, it says of each object how far it goes in the log, whatever was chosen of it: so a
   filter that lost an object's newest version is seen by the verifier.
 * `may_read` is asked for every payload and batch; what it withholds is not opened, and is counted under its reason.
   What the log and passkeys say of their keys is shown to everybody: without it nothing could be verified.
 * The entry that says what was exported, by whom, for what and to whom commits after the file is complete and before it
   has its name: no file lies there without its entry. A failure in the middle leaves no file.
 * An export that shows a patient's payloads is a disclosure about that patient (45 CFR 164.528): one entry each.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

from django.db import DEFAULT_DB_ALIAS, transaction

from audit import canonical, entries, notes
from audit.bundles import Body, BundleWriter, FileListed, LeftOut, Manifest, PayloadCounts, rest_between
from audit.bundles.selecting import Selection
from audit.domain import Actor, Appended, Device, Event, Job, Model, ObjectRef, OnBehalfOf, Person, Purpose
from audit.selectors import next_version
from audit.services import export_reading as reading
from audit.services import keys
from audit.services.archives import Entries, SegmentRefused
from audit.services.export_words import NAMED, for_people, in_one_spelling
from audit.services.recording import append


class ExportRefused(Exception):
    """A refusal: this cannot be exported. `code` says why, `detail` in words."""

    status = 409

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


MOST_NAMES = 300
DETACHED = "detached:"  # and the name of the archive
MayRead = Callable[[reading.Summary], bool]
Progress = Callable[[int, int], None]
Signatures = Callable[[Sequence[UUID]], Mapping[UUID, Mapping[str, str | None]]]


@dataclass(frozen=True, slots=True)
class Handing:
    """To whom and for what a bundle is handed.

    `about` is the patient it is about (their own identifier), None when it is about nobody or several; `patient_of`
    turns a pseudonym into such an identifier, for the accounting of those whose payloads it shows.
    """

    purpose: Purpose
    recipient: str
    about: str | None = None
    on_behalf_of: OnBehalfOf | None = None
    patient_of: Callable[[str], str | None] = lambda _pseudonym: None


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished bundle. `entry` says that it was made."""

    id: UUID
    path: Path
    sha256: str
    size_bytes: int
    manifest: Manifest
    manifest_sha256: str
    entry: Appended


def export_bundle(
    selection: Selection,
    *,
    may_read: MayRead,
    by: Actor,
    now: datetime,
    out: Path,
    handing: Handing,
    export_id: UUID | None = None,
    progress: Progress | None = None,
    signatures: Signatures | None = None,
    archives: Path | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> Exported:
    """Write the bundle to `out` and record it. Raises ExportRefused (`nothing_signed`, `nothing_selected`,
    `archive_differs`).

    `progress` is told (entries written, entries to write) now and then; what it raises ends the export. `signatures`
    answers what is kept of the signatures of entries; their content comes of the payloads. `export_id` is that of an
    export that was asked for. Entries that were detached are read from the `archives` in that folder; without one, and
    where an archive is not in it, they are left out by name.
    """
    job = _Export(selection, may_read, by, now, progress, signatures, using)
    export_id = export_id or uuid4()
    draft = out.with_name(f".{out.name}.{export_id.hex}")
    try:
        with _looking(using, archives) as held, BundleWriter(draft) as writer:
            manifest, digest = job.write(writer, held)
        manifest_sha256 = sha256(manifest.encode()).hexdigest()
        size = draft.stat().st_size
        said: dict[str, str | int] = {"manifest_sha256": manifest_sha256, "bundle_sha256": digest, "bytes": size}
        entry = _record(export_id, manifest, said, shown=job.shown, by=by, now=now, handing=handing, using=using)
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    return Exported(export_id, out, digest, size, manifest, manifest_sha256, entry)


@contextmanager
def _looking(using: str, archives: Path | None) -> Iterator[Entries]:
    """The unmoving view in which an export reads; an archive that is not the one that was sealed ends it by name."""
    try:
        with reading.snapshot(using, archives=archives) as held:
            yield held
    except SegmentRefused as refused:
        raise ExportRefused(
            "archive_differs", f"{refused.detail}. Nothing is exported until it is put right."
        ) from None


@dataclass(slots=True)
class _Export:
    """One bundle on its way, with what is counted on the way."""

    selection: Selection
    may_read: MayRead
    by: Actor
    now: datetime
    progress: Progress | None
    signatures: Signatures | None
    using: str
    included: int = 0
    withheld: int = 0
    shredded: int = 0
    destroyed_since: int = 0
    batches: int = 0
    batches_withheld: int = 0
    shown: set[str] = field(default_factory=set)
    accounts: dict[str, None] = field(default_factory=dict)
    met: set[reading.Object] = field(default_factory=set)

    def write(self, writer: BundleWriter, held: Entries) -> tuple[Manifest, str]:
        head = reading.last_head(self.using)
        if head is None:
            raise ExportRefused("nothing_signed", "No checkpoint is signed yet. Try again in a few seconds.")
        choice = reading.choose(self.selection, size=head.size, held=held, using=self.using)
        if not choice.asked:
            raise ExportRefused("nothing_selected", "No entry under a signed checkpoint is what was asked for.")
        splits = array("q")
        for size, note, stamp in reading.checkpoints(
            choice.positions, everything=self.selection.kind == "everything", using=self.using
        ):
            writer.checkpoint(size, note, timestamp=stamp)
            splits.append(size)
        self._entries(writer, choice, size=head.size)
        subtree = reading.subtrees(self.using)
        for rest in rest_between(choice.positions, size=head.size, splits=splits, subtree=subtree):
            writer.rest(rest)
        return writer.finish(lambda files: self._manifest(head, choice, files), sign=_sign)

    def _entries(self, writer: BundleWriter, choice: reading.Choice, *, size: int) -> None:
        total, done = len(choice.positions), 0
        for rows in reading.rows(choice.positions, held=choice.entries, using=self.using):
            self._told(done, total)
            if total < size:
                self._heads(writer, rows, choice, size)
            kept = self.signatures([row.summary.entry_id for row in rows]) if self.signatures else {}
            opened = reading.payloads([row for row in rows if self._opens(row, choice.gone)], using=self.using)
            for row in rows:
                self._meet(row.summary)
                writer.entry(row.summary.position, row.encoded)
                if row.summary.entry_id in kept:
                    evidence = {**kept[row.summary.entry_id], **_content(opened.get(row.summary.entry_id))}
                    writer.assertion(row.summary.entry_id, evidence)
                self._payload(writer, row, opened)
            done += len(rows)
        self._told(done, total)

    def _heads(self, writer: BundleWriter, rows: list[reading.Row], choice: reading.Choice, size: int) -> None:
        """How far each object goes that comes by for the first time: asked of the log, not of the choice."""
        new = {}
        for row in rows:
            thing = row.summary.object_type, row.summary.object_id
            if row.summary.versioned and thing not in self.met:
                self.met.add(thing)
                new[thing] = row.summary.entry_id
        found = reading.heads(list(new), size=size, held=choice.entries, using=self.using)
        for thing, entry_id in new.items():
            version, leaf_hash = found[thing]
            writer.head(entry_id, version=version, leaf_hash=leaf_hash)

    def _meet(self, summary: reading.Summary) -> None:
        """Remember whose act it was, where this reader may see what was done: those accounts are named."""
        new = summary.actor_kind == "user" and summary.actor_id not in self.accounts
        if new and len(self.accounts) < MOST_NAMES and self.may_read(summary):
            self.accounts[summary.actor_id] = None

    def _told(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(done, total)

    def _opens(self, row: reading.Row, gone: reading.Gone) -> bool:
        """Whether the payload is there and this reader may see it; counts what is not."""
        if row.payload is None:
            return False
        if gone.has(row):
            self.shredded += 1
            return False
        if reading.about_keys(row.summary) or self.may_read(row.summary):
            return True
        self.withheld += 1
        self.batches_withheld += reading.is_batch(row.summary)
        return False

    def _payload(self, writer: BundleWriter, row: reading.Row, opened: Mapping[UUID, Body | None]) -> None:
        entry_id, subject = row.summary.entry_id, row.summary.subject
        if entry_id not in opened:
            return
        plain = opened[entry_id]
        if plain is None:  # destroyed, and what says so is not under the last checkpoint yet
            self.destroyed_since += 1
            return
        writer.payload(entry_id, plain)
        self.included += 1
        if reading.is_batch(row.summary) and (rows := reading.batch_rows(row.summary)) is not None:
            writer.batch(entry_id, rows)
            self.batches += 1
        if subject is not None:
            self.shown.add(subject)

    def _manifest(self, head: notes.TreeHead, choice: reading.Choice, files: tuple[FileListed, ...]) -> Manifest:
        counted = (
            LeftOut("batches", "permission", self.batches_withheld),
            *(LeftOut("entries", f"{DETACHED}{gone.archive}", gone.entries) for gone in choice.entries.missing),
            LeftOut("entries", "filter", head.size - len(choice.positions) - choice.detached),
            LeftOut("later_entries", "not-yet-numbered", choice.unnumbered),
            LeftOut("later_entries", "not-yet-signed", choice.unsigned),
            LeftOut("payloads", "permission", self.withheld),
            LeftOut("payloads", "shredded", self.destroyed_since),
        )
        return Manifest(
            origin=keys.origin(),
            kind="period" if choice.detached and self.selection.kind == "everything" else self.selection.kind,
            filter=tuple(sorted(in_one_spelling({**dict(self.selection.filter), **for_people(self.accounts)}).items())),
            made_at=entries.stamp(self.now),
            made_by=_made_by(self.by),
            size=head.size,
            root=head.root,
            entries=len(choice.positions),
            payloads=PayloadCounts(self.included, self.withheld + self.destroyed_since, self.shredded),
            batches=self.batches,
            left_out=tuple(each for each in counted if each.n),
            complete_objects=self.selection.complete_objects and not choice.detached,
            files=files,
        )


def _content(plain: Body | None) -> dict[str, str | None]:
    """What was signed, and its salt, as far as the reader may see the payload in which they stand."""
    said = json.loads(plain.body) if plain is not None else {}
    if not {"content", "content_salt"} <= said.keys():
        return {"content": None, "content_salt": None}
    return {"content": canonical.dumps(said["content"]).decode(), "content_salt": str(said["content_salt"])}


def _sign(text: bytes) -> bytes:
    return notes.sign(text, name=keys.statement_name(), key=keys.statement_key())


def _made_by(by: Actor) -> tuple[tuple[str, str], ...]:
    match by:
        case Person():
            return (("id", by.id), ("kind", "user"), ("role", by.role))
        case Device():
            return (("id", by.id), ("kind", "device"))
        case Job():
            return (("id", by.name), ("kind", "service"))
        case Model():
            return (("id", f"{by.id}@{by.version}"), ("kind", "model"))


def _asked(manifest: Manifest) -> dict[str, str]:
    """What was asked for. The names of accounts stay in the file: the entry has their identifiers already."""
    return {name: said for name, said in manifest.filter if not name.startswith(NAMED)}


def _record(
    export_id: UUID,
    manifest: Manifest,
    said: Mapping[str, str | int],
    *,
    shown: set[str],
    by: Actor,
    now: datetime,
    handing: Handing,
    using: str,
) -> Appended:
    """The export, and one disclosure for every further patient whose payloads it shows, in one transaction."""
    description = {
        "report": manifest.chosen("report") or manifest.kind,
        "recipient": handing.recipient,
        "entries": manifest.entries,
        "payloads": manifest.payloads.included,
    }
    with transaction.atomic(using=using):
        made = append(
            Event(
                type="export.made",
                occurred_at=now,
                actor=by,
                on_behalf_of=handing.on_behalf_of,
                object=ObjectRef("export", str(export_id), next_version("export", str(export_id), using=using)),
                subject=handing.about,
                purpose=handing.purpose,
                payload={**description, **said, "filter": _asked(manifest), "kind": manifest.kind},
            ),
            using=using,
        )
        known = {handing.patient_of(pseudonym) for pseudonym in sorted(shown)} - {None, handing.about}
        for patient in sorted(str(each) for each in known):
            append(
                Event(
                    type="export.disclosed",
                    occurred_at=now,
                    actor=by,
                    on_behalf_of=handing.on_behalf_of,
                    object=ObjectRef("export", str(export_id)),
                    subject=patient,
                    purpose=handing.purpose,
                    payload=description,
                    cause=made.entry_id,
                ),
                using=using,
            )
    return made
