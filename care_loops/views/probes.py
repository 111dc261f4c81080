"""A probe at the address of a recommendation: shown and decided like one, and told as what it is right after.

Rules (CLINICAL 4.3)
 * Only whom it was placed for gets here; everybody else is told what they are told of any number that is not there.
 * The form, the reasons, the signature and the words are those of a decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from governance.domain import Permission

from ..forms.clinic import DecisionForm
from ..models import Loop, Probe
from ..presenters import words
from ..presenters.probes import revealed
from ..presenters.recommendation import recommendation_shown
from ..presenters.signatures import decision_in_words
from ..selectors.probes import loop_of
from ..services.access import record_listing
from ..services.probes import answer_probe
from .door import StaffRequest, require, submitted


def probe_page(request: StaffRequest, probe: Probe) -> HttpResponse:
    """Show it and take the decision; once decided, or too late, say what it was."""
    require(request, Permission.DECIDE)
    loop = loop_of(probe)
    over = hasattr(probe, "answer") or request.now >= probe.expires_at
    if request.method == "POST":
        return _decide(request, probe, loop)
    record_listing("recommendation", by=request.acting, now=request.now)
    if over:
        return render(request, "care_loops/probe.html", {"page": revealed(probe, now=request.now)})
    return _show(request, loop, status=200)


def _decide(request: StaffRequest, probe: Probe, loop: Loop) -> HttpResponse:
    shown = recommendation_shown(loop, now=request.now)
    form = DecisionForm(request.POST, alternatives=shown.alternatives, seen_version=loop.version)

    def work() -> str:
        answer_probe(probe.pk, form.decision(), by=request.acting, now=request.now)
        return reverse("recommendation", args=[probe.pk])

    def in_words(content: Mapping[str, Any]) -> list[tuple[str, str]]:
        return decision_in_words(content, loop.patient)

    answer = submitted(request, form, work, said="Your decision is signed and recorded.", in_words=in_words)
    return answer or _show(request, loop, status=422, form=form)


def _show(request: StaffRequest, loop: Loop, *, status: int, form: DecisionForm | None = None) -> HttpResponse:
    page = recommendation_shown(loop, now=request.now)
    shown: dict[str, Any] = {
        "page": page,
        "refusal": None,
        "patient": loop.patient,
        "news": [],
        "form": form or DecisionForm(alternatives=page.alternatives, seen_version=loop.version),
        "recall_form": None,
        "may": {Permission.DECIDE.value: True},
        "signer": request.acting.standing.name,
        "signer_roles": " and ".join(words.role(role) for role in sorted(request.acting.standing.roles)),
    }
    return render(request, "care_loops/recommendation.html", shown, status=status)
