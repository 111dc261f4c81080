"""One patient on one page, and the drawing of the trend."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from governance.domain import Permission

from ..charts import trend_svg
from ..forms.clinic import AcknowledgeForm, CorrectionForm, DispositionForm, SymptomReviewForm
from ..forms.visits import VisitForm, VisitOutcomeForm
from ..models import Patient
from ..presenters.patient import patient_shown
from ..presenters.trend import trend_of
from ..selectors.access import patient_for
from ..selectors.glass import opening_of
from ..selectors.probes import person_for
from ..selectors.summary import summary_for, summary_of
from ..services import record_access
from ..services.boundary_quorum import boundary_waits
from .door import StaffRequest, may, page
from .nobody import nobody_page


@require_safe
@page
def patient_page(request: StaffRequest, patient_id: UUID) -> HttpResponse:
    """What stands open, the trend, results, medication, what is signed, and the history."""
    if (probe := person_for(request.acting, patient_id)) is not None:
        return nobody_page(request, probe)
    patient = patient_for(request.acting, patient_id, Permission.READ_RECORD, now=request.now)
    record_access(patient.pk, what="patient page", by=request.acting, now=request.now)
    shown = patient_shown(summary_for(request.acting, patient, now=request.now), now=request.now)
    return render(
        request,
        "care_loops/patient.html",
        {
            "patient": patient,
            "page": shown,
            "may": may_words(request, patient),
            "boundary_waits": boundary_waits(patient),
            "acknowledge_form": AcknowledgeForm(),
            "disposition_form": DispositionForm(),
            "symptom_form": SymptomReviewForm(),
            "visit_form": VisitForm(),
            "outcome_form": VisitOutcomeForm(),
            "nothing_form": AcknowledgeForm(),
            "correction_form": CorrectionForm(),
        },
    )


def may_words(request: StaffRequest, patient: Patient) -> dict[str, bool]:
    """Which buttons this person's roles open here; none under break-glass, which reads. The service insists again."""
    if opening_of(request.acting, [patient.pk], now=request.now) is not None:
        return {}
    return {permission.value: may(request, permission) for permission in Permission}


@require_safe
@page
def trend_drawing(request: StaffRequest, patient_id: UUID) -> HttpResponse:
    """The trend as SVG. Its facts stand in the table of the page."""
    patient = patient_for(request.acting, patient_id, Permission.READ_RECORD, now=request.now)
    record_access(patient.pk, what="trend", by=request.acting, now=request.now)
    drawing = trend_svg(trend_of(summary_of(patient, now=request.now)))
    return HttpResponse(drawing, content_type="image/svg+xml; charset=utf-8")
