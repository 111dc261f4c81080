"""`manage.py verify_audit`: recompute the whole record; exit 0 only when it holds, else name the first bad entry.

A record of which nothing is numbered yet, while entries wait, does not hold: nothing of it was verified. Entries that
wait beside verified ones are said and do not count against it, since a site that works always has some.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import notes
from audit.services.archives import SegmentRefused
from audit.services.verifying import Outside, verify_log
from audit.verification import Report, as_json, nothing_yet


class Command(BaseCommand):
    """Parse, verify, say."""

    help = "Recompute the record: bytes, hashes, order, chains, payloads, checkpoints. Names the first bad entry."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--checkpoint",
            type=Path,
            help="a signed checkpoint kept outside; only this shows a log cut back or replaced since",
        )
        parser.add_argument("--archives", type=Path, help="the folder of the archives: detached entries are read there")
        parser.add_argument("--key", help="the log's verifier key as handed round, instead of the key found here")

    def handle(self, *_: Any, **options: Any) -> None:
        """Exit 0 when everything holds, 1 when something does not or nothing is verified yet."""
        try:
            outside = Outside(
                verifier_key=notes.VerifierKey.parse(options["key"]) if options["key"] else None,
                checkpoint=options["checkpoint"].read_bytes() if options["checkpoint"] else None,
                archives=options["archives"],
            )
            report, pending = verify_log(outside=outside)
        except notes.NoteInvalid as err:
            raise CommandError(f"the key or checkpoint handed in is of no use: {err}", returncode=2) from err
        except SegmentRefused as err:
            raise CommandError(f"NOT verified. {err}", returncode=1) from err
        except OSError as err:
            raise CommandError(f"the checkpoint cannot be read: {err.strerror}", returncode=2) from err
        self.stdout.write(as_json(report, pending=pending) if options["json"] else _in_words(report, pending))
        if not report.verified or nothing_yet(report, pending):
            sys.exit(1)


def _in_words(report: Report, pending: int) -> str:
    if nothing_yet(report, pending):
        return (
            f"Nothing is verified yet: {pending} entries are written and none is numbered. Run "
            "`manage.py run_sequencer --once`, then `manage.py run_publisher --once`, then this again; "
            "`manage.py serve` does both by itself."
        )
    bad = report.first_bad
    if bad is None:
        lines = [f"Verified: {report.entries} entries, root {report.root.hex()}, {report.checkpoints} checkpoints."]
    elif bad.entry_id is not None:
        at = "" if bad.position is None else f" at position {bad.position}"
        lines = [f"NOT verified. First bad entry: {bad.entry_id}{at}: {bad.code}. {bad.detail}"]
    else:
        lines = [f"NOT verified: {bad.code}. {bad.detail}"]
    if report.unsigned:
        lines.append(f"{report.unsigned} entries are unsigned: `run_publisher --once` has them signed.")
    if report.detached:
        lines.append(f"{report.detached} detached entries were followed by their hashes: --archives DIR reads them.")
    if pending:
        lines.append(f"{pending} entries are pending: written, not yet numbered. `run_sequencer --once` numbers them.")
    if report.batches_unchecked:
        lines.append(f"{report.batches_unchecked} device batches were not compared with their readings.")
    return "\n".join(lines)
