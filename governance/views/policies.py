"""Policies on pages: what is in force, what is put forward and by whom approved, and the buttons that derive from it.

Rules (GOV-04; decision 74)
 * The page shows whom the quorum asks for; the service asks again. What is signed is what the page of signing shows.
 * A form of a kind offers the options of the cited file, and no field for a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from ..domain import NotFound, Permission, Role
from ..models import Motion
from ..policy_kinds import OF_THE_SITE, SITE, PolicyKind, choices_body, of_kind, unit_words
from ..presenters.policies import asked_words, line_shown, motion_shown, title_of, version_shown
from ..quorum import QuorumAct
from ..selectors import policy_in_force
from ..selectors.policies import PATHWAY, all_policies, history, motion_state, motions_of, policy_line
from ..selectors.quorum import motion as motion_named
from ..services import approve_policy, propose_policy
from ..services.quorum import refuse, withdraw
from ..tiers import OperatingMode
from .door import may, once, page, require, submitted
from .signing import StaffRequest


class PutForm(forms.Form):
    """A policy put forward: its reason, and from when it holds. The rows are added by kind."""

    key = forms.CharField(widget=forms.HiddenInput, min_length=8, max_length=64)

    def __init__(self, data: Mapping[str, Any] | None, *, kind: PolicyKind, now: Mapping[str, Any]) -> None:
        super().__init__(data)
        self.kind = kind
        self.fields["key"].initial = uuid4().hex
        for name, field in _mode_fields(now) if kind is PolicyKind.OPERATING_MODE else _choice_fields(kind, now):
            self.fields[name] = field
        self.fields["starts"] = forms.DateTimeField(
            label="Holds from (UTC)",
            required=False,
            help_text="Empty: from its last approval on.",
            widget=forms.DateTimeInput({"type": "datetime-local"}),
        )
        self.fields["reason"] = forms.CharField(label="Why", max_length=1000, widget=forms.Textarea({"rows": 3}))

    def body(self) -> dict[str, Any]:
        """The body of the policy."""
        said = self.cleaned_data
        if self.kind is PolicyKind.OPERATING_MODE:
            return {
                "mode": said["mode"],
                "patient_directed": said["patient_directed"] == "yes",
                "stopped": said["stopped"] == "yes",
                "daily_patient_quota": said["daily_patient_quota"],
            }
        return choices_body(self.kind, {one.of: said[one.of] for one in of_kind(self.kind) if said[one.of]})

    def starts(self) -> datetime | None:
        """The moment from which it holds, if one was named."""
        found: datetime | None = self.cleaned_data["starts"]
        return None if found is None else found.replace(tzinfo=UTC)


class ReasonForm(forms.Form):
    """Why a motion ends."""

    key = forms.CharField(widget=forms.HiddenInput, min_length=8, max_length=64)
    reason = forms.CharField(label="Why", max_length=500)


def _mode_fields(now: Mapping[str, Any]) -> list[tuple[str, forms.Field]]:
    yes_no = [("yes", "yes"), ("no", "no")]

    def said(part: str) -> str | None:
        return None if part not in now else ("yes" if now[part] else "no")

    modes = [(mode.value, mode.value) for mode in OperatingMode]
    return [
        ("mode", forms.ChoiceField(label="How the pathway is run", choices=modes, initial=now.get("mode"))),
        (
            "patient_directed",
            forms.ChoiceField(
                label="Small changes may go straight to the patient", choices=yes_no, initial=said("patient_directed")
            ),
        ),
        (
            "stopped",
            forms.ChoiceField(
                label="Stopped: nothing is proposed",
                choices=yes_no,
                initial=said("stopped"),
                help_text="To stop needs nobody else and holds at once.",
            ),
        ),
        (
            "daily_patient_quota",
            forms.IntegerField(
                label="Changes a day that may go straight to patients",
                min_value=0,
                initial=now.get("daily_patient_quota"),
            ),
        ),
    ]


def _choice_fields(kind: PolicyKind, now: Mapping[str, Any]) -> list[tuple[str, forms.Field]]:
    chosen = now.get("choices", {})
    found: list[tuple[str, forms.Field]] = []
    for one in of_kind(kind):
        unit = unit_words(one)
        shipped = f"as shipped: {one.shipped} {unit}" if one.shipped is not None else "as shipped: no bound"
        offered = [("", shipped.strip())]
        offered += [(o.option_id, f"{o.value.replace('_', ' ')} {unit} ({o.mark})".strip()) for o in one.options]
        sources = "; ".join(option.citation for option in one.options)
        field = forms.ChoiceField(
            label=one.words, choices=offered, required=False, initial=chosen.get(one.of, ""), help_text=sources
        )
        found.append((one.of, field))
    return found


def _kind(text: str) -> PolicyKind:
    if text not in set(PolicyKind):
        raise NotFound("There is no such policy.")
    return PolicyKind(text)


def _subject(kind: PolicyKind) -> str:
    return SITE if kind in OF_THE_SITE else PATHWAY


def _motion(motion_id: UUID) -> Motion:
    found = motion_named(motion_id)
    if found.act != QuorumAct.POLICY:
        raise NotFound("There is no such motion.")
    return found


@require_safe
@page
def policies(request: StaffRequest) -> HttpResponse:
    """Every kind of policy: what is in force, and what waits for approval."""
    require(request, Permission.SEE_POLICIES)
    lines = [line_shown(line) for line in all_policies(now=request.now)]
    shown = {"lines": lines, "may_put": may(request, Permission.SET_POLICY), "pathway": PATHWAY}
    return render(request, "governance/policies.html", shown)


@require_safe
@page
def policy(request: StaffRequest, kind: str) -> HttpResponse:
    """One policy: the version in force, those before it, and everything that was put forward."""
    require(request, Permission.SEE_POLICIES)
    known = _kind(kind)
    subject = _subject(known)
    line = policy_line(known, subject, now=request.now)
    title, lead = title_of(known)
    viewer = request.acting.person()
    shown = {
        "kind": known.value,
        "title": title,
        "lead": lead,
        "line": line_shown(line),
        "versions": [version_shown(row, in_force=line.in_force) for row in history(known, subject)],
        "motions": [
            motion_shown(motion_state(row, now=request.now), viewer=viewer) for row in motions_of(known, subject)[:20]
        ],
        "may_put": may(request, Permission.SET_POLICY),
    }
    return render(request, "governance/policy.html", shown)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def put_policy(request: StaffRequest, kind: str) -> HttpResponse:
    """Put a policy forward: what is chosen for each row, and why. Signed."""
    require(request, Permission.SET_POLICY)
    known = _kind(kind)
    in_force = policy_in_force(known.value, _subject(known), now=request.now)
    form = PutForm(request.POST or None, kind=known, now=in_force.body if in_force else {})

    def work() -> str:
        put = propose_policy(
            known.value,
            _subject(known),
            body=form.body(),
            reason=form.cleaned_data["reason"],
            effective_from=form.starts(),
            by=request.acting,
            now=request.now,
        )
        return reverse("policy-motion", args=[put.motion.pk])

    answer = None
    if request.method == "POST":
        answer = submitted(request, form, work, said="It is put forward.", in_words=asked_words)
    title, lead = title_of(known)
    shown = {"form": form, "kind": known.value, "title": title, "lead": lead}
    return answer or render(request, "governance/policy_put.html", shown, status=422 if form.is_bound else 200)


@require_safe
@page
def motion(request: StaffRequest, motion_id: UUID) -> HttpResponse:
    """One policy put forward: old beside new, who approved, what is missing, who may, and the buttons."""
    require(request, Permission.SEE_POLICIES)
    found = motion_shown(motion_state(_motion(motion_id), now=request.now), viewer=request.acting.person())
    return render(request, "governance/policy_motion.html", {"motion": found, "key": uuid4().hex})


@require_POST
@page
def approve_motion(request: StaffRequest, motion_id: UUID) -> HttpResponse:
    """Approve it, signed, under one role."""
    require(request, Permission.GIVE_APPROVAL)
    found = _motion(motion_id)
    said = request.POST.get("role", "")
    role = Role(said) if said in set(Role) else None

    def work() -> str:
        approve_policy(found.pk, role=role, by=request.acting, now=request.now)
        return reverse("policy-motion", args=[found.pk])

    return once(request, work, said="Your approval stands.", in_words=asked_words)


@require_POST
@page
def end_motion(request: StaffRequest, motion_id: UUID) -> HttpResponse:
    """Withdraw what one put forward, or refuse what one is asked to approve."""
    if not may(request, Permission.SET_POLICY):
        require(request, Permission.GIVE_APPROVAL)
    found = _motion(motion_id)
    own = found.author_id == request.acting.person().pk
    require(request, Permission.SET_POLICY if own else Permission.GIVE_APPROVAL)
    form = ReasonForm(request.POST)
    form.is_valid()
    end = withdraw if own else refuse

    def work() -> str:
        end(found.pk, reason=form.cleaned_data.get("reason", ""), by=request.acting, now=request.now)
        return reverse("policy-motion", args=[found.pk])

    return once(request, work, said="Withdrawn." if own else "Refused.")
