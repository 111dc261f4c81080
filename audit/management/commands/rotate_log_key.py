"""`manage.py rotate_log_key`: replace the key that signs the log, in two steps with time between them."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audit.domain import Job
from audit.services import log_rotation, signing
from audit.services.log_rotation import NotYet, RotatingSigner
from audit.services.publishing import Publisher
from audit.services.sequencing import StillHeld, sequence_until_empty

HELD_S = 30.0


class Command(BaseCommand):
    """Prepare, or with --retire take the old key away."""

    help = "Replace the log's key: first both sign, then (--retire) the old one goes. Tell witnesses in between."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        parser.add_argument("--retire", action="store_true", help="the second step: the old key is destroyed")

    def handle(self, *_: Any, **options: Any) -> None:
        """One step."""
        try:
            with signing.reach() as reached:
                signer = cast(RotatingSigner, reached)
                if options["retire"]:
                    self.stdout.write(f"The log's key is now {log_rotation.retire(signer)}. The old one is gone.")
                else:
                    self._prepare(signer)
        except (NotYet, StillHeld, signing.SignerRefused, signing.SignerUnreachable) as reason:
            raise CommandError(str(reason), returncode=1) from reason

    def _prepare(self, signer: RotatingSigner) -> None:
        job = Job("rotate_log_key", str(uuid.uuid4()))
        rotation = log_rotation.prepare(signer, by=job, now=timezone.now())
        sequence_until_empty(timeout_s=HELD_S)
        Publisher().publish(signer=signer)
        self.stdout.write(
            f"Both keys sign from now on.\nold {rotation.old}\nnew {rotation.new}\n"
            "Give the new one to every witness and add a `log` line for it to every policy file; then run"
            " `rotate_log_key --retire`."
        )
