"""Models: which are registered, the card of one, its approvals, and letting it serve.

Rules (N7; 21 CFR 11.50)
 * The same services as at the terminal, which refuse the same: the author does not approve, nobody approves twice, two
   others approve before it is released, and nothing is released while the record's evidence is stale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from audit.selectors import releases_may_go_on
from governance.domain import NotFound, Permission
from models.registry.models import ModelVersion
from models.registry.selectors import all_versions, serving, version_of
from models.registry.services import activate, approve

from ..forms.clinic import OnceForm
from ..presenters.predictors import serving_words, version_shown, versions_shown
from ..presenters.signing import model_in_words
from .door import StaffRequest, page, require, submitted


@require_safe
@page
def models_page(request: StaffRequest) -> HttpResponse:
    """Every registered version, by pathway."""
    require(request, Permission.APPROVE_MODEL)
    return render(request, "care_loops/models.html", {"versions": versions_shown(all_versions())})


@require_safe
@page
def model_page(request: StaffRequest, version_id: UUID) -> HttpResponse:
    """One version: its card, who approved it, and what may be done with it."""
    require(request, Permission.APPROVE_MODEL)
    return _show(request, _version(version_id))


@require_POST
@page
def approve_page(request: StaffRequest, version_id: UUID) -> HttpResponse:
    """Approve a version."""
    require(request, Permission.APPROVE_MODEL)
    version = _version(version_id)
    return _act(request, version, lambda: approve(version, by=request.acting, now=request.now), release=False)


@require_POST
@page
def release_page(request: StaffRequest, version_id: UUID) -> HttpResponse:
    """Let a version serve."""
    require(request, Permission.APPROVE_MODEL)
    version = _version(version_id)
    return _act(request, version, lambda: activate(version, by=request.acting, now=request.now), release=True)


def _version(version_id: UUID) -> ModelVersion:
    version = version_of(version_id)
    if version is None:
        raise NotFound("There is no such model.")
    return version


def _act(request: StaffRequest, version: ModelVersion, act: Callable[[], object], *, release: bool) -> HttpResponse:
    back = reverse("model", args=[version.pk])
    now_serves = serving_words(serving(version.pathway))

    def work() -> str:
        act()
        return back

    def in_words(content: Mapping[str, Any]) -> list[tuple[str, str]]:
        return model_in_words(content, serving=now_serves, release=release)

    said = "The model serves now." if release else "Your approval is signed and recorded."
    answer = submitted(request, OnceForm(request.POST), work, said=said, in_words=in_words)
    if answer is None:
        messages.error(request, "That form cannot be read. Try again.")
        return redirect(back)
    return answer


def _show(request: StaffRequest, version: ModelVersion) -> HttpResponse:
    shown = version_shown(version, by=request.acting, evidence_stale=not releases_may_go_on())
    context = {"page": shown, "form": OnceForm()}
    return render(request, "care_loops/model.html", context)
