"""`manage.py legal_hold place|release|list`: nothing that is held is shredded, purged or detached."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audit.domain import Job
from audit.services.holds import HoldRefused, all_holds, place_hold, release_hold
from audit.services.recording import ObjectVersionTaken
from audit.services.shredding import Lawful


class Command(BaseCommand):
    """Parse, act, say."""

    help = "Place a legal hold on a person or on everything, release one, or list them all."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        acts = parser.add_subparsers(dest="act", required=True)
        for act in ("place", "release"):
            one = acts.add_parser(act)
            one.add_argument("name", help="a code that is used once, such as litigation-2026-4")
            one.add_argument("--basis", required=True, help="the legal basis as a code, such as court-order-2026-4")
            one.add_argument("--approver", required=True, help="the person who approved it")
            if act == "place":
                which = one.add_mutually_exclusive_group(required=True)
                which.add_argument("--person", type=_uuid, help="the id of a person's record")
                which.add_argument("--everything", action="store_true", help="the whole record")
        acts.add_parser("list").add_argument("--json", action="store_true", help="print one JSON array")

    def handle(self, *_: Any, **options: Any) -> None:
        """Exit 0 when it is done, 1 when it was refused."""
        if options["act"] == "list":
            self._list(as_json=options["json"])
            return
        how: dict[str, Any] = {
            "lawful": Lawful(options["basis"], options["approver"]),
            "by": Job("legal_hold", str(uuid.uuid4())),
            "now": timezone.now(),
        }
        try:
            if options["act"] == "place":
                done = place_hold(options["name"], subject=options["person"], **how)
            else:
                done = release_hold(options["name"], **how)
        except (HoldRefused, ObjectVersionTaken) as err:
            raise CommandError(str(err)) from err
        self.stdout.write(f"Done. Entry {done.entry_id} says so.")

    def _list(self, *, as_json: bool) -> None:
        found = all_holds()
        if as_json:
            said = [
                {
                    "name": each.name,
                    "subject": each.subject,
                    "placed_at": each.placed_at.isoformat(),
                    "released_at": each.released_at.isoformat() if each.released_at else None,
                }
                for each in found
            ]
            self.stdout.write(json.dumps(said))
            return
        for each in found:
            on = f"person {each.subject[:12]}…" if each.subject else "everything"
            ended = f"released {each.released_at:%Y-%m-%d}" if each.released_at else "OPEN"
            self.stdout.write(f"{each.name}  {ended}  on {on}, since {each.placed_at:%Y-%m-%d}")
        if not found:
            self.stdout.write("No legal hold was ever placed.")


def _uuid(text: str) -> str:
    return str(uuid.UUID(text))
