"""`manage.py care_team join|leave`: who else cares for a patient, besides the clinician who answers for them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from care_loops.services.enrol import join_care_team, leave_care_team
from governance.domain import Refusal
from governance.selectors import account_named
from governance.services import acting_person


class Command(BaseCommand):
    """`manage.py care_team join PATIENT --member phil --by ada`"""

    help = "Put a clinician or pharmacist into a patient's care team, or end that. Nobody outside it reads the record."

    def add_arguments(self, parser: CommandParser) -> None:
        """What, in whose team, of whom, by whom."""
        parser.add_argument("act", choices=["join", "leave"])
        parser.add_argument("patient", type=UUID)
        parser.add_argument("--member", required=True, help="user name of who joins or leaves")
        parser.add_argument("--by", required=True, help="user name of who does it")
        parser.add_argument("--next", help="user name of who is responsible when the responsible one leaves")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        """Parse, read the clock, make one call, say what came of it."""
        now, patient = timezone.now(), options["patient"]
        try:
            by, member = acting_person(account_named(options["by"]), now=now), account_named(options["member"])
            if options["act"] == "join":
                join_care_team(patient, member.pk, responsible=False, by=by, now=now)
            else:
                heir = account_named(options["next"]).pk if options["next"] else None
                leave_care_team(patient, member.pk, by=by, now=now, next_responsible=heir)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        if options["as_json"]:
            said = {"patient": str(patient), "member": member.username, "did": options["act"]}
            self.stdout.write(json.dumps(said))
        else:
            did = "is in the care team" if options["act"] == "join" else "is no longer in the care team"
            self.stdout.write(f"{member.printed_name} {did} of {patient}.")
