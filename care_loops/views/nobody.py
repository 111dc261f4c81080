"""The page of somebody who does not exist: what a probe's case has on record, for whom the probe was placed."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from ..models import Probe
from ..presenters.probes import nobody_shown
from ..services.access import record_listing
from .door import StaffRequest


def nobody_page(request: StaffRequest, probe: Probe) -> HttpResponse:
    """Medicines, results and what is known, as a patient's page says them."""
    record_listing("patient page", by=request.acting, now=request.now)
    return render(request, "care_loops/nobody.html", {"page": nobody_shown(probe, now=request.now)})
