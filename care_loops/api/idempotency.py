"""One effect per `Idempotency-Key`: the same answer to the byte, however often it is sent (SECURITY 4).

Rules
 * The key belongs to a person and an address. With another body it is refused (422); while the first is at work, 409.
 * What answers a command is stored in the transaction of its effect. A refusal stores nothing and may be sent again.
 * Who changed something gets a receipt: member `receipt`, a signed note about the entry that records the act.
 * Where a key is needed and none came, the command is refused before anything happens (400).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from django.http import HttpResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from audit.services.commands import BodyDiffers, KeyUnusable, StillRunning, StoredResponse, idempotent
from audit.services.receipts import receipt_for
from audit.services.recording import collecting
from governance.domain import BadInput, Refusal
from governance.services.signing import SignatureNeeded

from .base import Door
from .signing import ask_to_sign, prove

HEADER = "Idempotency-Key"
SIGNATURE = "signature.made"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class KeyRefused(BadInput):
    """No usable key came with a command that needs one."""

    code = "idempotency_key_needed"


class KeyUsed(Refusal):
    """This key was used for a different command."""

    code = "idempotency_body_differs"
    status = 422


class KeyAtWork(Refusal):
    """The first command with this key has not ended yet."""

    code = "idempotency_running"


def once(
    door: Door, request: Request, work: Callable[[], Any], *, status: int = 200, key_needed: bool = True
) -> HttpResponse:
    """Do `work` once for this key and answer with what it returned, as JSON; the same bytes from then on.

    An act that is signed is answered with what has to be signed, until its signature comes with it.
    """
    refusal = prove(door, request)
    try:
        return _once(door, request, work, status=status, key_needed=key_needed)
    except SignatureNeeded as needed:
        return ask_to_sign(door, request, needed, refusal)


def _once(door: Door, request: Request, work: Callable[[], Any], *, status: int, key_needed: bool) -> HttpResponse:
    key = request.headers.get(HEADER)
    if key is None and not key_needed:
        return _answer(StoredResponse(status=status, body=_with_receipt(work)))
    if key is None or not _KEY.fullmatch(key):
        raise KeyRefused(f"Send {HEADER}: 1 to 255 printable signs, the same again when you repeat the command.")
    try:
        stored = idempotent(
            door.acting.actor,
            key=key,
            route=f"{request.method} {request.get_full_path()}"[:255],
            body_sha256=sha256(door.sent).digest(),
            work=lambda: StoredResponse(status=status, body=_with_receipt(work)),
        )
    except StillRunning as running:
        raise KeyAtWork("The same command is being carried out. Send it again in a second.", retry_after=1) from running
    except BodyDiffers as differs:
        raise KeyUsed("This key was used for another command. Take a new key for a new intent.") from differs
    except KeyUnusable as unusable:
        raise KeyRefused(f"This {HEADER} cannot be used.") from unusable
    return _answer(stored)


def _with_receipt(work: Callable[[], Any]) -> bytes:
    """What `work` answers, with the receipt of the act: the first entry it wrote beside the signature under it."""
    with collecting() as written:
        said = work()
    acts = [done for kind, done in written if kind != SIGNATURE]
    if acts and isinstance(said, dict):
        said = {**said, "receipt": receipt_for(acts[0]).decode()}
    return bytes(JSONRenderer().render(said))


def _answer(stored: StoredResponse) -> HttpResponse:
    return HttpResponse(stored.body, status=stored.status, content_type=stored.content_type)
