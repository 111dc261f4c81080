"""The pages of the record that show patients: find one, open what an entry holds, ask for an export and take it.

The rest of `/audit/` stands in `governance.views.record`, which knows pseudonyms only.

Rules (GOV-07, GOV-08, SECURITY 2.3 A2, A21)
 * Looking is recorded before it is shown; where the patient is known, the entry is about them.
 * Who may have an export is asked when it is asked for, when it is written and when it is handed out.
"""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.http import FileResponse, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit.bundles.selecting import Report
from audit.words import kind
from governance.domain import NotAllowed, Permission
from governance.presenters.record import tabs
from governance.selectors.sight import Wider, looking_wider
from governance.services.looking import record_look

from ..forms.exports import ExportForm, FindPatientForm
from ..presenters.exports import exports_shown, file_name, report_choices
from ..presenters.record import content_shown
from ..selectors.access import patients_of
from ..selectors.exports import export_state, list_exports, purposes_for, reports_offered
from ..selectors.record_content import content_of, known_as
from ..services.exports import ask_for_export, hand_out_export
from .door import StaffRequest, page, require, submitted

_EXPORTS = (Permission.EXPORT_AUDIT, Permission.EXPORT_ACCESS_REPORT)


@require_http_methods(["GET", "HEAD", "POST"])
@page
@looking_wider(Wider.RECORD)
def find_patient(request: StaffRequest) -> HttpResponse:
    """From a patient to their pseudonym, and on to the search."""
    require(request, Permission.SEARCH_RECORD)
    near = patients_of(request.acting, now=request.now)
    form = FindPatientForm(*([request.POST] if request.method == "POST" else []), patients=near)
    known: tuple[str, ...] = ()
    if form.is_bound and form.is_valid():
        patient, known = known_as(form.patient_id())
        about = str(patient.pk)
        record_look("search for a patient", at=("list", "record"), by=request.acting, now=request.now, about=about)
        if len(known) == 1:
            return redirect(f"{reverse('record-search')}?about={known[0]}")
    shown = {"form": form, "known": known, "tabs": tabs(request.acting.standing.roles, here="record-search")}
    return render(request, "care_loops/record_patient.html", shown, status=422 if form.errors else 200)


@require_safe
@page
@looking_wider(Wider.RECORD)
def content(request: StaffRequest, entry_id: UUID) -> HttpResponse:
    """What was recorded with an entry, for whom it is open; else why it is withheld."""
    require(request, Permission.SEARCH_RECORD)
    found = content_of(entry_id, by=request.acting, now=request.now)
    what = "content of an entry" if found.body is not None else "content of an entry, not shown"
    at = ("entry", str(entry_id))
    record_look(what, at=at, by=request.acting, now=request.now, about=found.patient)
    shown = {"page": content_shown(found), "heading": kind(found.type)}
    shown["tabs"] = tabs(request.acting.standing.roles, here="record-search")
    return render(request, "care_loops/record_content.html", shown)


# --- exports ----------------------------------------------------------------------------------------------------------


def _may_export(request: StaffRequest) -> tuple[Report, ...]:
    offered = reports_offered(by=request.acting)
    if not offered:
        raise NotAllowed("Your role does not open this page.", permission=_EXPORTS[0].value, missing="role")
    return offered


def _chosen(request: StaffRequest, offered: tuple[Report, ...]) -> Report | None:
    said = request.POST.get("report") or request.GET.get("report") or ""
    return next((report for report in offered if report.value == said), None)


@require_http_methods(["GET", "HEAD", "POST"])
@page
@looking_wider(Wider.RECORD)
def exports(request: StaffRequest) -> HttpResponse:
    """The exports there are, how far they are; and asking for another."""
    offered = _may_export(request)
    chosen, form, status = _chosen(request, offered), None, 200
    if chosen is not None:
        near = patients_of(request.acting, now=request.now)
        sent = [request.POST] if request.method == "POST" else []
        purposes = purposes_for(chosen, by=request.acting)
        form = ExportForm(*sent, chosen=chosen, patients=near, purposes=purposes, initial=request.GET.dict())
        answer = submitted(
            request, form, lambda: _ask(request, form), said="Asked for. It is written in the background."
        )
        if answer is not None:
            return answer
        status = 422 if form.errors else 200
    there = exports_shown(list_exports(by=request.acting), by=request.acting, now=request.now)
    shown = {
        "form": form,
        "reports": report_choices(offered, chosen=chosen),
        "exports": there,
        "at_work": any(one.unfinished for one in there),
        "tabs": tabs(request.acting.standing.roles, here="record-exports"),
    }
    return render(request, "care_loops/record_exports.html", shown, status=status)


def _ask(request: StaffRequest, form: ExportForm | None) -> str:
    if form is not None:
        ask_for_export(form.request(), by=request.acting, now=request.now)
    return reverse("record-exports")


@require_POST
@page
@looking_wider(Wider.RECORD)
def export_file(request: StaffRequest, export_id: UUID) -> HttpResponse:
    """Hand out the bundle of an export, or the report drawn from it, to who asked for it."""
    _may_export(request)
    pdf = request.POST.get("file") == "report"
    path = hand_out_export(export_id, by=request.acting, now=request.now, report=pdf)
    report = export_state(export_id, by=request.acting).report
    answer = FileResponse(path.open("rb"), as_attachment=True, filename=file_name(report, export_id, pdf=pdf))
    return cast("HttpResponse", answer)  # streamed; a door returns either
