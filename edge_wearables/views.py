"""The page of what devices sent that was refused or held back at the entrance: messages and readings, as they came.

Rules
 * For people with SEE_QUARANTINE; each look is recorded. A patient is named to their own care team alone (N10).
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from care_loops.selectors.access import patients_of
from governance.domain import BadInput
from governance.views.door import page
from governance.views.signing import StaffRequest

from .presenters import refused_lines
from .services.looking import look_at_refused

SHOWN = 50


@require_safe
@page
def refused_page(request: StaffRequest) -> HttpResponse:
    """Newest first, fifty at a time."""
    number = _number(request)
    rows, more = look_at_refused(by=request.acting, now=request.now, device_id=None, page=number, size=SHOWN)
    named = patients_of(request.acting, now=request.now).in_bulk([row.patient_id for row in rows if row.patient_id])
    shown = {
        "lines": refused_lines(rows, named=named, now=request.now),
        "newer": number - 1,
        "older": number + 1 if more else None,
    }
    return render(request, "edge_wearables/refused.html", {"page": shown})


def _number(request: HttpRequest) -> int:
    text = request.GET.get("page", "1")
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) >= 1):
        raise BadInput("page is a number from 1.", field="page")
    return int(text)
