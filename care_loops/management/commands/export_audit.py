"""`manage.py export_audit --out DIR`: a part of the record as a bundle anybody can verify, and a PDF to read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from audit.bundles.selecting import KIND_OF, Report
from audit.domain import Purpose
from audit.words import left_out, of
from care_loops.selectors.exports import ExportRequest
from care_loops.services.exports import Made, make_export
from governance.domain import NotAllowed, NotFound, Refusal
from governance.selectors import account_named
from governance.services import Acting, acting_person, record_denial


class Command(BaseCommand):
    """Parse, read the clock, make one call, say what came of it."""

    help = "Export the record, or a part of it: a bundle to verify (`python -m audit.verify`) and a PDF to read."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which part, for whom, where to."""
        parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="an existing folder")
        parser.add_argument("--as", dest="username", required=True, help="user name of who exports, and answers for it")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--patient", metavar="ID", help="everything about one patient")
        which.add_argument("--model", metavar="NAME@VERSION", help="everything about one version of a model")
        which.add_argument("--person", metavar="USERNAME", help="what one person did")
        which.add_argument("--decision", metavar="LOOP_ID", help="one recommendation and what it rests on")
        parser.add_argument("--from", dest="since", metavar="ISO", help="a period, by the time of recording: from")
        parser.add_argument("--to", dest="until", metavar="ISO", help="... and up to, not including")
        parser.add_argument(
            "--report", choices=[report.value for report in Report], help="with --patient: access or disclosures"
        )
        parser.add_argument("--purpose", choices=[purpose.value for purpose in Purpose], help="why it is handed out")
        parser.add_argument("--recipient", default="", help="to whom, when it is somebody else")
        parser.add_argument(
            "--archives", type=Path, metavar="DIR", help="the folder of detached parts of the record; else the site's"
        )
        parser.add_argument("--no-pdf", action="store_true", help="the bundle only")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        """Exit 0 when it is written, 2 when it is refused."""
        now = timezone.now()
        request = _request(options)
        folder: Path = options["out"]
        for each in (folder, options["archives"]):
            if each is not None and not each.is_dir():
                raise CommandError(f"{each} is not a folder.", returncode=2)
        by: Acting | None = None
        try:
            by = acting_person(account_named(options["username"]), now=now)
            made = make_export(
                request,
                folder=folder,
                by=by,
                now=now,
                drawn=not options["no_pdf"],
                progress=self._progress,
                archives=options["archives"],
            )
        except Refusal as refusal:
            if by is not None and isinstance(refusal, NotAllowed | NotFound):
                what = f"export_audit {request.report.value}"
                record_denial(refusal, by=by, what=what, object_type="export", object_id=request.report.value, now=now)
            raise CommandError(f"{refusal.code}: {refusal.detail}", returncode=2) from refusal
        except OSError as err:
            raise CommandError(f"{folder} cannot be written: {err.strerror}", returncode=2) from err
        said = _said(made)
        self.stdout.write(json.dumps(said) if options["as_json"] else _in_words(said))

    def _progress(self, done: int, total: int) -> None:
        self.stderr.write(f"\r{done} of {total} entries", ending="\n" if done == total else "")


def _request(options: dict[str, Any]) -> ExportRequest:
    """What the options ask for; a report without its option is refused by the service, an unreadable one here."""
    return ExportRequest(
        report=_report(options),
        patient=_identifier(options["patient"], "a patient"),
        decision=_identifier(options["decision"], "a recommendation"),
        model=options["model"] or "",
        person=options["person"] or "",
        since=_moment(options["since"]),
        until=_moment(options["until"]),
        purpose=Purpose(options["purpose"]) if options["purpose"] else None,
        recipient=options["recipient"],
    )


def _report(options: dict[str, Any]) -> Report:
    if options["report"]:
        return Report(options["report"])
    for name in ("patient", "model", "person", "decision"):
        if options[name]:
            return next(report for report, kind in KIND_OF.items() if kind == name)
    return Report.PERIOD if options["since"] or options["until"] else Report.EVERYTHING


def _identifier(text: str | None, of: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError as err:
        raise CommandError(f"{text!r} is not the identifier of {of}.", returncode=2) from err


def _moment(text: str | None) -> datetime | None:
    """A time as written; a day, or a time without its zone, is meant in UTC."""
    if not text:
        return None
    try:
        found = parse_datetime(text) or datetime.fromisoformat(text)
    except ValueError as err:
        raise CommandError(f"{text!r} is not a time, such as 2026-03-01T00:00:00+01:00.", returncode=2) from err
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _said(made: Made) -> dict[str, Any]:
    manifest = made.bundle.manifest
    return {
        "bundle": str(made.bundle.path),
        "sha256": made.bundle.sha256,
        "manifest_sha256": made.bundle.manifest_sha256,
        "pdf": str(made.report.path) if made.report else None,
        "pdf_sha256": made.report.sha256 if made.report else None,
        "export": str(made.bundle.id),
        "kind": manifest.kind,
        "report": manifest.chosen("report"),
        "size": manifest.size,
        "root": manifest.root.hex(),
        "entries": manifest.entries,
        "payloads": {
            "included": manifest.payloads.included,
            "withheld": manifest.payloads.withheld,
            "shredded": manifest.payloads.shredded,
        },
        "left_out": [{"what": each.what, "why": each.why, "n": each.n} for each in manifest.left_out],
    }


def _in_words(said: dict[str, Any]) -> str:
    payloads = said["payloads"]
    missing = [f"{each['n']} {of('left_out', each['what'])}: {left_out(each['why'])}" for each in said["left_out"]]
    lines = [
        f"{said['entries']} of {said['size']} entries, with {payloads['included']} payloads.",
        *(f"Left out: {each}." for each in missing),
        f"Bundle: {said['bundle']}",
        f"SHA-256: {said['sha256']}",
        *([f"PDF:    {said['pdf']}"] if said["pdf"] else []),
        "Verify it anywhere: python -m audit.verify BUNDLE --policy FILE",
    ]
    return "\n".join(lines)
