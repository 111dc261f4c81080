"""What a clinician signs for a patient: target, alert limits, and a change without a proposal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from governance.domain import Permission

from ..forms.clinic import OrderForm, TargetForm
from ..forms.limits import AlertLimitsForm
from ..models import Loop, Patient
from ..policies import NotNow
from ..presenters import words
from ..presenters.limits import limits_shown
from ..presenters.orders import order_choices
from ..presenters.patient import patient_shown
from ..presenters.recommendation import state_shown
from ..presenters.signatures import decision_in_words
from ..presenters.signing import Content, Lines, alert_limits_in_words, target_in_words
from ..selectors.access import patient_for
from ..selectors.danger import alert_limits_history
from ..selectors.due import on_its_way
from ..selectors.summary import summary_for
from ..services.access import record_access
from ..services.limits import sign_alert_limits, sign_target
from ..services.order import ON_ITS_WAY, order_candidates, write_order
from ..services.windows import PATHWAY
from .door import StaffRequest, may, page, submitted


def signer_shown(request: StaffRequest) -> dict[str, str]:
    """Who signs, under which roles, for the foot of a form."""
    standing = request.acting.standing
    return {
        "signer": standing.name,
        "signer_roles": " and ".join(words.role(role) for role in sorted(standing.roles)),
    }


def _of(lines: Callable[[Content, Patient], Lines], patient: Patient, content: Content) -> Lines:
    """What is to be signed for this patient, in words."""
    return lines(content, patient)


def _back(patient: Patient) -> str:
    return reverse("patient", args=[patient.pk])


@require_http_methods(["GET", "HEAD", "POST"])
@page
def target_page(request: StaffRequest, patient_id: UUID) -> HttpResponse:
    """Sign the home pressure to stay under."""
    patient = patient_for(request.acting, patient_id, Permission.SIGN_TARGET, now=request.now)
    record_access(patient.pk, what="target page", by=request.acting, now=request.now)
    form = TargetForm(request.POST or None)

    def work() -> str:
        systolic, diastolic = form.pressures()
        sign_target(patient.pk, systolic_below=systolic, diastolic_below=diastolic, by=request.acting, now=request.now)
        return _back(patient)

    asked = partial(_of, target_in_words, patient)
    answer = (
        submitted(request, form, work, said="The target is signed.", in_words=asked)
        if request.method == "POST"
        else None
    )
    shown = patient_shown(summary_for(request.acting, patient, now=request.now), now=request.now)
    return answer or render(
        request,
        "care_loops/target.html",
        {"patient": patient, "form": form, "page": shown} | signer_shown(request),
        status=422 if form.is_bound else 200,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
def alert_limits_page(request: StaffRequest, patient_id: UUID) -> HttpResponse:
    """Sign where this patient's alerts speak earlier than the site's."""
    patient = patient_for(request.acting, patient_id, Permission.SIGN_ALERT_LIMITS, now=request.now)
    record_access(patient.pk, what="alert limits page", by=request.acting, now=request.now)
    form = AlertLimitsForm(request.POST or None)

    def work() -> str:
        sign_alert_limits(patient.pk, form.limits(), by=request.acting, now=request.now)
        return _back(patient)

    asked = partial(_of, alert_limits_in_words, patient)
    answer = (
        submitted(request, form, work, said="The limits are signed.", in_words=asked)
        if request.method == "POST"
        else None
    )
    shown = limits_shown(alert_limits_history(patient), zone=patient.zone, now=request.now)
    return answer or render(
        request,
        "care_loops/alert_limits.html",
        {"patient": patient, "form": form, "limits": shown} | signer_shown(request),
        status=422 if form.is_bound else 200,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
def order_page(request: StaffRequest, patient_id: UUID) -> HttpResponse:
    """Write a change without a proposal, with what the rules say of it beside it."""
    patient = patient_for(request.acting, patient_id, Permission.WRITE_ORDER, now=request.now)
    record_access(patient.pk, what="order page", by=request.acting, now=request.now)
    if request.method != "POST" and (going := on_its_way(patient, pathway=PATHWAY)) is not None:
        return _not_yet(request, patient, going)
    choices = order_choices(order_candidates(patient, now=request.now))
    form = OrderForm(request.POST or None, choices=choices)

    def work() -> str:
        loop = write_order(patient.pk, form.order(), by=request.acting, now=request.now)
        return reverse("recommendation", args=[loop.pk])

    asked = partial(_of, decision_in_words, patient)
    try:
        answer = (
            submitted(request, form, work, said="The order is signed.", in_words=asked)
            if request.method == "POST"
            else None
        )
    except NotNow as refusal:
        if (going := on_its_way(patient, pathway=PATHWAY)) is None:
            raise
        return _not_yet(request, patient, going, refusal=refusal)
    return answer or render(
        request,
        "care_loops/order.html",
        {"patient": patient, "form": form, "choices": choices} | signer_shown(request),
        status=422 if form.is_bound else 200,
    )


def _not_yet(request: StaffRequest, patient: Patient, going: Loop, *, refusal: NotNow | None = None) -> HttpResponse:
    """No form while a change is on its way: where that stands, and where it is recalled."""
    shown = {"patient": patient, "going": going, "state": state_shown(going), "why": ON_ITS_WAY, "refusal": refusal}
    shown["may_recall"] = may(request, Permission.RECALL)
    return render(request, "care_loops/order.html", shown, status=refusal.status if refusal else 200)
