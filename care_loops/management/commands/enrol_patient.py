"""Enrol a patient, put a responsible clinician in charge, and invite the patient: what a real site starts with."""

from __future__ import annotations

import json
from datetime import date
from typing import Any
from uuid import uuid4
from zoneinfo import available_timezones

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from care_loops.domain.record import Sex
from care_loops.services.enrol import NewPatient, admit
from governance.domain import Refusal
from governance.selectors import account_named
from governance.services import acting_person


class Command(BaseCommand):
    """`manage.py enrol_patient --by ada --given-name Mary --family-name Ward --born-on 1961-04-02 --sex female ...`"""

    help = "Enrol a patient with a responsible clinician. Nothing here has a usual value: what is not known is said so."

    def add_arguments(self, parser: CommandParser) -> None:
        """The patient, and who answers for them."""
        parser.add_argument("--by", required=True, help="user name of who enrols")
        parser.add_argument("--given-name", required=True)
        parser.add_argument("--family-name", required=True)
        parser.add_argument("--born-on", type=_day, required=True, help="YYYY-MM-DD, or `unknown`")
        parser.add_argument("--sex", required=True, choices=[sex.value for sex in Sex])
        parser.add_argument("--zone", required=True, help="IANA zone of home, e.g. Europe/Berlin")
        parser.add_argument("--responsible", required=True, help="user name of the responsible clinician")
        parser.add_argument("--source-system", default="")
        parser.add_argument("--source-id", default="", help="the identifier elsewhere; the same one enrols once")
        parser.add_argument(
            "--takes-no-medicines", action="store_true", help="somebody said so; else a list of medicines must follow"
        )
        parser.add_argument("--synthetic", action="store_true")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        """Parse, read the clock, enrol and appoint, say what came of it."""
        if options["zone"] not in available_timezones():
            raise CommandError(f"unknown_time_zone: {options['zone']!r} is not an IANA zone.")
        now = timezone.now()
        new = NewPatient(
            source_system=options["source_system"] or "this site",
            source_id=options["source_id"] or str(uuid4()),
            given_name=options["given_name"],
            family_name=options["family_name"],
            born_on=options["born_on"],
            sex=Sex(options["sex"]),
            zone=options["zone"],
            synthetic=options["synthetic"],
            takes_no_medicines=options["takes_no_medicines"],
        )
        try:
            by = acting_person(account_named(options["by"]), now=now)
            clinician = account_named(options["responsible"])
            patient = admit(new, clinician.pk, by=by, now=now)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        if options["as_json"]:
            self.stdout.write(json.dumps({"patient": str(patient.pk), "responsible": clinician.username}))
        else:
            self.stdout.write(f"{patient.shown_name} is enrolled as {patient.pk}, with {clinician.printed_name}.")


def _day(text: str) -> date | None:
    return None if text == "unknown" else date.fromisoformat(text)
