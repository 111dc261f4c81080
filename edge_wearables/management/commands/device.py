"""`manage.py device add|code|assign|unassign|revoke`: a device's life at a site (docs/device_protocol.md, 1)."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from care_loops.domain.readings import Method, Setting
from edge_wearables.domain import DeviceKind, Unreadable
from edge_wearables.services import (
    NewDevice,
    add_device,
    assign_device,
    issue_code,
    revoke_device,
    unassign_device,
)
from governance.domain import Refusal
from governance.selectors import account_named
from governance.services import Acting, acting_person


class Command(BaseCommand):
    """`device add --model "Omron X7" --kind blood_pressure_cuff --method upper_arm_cuff --patient ID --by ada`"""

    help = (
        "Add a device for a patient and print its one-time enrolment code; print a new code; pass it to another "
        "patient or to nobody; revoke its key. How a device measures is stated, never guessed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Each act on its own, with what it needs."""
        acts = parser.add_subparsers(dest="act", required=True)
        add = acts.add_parser("add", help="a new device, for a patient; prints the code with which it enrols")
        add.add_argument("--model", required=True, help="maker and model")
        add.add_argument("--kind", required=True, choices=[kind.value for kind in DeviceKind])
        add.add_argument("--method", required=True, choices=[method.value for method in Method])
        add.add_argument("--setting", required=True, choices=[setting.value for setting in Setting])
        add.add_argument("--validated", action="store_true", help="the cuff is on a list of validated devices")
        add.add_argument("--zone", default="", help="IANA zone, where its messages do not say one")
        add.add_argument("--patient", type=UUID, required=True)
        named = {
            "code": "a new one-time code; the key it enrols takes the place of the one before",
            "assign": "from now on it is this patient's",
            "unassign": "from now on it is nobody's",
            "revoke": "its key is refused from the next message on",
        }
        each = {name: acts.add_parser(name, help=words) for name, words in named.items()}
        for act in each.values():
            act.add_argument("device", type=UUID)
        each["assign"].add_argument("--patient", type=UUID, required=True)
        each["revoke"].add_argument("--reason", required=True)
        for act in (add, *each.values()):
            act.add_argument("--by", required=True, help="user name of who does it")
            act.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Parse, read the clock, act, say what came of it."""
        now = timezone.now()
        try:
            by = acting_person(account_named(options["by"]), now=now)
            with transaction.atomic():
                said = _did(options, by=by, now=now)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        except Unreadable as why:
            raise CommandError(f"{why.code}: {why.detail}") from why
        words = "\n".join(f"{name}: {value}" for name, value in said.items())
        self.stdout.write(json.dumps(said) if options["as_json"] else words)


def _did(options: dict[str, Any], *, by: Acting, now: datetime) -> dict[str, str | int]:
    """What was done, by its names."""
    if options["act"] == "add":
        new = NewDevice(
            DeviceKind(options["kind"]),
            options["model"],
            Method(options["method"]),
            Setting(options["setting"]),
            validated=options["validated"],
            zone=options["zone"],
        )
        device = add_device(new, by=by, now=now)
        assign_device(device.pk, options["patient"], by=by, now=now)
        return {"device": str(device.pk), "code": issue_code(device.pk, by=by, now=now)}
    device_id: UUID = options["device"]
    said: dict[str, str | int] = {"device": str(device_id)}
    match options["act"]:
        case "code":
            said["code"] = issue_code(device_id, by=by, now=now)
        case "assign":
            assign_device(device_id, options["patient"], by=by, now=now)
            said["patient"] = str(options["patient"])
        case "unassign":
            unassign_device(device_id, by=by, now=now)
            said["patient"] = "nobody"
        case _:
            said["keys_revoked"] = revoke_device(device_id, reason=options["reason"], by=by, now=now)
    return said
