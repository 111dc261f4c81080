"""The patient's own page of what they agree to: each text in full, a button each way, and a receipt to keep."""

from __future__ import annotations

import json
from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from governance.domain import Permission
from governance.views.door import once, own_page, require

from ..consent_texts import text_now
from ..forms.clinic import OnceForm
from ..models import Consent, Patient
from ..presenters.consents import consents_shown, receipt_of
from ..selectors.access import patient_for
from ..selectors.phone import consent_of, consents_of, record_of_person
from ..services import record_access
from ..services.consents import give_consent
from .door import StaffRequest


class ConsentForm(OnceForm):
    """One word on one text, in the version that was shown."""

    scope = forms.ChoiceField(choices=[(scope, scope) for scope in Consent.SCOPES])
    version = forms.CharField(max_length=20)
    given = forms.ChoiceField(choices=[("yes", "yes"), ("no", "no")])


def _mine(request: StaffRequest, permission: Permission) -> Patient:
    require(request, Permission.GIVE_CONSENT)
    return patient_for(
        request.acting, record_of_person(request.acting, None, now=request.now), permission, now=request.now
    )


@require_http_methods(["GET", "HEAD", "POST"])
@own_page
def my_consents(request: StaffRequest) -> HttpResponse:
    """Every text with where it stands; say yes or no to one."""
    patient = _mine(request, Permission.GIVE_CONSENT if request.method == "POST" else Permission.READ_RECORD)
    if request.method == "POST":
        form = ConsentForm(request.POST)
        if form.is_valid():
            return _say(request, patient, form)
    record_access(patient.pk, what="consents", by=request.acting, now=request.now)
    shown = {"rows": consents_shown(consents_of(patient)), "form": ConsentForm()}
    return render(request, "care_loops/my_consents.html", shown, status=422 if request.method == "POST" else 200)


def _say(request: StaffRequest, patient: Patient, form: ConsentForm) -> HttpResponse:
    said = form.cleaned_data

    def work() -> str:
        given = said["given"] == "yes"
        give_consent(
            patient.pk, said["scope"], given=given, version=said["version"], by=request.acting, now=request.now
        )
        return reverse("my-consents")

    words = "You agree. It holds from now on." if said["given"] == "yes" else "Withdrawn. It holds from now on."
    return once(request, work, said=f"{words} {text_now(said['scope']).withdrawal}")


@require_safe
@own_page
def my_consent_receipt(request: StaffRequest, entry: UUID) -> HttpResponse:
    """What was agreed to or withdrawn, when, in which words, to whom: to keep."""
    patient = _mine(request, Permission.READ_RECORD)
    row = consent_of(patient, entry)
    answer = HttpResponse(json.dumps(receipt_of(row), indent=2), content_type="application/json; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="consent-{row.scope}-{row.at:%Y-%m-%d}.json"'
    return answer
