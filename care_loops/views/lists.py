"""Where a person starts: the worklist, the alerts, what was held back."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.views.decorators.http import require_safe

from governance.domain import NotAllowed, Permission, Role
from governance.services import acting_person

from ..presenters.quarantine import quarantine_shown
from ..presenters.worklist import Tab, alert_lines, worklist_shown
from ..selectors.probes import with_probes
from ..selectors.quarantine import held_back
from ..selectors.worklist import open_alerts_of, worklist
from ..services.access import record_listing
from .door import StaffRequest, may, page, require

# The first page that exists, by role.
_START: tuple[tuple[Role, str], ...] = (
    (Role.CLINICIAN, "/worklist/"),
    (Role.PHARMACIST, "/worklist/"),
    (Role.PATIENT, "/me/"),
    (Role.CARER, "/me/"),
    (Role.AUDITOR, "/audit/"),
    (Role.COMPLIANCE_OFFICER, "/audit/"),
    (Role.DATA_ENGINEER, "/quarantine/"),
    (Role.ML_ENGINEER, "/models/"),
    (Role.DEVOPS_ENGINEER, "/fleet/"),
    (Role.ADMINISTRATOR, "/quarantine/"),
    (Role.ML_ENGINEER, "/oversight/autonomy/"),
    (Role.DATA_SCIENTIST, "/oversight/autonomy/"),
    (Role.RESPONSIBLE_AI_LEAD, "/oversight/"),
    (Role.SECURITY_PRIVACY_ENGINEER, "/oversight/"),
    (Role.PROJECT_MANAGER, "/findings/"),
    (Role.DEVOPS_ENGINEER, "/oversight/"),
)


@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """Send a person to where their role begins."""
    if not request.user.is_authenticated:
        return redirect("account_login")
    try:
        roles = acting_person(request.user, now=timezone.now()).standing.roles
    except NotAllowed:
        return redirect("account_logout")
    for role, where in _START:
        if role in roles and _exists(where):
            return redirect(where)
    return render(request, "care_loops/no_page.html")


def _exists(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


@require_safe
@page
def worklist_page(request: StaffRequest) -> HttpResponse:
    """What waits, most urgent first."""
    require(request, Permission.SEE_WORKLIST)
    asked = request.GET.get("show", Tab.NEEDS_A_PERSON.value)
    tab = Tab(asked) if asked in set(Tab) else Tab.NEEDS_A_PERSON
    record_listing("worklist", by=request.acting, now=request.now)
    found = with_probes(worklist(request.acting, now=request.now), request.acting, now=request.now)
    shown = worklist_shown(found, tab=tab, query=request.GET.get("q", "")[:80].strip(), now=request.now)
    enrols = may(request, Permission.ENROL_PATIENT)
    return render(request, "care_loops/worklist.html", {"page": shown, "may_enrol": enrols})


@require_safe
@page
def alerts_page(request: StaffRequest) -> HttpResponse:
    """Every open alert of the person's patients."""
    require(request, Permission.SEE_WORKLIST)
    record_listing("alerts", by=request.acting, now=request.now)
    lines = alert_lines(open_alerts_of(request.acting, now=request.now), now=request.now)
    return render(request, "care_loops/alerts.html", {"lines": lines})


@require_safe
@page
def quarantine_page(request: StaffRequest) -> HttpResponse:
    """Readings held back and resources refused, where they can be looked at."""
    require(request, Permission.SEE_QUARANTINE)
    record_listing("quarantine", by=request.acting, now=request.now)
    shown = quarantine_shown(held_back(request.acting, now=request.now), now=request.now)
    return render(request, "care_loops/quarantine.html", {"page": shown})
