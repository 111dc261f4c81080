"""Small acts on a patient's page: alerts, symptoms, readings that do not count, the next visit."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from governance.domain import Permission

from ..forms.clinic import AcknowledgeForm, CorrectionForm, DispositionForm, SymptomReviewForm
from ..forms.visits import VisitForm, VisitOutcomeForm
from ..selectors.access import patient_for
from ..selectors.acted_on import alert_for, reading_for, symptom_for
from ..services import (
    acknowledge_alert,
    correct_reading,
    dispose_alert,
    plan_visit,
    record_visit,
    review_symptom,
    say_no_medicines,
)
from .door import StaffRequest, page, submitted


def _act(
    request: StaffRequest, patient_id: UUID, form: forms.Form, act: Callable[[], object], *, said: str
) -> HttpResponse:
    """Do it and go back to the patient; what was wrong is said there."""
    back = reverse("patient", args=[patient_id])

    def work() -> str:
        act()
        return back

    answer = submitted(request, form, work, said=said)
    if answer is not None:
        return answer
    for name, errors in form.errors.items():
        label = form.fields[name].label if name in form.fields else ""
        messages.error(request, f"Not done. {label or ''} {' '.join(str(error) for error in errors)}".strip())
    return redirect(back)


@require_POST
@page
def acknowledge(request: StaffRequest, alert_id: UUID) -> HttpResponse:
    """A person has seen an alert: its clock stops."""
    alert = alert_for(request.acting, alert_id, Permission.ACKNOWLEDGE_ALERT, now=request.now)
    return _act(
        request,
        alert.patient_id,
        AcknowledgeForm(request.POST),
        lambda: acknowledge_alert(alert.pk, by=request.acting, now=request.now),
        said="The alert is acknowledged. Its locks stay until you say how it ended.",
    )


@require_POST
@page
def dispose(request: StaffRequest, alert_id: UUID) -> HttpResponse:
    """A clinician says how an alert ended: its lock is lifted."""
    alert = alert_for(request.acting, alert_id, Permission.DISPOSE_ALERT, now=request.now)
    form = DispositionForm(request.POST)
    return _act(
        request,
        alert.patient_id,
        form,
        lambda: dispose_alert(
            alert.pk,
            code=form.cleaned_data["code"],
            text=form.cleaned_data["text"],
            by=request.acting,
            now=request.now,
        ),
        said="The alert is closed.",
    )


@require_POST
@page
def symptom_review(request: StaffRequest, symptom_id: UUID) -> HttpResponse:
    """A clinician has dealt with a symptom: automation for the blamed drug may go on."""
    symptom = symptom_for(request.acting, symptom_id, Permission.REVIEW_SYMPTOM, now=request.now)
    form = SymptomReviewForm(request.POST)
    return _act(
        request,
        symptom.patient_id,
        form,
        lambda: review_symptom(
            symptom.pk,
            outcome=form.cleaned_data["outcome"],
            text=form.cleaned_data["text"],
            by=request.acting,
            now=request.now,
        ),
        said="The symptom is reviewed.",
    )


@require_POST
@page
def no_medicines(request: StaffRequest, patient_id: UUID) -> HttpResponse:
    """Somebody of the care team has asked: the patient takes no medicines."""
    patient = patient_for(request.acting, patient_id, Permission.CONFIRM_PRESCRIPTION, now=request.now)
    return _act(
        request,
        patient.pk,
        AcknowledgeForm(request.POST),
        lambda: say_no_medicines(patient.pk, by=request.acting, now=request.now),
        said="It is on record that no medicines are taken.",
    )


@require_POST
@page
def correct(request: StaffRequest, reading_id: UUID) -> HttpResponse:
    """A reading does not count: by an entry, never by an edit."""
    reading = reading_for(request.acting, reading_id, Permission.CORRECT_RECORD, now=request.now)
    form = CorrectionForm(request.POST)
    return _act(
        request,
        reading.patient_id,
        form,
        lambda: correct_reading(
            reading.pk,
            reason=form.cleaned_data["reason"],
            moved_to=form.moved(),
            text=form.cleaned_data["text"],
            by=request.acting,
            now=request.now,
        ),
        said="The reading no longer counts. It stays in the record.",
    )


@require_POST
@page
def visit(request: StaffRequest, patient_id: UUID) -> HttpResponse:
    """Set the next visit, by the rule or by hand."""
    patient = patient_for(request.acting, patient_id, Permission.PLAN_VISIT, now=request.now)
    form = VisitForm(request.POST)
    return _act(
        request,
        patient.pk,
        form,
        lambda: plan_visit(
            patient.pk,
            due_on=form.cleaned_data["due_on"],
            rule="set_by_clinician",
            reason=form.cleaned_data["reason"],
            by=request.acting,
            now=request.now,
        ),
        said="The next visit is set.",
    )


@require_POST
@page
def visit_outcome(request: StaffRequest, patient_id: UUID) -> HttpResponse:
    """Say what became of a visit: held, not held, cancelled."""
    patient = patient_for(request.acting, patient_id, Permission.PLAN_VISIT, now=request.now)
    form = VisitOutcomeForm(request.POST)
    return _act(
        request,
        patient.pk,
        form,
        lambda: record_visit(patient.pk, form.visit(), by=request.acting, now=request.now),
        said="The visit is recorded, and the next one is planned.",
    )
