"""`manage.py rotate_keys`: a new site key, and the keys of all people wrapped by it, while everything goes on."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audit.domain import Job
from audit.keyring import KeyLost, KeyUnsound
from audit.services.rotation import BATCH, draw, rotate


class Command(BaseCommand):
    """Parse, rotate, say."""

    help = "Draw a new site key and wrap every data key by it. Nothing that was sealed is sealed again."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        part = parser.add_mutually_exclusive_group()
        part.add_argument("--draw", action="store_true", help="only draw the key, to be copied to every machine first")
        part.add_argument("--finish", action="store_true", help="no new key: wrap by the newest what is not yet")
        parser.add_argument("--batch", type=int, default=BATCH, help="data keys per transaction")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        """Exit 0 when every living data key is wrapped by the newest site key."""
        if options["batch"] < 1:
            raise CommandError("--batch is a number from 1", returncode=2)
        quiet = options["json"]
        if options["draw"]:
            name = draw()
            self.stdout.write(json.dumps({"drawn": name}) if quiet else f"{name} is drawn and wraps nothing yet.")
            return
        try:
            done = rotate(
                by=Job("rotate-keys", str(uuid.uuid4())),
                now=timezone.now(),
                finish=options["finish"],
                batch=options["batch"],
                progress=None if quiet else lambda n, of: self.stderr.write(f"{n} of {of}"),
            )
        except (KeyLost, KeyUnsound) as err:
            raise CommandError(str(err)) from err
        if quiet:
            said = {"site_key": done.site_key, "rewrapped": done.rewrapped, "wrapped_by": dict(done.wrapped_by)}
            self.stdout.write(json.dumps(said))
            return
        self.stdout.write(f"{done.site_key} is in force; {done.rewrapped} data keys were wrapped by it anew.")
        self.stdout.write(
            "Back its file up now, apart from the database; older files stay as long as backups need them."
        )
