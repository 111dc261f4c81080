"""`manage.py predictor register|approve|activate`: the published protocols on their way to serving."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from care_loops.pathways.hypertension.predictors import PROTOCOLS
from care_loops.services.predictors import activate_protocol, approve_protocol, register_protocols
from governance.domain import Refusal
from governance.management.signing import SigningCommand
from governance.selectors import account_named
from governance.services import Acting, acting_person
from models.registry.models import ModelVersion


class Command(SigningCommand):
    """`predictor register --by engineer`, then `predictor approve home_bp --by ...` twice, then `activate`."""

    help = (
        "Put a published protocol to work: one person registers it, two others approve it, then it is activated. "
        "Without an active predictor nothing is proposed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What, of which protocol, by whom."""
        parser.add_argument("act", choices=["register", "approve", "activate"])
        parser.add_argument("name", nargs="?", choices=sorted(PROTOCOLS), help="not for register, which takes them all")
        parser.add_argument("--by", required=True, help="user name of who does it")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *_: Any, **options: Any) -> None:
        """Parse, read the clock, make one call, say what came of it."""
        if (options["name"] is None) != (options["act"] == "register"):
            raise CommandError("Name the protocol to approve or activate; register takes no name.")
        now = timezone.now()
        try:
            by = acting_person(account_named(options["by"]), now=now)
            versions = self.signed(lambda signer: _do(options, by=signer), by, options)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        said = [{"name": v.name, "version": v.version, "digest": v.digest, "did": options["act"]} for v in versions]
        words = [f"{options['act']}: {v.name} {v.version} ({v.digest[:12]})" for v in versions]
        self.stdout.write(json.dumps(said) if options["as_json"] else "\n".join(words))


def _do(options: dict[str, Any], *, by: Acting) -> tuple[ModelVersion, ...]:
    now = timezone.now()
    match options["act"]:
        case "register":
            return register_protocols(by=by, now=now)
        case "approve":
            return (approve_protocol(options["name"], by=by, now=now),)
        case _:
            return (activate_protocol(options["name"], by=by, now=now),)
