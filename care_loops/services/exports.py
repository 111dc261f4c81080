"""Exports of the record: made at once on the shell, or asked for and written by a worker; handed out to who asked.

Rules (GOV-08, SEC-06, 45 CFR 164.528)
 * Who may is asked when an export is asked for, again when it is written, and again each time it is handed out: a role
   or a care team lost in between ends it.
 * Only who asked is handed the file. Every handing out is recorded.
 * What ends an export without a file has a name; the file of one that failed is not left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from audit.bundles.selecting import Report
from audit.domain import Purpose
from audit.services import export_jobs
from audit.services.archives import archives_dir
from audit.services.export_jobs import ExportState
from audit.services.exporting import Exported, ExportRefused, Handing, export_bundle
from governance.domain import NotFound, Refusal
from governance.models import User
from governance.selectors import evidence_of
from governance.services import Acting, acting_person

from ..selectors.access import NOBODY
from ..selectors.exports import ExportRequest, Granted, grant, own_export

if TYPE_CHECKING:
    from audit.services.signing_pdf import Signed

Progress = Callable[[int, int], None]


class CannotExport(Refusal):
    """This cannot be exported, or not any more; `code` says why."""

    def __init__(self, refused: ExportRefused) -> None:
        super().__init__(refused.detail)
        self.code = refused.code


@dataclass(frozen=True, slots=True)
class Made:
    """An export made at once: the bundle, and the signed PDF drawn from it (None when none was asked for)."""

    bundle: Exported
    report: Signed | None


def make_export(
    request: ExportRequest,
    *,
    folder: Path,
    by: Acting,
    now: datetime,
    drawn: bool = True,
    progress: Progress | None = None,
    archives: Path | None = None,
) -> Made:
    """Write a bundle, and its PDF when `drawn`, into `folder`. Raises NotAllowed, NotFound, BadInput, CannotExport.

    `archives` is the folder of detached segments when it is not the site's own.
    """
    granted = grant(request, by=by, now=now)
    out = folder / f"{request.report.value}-{now:%Y%m%dT%H%M%SZ}.zip"
    bundle = _written(granted, out, by=by, now=now, progress=progress, archives=archives)
    return Made(bundle, _drawn(bundle.path, out.with_suffix(".pdf"), now=now) if drawn else None)


def _written(
    granted: Granted,
    out: Path,
    *,
    by: Acting,
    now: datetime,
    progress: Progress | None,
    export_id: UUID | None = None,
    archives: Path | None = None,
) -> Exported:
    acted = by.under(granted.role)
    handing = Handing(
        purpose=granted.purpose,
        recipient=granted.recipient,
        about=_about(granted),
        on_behalf_of=by.on_behalf_of,
        patient_of=granted.patient_of,
    )
    with _named():
        return export_bundle(
            granted.selection,
            may_read=granted.may_read,
            by=acted.actor,
            now=now,
            out=out,
            handing=handing,
            export_id=export_id,
            progress=progress,
            signatures=evidence_of,
            archives=archives or archives_dir(),
        )


def _about(granted: Granted) -> str | None:
    return str(granted.patient.pk) if granted.patient is not None else None


@contextmanager
def _named() -> Iterator[None]:
    """The record's own refusals, in the words of this house."""
    try:
        yield
    except ExportRefused as refused:
        raise CannotExport(refused) from refused


def _drawn(bundle: Path, out: Path, *, now: datetime) -> Signed:
    """The report of a bundle, drawn and signed, whole or not at all."""
    from audit.services.signing_pdf import write_report  # libraries for drawing, which no web worker loads

    return write_report(bundle, out, now=now)


# --- by a worker ------------------------------------------------------------------------------------------------------


def ask_for_export(request: ExportRequest, *, by: Acting, now: datetime) -> UUID:
    """Ask for an export that a worker will write. Raises NotAllowed, NotFound, BadInput."""
    by.person()
    granted = grant(request, by=by, now=now)
    return export_jobs.ask(
        request.report.value,
        request.identifiers(),
        purpose=granted.purpose,
        recipient=granted.recipient,
        by=by.under(granted.role).actor,
        now=now,
        about=_about(granted),
        on_behalf_of=by.on_behalf_of,
    )


def run_export(export_id: UUID, *, now: datetime) -> bool:
    """Write one export that was asked for, as who asked for it; whether it is there now.

    One that somebody else is writing, or that has ended, is left alone. A refusal ends it by name; a fault is raised,
    and the export is begun again later.
    """
    with export_jobs.at_work(export_id, now=now) as work:
        if work is None:
            return False
        try:
            by = _asker(work.state, now=now)
            granted = grant(_request(work.state), by=by, now=now)
            bundle = _written(
                granted,
                export_jobs.file_of(export_id),
                by=by,
                now=now,
                progress=work.progress,
                export_id=export_id,
            )
            report = _drawn(bundle.path, export_jobs.file_of(export_id, report=True), now=now)
        except Refusal as refusal:
            export_jobs.failed(export_id, refusal.code, now=now)
            return False
        export_jobs.finished(export_id, bundle, report_sha256=report.sha256, now=now)
        return True


def waiting_exports() -> list[UUID]:
    """What was asked for and is not there yet, oldest first: each is one piece of work, which may be begun twice."""
    return export_jobs.unfinished()


def expire_exports(*, now: datetime) -> int:
    """Take away the files whose time is over; returns how many exports."""
    return export_jobs.expire_due(now=now)


def hand_out_export(export_id: UUID, *, by: Acting, now: datetime, report: bool = False) -> Path:
    """The file of an export that this person asked for and may still have; `report` asks for the PDF.

    Recorded. Raises NotFound, NotAllowed, CannotExport (`not_ready`, `expired`, `failed`, `file_gone`, `file_changed`).
    """
    state = own_export(export_id, by=by)
    granted = grant(_request(state), by=by, now=now)
    with _named():
        return export_jobs.hand_out(
            export_id,
            by=by.under(granted.role).actor,
            now=now,
            about=_about(granted),
            on_behalf_of=by.on_behalf_of,
            report=report,
        )


def _asker(state: ExportState, *, now: datetime) -> Acting:
    """Who asked, with the roles of now; somebody who has left is refused."""
    kind, _, who = state.asked_by.partition(":")
    user = User.objects.filter(pk=who).first() if kind == "user" else None
    if user is None:
        raise NotFound(NOBODY)
    return acting_person(user, now=now)


def _request(state: ExportState) -> ExportRequest:
    """The request as it was kept."""
    asked = state.asked
    return ExportRequest(
        report=Report(state.report),
        patient=UUID(asked["patient"]) if "patient" in asked else None,
        decision=UUID(asked["decision"]) if "decision" in asked else None,
        model=asked.get("model", ""),
        person=asked.get("person", ""),
        since=datetime.fromisoformat(asked["since"]) if "since" in asked else None,
        until=datetime.fromisoformat(asked["until"]) if "until" in asked else None,
        purpose=Purpose(state.purpose),
        recipient=state.recipient,
    )
