"""`manage.py set_operating_mode`: put forward how the hypertension pathway is run at this site; others approve it."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from care_loops.services.modes import set_operating_mode
from governance.domain import Refusal
from governance.management.signing import SigningCommand
from governance.selectors import account_named
from governance.services import Acting, acting_person
from governance.services.policies import Proposed
from governance.tiers import OperatingMode


class Command(SigningCommand):
    """`manage.py set_operating_mode off --patient-directed no --stopped no --daily-quota 0 --reason ... --by ada`"""

    help = (
        "Put forward how the pathway is run: off, simulation, research or live; each part is said. It holds when one "
        "prescriber and one pharmacist have approved it (manage.py policy approve); off and stopped hold at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Every part of the mode."""
        parser.add_argument("mode", choices=[mode.value for mode in OperatingMode])
        parser.add_argument(
            "--patient-directed", required=True, choices=["yes", "no"], help="small changes within signed boundaries"
        )
        parser.add_argument("--stopped", required=True, choices=["yes", "no"], help="yes: nothing at all is proposed")
        parser.add_argument("--daily-quota", required=True, type=int, help="changes a day that may go straight out")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--by", required=True, help="user name of the administrator who sets it")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *_: Any, **options: Any) -> None:
        """Parse, read the clock, make one call, say what came of it."""
        now = timezone.now()
        try:
            by = acting_person(account_named(options["by"]), now=now)
            put = self.signed(lambda signer: _set(options, by=signer), by, options)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        content = put.motion.content
        said = {"pathway": content["subject"], "version": content["version"], "in_force": put.version is not None}
        said |= {"motion": str(put.motion.pk), **content["body"]}
        parts = ", ".join(f"{name} {value}" for name, value in said.items())
        self.stdout.write(json.dumps(said) if options["as_json"] else parts)


def _set(options: dict[str, Any], *, by: Acting) -> Proposed:
    return set_operating_mode(
        OperatingMode(options["mode"]),
        patient_directed=options["patient_directed"] == "yes",
        stopped=options["stopped"] == "yes",
        daily_patient_quota=options["daily_quota"],
        reason=options["reason"],
        by=by,
        now=timezone.now(),
    )
