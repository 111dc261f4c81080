"""How far each model has come, drawn per group and change with why; gates are asked for and signed here."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from governance.autonomy import GateNotMet, Level
from governance.domain import NotFound, Permission
from governance.forms import KeyedForm
from governance.models import AutonomyGate
from governance.presenters.oversight import oversight_tabs
from governance.selectors.autonomy import gates_waiting
from governance.selectors.sight import Wider, looking_wider
from models.registry.models import ModelVersion

from ..forms.oversight import GateForm
from ..presenters.oversight import gate_shown, ladder_shown
from ..services.autonomy import ask_level, sign_level
from .door import StaffRequest, may, page, require, submitted

POSTS = ["GET", "HEAD", "POST"]


@require_safe
@page
@looking_wider(Wider.OVERSIGHT)
def ladders(request: StaffRequest) -> HttpResponse:
    """The ladder of every model that serves, and gates that wait for their second signature."""
    require(request, Permission.SEE_OVERSIGHT)
    shown = {
        "ladders": [ladder_shown(v, now=request.now) for v in ModelVersion.objects.order_by("-active", "name")],
        "gates": [gate_shown(gate) for gate in gates_waiting()],
        "may_raise": may(request, Permission.RAISE_AUTONOMY),
        "tabs": oversight_tabs(request.acting.standing.roles, here="autonomy"),
    }
    return render(request, "care_loops/autonomy.html", shown)


@require_http_methods(POSTS)
@page
def ask(request: StaffRequest, version_id: UUID) -> HttpResponse:
    """Put the evidence for a level forward, signed; what does not hold is said by name."""
    require(request, Permission.RAISE_AUTONOMY)
    if not ModelVersion.objects.filter(pk=version_id).exists():
        raise NotFound("There is no such model.")
    form = GateForm(request.POST or None)

    def work() -> str:
        said = form.cleaned_data
        ask_level(
            version_id,
            Level(said["level"]),
            cohorts=said["cohorts"],
            actions=said["actions"],
            by=request.acting,
            now=request.now,
        )
        return reverse("autonomy")

    try:
        answer = submitted(request, form, work, said="Put forward. Another person signs it.") if form.is_bound else None
    except GateNotMet as refusal:
        form.add_error(None, _not_met(refusal))
        answer = None
    return answer or _form(request, form, "Ask for a level")


@require_http_methods(POSTS)
@page
def sign(request: StaffRequest, gate_id: UUID) -> HttpResponse:
    """The second signature."""
    require(request, Permission.RAISE_AUTONOMY)
    if not AutonomyGate.objects.filter(pk=gate_id).exists():
        raise NotFound("There is no such gate.")
    form = KeyedForm(request.POST or None)

    def work() -> str:
        sign_level(gate_id, by=request.acting, now=request.now)
        return reverse("autonomy")

    try:
        answer = submitted(request, form, work, said="Raised.") if form.is_bound else None
    except GateNotMet as refusal:
        form.add_error(None, _not_met(refusal))
        answer = None
    return answer or _form(request, form, "Sign this gate")


def _not_met(refusal: GateNotMet) -> str:
    missing = refusal.extra.get("missing")
    words = [str(row["words"]) for row in missing] if isinstance(missing, list) else []
    return " ".join([refusal.detail, "What does not hold:", *words])


def _form(request: StaffRequest, form: KeyedForm, title: str) -> HttpResponse:
    tabs = oversight_tabs(request.acting.standing.roles, here="autonomy")
    shown = {"form": form, "title": title, "tabs": tabs}
    return render(request, "governance/oversight_form.html", shown, status=422 if form.errors else 200)
