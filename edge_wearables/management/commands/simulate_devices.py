"""`manage.py simulate_devices`: synthetic people with devices, against a running server, over its real API."""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from care_loops.domain.readings import Method, Setting
from care_loops.domain.record import Sex
from care_loops.services.enrol import NewPatient, enrol_patient
from edge_wearables.domain import DeviceKind
from edge_wearables.formats import fields
from edge_wearables.runtime import Ended, HttpLine, Identity, Offline, seqs_of
from edge_wearables.services import NewDevice, add_device, assign_device, issue_code
from edge_wearables.signatures import enrolment_bytes, pack, public_of, sign, unpack
from edge_wearables.simulators.drive import Driven, Faults, drive
from governance.services import acting_job

ENROL = "/api/v1/devices/enrol"


class Command(BaseCommand):
    """Buffer, go offline, crash, send again: exit 0 only when every reading was acknowledged."""

    help = "Run simulated devices against a server."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Either new synthetic patients (this needs the server's own database) or the keys of enrolled devices."""
        parser.add_argument("--server", default="http://127.0.0.1:8000")
        who = parser.add_mutually_exclusive_group()
        who.add_argument("--patients", type=int, default=3, help="how many synthetic patients to enrol")
        who.add_argument("--keys", type=Path, help='a file of [{"device_id", "private_key", "zone"}]')
        parser.add_argument("--write-keys", type=Path, help="keep the keys of the new devices in this file")
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument("--days", type=int, default=7)
        parser.add_argument("--zone", default="Europe/Berlin")
        parser.add_argument("--offline-share", type=float, default=0.0)
        parser.add_argument("--duplicate-share", type=float, default=0.0)
        parser.add_argument("--crash", type=float, default=0.0, help="the chance of a crash at each step")
        parser.add_argument("--json", action="store_true")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Enrol, measure, send, count."""
        now = timezone.now()
        zone = fields.zone(options["zone"], otherwise=None)
        first_day = (now - timedelta(days=options["days"])).date()
        line = HttpLine(options["server"])
        if options["keys"]:
            identities = _read_keys(options["keys"])
        else:
            identities = [
                _enrolled(n, line, zone=zone, seed=options["seed"], now=now, days=options["days"])
                for n in range(options["patients"])
            ]
        if options["write_keys"]:
            _write_keys(options["write_keys"], identities)
        faults = Faults(options["offline_share"], options["duplicate_share"], options["crash"])
        totals: Counter[str] = Counter()
        with tempfile.TemporaryDirectory(prefix="devices-") as folder:
            for number, identity in enumerate(identities):
                driven = drive(
                    Path(folder) / f"{number}.sqlite3",
                    identity,
                    line,
                    seed=options["seed"] * 1_000 + number,
                    first_day=first_day,
                    days=options["days"],
                    faults=faults,
                    clock=timezone.now,
                )
                totals.update(_counted(driven))
        self._say(totals, devices=len(identities), as_json=options["json"])
        if totals["waiting"] or totals["refused"]:
            raise CommandError("Some readings were not acknowledged.", returncode=3)

    def _say(self, totals: Counter[str], *, devices: int, as_json: bool) -> None:
        names = ("recorded", "accepted", "duplicate", "rejected", "quarantined", "waiting", "crashes", "refused")
        said: dict[str, int] = {"devices": devices} | {name: totals[name] for name in names}
        if as_json:
            self.stdout.write(json.dumps(said))
            return
        for name, count in said.items():
            self.stdout.write(f"{count:6d} {name}")


def _counted(driven: Driven) -> dict[str, int]:
    counted = {o: len(seqs_of(driven.answers, o)) for o in ("accepted", "duplicate", "rejected", "quarantined")}
    return counted | {
        "recorded": driven.recorded,
        "waiting": driven.waiting,
        "crashes": driven.crashes,
        "refused": int(driven.ended is Ended.REFUSED),
    }


def _enrolled(number: int, line: HttpLine, *, zone: str, seed: int, now: datetime, days: int) -> Identity:
    """A synthetic patient with a device enrolled through the API, as a person would."""
    by, then = acting_job("simulate_devices", str(uuid4())), now - timedelta(days=days + 1)
    new = NewPatient(
        source_system="simulate_devices",
        source_id=f"{seed}-{number}-{uuid4()}",
        given_name="Synthetic",
        family_name=f"Person {number + 1}",
        born_on=None,
        sex=Random(seed + number).choice([Sex.FEMALE, Sex.MALE]),  # noqa: S311 - to be repeatable, not secret
        zone=zone,
        synthetic=True,
    )
    patient = enrol_patient(new, by=by, now=then)
    cuff = NewDevice(
        DeviceKind.BLOOD_PRESSURE_CUFF, "Simulated cuff", Method.UPPER_ARM_CUFF, Setting.HOME, validated=True, zone=zone
    )
    device = add_device(cuff, by=by, now=then)
    assign_device(device.pk, patient.pk, by=by, now=then)
    code = issue_code(device.pk, by=by, now=now).replace("-", "")
    private = Ed25519PrivateKey.generate().private_bytes_raw()
    public = public_of(private)
    claim = {"code": code, "public_key": pack(public), "proof": pack(sign(private, enrolment_bytes(code, public)))}
    try:
        reply = line.post(ENROL, headers={}, body=json.dumps(claim).encode())
    except Offline as err:
        raise CommandError(f"The server cannot be reached: {err}") from err
    if reply.status != 200:
        raise CommandError(f"The server refused a device: {reply.status} {reply.body[:200]!r}")
    return Identity(json.loads(reply.body)["device_id"], private, zone)


def _read_keys(path: Path) -> list[Identity]:
    try:
        rows = json.loads(path.read_text("utf-8"))
        return [
            Identity(row["device_id"], unpack(row["private_key"], size=32, name="private_key"), row["zone"])
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise CommandError(f"{path} is not a file of device keys: {err}") from err


def _write_keys(path: Path, identities: list[Identity]) -> None:
    rows = [{"device_id": i.device_id, "private_key": pack(i.private_key), "zone": i.zone} for i in identities]
    path.touch(mode=0o600, exist_ok=True)
    path.chmod(0o600)
    path.write_text(json.dumps(rows, indent=1), "utf-8")
