"""What the tests of the entrance share: a patient with an enrolled device, and a sender that signs as it does."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client
from django.utils import timezone

from care_loops.domain.readings import Method, Setting
from care_loops.domain.record import Sex
from care_loops.models import BloodPressure, Patient, SensorSample
from care_loops.services.enrol import NewPatient, enrol_patient
from edge_wearables.domain import BatchHead, DeviceKind
from edge_wearables.runtime import Reply
from edge_wearables.services import Claim, NewDevice, add_device, assign_device, enrol_device, issue_code
from edge_wearables.signatures import enrolment_bytes, message_bytes, pack, public_of, sign
from edge_wearables.signatures import key_id as name_of_key
from governance.services import acting_job

BATCHES = "/api/v1/devices/batches"
ENROL = "/api/v1/devices/enrol"
REFUSED = "/api/v1/devices/refused"
JOB = acting_job("tests", "entrance")
ZONE = "Europe/Berlin"


def new_patient(name: str = "A", *, now: datetime | None = None) -> Patient:
    """A synthetic patient."""
    new = NewPatient("tests", f"{name}-{uuid4()}", name, "Test", None, Sex.FEMALE, ZONE, synthetic=True)
    return enrol_patient(new, by=JOB, now=now or timezone.now() - timedelta(days=100))


def new_device(
    *,
    method: Method = Method.UPPER_ARM_CUFF,
    validated: bool = True,
    zone: str = ZONE,
    now: datetime | None = None,
) -> UUID:
    """A device that has been added and has no key yet."""
    kind = DeviceKind.CUFFLESS if method is Method.CUFFLESS else DeviceKind.BLOOD_PRESSURE_CUFF
    new = NewDevice(kind, "Evolv HEM-7600T", method, Setting.HOME, validated, zone)
    return add_device(new, by=JOB, now=now or timezone.now() - timedelta(days=100)).pk


def enrolled_key(device_id: UUID, *, now: datetime | None = None) -> bytes:
    """Enrol a fresh key for the device and return its private half."""
    moment = now or timezone.now() - timedelta(days=100)
    code = issue_code(device_id, by=JOB, now=moment).replace("-", "")
    private = Ed25519PrivateKey.generate().private_bytes_raw()
    public = public_of(private)
    enrol_device(Claim(code, public, sign(private, enrolment_bytes(code, public))), now=moment)
    return private


def a_sender(patient: Patient | None = None, **device: object) -> "Sender":
    """A device of a patient, ready to send."""
    moment = timezone.now() - timedelta(days=100)
    owner = patient or new_patient()
    device_id = new_device(**device)
    private = enrolled_key(device_id)
    assign_device(device_id, owner.pk, by=JOB, now=moment)
    return Sender(device_id, private, owner)


def pressure(seq: int, *, systolic: object = 128, diastolic: object = 82, **changes: object) -> dict:
    """A reading of our format; `ago` in minutes (default: one more for each lower number)."""
    ago = changes.pop("ago", 600 - seq % 500)
    content = {
        "seq": seq,
        "kind": "blood_pressure",
        "taken_at": (timezone.now() - timedelta(minutes=ago)).replace(microsecond=0).isoformat(),
        "unit": "mmHg",
        "systolic": systolic,
        "diastolic": diastolic,
        "pulse": 70,
    }
    return content | changes


@dataclass
class Sender:
    """Signs and posts as a device, through the real door; every part can be bent."""

    device_id: UUID
    private: bytes
    patient: Patient | None = None
    boot_id: str = field(default_factory=lambda: str(uuid4()))
    client: Client = field(default_factory=lambda: Client(raise_request_exception=True))

    def message(self, readings: list, *, body: bytes | None = None, sent_at: datetime | None = None, **head: object):
        """Body and headers of a signed message."""
        seqs = [r["seq"] for r in readings if isinstance(r, dict) and isinstance(r.get("seq"), int)] or [1]
        if body is None:
            body = json.dumps({"format": "clinaiops/readings/v1", "readings": readings}).encode()
        at = (sent_at or timezone.now()).astimezone(UTC)
        said = BatchHead(
            device_id=str(head.get("device_id", self.device_id)),
            boot_id=str(head.get("boot_id", self.boot_id)),
            first_seq=head.get("first_seq", min(seqs)),
            last_seq=head.get("last_seq", max(seqs)),
            sent_at=at,
            sent_at_text=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )
        return body, self.headers(said, body)

    def headers(self, head: BatchHead, body: bytes) -> dict[str, str]:
        """The signed headers."""
        return {
            "Device-Id": head.device_id,
            "Device-Key": name_of_key(public_of(self.private)),
            "Boot-Id": head.boot_id,
            "First-Seq": str(head.first_seq),
            "Last-Seq": str(head.last_seq),
            "Sent-At": head.sent_at_text,
            "Signature": pack(sign(self.private, message_bytes(head, sha256(body).digest()))),
        }

    def post(self, body: bytes, headers: dict[str, str], **more: str):
        """Through the door."""
        return self.client.post(BATCHES, data=body, content_type="application/json", headers=headers | more)

    def send(self, *readings: object, **head: object):
        """Sign and post readings."""
        return self.post(*self.message(list(readings), **head))

    def taken(self, *readings: object, **head: object) -> dict:
        """Send what is expected to be answered with 200."""
        answer = self.send(*readings, **head)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def stored(self) -> list[BloodPressure]:
        """This device's pressures in the record, by number."""
        rows = BloodPressure.objects.filter(source_system=f"device:{self.device_id}")
        return sorted(rows, key=lambda row: (int(row.source_id.split(":")[1].split("#")[0]), row.source_id))

    def samples(self) -> list[SensorSample]:
        """This device's samples in the record."""
        return list(SensorSample.objects.filter(source_system=f"device:{self.device_id}"))


class ClientLine:
    """The runtime's line through Django's own client: the real door, without a socket."""

    def __init__(self) -> None:
        self.client = Client()

    def post(self, path: str, *, headers: dict, body: bytes) -> Reply:
        """One request."""
        answer = self.client.post(path, data=body, content_type="application/json", headers=dict(headers))
        return Reply(answer.status_code, answer.content)
