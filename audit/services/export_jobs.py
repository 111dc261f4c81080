"""Exports that were asked for: a long one is written by a worker, which may be killed, while others wait and look.

The rules
 * Asking is an act and is recorded; making, handing out and disclosing are recorded where they happen.
 * Who writes holds a lock of its database session, which dies with it: an export whose writer is gone is begun again,
   at most `MAX_ATTEMPTS` times. One is written at a time, so that exports never hold more than one worker.
 * Progress is written beside the unmoving view in which the export reads, at most once a second.
 * The file lies in `exports/` under the state home, readable by this program only, and goes when it expires; the row
   that says that it was there stays. What is handed out is hashed before, and is what was made or nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit import canonical
from audit.bundles.writing import file_sha256
from audit.domain import Actor, Event, ObjectRef, OnBehalfOf, Purpose
from audit.models import Export
from audit.selectors import next_version
from audit.services.commands import actor_name
from audit.services.exporting import Exported, ExportRefused
from audit.services.recording import append

LIVES = timedelta(days=7)
MAX_ATTEMPTS = 3
TELL_EVERY_S = 1.0
WRITER_LOCK = 0x636C696E6578706F  # "clinexpo"


@dataclass(frozen=True, slots=True)
class ExportState:
    """An export and how far it is. `asked` is what was asked for, in identifiers."""

    id: UUID
    report: str
    asked: Mapping[str, Any]
    purpose: Purpose
    recipient: str
    asked_by: str
    asked_at: datetime
    state: str
    done: int
    total: int | None
    sha256: str
    bytes: int | None
    entries: int | None
    error: str
    ended_at: datetime | None
    expires_at: datetime | None


def exports_dir() -> Path:
    """The folder of finished exports, made when it is not there."""
    configured = getattr(settings, "AUDIT_EXPORTS_DIR", None)
    folder = Path(configured) if configured else settings.HOME.path / "exports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def file_of(export_id: UUID, *, report: bool = False) -> Path:
    """Where the bundle of an export lies, or the PDF drawn from it."""
    return exports_dir() / f"{export_id}.{'pdf' if report else 'zip'}"


def ask(
    report: str,
    asked: Mapping[str, Any],
    *,
    purpose: Purpose,
    recipient: str,
    by: Actor,
    now: datetime,
    about: str | None = None,
    on_behalf_of: OnBehalfOf | None = None,
) -> UUID:
    """Keep what was asked for, with its entry. Whether it may be asked is the caller's question."""
    export_id = uuid4()
    said = canonical.dumps(dict(asked), profile=canonical.PAYLOAD)
    with transaction.atomic():
        append(
            Event(
                type="export.asked",
                occurred_at=now,
                actor=by,
                on_behalf_of=on_behalf_of,
                object=ObjectRef("export", str(export_id), 1),
                subject=about,
                purpose=purpose,
                payload={"report": report, "asked": dict(asked), "recipient": recipient},
            )
        )
        Export.objects.create(
            id=export_id,
            report=report,
            asked=said.decode(),
            purpose=purpose.value,
            recipient=recipient,
            asked_by=actor_name(by),
            asked_at=now,
        )
    return export_id


def find(export_id: UUID) -> ExportState | None:
    """One export, or None."""
    row = Export.objects.filter(pk=export_id).first()
    return _state(row) if row else None


def newest(*, asked_by: Actor | None = None, limit: int = 100) -> list[ExportState]:
    """The newest exports, of everybody or of one person."""
    rows = Export.objects.all() if asked_by is None else Export.objects.filter(asked_by=actor_name(asked_by))
    return [_state(row) for row in rows.order_by("-asked_at", "pk")[:limit]]


def unfinished() -> list[UUID]:
    """Exports that wait for a worker or have one, oldest first."""
    rows = Export.objects.filter(state__in=["asked", "running"]).order_by("asked_at", "pk")
    return list(rows.values_list("pk", flat=True))


def _state(row: Export) -> ExportState:
    return ExportState(
        row.id,
        row.report,
        json.loads(row.asked),
        Purpose(row.purpose),
        row.recipient,
        row.asked_by,
        row.asked_at,
        row.state,
        row.done,
        row.total,
        row.sha256,
        row.bytes,
        row.entries,
        row.error,
        row.ended_at,
        row.expires_at,
    )


# --- writing one ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Work:
    """The right to write one export, while its lock is held."""

    state: ExportState
    _connection: Any
    _told_at: float = 0.0

    def progress(self, done: int, total: int) -> None:
        """Say how far it is, seen at once by others."""
        if done < total and time.monotonic() - self._told_at < TELL_EVERY_S:
            return
        self._told_at = time.monotonic()
        with self._connection.cursor() as cursor:
            cursor.execute("UPDATE audit_export SET done = %s, total = %s WHERE id = %s", [done, total, self.state.id])


@contextmanager
def at_work(export_id: UUID, *, now: datetime) -> Iterator[Work | None]:
    """The work on an export, or None when it has ended, or when this or another one is being written."""
    beside = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        with beside.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [WRITER_LOCK])
            if not cursor.fetchone()[0]:
                yield None
                return
        try:
            yield _begin(export_id, beside, now)
        finally:
            with beside.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [WRITER_LOCK])
    finally:
        beside.close()


def _begin(export_id: UUID, beside: Any, now: datetime) -> Work | None:
    with transaction.atomic():
        row = Export.objects.select_for_update().filter(pk=export_id, state__in=["asked", "running"]).first()
        if row is None:
            return None
        if row.attempts >= MAX_ATTEMPTS:
            row.state, row.error, row.ended_at = "failed", "gave_up", now
            row.save(update_fields=["state", "error", "ended_at"])
            return None
        row.state, row.begun_at, row.attempts = "running", now, row.attempts + 1
        row.save(update_fields=["state", "begun_at", "attempts"])
    return Work(_state(row), beside)


def finished(export_id: UUID, exported: Exported, *, report_sha256: str, now: datetime) -> None:
    """The bundle and its report are there. They stay for `LIVES`."""
    Export.objects.filter(pk=export_id).update(
        state="done",
        sha256=exported.sha256,
        report_sha256=report_sha256,
        bytes=exported.size_bytes,
        entries=exported.manifest.entries,
        ended_at=now,
        expires_at=now + LIVES,
    )


def failed(export_id: UUID, code: str, *, now: datetime) -> None:
    """It ended without a file, for the reason `code`."""
    Export.objects.filter(pk=export_id).update(state="failed", error=code[:64], ended_at=now)
    _remove(export_id)


def expire_due(*, now: datetime) -> int:
    """Take away the files whose time is over. Returns how many exports."""
    gone = 0
    for row in Export.objects.filter(state="done", expires_at__lte=now):
        _remove(row.pk)
        gone += Export.objects.filter(pk=row.pk, state="done").update(state="expired", ended_at=now)
    return gone


def _remove(export_id: UUID) -> None:
    for report in (False, True):
        with suppress(FileNotFoundError):
            file_of(export_id, report=report).unlink()


# --- handing one out --------------------------------------------------------------------------------------------------


def hand_out(
    export_id: UUID,
    *,
    by: Actor,
    now: datetime,
    about: str | None = None,
    on_behalf_of: OnBehalfOf | None = None,
    report: bool = False,
) -> Path:
    """The file of a finished export, its handing out recorded. Whether this person may is the caller's question.

    `report` asks for the PDF. Raises ExportRefused: `not_ready`, `expired`, `failed`, `file_gone`, `file_changed`.
    """
    row = Export.objects.get(pk=export_id)
    if row.state in ("failed", "expired"):
        raise ExportRefused(row.state, f"This export has {row.state}. Ask for it again.")
    if row.state != "done":
        raise ExportRefused("not_ready", "This export is not finished yet.")
    if row.expires_at is not None and row.expires_at <= now:
        raise ExportRefused("expired", "This export has expired. Ask for it again.")
    path = file_of(export_id, report=report)
    if not path.is_file():
        raise ExportRefused("file_gone", "The file of this export is not there. Ask for it again.")
    digest = file_sha256(path)
    if digest != (row.report_sha256 if report else row.sha256):
        raise ExportRefused("file_changed", "The file is not the one that was made; it is not handed out.")
    with transaction.atomic():
        append(
            Event(
                type="export.handed_out",
                occurred_at=now,
                actor=by,
                on_behalf_of=on_behalf_of,
                object=ObjectRef("export", str(export_id), next_version("export", str(export_id))),
                subject=about,
                purpose=Purpose(row.purpose),
                payload={
                    "report": row.report,
                    "recipient": row.recipient,
                    "file": "report" if report else "bundle",
                    "sha256": digest,
                },
            )
        )
    return path
