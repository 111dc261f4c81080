"""What a policy that is put forward would have changed: a page that reads, and writes nothing but that it was read."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from governance.domain import BadInput, NotFound, Permission
from governance.presenters.policies import motion_shown
from governance.quorum import QuorumAct
from governance.selectors.policies import motion_state
from governance.selectors.quorum import motion as motion_named

from ..presenters.what_if import what_if_shown
from ..selectors.access import loops_of
from ..services.access import record_listing
from ..services.what_if import what_if
from .door import StaffRequest, page, require

NEWEST = 200  # what a page computes while somebody waits; the command has no end


@require_safe
@page
def what_if_page(request: StaffRequest, motion_id: UUID) -> HttpResponse:
    """The newest recommendations, computed again under what is put forward."""
    require(request, Permission.SEE_POLICIES)
    motion = motion_named(motion_id)
    if motion.act != QuorumAct.POLICY:
        raise NotFound("There is no such motion.")
    record_listing("what_if", by=request.acting, now=request.now)
    content = motion.content
    try:
        found = what_if_shown(what_if(content["kind"], content["subject"], content["body"], newest=NEWEST))
    except BadInput:  # a kind that no recommendation reads, or a file that no longer says what was put forward
        found = None
    shown = {
        "motion": motion_shown(motion_state(motion, now=request.now), viewer=request.acting.person()),
        "page": found,
        "newest": NEWEST,
        "own": loops_of(request.acting, (one[0] for one in found.listed), now=request.now) if found else (),
    }
    return render(request, "care_loops/what_if.html", shown)
