"""Break-glass on pages: open a record, end it, see what waits for a review, close one (N10).

Rules
 * Opening is signed: all components at that moment. What is not there and what cannot be told apart get one answer.
 * A reviewer sees who, why, when and what was read; not the record.
"""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from audit.domain import Person
from governance.domain import NotAllowed, NotFound, Permission
from governance.selectors.sight import Wider, looking_wider

from ..break_glass import ReviewOutcome, glass_rules
from ..forms.glass import GlassForm, GlassReviewForm
from ..presenters.glass import opening_shown
from ..selectors.glass import all_openings, opening_for_review, openings_of_session, own_openings, record_meant
from ..services.access import record_listing
from ..services.break_glass import break_glass, close_review, end_break_glass
from .door import StaffRequest, may, page, require, submitted


@require_http_methods(["GET", "HEAD", "POST"])
@page
@looking_wider(Wider.GLASS)
def glass_page(request: StaffRequest) -> HttpResponse:
    """A clinician's own openings and the form; for reviewers everybody's."""
    opens, reviews = may(request, Permission.BREAK_GLASS), may(request, Permission.REVIEW_BREAK_GLASS)
    if not opens and not reviews:
        raise NotAllowed("Your role does not open this page.", permission="break_glass", missing="role")
    form = GlassForm(request.POST or None) if opens else None
    if request.method == "POST":
        require(request, Permission.BREAK_GLASS)
        if form is not None and (answer := submitted(request, form, lambda: _open(request, form), said=_SAID)):
            return answer
    record_listing("break-glass", by=request.acting, now=request.now)
    shown = {
        "form": form,
        "minutes": int(glass_rules().lasts.total_seconds() // 60),
        "own": [opening_shown(row, now=request.now, named=True) for row in own_openings(request.acting)[:20]]
        if opens
        else [],
        "here": _open_here(request),
        "reviews": reviews,
        "all": [opening_shown(row, now=request.now) for row in all_openings()[:100]] if reviews else [],
    }
    return render(
        request, "care_loops/break_glass.html", shown, status=422 if form is not None and form.errors else 200
    )


def _open_here(request: StaffRequest) -> frozenset[UUID]:
    """What is open in this very session: nothing else opens from this window."""
    session = request.acting.actor.session if isinstance(request.acting.actor, Person) else None
    if session is None:
        return frozenset()
    return frozenset(row.pk for row in openings_of_session(request.acting.person().pk, session, now=request.now))


_SAID = "The record is open. An alarm has gone out, and somebody else will review this."


def _open(request: StaffRequest, form: GlassForm) -> str:
    said = form.cleaned_data
    patient_id = record_meant(said["record"])
    if patient_id is None:
        raise NotFound("There is no such record, or several have this number. Name the record by its own number.")
    opening = break_glass(
        patient_id, reason_code=said["reason_code"], text=said["text"], by=request.acting, now=request.now
    )
    return reverse("patient", args=[opening.patient_id])


@require_POST
@page
@looking_wider(Wider.GLASS)
def glass_end(request: StaffRequest, opening_id: UUID) -> HttpResponse:
    """The owner ends it."""
    require(request, Permission.BREAK_GLASS)
    end_break_glass(opening_id, by=request.acting, now=request.now)
    return redirect("break-glass")


@require_http_methods(["GET", "HEAD", "POST"])
@page
@looking_wider(Wider.GLASS)
def glass_review(request: StaffRequest, opening_id: UUID) -> HttpResponse:
    """Who opened what and why, what was read; and closing the review."""
    require(request, Permission.REVIEW_BREAK_GLASS)
    row = opening_for_review(opening_id)
    form = GlassReviewForm(request.POST or None)

    def work() -> str:
        said = form.cleaned_data
        outcome = ReviewOutcome(said["outcome"])
        close_review(opening_id, outcome=outcome, text=said["text"], by=request.acting, now=request.now)
        return reverse("break-glass")

    answer = submitted(request, form, work, said="The review is closed.") if request.method == "POST" else None
    if answer is not None:
        return answer
    record_listing(f"break-glass {opening_id}", by=request.acting, now=request.now)
    shown = opening_shown(row, now=request.now)
    own = row.opened_by_id == request.acting.person().pk
    context = {
        "one": shown,
        "reads": row.reads.order_by("at"),
        "review": getattr(row, "review", None),
        "own": own,
        "form": None if own or shown.reviewed or shown.is_open else form,
    }
    return render(request, "care_loops/break_glass_review.html", context, status=422 if form.errors else 200)
