"""How well proposals are watched over: by model and by team for who answers for it, and one's own for oneself.

Rules (CLINICAL 4.3)
 * Nobody sees another person's figures: the page of one person takes no name, it is always the reader's own.
 * That somebody looked is in the record, as with every list.
"""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from governance.domain import Permission
from governance.presenters.oversight import oversight_tabs

from ..presenters.figures_of_oversight import own_shown, page_shown
from ..selectors.oversight import oversight, own_figures
from ..services.access import record_listing
from .door import StaffRequest, page, require


@require_safe
@page
def decision_figures(request: StaffRequest) -> HttpResponse:
    """Every model and every team whose figures may be shown."""
    require(request, Permission.SEE_DECISION_FIGURES)
    record_listing("decision figures", by=request.acting, now=request.now)
    shown = page_shown(oversight(now=request.now))
    tabs = oversight_tabs(request.acting.standing.roles, here="decision-figures")
    return render(request, "care_loops/decision_figures.html", {"page": shown, "tabs": tabs})


@require_safe
@page
def own_decisions(request: StaffRequest) -> HttpResponse:
    """What this person decided themself."""
    require(request, Permission.SEE_OWN_DECISIONS)
    record_listing("own decisions", by=request.acting, now=request.now)
    shown = own_shown(own_figures(request.acting, now=request.now))
    tabs = oversight_tabs(request.acting.standing.roles, here="own-decisions")
    return render(request, "care_loops/own_decisions.html", {"page": shown, "tabs": tabs})
