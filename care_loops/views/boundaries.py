"""A boundary: signed alone, or above the site's threshold put forward, approved by a pharmacist and then signed.

Rules (CLI-06; decision 73)
 * Who may approve is listed; nobody approves their own; what no longer stands is said to be void and takes no approval.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID, uuid4

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from governance.domain import BadInput, NotAllowed, NotFound, Permission
from governance.models import Motion
from governance.services.quorum import refuse, withdraw

from ..forms.clinic import BoundaryForm, longest_expiry
from ..models import Patient
from ..pathways.hypertension.tables_therapy import formulary
from ..presenters.boundaries import put_in_words, waiting_shown
from ..presenters.signing import Content, Lines, boundary_in_words
from ..selectors.access import patient_for
from ..selectors.glass import opening_of
from ..selectors.regimen import regimen_now
from ..services.access import record_access
from ..services.boundary_quorum import approve_boundary, boundary_motion, sign_approved, sign_or_put_forward
from .door import StaffRequest, once, page, submitted
from .limits import signer_shown

ACTS = {"approve": "Your approval stands.", "sign": "The boundary is signed.", "end": "It has ended."}


@require_http_methods(["GET", "HEAD", "POST"])
@page
def boundary_page(request: StaffRequest, patient_id: UUID) -> HttpResponse:
    """Sign the limits within which a small step may go to the patient; above the threshold put them forward."""
    patient = patient_for(request.acting, patient_id, Permission.SIGN_BOUNDARY, now=request.now)
    record_access(patient.pk, what="boundary page", by=request.acting, now=request.now)
    taken = {drug.ingredient: drug.daily_dose for drug in regimen_now(patient, now=request.now).drugs}
    drugs = {drug: taken[drug.ingredient] for drug in formulary().titrated if drug.ingredient in taken}
    form = BoundaryForm(request.POST or None, drugs=drugs)

    def work() -> str:
        new = form.boundary(zone=patient.zone, now=request.now)
        reason = form.cleaned_data["reason"]
        made = sign_or_put_forward(patient.pk, new, reason=reason, by=request.acting, now=request.now)
        waits = isinstance(made, Motion)
        return reverse("patient-boundary-waiting" if waits else "patient", args=[patient.pk])

    answer = None
    if request.method == "POST":
        asked = partial(_in_words, patient)
        answer = submitted(request, form, work, said="It is signed.", in_words=asked)
    shown = {"patient": patient, "form": form, "longest": longest_expiry(request.now, patient.zone)}
    status = 422 if form.is_bound else 200
    return answer or render(request, "care_loops/boundary.html", shown | signer_shown(request), status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def boundary_waiting(request: StaffRequest, patient_id: UUID) -> HttpResponse:
    """What is put forward for this patient: approve it, sign what was approved, or end it."""
    patient = patient_for(request.acting, patient_id, Permission.READ_RECORD, now=request.now)
    record_access(patient.pk, what="boundary put forward", by=request.acting, now=request.now)
    state = boundary_motion(patient, now=request.now)
    if request.method == "POST":
        if state is None:
            raise NotFound("Nothing is put forward for this patient.")
        if opening_of(request.acting, [patient.pk], now=request.now) is not None:
            raise NotAllowed("A record opened in an emergency is read, and nothing else.", missing="relation")
        motion, act = state.motion, request.POST.get("act", "")
        return once(
            request,
            partial(_done, request, patient, motion, act),
            said=ACTS.get(act, ""),
            in_words=partial(_in_words, patient),
        )
    shown = waiting_shown(state, patient, viewer=request.acting.person()) if state else None
    return render(request, "care_loops/boundary_waiting.html", {"patient": patient, "one": shown, "key": uuid4().hex})


def _done(request: StaffRequest, patient: Patient, motion: Motion, act: str) -> str:
    by, now, back = request.acting, request.now, reverse("patient-boundary-waiting", args=[patient.pk])
    match act:
        case "approve":
            approve_boundary(motion.pk, by=by, now=now)
        case "sign":
            sign_approved(motion.pk, by=by, now=now)
            return reverse("patient", args=[patient.pk])
        case "end":
            end = withdraw if motion.author_id == by.person().pk else refuse
            end(motion.pk, reason=request.POST.get("reason", ""), by=by, now=now)
        case _:
            raise BadInput("Say what is to be done: approve, sign or end.", field="act", known=list(ACTS))
    return back


def _in_words(patient: Patient, content: Content) -> Lines:
    """What is signed: a boundary, one put forward, or the approval of one."""
    return (put_in_words if "content" in content or "put" in content else boundary_in_words)(content, patient)
