"""Patients are enrolled, they and their carers are invited, and who leaves hands their patients over: pages for that.

The rest of what happens to people stands in `governance.views.people`; here is what touches a patient's record.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from uuid import UUID, uuid4
from zoneinfo import available_timezones

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from governance.domain import BadInput, Permission, Role
from governance.selectors import account_named, person_here, staff_people

from ..domain.record import Sex
from ..services import NewPatient
from ..services.joining import enrol_and_invite, hand_over, invite_to_record
from .door import StaffRequest, may, page, require

_CONTINENTS = frozenset(
    {"Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
)


class EnrolForm(forms.Form):
    """Who the patient is, who is responsible, and where the invitation goes."""

    given_name = forms.CharField(max_length=100)
    family_name = forms.CharField(max_length=100)
    born_on = forms.DateField(label="Date of birth", widget=forms.DateInput({"type": "date"}), required=False)
    sex = forms.ChoiceField(choices=[("", "Choose…"), *((sex.value, sex.value.capitalize()) for sex in Sex)])
    zone = forms.ChoiceField(label="Time zone", help_text="Of the place where the patient lives.")
    responsible = forms.ChoiceField(label="Responsible clinician")
    takes_no_medicines = forms.BooleanField(
        label="The patient takes no medicines",
        help_text="Only if somebody said so. Otherwise nothing is proposed until a list of medicines has come.",
        required=False,
    )
    email = forms.EmailField(label="The patient’s e-mail address, to invite them", required=False)

    def __init__(self, *args: object, clinicians: Iterable[tuple[str, str]], **kwargs: object) -> None:
        """`clinicians`: who may be responsible, by user name, and how they are called."""
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["zone"].choices = zone_choices()  # type: ignore[attr-defined]
        self.fields["responsible"].choices = [("", "Choose…"), *clinicians]  # type: ignore[attr-defined]


def zone_choices() -> list[tuple[str, str | list[tuple[str, str]]]]:
    """The time zones of places where people live, by continent; none is chosen beforehand."""
    known = sorted(zone for zone in available_timezones() if zone.partition("/")[0] in _CONTINENTS)
    by_continent = [
        (continent, [(zone, zone.partition("/")[2].replace("_", " ")) for zone in zones])
        for continent, zones in groupby(known, key=lambda zone: zone.partition("/")[0])
    ]
    return [("", "Choose…"), *by_continent, ("UTC", "UTC")]


class RecordInviteForm(forms.Form):
    """To whose record, as what."""

    patient = forms.UUIDField(label="Identifier of the record")
    role = forms.ChoiceField(
        label="As", choices=[("", "Choose…"), (Role.PATIENT.value, "Patient"), (Role.CARER.value, "Carer")]
    )
    email = forms.EmailField(label="E-mail address")


class LeaveForm(forms.Form):
    """Who takes over."""

    to = forms.CharField(label="User name of whoever takes over their patients", max_length=150)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def enrol(request: StaffRequest) -> HttpResponse:
    """Enrol a patient with a responsible clinician, and invite them."""
    require(request, Permission.ENROL_PATIENT)
    clinicians = [
        (user.username, f"{user.printed_name} ({user.username})")
        for user, roles in staff_people()
        if Role.CLINICIAN.value in roles
    ]
    form = EnrolForm(request.POST or None, clinicians=clinicians)
    link = ""
    if form.is_valid():
        try:
            link = _enrolled(request, form)
        except BadInput as refusal:
            field = str(refusal.extra.get("field", ""))
            form.add_error(field if field in form.fields else None, refusal.detail)
        else:
            messages.success(request, "The patient is enrolled.")
            if not link:
                return redirect("people")
    return _form(request, form, link, title="Enrol a patient", action="Enrol")


def _enrolled(request: StaffRequest, form: EnrolForm) -> str:
    said = form.cleaned_data
    new = NewPatient(
        source_system="this site",
        source_id=str(uuid4()),
        given_name=said["given_name"],
        family_name=said["family_name"],
        born_on=said["born_on"],
        sex=Sex(said["sex"]),
        zone=said["zone"],
        synthetic=False,
        takes_no_medicines=said["takes_no_medicines"],
    )
    clinician = account_named(said["responsible"])
    invited = enrol_and_invite(new, clinician.pk, email=said["email"], by=request.acting, now=request.now)
    if invited is None:
        return ""
    return request.build_absolute_uri(reverse("invitation", args=[invited.token]))


@require_http_methods(["GET", "HEAD", "POST"])
@page
def invite_to_a_record(request: StaffRequest) -> HttpResponse:
    """Invite a patient or a carer to a record; the link is shown here, once."""
    require(request, Permission.INVITE_TO_RECORD)
    form = RecordInviteForm(request.POST or None, initial={"patient": request.GET.get("patient", "")[:36]})
    link = ""
    if form.is_valid():
        said = form.cleaned_data
        invited = invite_to_record(
            said["patient"], Role(said["role"]), email=said["email"], by=request.acting, now=request.now
        )
        link = request.build_absolute_uri(reverse("invitation", args=[invited.token]))
    return _form(request, form, link, title="Invite to a record", action="Invite")


@require_http_methods(["GET", "HEAD", "POST"])
@page
def leaves(request: StaffRequest, user_id: UUID) -> HttpResponse:
    """Somebody leaves: their patients are handed over in the same act."""
    require(request, Permission.MANAGE_STAFF)
    leaver = person_here(user_id)
    form = LeaveForm(request.POST or None)
    if form.is_valid():
        try:
            handed = hand_over(leaver, account_named(form.cleaned_data["to"]), by=request.acting, now=request.now)
        except BadInput as refusal:
            form.add_error("to", refusal.detail)
        else:
            messages.success(request, f"{leaver.printed_name} has left; {handed} patients were handed over.")
            return redirect("people")
    title = f"{leaver.printed_name} leaves"
    return _form(request, form, "", title=title, action="Hand over and end their access")


def _form(request: StaffRequest, form: forms.Form, link: str, *, title: str, action: str) -> HttpResponse:
    shown = {"form": form, "link": link, "title": title, "action": action, "back": ""}
    if not (may(request, Permission.MANAGE_STAFF) or may(request, Permission.CONFIRM_PEOPLE)):
        shown["back"] = reverse("worklist")  # the list of people is not theirs to see
    return render(request, "governance/one_form.html", shown, status=422 if form.errors else 200)
