"""`manage.py shred`: a payload, or all that was sealed for a person, is closed for ever; the record says so."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audit.domain import Job
from audit.keyring import KeyLost, KeyUnsound
from audit.services.recording import ObjectVersionTaken
from audit.services.shredding import Lawful, ShreddingRefused, shred_payload, shred_person


class Command(BaseCommand):
    """Parse, shred, say."""

    help = "Destroy the key of one payload or of one person. The entries stay; what they point to cannot be opened."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--payload", help="the id of one payload")
        which.add_argument("--person", help="the id of a person's record: everything sealed for them")
        parser.add_argument("--basis", required=True, help="the legal basis as a code, such as gdpr-art-17")
        parser.add_argument("--approver", required=True, help="the person who approved it")

    def handle(self, *_: Any, **options: Any) -> None:
        """Exit 0 when the key is gone, 1 when it was refused, 2 when the id cannot be read."""
        how: dict[str, Any] = {
            "lawful": Lawful(options["basis"], options["approver"]),
            "by": Job("shred", str(uuid.uuid4())),
            "now": timezone.now(),
        }
        try:
            if options["payload"]:
                done = shred_payload(_uuid(options["payload"]), **how)
            else:
                done = shred_person(str(_uuid(options["person"])), **how)
        except (ShreddingRefused, ObjectVersionTaken, KeyLost, KeyUnsound) as err:
            raise CommandError(str(err)) from err
        self.stdout.write(f"Shredded. Entry {done.entry_id} says so.")


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise CommandError(f"{text[:80]!r} is not an id", returncode=2) from None
