"""A simulated device inside this process: the same runtime, signatures and entrance, with the time handed in.

Rules
 * Only the socket is left out. What the door would answer is answered, so that weeks can be lived through in minutes.
 * The private key is made here and handed back; it is never stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from governance.domain import Refusal
from governance.services import Acting

from ..envelope import Message
from ..runtime import Identity, Reply
from ..signatures import enrolment_bytes, public_of, sign
from .batches import receive
from .devices import Claim, NewDevice, add_device, assign_device, enrol_device, issue_code


class DirectLine:
    """A line to the entrance of this process. Set `now` before each message: it is the server's clock."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now

    def post(self, path: str, *, headers: Mapping[str, str], body: bytes) -> Reply:
        """Hand the message in and return what the door would answer. `path` is the batches' only."""
        try:
            answer = receive(Message(dict(headers), body), now=self.now)
        except Refusal as why:
            problem = {"code": why.code, "detail": why.detail, "status": why.status}
            return Reply(why.status, json.dumps(problem).encode())
        return Reply(200, answer.body)


def equip(patient_id: UUID, new: NewDevice, *, zone: str, by: Acting, now: datetime) -> Identity:
    """Give a patient a new device with an enrolled key: who it is from now on."""
    with transaction.atomic():
        device = add_device(new, by=by, now=now)
        assign_device(device.pk, patient_id, by=by, now=now)
        code = issue_code(device.pk, by=by, now=now).replace("-", "")
    private = Ed25519PrivateKey.generate().private_bytes_raw()
    public = public_of(private)
    enrol_device(Claim(code, public, sign(private, enrolment_bytes(code, public))), now=now)
    return Identity(str(device.pk), private, zone)
