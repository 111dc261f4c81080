"""`manage.py kill_switch throw|status|ask|end`: stopping from the console, by a person, under the page's rules."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError
from django.utils import timezone

from governance.domain import Refusal
from governance.management.signing import SigningCommand
from governance.models import Suspension, SuspensionEnd, SuspensionEndAsked
from governance.selectors import account_named
from governance.selectors.suspensions import standing
from governance.services import Acting, acting_person
from governance.services.suspensions import ask_end, end_suspension, throw_switch
from governance.suspension import Scope, ref_of


class Command(SigningCommand):
    """Throw it for everything: `kill_switch throw --by anna --reason "doses look wrong"`."""

    help = (
        "Stop everything, or one thing, at once and on every worker; see what is stopped; ask for an end, and end it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What, by whom, why."""
        parser.add_argument("act", choices=["throw", "status", "ask", "end"])
        parser.add_argument("suspension", nargs="?", help="for ask and end: which one")
        parser.add_argument("--by", help="user name of who does it")
        parser.add_argument("--reason", default="")
        parser.add_argument("--scope", default=Scope.EVERYTHING.value, choices=[scope.value for scope in Scope])
        parser.add_argument("--name", default="", help="of the one thing; everything has none")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *_: Any, **options: Any) -> None:
        """Parse, read the clock, make one call, say what came of it."""
        if options["act"] != "status":
            if not options["by"]:
                raise CommandError("Say who does it: --by USER.")
            try:
                by = acting_person(account_named(options["by"]), now=timezone.now())
                self.signed(lambda signer: _do(options, by=signer), by, options)
            except Refusal as refusal:
                raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        found = [
            {"id": str(s.suspension_id), "scope": s.scope.value, "name": s.name, "cause": s.cause.value}
            | {"since": s.since.isoformat(), "reason": s.reason}
            for s in standing()
        ]
        lines = [f"{one['id']} {one['scope']} {one['name']} ({one['cause']}): {one['reason']}" for one in found]
        self.stdout.write(json.dumps(found) if options["as_json"] else "\n".join(lines) or "Nothing is stopped.")


def _do(options: dict[str, Any], *, by: Acting) -> Suspension | SuspensionEnd | SuspensionEndAsked:
    now, reason = timezone.now(), options["reason"]
    if options["act"] == "throw":
        return throw_switch(ref_of(options["scope"], options["name"]), reason=reason, by=by, now=now)
    try:
        which = UUID(options["suspension"] or "")
    except ValueError as err:
        raise CommandError("Name the suspension by its id; `kill_switch status` lists them.") from err
    return (ask_end if options["act"] == "ask" else end_suspension)(which, reason=reason, by=by, now=now)
