"""Second reviews: a work list for clinicians, counts for auditors, the blind page, and the verdict after it."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from governance.domain import NotAllowed, Permission
from governance.presenters.record import tabs

from ..domain.loops import DecisionKind
from ..forms.reviews import SecondReadingForm, VerdictForm
from ..models import SecondReview
from ..presenters.recommendation import recommendation_shown
from ..presenters.reviews import blind, rates_shown, review_line
from ..sampling import Mark
from ..selectors.reviews import draws, rates, waiting_for
from ..services import record_access
from ..services.access import record_listing
from ..services.reviews import conclude, read_again, review_for
from .door import StaffRequest, may, page, require, submitted


@require_safe
@page
def second_reviews(request: StaffRequest) -> HttpResponse:
    """What waits for this person, and how often second readings differ."""
    reads = may(request, Permission.SECOND_REVIEW)
    if not reads and not may(request, Permission.VERIFY_RECORD):
        raise NotAllowed("Your role does not open this page.", permission="second_review", missing="role")
    record_listing("second reviews", by=request.acting, now=request.now)
    waiting = waiting_for(request.acting, now=request.now) if reads else ()
    shown = {
        "reads": reads,
        "waiting": [review_line(one, now=request.now) for one in waiting],
        "rates": rates_shown(rates(mark.value for mark in Mark)),
        "draws": draws(),
        "tabs": tabs(request.acting.standing.roles, here="second-reviews"),
    }
    return render(request, "care_loops/second_reviews.html", shown)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def second_review(request: StaffRequest, review_id: UUID) -> HttpResponse:
    """The recommendation without its decision, until this person has recorded their own."""
    require(request, Permission.SECOND_REVIEW)
    review = review_for(review_id, by=request.acting, now=request.now)
    form = SecondReadingForm(request.POST or None)

    def work() -> str:
        said = form.cleaned_data
        read_again(
            review_id,
            kind=DecisionKind(said["kind"]),
            reason_code=said["reason_code"],
            free_text=said["free_text"],
            by=request.acting,
            now=request.now,
        )
        return reverse("second-review", args=[review_id])

    answer = submitted(request, form, work, said="Your reading is recorded. Now see what was decided.")
    return answer or _show(request, review, form=form)


@require_POST
@page
def second_verdict(request: StaffRequest, review_id: UUID) -> HttpResponse:
    """Agree, disagree, or raise a concern."""
    require(request, Permission.SECOND_REVIEW)
    form = VerdictForm(request.POST)

    def work() -> str:
        said = form.cleaned_data
        conclude(
            review_id,
            **{k: said[k] for k in ("verdict", "reason_code", "free_text")},
            by=request.acting,
            now=request.now,
        )
        return reverse("second-reviews")

    answer = submitted(request, form, work, said="The second review is concluded.")
    return answer or _show(request, review_for(review_id, by=request.acting, now=request.now), verdict_form=form)


def _show(
    request: StaffRequest,
    review: SecondReview,
    *,
    form: SecondReadingForm | None = None,
    verdict_form: VerdictForm | None = None,
) -> HttpResponse:
    loop = review.decision.loop
    record_access(loop.patient_id, what="second review", by=request.acting, now=request.now)
    reading = getattr(review, "reading", None)
    own = reading is not None and reading.reader_id == request.acting.person().pk
    if reading is not None and not own:
        raise NotAllowed("Another clinician has read this decision a second time.", missing="reading")
    shown = {
        "review": review,
        "reading": reading,
        "verdict": getattr(reading, "verdict", None),
        "patient": loop.patient,
        "page": recommendation_shown(loop, now=request.now) if own else blind(loop, now=request.now),
        "form": form or SecondReadingForm(),
        "verdict_form": verdict_form or VerdictForm(),
    }
    wrong = any(one is not None and one.errors for one in (form, verdict_form))
    return render(request, "care_loops/second_review.html", shown, status=422 if wrong else 200)
