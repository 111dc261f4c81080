"""One recommendation: understood on one page, decided with a reason and a signature, recalled if need be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from governance.domain import Permission, Refusal

from ..domain.loops import LoopState
from ..forms.clinic import DecisionForm, FirstAnswerForm, ReasonForm
from ..models import Loop
from ..policies import AlreadyDecided, Changed, Expired, NotNow
from ..presenters import words
from ..presenters.recommendation import RecommendationShown, news_shown, recommendation_shown
from ..presenters.signatures import decision_in_words
from ..presenters.signing import recall_in_words
from ..selectors.access import loop_for
from ..selectors.first import check_answered_first
from ..selectors.news import news_since
from ..selectors.probes import probe_for
from ..services import decide, recall, record_access
from ..services.first import answer_first
from ..services.receipts import receipt_of_decision
from ..transitions import MOVES
from .door import StaffRequest, page, submitted
from .patients import may_words
from .probes import probe_page


@require_http_methods(["GET", "HEAD", "POST"])
@page
def recommendation_page(request: StaffRequest, loop_id: UUID) -> HttpResponse:
    """Show a recommendation; take the decision on it."""
    if (probe := probe_for(request.acting, loop_id)) is not None:
        return probe_page(request, probe)
    if request.method == "POST":
        return _decide(request, loop_id)
    loop = loop_for(request.acting, loop_id, Permission.READ_RECORD, now=request.now)
    if loop.asks_first:
        record_access(loop.patient_id, what="evidence before the proposal", by=request.acting, now=request.now)
        return _ask_first(request, loop)
    record_access(loop.patient_id, what="recommendation", by=request.acting, now=request.now)
    return _show(request, loop, status=200)


@require_POST
@page
def first_answer(request: StaffRequest, loop_id: UUID) -> HttpResponse:
    """Take what this clinician would do; then the proposal is shown."""
    loop = loop_for(request.acting, loop_id, Permission.DECIDE, now=request.now)
    shown = recommendation_shown(loop, now=request.now)
    form = FirstAnswerForm(request.POST, choices=shown.alternatives, seen_version=loop.version)

    def work() -> str:
        answer_first(loop.pk, form.said(), by=request.acting, now=request.now)
        return reverse("recommendation", args=[loop.pk])

    answer = submitted(request, form, work, said="What you would do is recorded. This is what was proposed.")
    return answer or _ask_first(request, loop, form=form)


def _ask_first(request: StaffRequest, loop: Loop, *, form: FirstAnswerForm | None = None) -> HttpResponse:
    """What it rests on, without what was proposed, and the question."""
    shown = recommendation_shown(loop, now=request.now)
    may_answer = may_words(request, loop.patient).get(Permission.DECIDE.value, False) and loop.asks_first
    if may_answer and form is None:
        form = FirstAnswerForm(choices=shown.alternatives, seen_version=loop.version)
    told = {"page": shown, "patient": loop.patient, "form": form if may_answer else None}
    wrong = form is not None and form.is_bound
    return render(request, "care_loops/decide_first.html", told, status=422 if wrong else 200)


@require_http_methods(["GET", "HEAD"])
@page
def decision_receipt(request: StaffRequest, loop_id: UUID) -> HttpResponse:
    """The signed receipt of the decision, to be kept: our promise that it stands in the record."""
    loop = loop_for(request.acting, loop_id, Permission.READ_RECORD, now=request.now)
    record_access(loop.patient_id, what="recommendation", by=request.acting, now=request.now)
    answer = HttpResponse(receipt_of_decision(loop), content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="receipt-{loop.pk}.txt"'
    return answer


def _decide(request: StaffRequest, loop_id: UUID) -> HttpResponse:
    loop = loop_for(request.acting, loop_id, Permission.DECIDE, now=request.now)
    check_answered_first(loop, request.acting)
    shown = recommendation_shown(loop, now=request.now)
    form = DecisionForm(request.POST, alternatives=shown.alternatives, seen_version=loop.version)

    def work() -> str:
        decide(loop.pk, form.decision(), by=request.acting, now=request.now)
        return reverse("recommendation", args=[loop.pk])

    def in_words(content: Mapping[str, Any]) -> list[tuple[str, str]]:
        return decision_in_words(content, loop.patient)

    try:
        answer = submitted(request, form, work, said="Your decision is signed and recorded.", in_words=in_words)
    except (AlreadyDecided, Changed, Expired, NotNow) as refusal:
        now_stands = loop_for(request.acting, loop_id, Permission.READ_RECORD, now=request.now)
        return _show(request, now_stands, status=refusal.status, refusal=refusal)
    return answer or _show(request, loop, status=422, form=form)


def _show(
    request: StaffRequest,
    loop: Loop,
    *,
    status: int,
    form: DecisionForm | None = None,
    recall_form: ReasonForm | None = None,
    refusal: Refusal | None = None,
) -> HttpResponse:
    shown: RecommendationShown = recommendation_shown(loop, now=request.now)
    allowed = may_words(request, loop.patient)
    can_decide = allowed.get(Permission.DECIDE.value, False) and shown.waiting
    if can_decide and form is None:
        form = DecisionForm(alternatives=shown.alternatives, seen_version=loop.version)
    can_recall = allowed.get(Permission.RECALL.value, False) and LoopState.RECALLED in MOVES[LoopState(loop.state)]
    return render(
        request,
        "care_loops/recommendation.html",
        {
            "page": shown,
            "refusal": refusal,
            "patient": loop.patient,
            "news": news_shown(news_since(loop, now=request.now), zone=loop.patient.zone, now=request.now),
            "form": form if can_decide else None,
            "recall_form": (recall_form or ReasonForm()) if can_recall else None,
            "may": allowed,
            "signer": request.acting.standing.name,
            "signer_roles": " and ".join(words.role(role) for role in sorted(request.acting.standing.roles)),
        },
        status=status,
    )


@require_POST
@page
def recall_page(request: StaffRequest, loop_id: UUID) -> HttpResponse:
    """Take back a change."""
    loop = loop_for(request.acting, loop_id, Permission.RECALL, now=request.now)
    form = ReasonForm(request.POST)

    def work() -> str:
        said = form.cleaned_data
        recall(
            loop.pk, reason_code=said["reason_code"], free_text=said["free_text"], by=request.acting, now=request.now
        )
        return reverse("recommendation", args=[loop.pk])

    def in_words(content: Mapping[str, Any]) -> list[tuple[str, str]]:
        return recall_in_words(content, loop.patient)

    answer = submitted(request, form, work, said="The change is recalled; the patient is told.", in_words=in_words)
    return answer or _show(request, loop, status=422, recall_form=form)
