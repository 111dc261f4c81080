"""The one place on pages where a signature is asked for: the record as it will be signed, and two ways to sign it.

Rules (SECURITY 1.4, 3.4; 21 CFR 11.50, 11.200)
 * The record shown is the record signed: it comes from the act itself, which was tried and refused without a signature.
 * Name, meaning and all components, every time. The form that was being sent is sent again with the signature, whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from ..domain import Method, NotFound, Refusal
from ..models import SigningChallenge, User
from ..services import Acting
from ..services.credentials import live, may_sign
from ..services.signing import (
    SignatureNeeded,
    begin_assertion,
    finish_assertion,
    finish_with_password,
    passkey_options,
)
from .presence import presence_of
from .second_factor import place_of, said_credential

InWords = Callable[[Mapping[str, Any]], Sequence[tuple[str, str]]]
SIGNING_FIELDS = ("signing", "credential", "sign_password", "sign_code")


class StaffRequest(HttpRequest):
    """A request of a signed-in person, with the moment at which it came in."""

    acting: Acting
    now: datetime


def prove(request: StaffRequest) -> Refusal | None:
    """Check the signature that came with this form, if one did. What was wrong with it is returned, to be shown."""
    text = request.POST.get("signing", "")
    if not text:
        return None
    user = request.acting.person()
    try:
        challenge = UUID(text)
        if request.POST.get("credential"):
            answer, place = said_credential(request), place_of(request)
            proof = finish_assertion(challenge, answer, user=user, place=place, now=request.now)
        else:
            proof = finish_with_password(
                challenge,
                password=request.POST.get("sign_password", ""),
                code=request.POST.get("sign_code", "")[:20],
                user=user,
                now=request.now,
            )
    except ValueError:
        return Refusal("This is no request for a signature.")
    except Refusal as refusal:
        return refusal
    request.acting = replace(request.acting, proof=proof)
    return None


def ask_to_sign(
    request: StaffRequest, needed: SignatureNeeded, *, refusal: Refusal | None, in_words: InWords | None = None
) -> HttpResponse:
    """The page on which the record is signed, with everything that was being sent."""
    user = request.acting.person()
    asked = begin_assertion(needed.asked, user=user, now=request.now)
    ready = [row.method for row in live(user, Method.WEBAUTHN, Method.TOTP) if may_sign(row)]
    left_out = ("csrfmiddlewaretoken", *SIGNING_FIELDS)
    shown = {
        "asked": asked,
        "signer": user.printed_name,
        "words": in_words(needed.asked.content) if in_words else (),
        "lines": list(_lines(needed.asked.content)),
        "record": json.dumps(dict(needed.asked.content), indent=2, sort_keys=True, ensure_ascii=False),
        "fields": [(name, one) for name, many in request.POST.lists() for one in many if name not in left_out],
        "refusal": refusal,
        "has_passkey": Method.WEBAUTHN.value in ready,
        "has_code": Method.TOTP.value in ready,
    }
    return render(request, "governance/sign.html", shown, status=refusal.status if refusal else 200)


@never_cache
@require_POST
def options(request: HttpRequest, challenge_id: UUID) -> HttpResponse:
    """What the browser needs to sign what it was asked to."""
    asked = SigningChallenge.objects.filter(pk=challenge_id, used_at__isnull=True).select_related("user").first()
    if not isinstance(request.user, User) or asked is None or asked.user_id != request.user.pk:
        raise NotFound("There is nothing to sign here.")
    if not presence_of(request).amr or asked.made_at > timezone.now():
        raise NotFound("There is nothing to sign here.")
    return JsonResponse(passkey_options(asked, place=place_of(request)))


def _lines(record: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """A record as lines of words."""
    for name, value in record.items():
        words = f"{before}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _lines(value, f"{words}: ")
        elif isinstance(value, list):
            yield words, ", ".join(str(one) for one in value) or "none"
        else:
            yield words, "none" if value is None or value == "" else _unfrozen(str(value))


def _unfrozen(text: str) -> str:
    """A value that was frozen into the record, part by part; any other text, and what a person wrote, as it is."""
    if not text.startswith("{"):
        return text
    try:
        found = json.loads(text)
    except ValueError:
        return text
    if json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False) != text:
        return text
    bare = json.loads(text, object_hook=lambda part: part["value"] if set(part) == {"value"} else part)
    return "; ".join(f"{name} {value}" for name, value in _lines(bare)) if isinstance(bare, dict) else str(bare)
