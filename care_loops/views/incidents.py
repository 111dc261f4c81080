"""Incidents with everything they touch, and adverse events as rates: for whoever oversees, and clinicians who report.

Rules (MDR Art. 87; 21 CFR 803; REGULATORY 2.3)
 * Patients stand here under pseudonyms. Every look at whom an incident touches is recorded.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from governance.domain import NotFound, Permission, Relation
from governance.incidents import IncidentClass, IncidentState
from governance.models import Incident
from governance.permissions import allows, check
from governance.presenters.oversight import oversight_tabs
from governance.selectors import staff_names
from governance.services.incidents import Happened, move_incident, report_incident
from governance.services.looking import record_look

from ..domain.adverse import AdverseKind
from ..forms.oversight import AdverseForm, IncidentForm, IncidentStepForm
from ..presenters.oversight import events_shown, incident_line, rates_shown, touched_shown
from ..selectors.access import patient_for
from ..selectors.affected import adverse_rates, affected
from ..services.adverse import Adverse, report_adverse_event
from ..services.incident_exports import export_incident
from .door import StaffRequest, may, page, require, submitted

POSTS = ["GET", "HEAD", "POST"]
YEAR = timedelta(days=365)
MOST = 200


def _found(incident_id: UUID) -> Incident:
    found = Incident.objects.filter(pk=incident_id).first()
    if found is None:
        raise NotFound("There is no such incident.")
    return found


@require_safe
@page
def incidents(request: StaffRequest) -> HttpResponse:
    """Every incident, its class and the earliest deadline."""
    require(request, Permission.SEE_OVERSIGHT)
    rows = Incident.objects.prefetch_related("events").order_by("-aware_at")[:500]
    shown = {
        "lines": [incident_line(row, now=request.now) for row in rows],
        "may_report": may(request, Permission.REPORT_INCIDENT),
        "tabs": oversight_tabs(request.acting.standing.roles, here="incidents"),
    }
    return render(request, "care_loops/incidents.html", shown)


@require_safe
@page
def incident(request: StaffRequest, incident_id: UUID) -> HttpResponse:
    """One incident: clocks, steps, and whom it touches."""
    require(request, Permission.SEE_OVERSIGHT)
    row = _found(incident_id)
    record_look("whom an incident touches", at=("incident", str(row.pk)), by=request.acting, now=request.now)
    touched = affected(row)
    names = staff_names({one.decided_by for one in touched[:MOST] if one.decided_by})
    shown = {
        "line": incident_line(row, now=request.now),
        "events": events_shown(row),
        "touched": [touched_shown(one, names) for one in touched[:MOST]],
        "counts": {
            "patients": len({one.patient_id for one in touched}),
            "recommendations": len(touched),
            "decisions": sum(bool(one.decision) for one in touched),
            "models": len({one.model for one in touched if one.model}),
        },
        "may_work": may(request, Permission.WORK_INCIDENT),
        "may_export": allows(check, Permission.EXPORT_AUDIT, request.acting.standing, frozenset({Relation.SITE})),
        "tabs": oversight_tabs(request.acting.standing.roles, here="incidents"),
    }
    return render(request, "care_loops/incident.html", shown)


@require_http_methods(POSTS)
@page
def new_incident(request: StaffRequest) -> HttpResponse:
    """Report that something happened."""
    require(request, Permission.REPORT_INCIDENT)
    form = IncidentForm(request.POST or None)

    def work() -> str:
        said = {name: value for name, value in form.cleaned_data.items() if name != "key"}
        what = Happened(**(said | {"of": IncidentClass(said["of"]), "name": said["name"].strip()}))
        return reverse("incident", args=[report_incident(what, by=request.acting, now=request.now).pk])

    answer = submitted(request, form, work, said="Recorded. The clocks run.") if form.is_bound else None
    return answer or _form(request, form, "Report an incident", "incidents")


@require_http_methods(POSTS)
@page
def incident_step(request: StaffRequest, incident_id: UUID) -> HttpResponse:
    """Assess, record a report to an authority, close."""
    require(request, Permission.WORK_INCIDENT)
    _found(incident_id)
    form = IncidentStepForm(request.POST or None)

    def work() -> str:
        said = form.cleaned_data
        move_incident(
            incident_id,
            IncidentState(said["state"]),
            of=IncidentClass(said["of"]),
            authority=said["authority"],
            reference=said["reference"],
            said=said["said"],
            by=request.acting,
            now=request.now,
        )
        return reverse("incident", args=[incident_id])

    answer = submitted(request, form, work, said="Recorded.") if form.is_bound else None
    return answer or _form(request, form, "The next step of this incident", "incidents")


@require_safe
@page
def incident_export(request: StaffRequest, incident_id: UUID) -> HttpResponse:
    """Everything it touches, as a file; who took it stands in the record."""
    require(request, Permission.EXPORT_AUDIT)
    form = request.GET.get("form", "json")
    data = export_incident(incident_id, form, by=request.acting, now=request.now)
    answer = HttpResponse(data, content_type="application/json" if form == "json" else "text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="incident-{incident_id}.{form}"'
    return answer


@require_safe
@page
def adverse_events(request: StaffRequest) -> HttpResponse:
    """Adverse events of the last year per 100 patient-months."""
    require(request, Permission.SEE_OVERSIGHT)
    rates = adverse_rates(since=request.now - YEAR, until=request.now)
    shown = {
        "rates": rates_shown(rates),
        "tabs": oversight_tabs(request.acting.standing.roles, here="adverse-events"),
    }
    return render(request, "care_loops/adverse_events.html", shown)


@require_http_methods(POSTS)
@page
def new_adverse_event(request: StaffRequest, patient_id: UUID) -> HttpResponse:
    """Report an adverse event of a patient of one's own."""
    require(request, Permission.REPORT_ADVERSE_EVENT)
    patient_for(request.acting, patient_id, Permission.REPORT_ADVERSE_EVENT, now=request.now)
    form = AdverseForm(request.POST or None)

    def work() -> str:
        said = form.cleaned_data
        event = Adverse(
            kind=AdverseKind(said["kind"]),
            of=IncidentClass(said["of"]),
            onset_at=said["onset_at"],
            known_at=said["known_at"],
            words=said["words"],
        )
        report_adverse_event(patient_id, event, by=request.acting, now=request.now)
        return reverse("patient", args=[patient_id])

    answer = submitted(request, form, work, said="The adverse event is recorded.") if form.is_bound else None
    return answer or _form(request, form, "Report an adverse event", "adverse-events")


def _form(
    request: StaffRequest, form: IncidentForm | IncidentStepForm | AdverseForm, title: str, here: str
) -> HttpResponse:
    tabs = oversight_tabs(request.acting.standing.roles, here=here)
    shown = {"form": form, "title": title, "tabs": tabs}
    return render(request, "governance/oversight_form.html", shown, status=422 if form.errors else 200)
