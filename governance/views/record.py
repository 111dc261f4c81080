"""The record's own pages: its state, search, one entry with its proof, and how to verify it without us.

What shows patients, exports and second reviews stand in `care_loops.views`; these pages know pseudonyms only.

Rules (GOV-07, SECURITY 2.3 A21)
 * Every look at entries is recorded, with what was looked for; nothing else is written from here.
 * The permission comes first, then the look is recorded, then it is shown.
"""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audit.services.proving import EXTENSION, proof_of, proof_of_detached
from audit.services.searching import detached_entry, stored_entry

from ..domain import NotFound, Permission
from ..forms import SearchForm
from ..presenters.record import tabs
from ..presenters.record_entry import detached_shown, entry_shown
from ..presenters.record_results import actor_of, results
from ..presenters.record_state import state_shown
from ..services import acting_person
from ..services.looking import record_look
from .door import page, require
from .signing import StaffRequest

NOWHERE = "There is no such entry in the record."


@require_safe
@page
def state(request: StaffRequest) -> HttpResponse:
    """How the record stands: in a sentence, in figures, and drawn."""
    require(request, Permission.VERIFY_RECORD)
    shown = {"page": state_shown(now=request.now), "tabs": tabs(request.acting.standing.roles, here="record")}
    return render(request, "governance/record.html", shown)


@require_safe
@page
def search(request: StaffRequest) -> HttpResponse:
    """Find entries. What cannot be read is named beside its field, and nothing is looked for."""
    require(request, Permission.SEARCH_RECORD)
    form = SearchForm(request.GET or None)
    shown: dict[str, object] = {"form": form, "tabs": tabs(request.acting.standing.roles, here="record-search")}
    if form.is_bound and form.is_valid() and (actor := actor_of(form)) is not None:
        wanted = form.wanted(actor)
        terms = wanted.asked() | {"below": str(form.cleaned_data["below"] or "")}
        record_look("search of the record", at=("list", "record"), by=request.acting, now=request.now, terms=terms)
        shown["page"] = results(wanted, below=form.cleaned_data["below"], sent=request.GET)
    swapped = bool(getattr(request, "htmx", False))  # what is swapped in is swapped in only with 200
    status = 422 if form.is_bound and form.errors and not swapped else 200
    return render(request, "governance/record_search.html", shown, status=status)


@require_safe
@page
def entry(request: StaffRequest, entry_id: UUID) -> HttpResponse:
    """One entry: what it says, its bytes, where it stands, who has seen it, and its proof, recomputed."""
    require(request, Permission.SEARCH_RECORD)
    stored = stored_entry(entry_id)
    if stored is None:
        return _detached(request, entry_id)
    record_look("entry", at=("entry", str(entry_id)), by=request.acting, now=request.now)
    shown = {"page": entry_shown(stored), "tabs": tabs(request.acting.standing.roles, here="record-search")}
    return render(request, "governance/record_entry.html", shown)


def _detached(request: StaffRequest, entry_id: UUID) -> HttpResponse:
    """One that was moved into an archive: what stayed of it, where it lies, and its proof, recomputed."""
    left = detached_entry(entry_id)
    if left is None:
        raise NotFound(NOWHERE)
    record_look("entry", at=("entry", str(entry_id)), by=request.acting, now=request.now)
    shown = {"page": detached_shown(left), "tabs": tabs(request.acting.standing.roles, here="record-search")}
    return render(request, "governance/record_detached.html", shown)


@require_safe
@page
def proof(request: StaffRequest, entry_id: UUID) -> HttpResponse:
    """The proof as a file in the standard's form, or the exact bytes (`?part=leaf`), to be checked elsewhere."""
    require(request, Permission.SEARCH_RECORD)
    stored = stored_entry(entry_id)
    left = detached_entry(entry_id) if stored is None else None
    if stored is None and left is None:
        raise NotFound(NOWHERE)
    record_look("proof of an entry", at=("entry", str(entry_id)), by=request.acting, now=request.now)
    if request.GET.get("part") == "leaf":
        if stored is None:
            raise NotFound("The bytes of this entry lie in an archive of the record.")
        return _file(stored.leaf, f"{entry_id}.leaf", "application/octet-stream")
    found = proof_of_detached(left) if left is not None else proof_of(stored) if stored is not None else None
    if found is None:
        raise NotFound("No signed checkpoint covers this entry yet. Try again in a few seconds.")
    return _file(found.text(), f"{entry_id}{EXTENSION}", "text/plain; charset=utf-8")


def _file(data: bytes, name: str, content_type: str) -> HttpResponse:
    answer = HttpResponse(data, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@require_safe
@never_cache
def verify(request: HttpRequest) -> HttpResponse:
    """How to check an export, a report or a receipt on a machine of one's own. Open to everybody: the code printed on a
    report leads here, and who holds a report may have no account. It tells nothing of this record.
    """
    user = request.user
    held = acting_person(user, now=timezone.now()).standing.roles if user.is_authenticated else frozenset()
    return render(request, "governance/record_verify.html", {"tabs": tabs(held, here="record-verify")})
