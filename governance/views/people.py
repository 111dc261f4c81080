"""People come, get roles, lose what they sign in with: an administrator's pages, over the services the commands use.

Rules
 * A link is shown once, on the page that made it, and is nowhere else.
 * What needs another person (a role more, a credential that may sign) waits here for one.
"""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from ..domain import STAFF_ROLES, BadInput, NotAllowed, Permission, Refusal, Role
from ..permissions import TABLE
from ..presenters import fingerprint
from ..selectors import person_here, roles_of, staff_people
from ..services.accounts import invite, revoke_role
from ..services.credentials import confirm, live, waiting_to_be_confirmed
from ..services.roles import answer_role, ask_for_role, unanswered
from ..services.sessions import end_sessions, open_sessions
from ..services.ways_back import open_way_back
from .door import may, page, require
from .signing import StaffRequest

_ROLES = sorted((role.value, role.value.replace("_", " ").capitalize()) for role in STAFF_ROLES)


class InviteForm(forms.Form):
    """Whom, and to what."""

    email = forms.EmailField(label="E-mail address", widget=forms.EmailInput({"autocomplete": "off"}))
    role = forms.ChoiceField(label="Role", choices=[("", "Choose…"), *_ROLES])


class RoleForm(forms.Form):
    """One role more, and why."""

    role = forms.ChoiceField(label="One role more", choices=[("", "Choose…"), *_ROLES])
    reason = forms.CharField(label="Why", max_length=500)


class WayBackForm(forms.Form):
    """What was lost, and how it is known who asks."""

    reason = forms.CharField(
        label="What was lost, and how you know that it is them", max_length=500, widget=forms.Textarea({"rows": 3})
    )


def _any_of(request: StaffRequest, *permissions: Permission) -> None:
    if not any(may(request, permission) for permission in permissions):
        raise NotAllowed("Your role does not open this page.", permission=permissions[0].value, missing="role")


@require_safe
@page
def people(request: StaffRequest) -> HttpResponse:
    """Everybody of the staff, and what waits for another person."""
    _any_of(request, Permission.MANAGE_STAFF, Permission.CONFIRM_PEOPLE)
    shown = {
        "people": [(user, [role.replace("_", " ") for role in roles]) for user, roles in staff_people()],
        "waiting": waiting_to_be_confirmed().count() + unanswered().count(),
        "may_confirm": may(request, Permission.CONFIRM_PEOPLE),
        "may_manage": may(request, Permission.MANAGE_STAFF),
    }
    return render(request, "governance/people.html", shown)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def invite_page(request: StaffRequest) -> HttpResponse:
    """Invite a member of staff; the link is shown here, once."""
    require(request, Permission.MANAGE_STAFF)
    form = InviteForm(request.POST or None)
    link = ""
    if form.is_valid():
        said = form.cleaned_data
        invited = invite(said["email"], Role(said["role"]), by=request.acting, now=request.now)
        link = request.build_absolute_uri(reverse("invitation", args=[invited.token]))
    shown = {"form": form, "link": link, "title": "Invite somebody to the staff", "action": "Invite"}
    return render(request, "governance/one_form.html", shown, status=422 if form.errors else 200)


@require_safe
@page
def person_page(request: StaffRequest, user_id: UUID) -> HttpResponse:
    """One member of staff: roles, credentials, sessions, and what can be done."""
    require(request, Permission.MANAGE_STAFF)
    return _person(request, user_id)


def _person(request: StaffRequest, user_id: UUID, *, role_form: RoleForm | None = None) -> HttpResponse:
    user = person_here(user_id)
    roles = roles_of(user)
    shown = {
        "person": user,
        "roles": [(role, role.replace("_", " "), Role(role) in STAFF_ROLES) for role in roles],
        "staff": bool(STAFF_ROLES & {Role(role) for role in roles}),
        "credentials": live(user).select_related("use", "confirmed"),
        "sessions": open_sessions(user).count(),
        "role_form": role_form or RoleForm(),
        "self": user.pk == request.acting.person().pk,
    }
    return render(request, "governance/person.html", shown, status=422 if role_form else 200)


@require_POST
@page
def role_page(request: StaffRequest, user_id: UUID) -> HttpResponse:
    """Ask for a role more, or take one away at once."""
    require(request, Permission.MANAGE_STAFF)
    taken = request.POST.get("take_away", "")
    if taken:
        if taken not in set(Role):
            raise BadInput("There is no such role.", field="role")
        revoke_role(user_id, Role(taken), by=request.acting, now=request.now)
        messages.success(request, "The role is taken away. Their next act already goes without it.")
        return redirect("person", user_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return _person(request, user_id, role_form=form)
    said = form.cleaned_data
    ask_for_role(user_id, Role(said["role"]), reason=said["reason"], by=request.acting, now=request.now)
    messages.success(request, "Asked. It is given when another person grants it.")
    return redirect("person", user_id)


@require_POST
@page
def end_all_sessions(request: StaffRequest, user_id: UUID) -> HttpResponse:
    """Sign somebody out everywhere."""
    require(request, Permission.MANAGE_STAFF)
    ended = end_sessions(person_here(user_id), by=request.acting, now=request.now, reason="by_administrator")
    messages.success(request, f"{ended} sessions have ended.")
    return redirect("person", user_id)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def way_back_page(request: StaffRequest, user_id: UUID) -> HttpResponse:
    """Open a way back for somebody who lost what they sign in with; the link is shown here, once."""
    require(request, Permission.MANAGE_STAFF)
    user = person_here(user_id)
    form = WayBackForm(request.POST or None)
    link = ""
    if form.is_valid():
        opened = open_way_back(user.pk, reason=form.cleaned_data["reason"], by=request.acting, now=request.now)
        link = request.build_absolute_uri(reverse("way-back", args=[opened.token]))
    shown = {
        "form": form,
        "link": link,
        "title": f"A way back for {user.printed_name}",
        "lead": "What they lost stops opening anything now. Somebody else confirms what they enrol next.",
        "action": "End what was lost and make the link",
    }
    return render(request, "governance/one_form.html", shown, status=422 if form.errors else 200)


@require_safe
@page
def waiting(request: StaffRequest) -> HttpResponse:
    """Credentials to be confirmed, and roles asked for."""
    require(request, Permission.CONFIRM_PEOPLE)
    own = request.acting.person().pk
    shown = {
        "credentials": [
            (row, fingerprint(row.public_key or str(row.pk)), row.user_id == own) for row in waiting_to_be_confirmed()
        ],
        "roles": [(row, row.role.replace("_", " "), own in (row.user_id, row.asked_by_id)) for row in unanswered()],
        "may_manage": any((Permission.MANAGE_STAFF, role) in TABLE for role in request.acting.standing.roles),
    }
    return render(request, "governance/waiting.html", shown)


@require_POST
@page
def confirm_credential(request: StaffRequest, credential_id: UUID) -> HttpResponse:
    """Confirm whose credential this is: it may sign from now on."""
    require(request, Permission.CONFIRM_PEOPLE)
    confirm(credential_id, by=request.acting, now=request.now)
    messages.success(request, "Confirmed. It may sign from now on.")
    return redirect("people-waiting")


@require_POST
@page
def answer_role_asked(request: StaffRequest, asked_id: UUID) -> HttpResponse:
    """Grant or refuse a role that somebody asked for."""
    require(request, Permission.CONFIRM_PEOPLE)
    answer = request.POST.get("answer")
    if answer not in ("grant", "refuse"):
        raise Refusal("Say whether it is granted or refused.")
    answer_role(asked_id, grant=answer == "grant", by=request.acting, now=request.now)
    messages.success(request, "Granted." if answer == "grant" else "Refused.")
    return redirect("people-waiting")
