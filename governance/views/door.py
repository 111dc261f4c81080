"""What every page of staff shares: who comes in, at what time, and that a form sent twice acts once.

Rules
 * Signed in with two factors, and staff: a patient's own view is the phone's, built on the API.
 * The clock is read once a request. Nothing of a record stays in a cache.
 * A form acts once for its key; the answer the second time is the same (SECURITY 4).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper, wraps
from hashlib import sha256
from typing import Concatenate, ParamSpec

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from audit.services import BodyDiffers, StillRunning, StoredResponse, idempotent

from ..domain import STAFF_ROLES, BadInput, NotAllowed, Permission, Refusal
from ..permissions import TABLE
from ..policies import check_factors
from ..services import acting_person
from ..services.signing import SignatureNeeded
from .presence import presence_of
from .signing import SIGNING_FIELDS, InWords, StaffRequest, ask_to_sign, prove

P = ParamSpec("P")


class AtWork(Refusal):
    """The same form is being carried out."""

    code = "idempotency_running"


class OtherForm(Refusal):
    """This form was sent before with other content."""

    code = "idempotency_body_differs"
    status = 422


def own_page(view: Callable[Concatenate[StaffRequest, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """A page for whoever is signed in, about themself: sign-in, roles and the clock come before the view."""

    @login_required
    @wraps(view)
    def door(request: StaffRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        request.now = timezone.now()
        request.acting = acting_person(request.user, now=request.now, presence=presence_of(request), enrolling=True)
        response = view(request, *args, **kwargs)
        add_never_cache_headers(response)
        response["Cache-Control"] = "no-store, private"
        return response

    return door


def page(view: Callable[Concatenate[StaffRequest, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """A page for staff, who have shown two factors."""

    def door(request: StaffRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        check_factors(request.acting.standing.roles, presence_of(request).amr)  # the roles were read a moment ago
        if not request.acting.standing.roles & STAFF_ROLES:
            raise NotAllowed("These pages are for staff. Your own record is in your app.", missing="role")
        return view(request, *args, **kwargs)

    update_wrapper(door, view)
    return own_page(door)


def require(request: StaffRequest, permission: Permission) -> None:
    """Refuse who holds no role with which this can ever be done."""
    if not may(request, permission):
        raise NotAllowed("Your role does not open this page.", permission=permission.value, missing="role")


def may(request: StaffRequest, permission: Permission) -> bool:
    """Whether any role of this person allows it in their own care team: what a button asks."""
    return any((permission, role) in TABLE for role in request.acting.standing.roles)


def once(request: StaffRequest, work: Callable[[], str], *, said: str, in_words: InWords | None = None) -> HttpResponse:
    """Do `work` once for the form's key, say what was done, and go where `work` says.

    An act that is signed is tried without a signature first: it refuses, with the record that has to be signed, and
    that record is what the person then signs and what is compared when the form comes again. `in_words` reads that
    record for its signer: lines drawn from the record itself, shown above it.
    """
    sent = request.POST.copy()
    for name in ("csrfmiddlewaretoken", *SIGNING_FIELDS):
        sent.pop(name, None)
    refusal = prove(request)
    try:
        stored = idempotent(
            request.acting.actor,
            key=request.POST["key"],
            route=f"POST {request.path}"[:255],
            body_sha256=sha256(sent.urlencode().encode()).digest(),
            work=lambda: StoredResponse(status=303, body=work().encode(), content_type="text/uri-list"),
        )
    except StillRunning as running:
        raise AtWork("What you sent is being carried out. Look again in a moment.") from running
    except BodyDiffers as differs:
        raise OtherForm("This form was already sent with other content. Open the page again.") from differs
    except SignatureNeeded as needed:
        return ask_to_sign(request, needed, refusal=refusal, in_words=in_words)
    messages.success(request, said)
    answer = HttpResponseRedirect(stored.body.decode())
    answer.status_code = stored.status
    return answer


def submitted(
    request: StaffRequest, form: forms.Form, work: Callable[[], str], *, said: str, in_words: InWords | None = None
) -> HttpResponse | None:
    """Carry out a form that is valid. None when it has to be shown again, with what is wrong beside each field."""
    if not form.is_valid():
        return None
    try:
        return once(request, work, said=said, in_words=in_words)
    except BadInput as refusal:
        field = str(refusal.extra.get("field", ""))
        form.add_error(field if field in form.fields else None, refusal.detail)
        return None
