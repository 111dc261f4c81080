"""How a tool signs for its person: the command is sent, answered with what has to be signed, and sent again with it.

Rules (SECURITY 2.3 A9, 3.4; 21 CFR 11.200)
 * A token or a cookie is no signature. The first time the answer is 401 `signature_needed`: the record as it would be
   signed, the challenge, and for how long it is good; nothing has been done. The same command, with the same
   `Idempotency-Key` and the member `signature`, is then carried out.
 * What was wrong with a signature is said by its own code, beside a new challenge; a challenge is used once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.serializers import Serializer

from governance.domain import Method, Refusal
from governance.policies import factor_rules
from governance.problems import problem
from governance.services.credentials import live, may_sign
from governance.services.signing import (
    SignatureNeeded,
    begin_assertion,
    finish_assertion,
    finish_with_password,
    passkey_options,
)
from governance.views.second_factor import place_of

from .base import Door
from .reading import read


def read_signed(door: Door, serializer: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """The command's values; its signature, where one came with it, is left at the door."""
    said = read(serializer, request.data, now=door.now)
    plain = {name: value for name, value in dict(request.data).items() if name != "signature"}
    door.sent = json.dumps(plain, sort_keys=True, default=str).encode()  # the same command, signed or not yet
    door.signature = said.pop("signature", None)
    return said


def prove(door: Door, request: Request) -> Refusal | None:
    """Check the signature that came with the command. What was wrong with it is returned, to be said."""
    if door.signature is None:
        return None
    said, user = door.signature, door.acting.person()
    try:
        if "credential" in said:
            place = place_of(request)
            proof = finish_assertion(said["signing"], said["credential"], user=user, place=place, now=door.now)
        else:
            proof = finish_with_password(
                said["signing"], password=said["password"], code=said["code"], user=user, now=door.now
            )
    except Refusal as refusal:
        return refusal
    door.acting = replace(door.acting, proof=proof)
    return None


def ask_to_sign(door: Door, request: Request, needed: SignatureNeeded, refusal: Refusal | None) -> HttpResponse:
    """What has to be signed, with everything a tool needs to have it signed."""
    user = door.acting.person()
    asked = begin_assertion(needed.asked, user=user, now=door.now)
    ready = [row.method for row in live(user, Method.WEBAUTHN, Method.TOTP) if may_sign(row)]
    said: dict[str, Any] = {
        "signing": str(asked.pk),
        "signer": user.printed_name,
        "meaning": asked.meaning,
        "record": _plain(needed.asked.content),
        "record_sha256": asked.record_digest,
        "good_until": (door.now + factor_rules().challenge_lives).isoformat(),
        "methods": sorted({"webauthn" if method == Method.WEBAUTHN else "password_totp" for method in ready}),
    }
    if Method.WEBAUTHN in ready:
        said["options"] = _plain(passkey_options(asked, place=place_of(request)))
    wrong = refusal or needed
    return problem(wrong.status, wrong.code, wrong.detail, said)


def _plain(said: Any) -> Any:
    """As JSON has it: what a library's mapping holds, unfolded."""
    if isinstance(said, Mapping):
        return {str(name): _plain(value) for name, value in said.items()}
    if isinstance(said, list | tuple):
        return [_plain(value) for value in said]
    return said
