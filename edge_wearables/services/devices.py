"""A device's life: added, given a code, enrolled with its own key, handed from one patient to another, revoked.

Rules
 * A code is shown once, works once, for one device, for a short time; we keep its SHA-256 (SECURITY 1.4).
 * Enrolment proves that the device holds the private key. The same device sending it again gets the same answer.
 * A revoked key is refused from the next request on. A device has one key and one patient at a time.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction

from audit.domain import Event, Job, ObjectRef, Outcome, Purpose
from audit.selectors import next_version
from audit.services.denials import append_denied
from audit.services.recording import append
from care_loops.domain.readings import Method, Setting
from care_loops.models import Patient
from care_loops.services.known_devices import know_device
from governance.domain import BadInput, NotFound, Permission, Relation
from governance.permissions import check
from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting, acting_device

from ..domain import DeviceKind, NotTrusted
from ..formats import fields
from ..models import Device, DeviceAssignment, DeviceKey, EnrolmentCode
from ..signatures import enrolment_bytes, key_id, verify
from .refusing import ENTRANCE

CODE_LIVES = timedelta(days=7)
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # no 0, O, 1, I: it is typed by hand


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device to add. How it measures is stated, never guessed; `zone` may be empty when messages say it."""

    kind: DeviceKind
    model_name: str
    method: Method
    setting: Setting
    validated: bool
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a device sends to enrol: the one-time code, its public key, and the proof that it holds the private one."""

    code: str
    public_key: bytes
    proof: bytes


def add_device(new: NewDevice, *, by: Acting, now: datetime) -> Device:
    """Add a device. It can send nothing before it is enrolled, and nothing of it is kept before it is assigned."""
    by = _allowed(by)
    if new.zone:
        fields.zone(new.zone, otherwise=None)
    if new.validated and new.method not in (Method.UPPER_ARM_CUFF, Method.WRIST_CUFF):
        raise BadInput("Only a cuff can be validated.", field="validated")
    with transaction.atomic():
        device_id = uuid4()
        said: dict[str, object] = {"model_name": new.model_name, "method": new.method.value, "validated": new.validated}
        entry = _note("device.enrolled", device_id, by=by, now=now, payload={"step": "added"} | said)
        know_device(str(device_id), new.model_name, entry=entry)
        return Device.objects.create(
            id=device_id,
            kind=new.kind.value,
            model_name=fields.text(new.model_name, name="model_name", longest=120),
            method=new.method.value,
            setting=new.setting.value,
            validated=new.validated,
            zone=new.zone,
            added_at=now,
            entry=entry,
        )


def issue_code(device_id: UUID, *, by: Acting, now: datetime) -> str:
    """A one-time code with which the device enrols its key. Returned once, never again."""
    by = _allowed(by)
    code = "".join(secrets.choice(ALPHABET) for _ in range(16))
    with transaction.atomic():
        device = _device(device_id)
        entry = _note("device.enrolled", device.pk, by=by, now=now, payload={"step": "code_issued"})
        EnrolmentCode.objects.create(
            device=device,
            code_sha256=_digest(code),
            issued_by=by.user,
            issued_at=now,
            expires_at=now + CODE_LIVES,
            entry=entry,
        )
    return "-".join(code[i : i + 4] for i in range(0, 16, 4))


def enrol_device(claim: Claim, *, now: datetime) -> DeviceKey:
    """Enrol the device's key. Raises `NotTrusted` for a code that does not hold or a proof that does not fit."""
    code = _plain(claim.code)
    try:
        verify(claim.public_key, claim.proof, enrolment_bytes(code, claim.public_key))
        try:
            return _enrol(code, claim.public_key, now=now)
        except IntegrityError:  # the same code at the same moment: the database chose one, now it is known
            return _enrol(code, claim.public_key, now=now)
    except NotTrusted as why:
        append_denied(
            Event(
                type="access.denied",
                occurred_at=now,
                actor=Job(ENTRANCE, str(uuid4())),
                object=ObjectRef("device", "unknown"),
                purpose=Purpose.OPERATIONS,
                outcome=Outcome.DENIED,
                reason_code=why.code,
            )
        )
        raise


@transaction.atomic
def _enrol(code: str, public_key: bytes, *, now: datetime) -> DeviceKey:
    found = EnrolmentCode.objects.select_related("device").filter(code_sha256=_digest(code)).first()
    if found is None:
        raise NotTrusted("unknown_code", "This code is not known.")
    named = key_id(public_key)
    used = DeviceKey.objects.filter(code=found).first()
    if used is not None:
        if used.key_id == named and used.revoked_at is None:
            return used
        raise NotTrusted("code_used", "This code was used already.")
    if now >= found.expires_at:
        raise NotTrusted("code_expired", "This code has expired.")
    if DeviceKey.objects.filter(key_id=named).exists():
        raise NotTrusted("key_known", "This key is enrolled already; make a new one.", status=403)
    by = acting_device(str(found.device_id), key_id=named)
    for old in DeviceKey.objects.select_for_update().filter(device=found.device, revoked_at__isnull=True):
        _revoke(old, "replaced", by=by, now=now)
    entry = _note("device.enrolled", found.device_id, by=by, now=now, payload={"step": "key", "key": named})
    return DeviceKey.objects.create(
        device=found.device, key_id=named, public_key=public_key, code=found, since=now, entry=entry
    )


def revoke_device(device_id: UUID, *, reason: str, by: Acting, now: datetime) -> int:
    """Revoke the device's key, from the next request on. Returns how many keys were revoked: one or none."""
    by = _allowed(by)
    with transaction.atomic():
        device = _device(device_id)
        keys = DeviceKey.objects.select_for_update().filter(device=device, revoked_at__isnull=True)
        return sum(_revoke(key, reason, by=by, now=now) for key in keys)


@looking_wider(Wider.DEVICES)
def assign_device(device_id: UUID, patient_id: UUID, *, by: Acting, now: datetime) -> DeviceAssignment:
    """From now on the device is this patient's; whoever had it before has it no longer. Twice changes nothing."""
    by = _allowed(by)
    with transaction.atomic():
        device, patient = _device(device_id), Patient.objects.filter(pk=patient_id).first()
        if patient is None:
            raise NotFound("There is no such record.")
        current = DeviceAssignment.objects.select_for_update().filter(device=device, until__isnull=True).first()
        if current is not None and current.patient_id == patient.pk:
            return current
        if current is not None:
            _end(current, by=by, now=now)
        entry = _note("device.assigned", device.pk, by=by, now=now, patient_id=patient.pk)
        return DeviceAssignment.objects.create(device=device, patient=patient, since=now, entry=entry)


@looking_wider(Wider.DEVICES)
def unassign_device(device_id: UUID, *, by: Acting, now: datetime) -> None:
    """The device is nobody's from now on; what it measures from here is refused by name."""
    by = _allowed(by)
    with transaction.atomic():
        current = DeviceAssignment.objects.select_for_update().filter(device_id=device_id, until__isnull=True).first()
        if current is not None:
            _end(current, by=by, now=now)


def _allowed(by: Acting) -> Acting:
    """A person needs the permission; our own commands act as jobs."""
    if isinstance(by.actor, Job):
        return by
    return by.under(check(Permission.ENROL_DEVICE, by.standing, frozenset({Relation.SITE})))


def _device(device_id: UUID) -> Device:
    device = Device.objects.filter(pk=device_id).first()
    if device is None:
        raise NotFound("There is no such device.")
    return device


def _revoke(key: DeviceKey, reason: str, *, by: Acting, now: datetime) -> int:
    key.revoked_at, key.revoked_reason = now, reason[:60]
    key.revoked_entry = _note("device.revoked", key.device_id, by=by, now=now, payload={"reason": reason[:200]})
    key.save(update_fields=["revoked_at", "revoked_reason", "revoked_entry"])
    return 1


def _end(assignment: DeviceAssignment, *, by: Acting, now: datetime) -> None:
    assignment.until = now
    assignment.ended_entry = _note(
        "device.unassigned", assignment.device_id, by=by, now=now, patient_id=assignment.patient_id
    )
    assignment.save(update_fields=["until", "ended_entry"])


def _note(
    kind: str,
    device_id: UUID,
    *,
    by: Acting,
    now: datetime,
    payload: dict[str, object] | None = None,
    patient_id: UUID | None = None,
) -> UUID:
    version = next_version("device", str(device_id))
    appended = append(
        Event(
            type=kind,
            occurred_at=now,
            actor=by.actor,
            on_behalf_of=by.on_behalf_of,
            object=ObjectRef("device", str(device_id), version),
            purpose=Purpose.OPERATIONS,
            subject=str(patient_id) if patient_id else None,
            payload=payload,
        )
    )
    return appended.entry_id


def _plain(code: str) -> str:
    return code.replace("-", "").replace(" ", "").upper()


def _digest(code: str) -> str:
    return hashlib.sha256(_plain(code).encode()).hexdigest()
