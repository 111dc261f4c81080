"""The rota, and where one can be reached oneself.

Rules
 * Everybody of the rota sees it; an administrator writes it; a clinician stands in, for themself only.
 * An address is seen by its person alone.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_POST, require_safe

from ..channels import Channel, channel_rules
from ..cover import Rung, gaps
from ..domain import Fault, Permission, Refusal, Role
from ..presenters.cover import DAYS, WHY_NOT, WORDS, Week, week_svg
from ..selectors import staff_people
from ..selectors.notices import attended, contact_points, failed_notices, shift_rows, shifts, tested_channels
from ..services.channels import configured, vapid_key
from ..services.contacts import add_contact, confirm_contact, end_contact
from ..services.notices import try_channels
from ..services.rota import add_shift, call_off, stand_in
from .door import may, own_page, page, require
from .signing import StaffRequest

_UTC = {"type": "datetime-local", "step": "60"}
_CHANNELS = {Channel.EMAIL: "E-mail", Channel.SMS: "Text message (SMS)", Channel.PUSH: "Phone app"}


class ShiftForm(forms.Form):
    """Who, on which step, from when to when (UTC)."""

    rung = forms.ChoiceField(label="Step", choices=[(rung.value, WORDS[rung]) for rung in Rung])
    user = forms.ChoiceField(label="Clinician")
    starts = forms.DateTimeField(label="From (UTC)", widget=forms.DateTimeInput(_UTC))
    ends = forms.DateTimeField(label="Until before (UTC)", widget=forms.DateTimeInput(_UTC))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """The clinicians of today."""
        super().__init__(*args, **kwargs)
        people = [(str(user.pk), user.printed_name) for user, roles in staff_people() if Role.CLINICIAN.value in roles]
        self.fields["user"].choices = [("", "Choose…"), *people]  # type: ignore[attr-defined]


class CoverForm(forms.Form):
    """Which part of a shift is taken (UTC)."""

    starts = forms.DateTimeField(label="From (UTC)", widget=forms.DateTimeInput(_UTC))
    ends = forms.DateTimeField(label="Until before (UTC)", widget=forms.DateTimeInput(_UTC))


class ContactForm(forms.Form):
    """Where a message can go."""

    channel = forms.ChoiceField(label="How")
    address = forms.CharField(label="Address or number", max_length=2000)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """The ways that this site has."""
        super().__init__(*args, **kwargs)
        ways = [(each.value, _CHANNELS[each]) for each in Channel if each in configured() and each is not Channel.PUSH]
        self.fields["channel"].choices = ways  # type: ignore[attr-defined]


@require_safe
@page
def cover(request: StaffRequest) -> HttpResponse:
    """Who is on call this week, what is uncovered, and whether people can be reached."""
    require(request, Permission.SEE_COVER)
    return _show(request)


def _show(request: StaffRequest, *, form: ShiftForm | None = None, refusal: Refusal | None = None) -> HttpResponse:
    now = request.now
    starts = now.replace(hour=0, minute=0, second=0, microsecond=0)
    ends = starts + timedelta(days=DAYS)
    found = shifts(starts=starts, ends=ends)
    uncovered = [gap for rung in Rung for gap in gaps(found, rung, starts=now, ends=ends)]
    names = {str(user.pk): user.printed_name for user, _ in staff_people()}
    tested = tested_channels(now=now)
    watched = attended(now=now)
    shown = {
        "form": form or ShiftForm(),
        "refusal": refusal,
        "drawing": mark_safe(week_svg(Week(starts, now, found, uncovered, names))),  # noqa: S308  (escaped there)
        "rows": [(row, WORDS[Rung(row.rung)], list(row.covers.all())) for row in shift_rows(starts=now, ends=ends)],
        "gaps": [(WORDS[gap.rung], gap) for gap in uncovered],
        "why_not": [WHY_NOT[code] for code in watched.why_not],
        "channels": [(_CHANNELS[each], each in configured(), tested.get(each)) for each in Channel],
        "failed": failed_notices(),
        "test_counts": channel_rules().test_counts.days,
        "may_manage": may(request, Permission.MANAGE_COVER),
        "may_stand_in": may(request, Permission.STAND_IN),
        "me": request.acting.person().pk,
    }
    wrong = refusal.status if refusal else 422 if form is not None else 200
    return render(request, "governance/cover.html", shown, status=wrong)


@require_POST
@page
def add(request: StaffRequest) -> HttpResponse:
    """Put somebody on a step."""
    require(request, Permission.MANAGE_COVER)
    form = ShiftForm(request.POST)
    if not form.is_valid():
        return _show(request, form=form)
    said = form.cleaned_data
    try:
        add_shift(
            Rung(said["rung"]),
            UUID(said["user"]),
            starts=said["starts"],
            ends=said["ends"],
            by=request.acting,
            now=request.now,
        )
    except Refusal as refusal:
        return _show(request, form=form, refusal=refusal)
    messages.success(request, "The shift stands.")
    return redirect("cover")


@require_POST
@page
def off(request: StaffRequest, shift_id: UUID) -> HttpResponse:
    """Call a shift off."""
    require(request, Permission.MANAGE_COVER)
    call_off(shift_id, by=request.acting, now=request.now)
    messages.success(request, "The shift was called off.")
    return redirect("cover")


@require_POST
@page
def take(request: StaffRequest, shift_id: UUID) -> HttpResponse:
    """Take a part of somebody's shift upon oneself."""
    require(request, Permission.STAND_IN)
    form = CoverForm(request.POST)
    if not form.is_valid():
        return _show(request, form=ShiftForm())
    times: dict[str, datetime] = {"starts": form.cleaned_data["starts"], "ends": form.cleaned_data["ends"]}
    try:
        stand_in(shift_id, by=request.acting, now=request.now, **times)
    except Refusal as refusal:
        return _show(request, refusal=refusal)
    messages.success(request, "You are on call for that time.")
    return redirect("cover")


@require_POST
@page
def test(request: StaffRequest) -> HttpResponse:
    """Send oneself a test."""
    require(request, Permission.STAND_IN)
    planned = try_channels(by=request.acting, now=request.now)
    if planned:
        messages.success(
            request, f"{planned} test{'s' if planned > 1 else ''} on the way. Look here again in a moment."
        )
    else:
        messages.warning(request, "You have no confirmed address yet: add one under “How you are reached”.")
    return redirect("cover")


@require_safe
@own_page
def reach(request: StaffRequest) -> HttpResponse:
    """Where one can be reached oneself."""
    return _own(request)


def _own(request: StaffRequest, *, form: ContactForm | None = None, refusal: Refusal | None = None) -> HttpResponse:
    shown = {
        "form": form or ContactForm(),
        "refusal": refusal,
        "points": [
            (row, _CHANNELS[Channel(row.channel)], said) for row, said in contact_points(request.acting.person().pk)
        ],
        "possible": bool(configured()),
        "push_key": vapid_key() if Channel.PUSH in configured() else "",
    }
    wrong = refusal.status if refusal else 422 if form is not None else 200
    return render(request, "governance/reach.html", shown, status=wrong)


@require_POST
@own_page
def reach_add(request: StaffRequest) -> HttpResponse:
    """Add an address; a code goes there."""
    form = ContactForm(request.POST)
    if not form.is_valid():
        return _own(request, form=form)
    channel = Channel(form.cleaned_data["channel"])
    try:
        add_contact(channel, form.cleaned_data["address"], by=request.acting, now=request.now)
    except Refusal as refusal:
        return _own(request, form=form, refusal=refusal)
    except Fault:
        return _own(request, form=form, refusal=NotReached("That way could not be used just now. Try again."))
    messages.success(request, "A code is on its way. Type it here within ten minutes.")
    return redirect("reach")


class NotReached(Refusal):
    """The provider does not answer."""

    code = "not_reached"
    status = 503


@require_POST
@own_page
def reach_confirm(request: StaffRequest, contact_id: UUID) -> HttpResponse:
    """Type the code that came."""
    try:
        confirm_contact(contact_id, request.POST.get("code", ""), by=request.acting, now=request.now)
    except Refusal as refusal:
        return _own(request, refusal=refusal)
    messages.success(request, "You can be reached there.")
    return redirect("reach")


@require_POST
@own_page
def reach_end(request: StaffRequest, contact_id: UUID) -> HttpResponse:
    """Nothing goes there any more."""
    end_contact(contact_id, by=request.acting, now=request.now)
    messages.success(request, "Nothing goes there any more.")
    return redirect("reach")
