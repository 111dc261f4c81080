"""What is stopped, the kill switch, and findings from open to closed (REGULATORY 2.3 Art. 14(4)(e), PEERS 3 auditor).

Rules
 * Stopping is one form, at once, without a signature. Ending is signed and takes another person.
 * What may be done is derived from the table of permissions; the service checks it again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django import forms as library
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from ..domain import BadInput, NotFound, Permission
from ..findings import FindingState, Severity
from ..forms import FindingForm, OwnForm, SaidForm, SwitchForm, WhyForm
from ..models import Finding, Suspension
from ..presenters.oversight import CAUSES, SEVERITIES, STATES, finding_line, oversight_tabs, thing
from ..presenters.record import stamp
from ..selectors import account_named
from ..selectors.suspensions import all_suspensions
from ..services.findings import Seen, check_or_close, hand_back, own, raise_finding, record_action
from ..services.suspensions import ask_end, end_suspension, throw_switch
from ..suspension import Cause, ref_of
from .door import may, page, require, submitted
from .signing import StaffRequest

SHOWN_FOR = timedelta(days=90)
POSTS = ["GET", "HEAD", "POST"]


@require_http_methods(POSTS)
@page
def stopped(request: StaffRequest) -> HttpResponse:
    """What is suspended, and the kill switch."""
    require(request, Permission.THROW_SWITCH if request.method == "POST" else Permission.SEE_OVERSIGHT)
    form = SwitchForm(request.POST or None)

    def work() -> str:
        said = form.cleaned_data
        ref = ref_of(said["scope"], said["name"].strip())
        throw_switch(ref, reason=said["reason"], by=request.acting, now=request.now)
        return reverse("oversight")

    answer = submitted(request, form, work, said="Stopped, from now on and on every worker.") if form.is_bound else None
    if answer:
        return answer
    rows = []
    for seen in all_suspensions(ended_since=request.now - SHOWN_FOR):
        row, mine = seen.row, seen.row.began_by_id == request.acting.person().pk
        rows.append(
            {
                "row": row,
                "what": thing(row.scope, row.name),
                "cause": CAUSES[Cause(row.cause)],
                "since": stamp(row.began_at),
                "by": row.began_by.printed_name if row.began_by else "a rule of this server",
                "asked": [a.asked_by.printed_name for a in seen.asked],
                "ended": f"{stamp(seen.end.ended_at)} by {seen.end.ended_by.printed_name}" if seen.end else "",
                "may_end": not seen.end and not mine and may(request, Permission.END_SUSPENSION),
                "mine": mine,
            }
        )
    shown = {
        "tabs": oversight_tabs(request.acting.standing.roles, here="oversight"),
        "standing": [one for one in rows if not one["ended"]],
        "over": [one for one in rows if one["ended"]],
        "form": form,
        "may_throw": may(request, Permission.THROW_SWITCH),
    }
    return render(request, "governance/stopped.html", shown, status=422 if form.errors else 200)


@require_http_methods(POSTS)
@page
def ends(request: StaffRequest, suspension_id: UUID) -> HttpResponse:
    """Ask that a suspension ends, or end it: signed, by another person."""
    require(request, Permission.END_SUSPENSION)
    if not Suspension.objects.filter(pk=suspension_id).exists():
        raise NotFound("There is no such suspension.")
    asks = (request.POST or request.GET).get("ask") == "1"
    form = WhyForm(request.POST or None)

    def work() -> str:
        act = ask_end if asks else end_suspension
        act(suspension_id, reason=form.cleaned_data["reason"], by=request.acting, now=request.now)
        return reverse("oversight")

    said = "Asked, signed. Another person ends it." if asks else "Ended. What rested on it goes on."
    answer = submitted(request, form, work, said=said) if form.is_bound else None
    title = "Ask that this suspension ends" if asks else "End this suspension"
    return answer or _form(request, form, title, "oversight", hidden={"ask": "1" if asks else ""})


def _form(
    request: StaffRequest, form: library.Form, title: str, here: str, *, hidden: dict[str, str] | None = None
) -> HttpResponse:
    shown = {
        "form": form,
        "title": title,
        "hidden": hidden or {},
        "tabs": oversight_tabs(request.acting.standing.roles, here=here),
    }
    return render(request, "governance/oversight_form.html", shown, status=422 if form.errors else 200)


@require_safe
@page
def findings(request: StaffRequest) -> HttpResponse:
    """Every finding: overdue first, then open, then those that closed lately."""
    require(request, Permission.SEE_OVERSIGHT)
    rows = Finding.objects.prefetch_related("events__owner", "occurrences").order_by("-raised_at")[:500]
    lines = [finding_line(row, now=request.now) for row in rows]
    lines.sort(key=lambda line: (line.closed, not line.late, -line.finding.raised_at.timestamp()))
    shown = {
        "lines": lines,
        "late": sum(line.late for line in lines),
        "open": sum(not line.closed for line in lines),
        "may_raise": may(request, Permission.RAISE_FINDING),
        "tabs": oversight_tabs(request.acting.standing.roles, here="findings"),
    }
    return render(request, "governance/findings.html", shown)


@require_http_methods(POSTS)
@page
def new_finding(request: StaffRequest) -> HttpResponse:
    """Raise a finding, or add to the one it recurs in."""
    require(request, Permission.RAISE_FINDING)
    form = FindingForm(request.POST or None)

    def work() -> str:
        said = form.cleaned_data
        seen = Seen(
            cause=said["cause"],
            subject=said["subject"],
            name=said["name"].strip(),
            severity=Severity(said["severity"]),
            title=said["title"],
            evidence_kind=said["evidence_kind"],
            evidence=said["evidence"].strip(),
            text=said["text"],
        )
        return reverse("finding", args=[raise_finding(seen, by=request.acting, now=request.now).pk])

    answer = submitted(request, form, work, said="Recorded.") if form.is_bound else None
    return answer or _form(request, form, "Raise a finding", "findings")


@require_safe
@page
def finding(request: StaffRequest, finding_id: UUID) -> HttpResponse:
    """One finding: what showed it, each step, and what comes next."""
    require(request, Permission.SEE_OVERSIGHT)
    row = Finding.objects.filter(pk=finding_id).first()
    if row is None:
        raise NotFound("There is no such finding.")
    events = [
        {
            "state": STATES[FindingState(event.state)],
            "at": stamp(event.at),
            "by": event.by.printed_name if event.by else "a rule of this server",
            "owner": event.owner.printed_name if event.owner else "",
            "due": stamp(event.due_at),
            "action": event.action,
            "said": event.said,
        }
        for event in row.events.select_related("by", "owner").order_by("-seq")
    ]
    shown = {
        "line": finding_line(row, now=request.now),
        "events": events,
        "seen": [
            {"row": seen, "at": stamp(seen.seen_at), "severity": SEVERITIES[Severity(seen.severity)]}
            for seen in row.occurrences.order_by("-seen_at")
        ],
        "next": _next(request, FindingState(row.events.order_by("-seq")[0].state)),
        "tabs": oversight_tabs(request.acting.standing.roles, here="findings"),
    }
    return render(request, "governance/finding.html", shown)


def _next(request: StaffRequest, state: FindingState) -> list[dict[str, str]]:
    """The acts that this person's role opens where the finding stands."""
    works, closes = may(request, Permission.WORK_FINDING), may(request, Permission.CLOSE_FINDING)
    found: list[dict[str, str]] = []
    if works and state in (FindingState.OPEN, FindingState.REOPENED, FindingState.OWNED):
        found.append({"page": "finding-own", "words": "Give it to somebody"})
    if works and state is FindingState.OWNED:
        found.append({"page": "finding-action", "words": "Record what was done"})
    if closes and state in (FindingState.ACTION_RECORDED, FindingState.CHECKED):
        found += [{"page": "finding-back", "words": "Hand it back"}, {"page": "finding-close", "words": "Close it"}]
    if closes and state is FindingState.ACTION_RECORDED:
        found.append({"page": "finding-check", "words": "Say that it is checked"})
    return found


TITLES = {
    "own": "Give this finding to somebody",
    "action": "What was done",
    "back": "Hand it back: what is missing",
    "check": "Checked: what you looked at",
    "close": "Close: what you looked at",
}


@require_http_methods(POSTS)
@page
def finding_act(request: StaffRequest, finding_id: UUID, act: str) -> HttpResponse:
    """One step of a finding."""
    require(request, Permission.WORK_FINDING if act in ("own", "action") else Permission.CLOSE_FINDING)
    if not Finding.objects.filter(pk=finding_id).exists():
        raise NotFound("There is no such finding.")
    form = OwnForm(request.POST or None) if act == "own" else SaidForm(request.POST or None)

    def work() -> str:
        _ACTS[act](request, finding_id, form.cleaned_data)
        return reverse("finding", args=[finding_id])

    answer = submitted(request, form, work, said="Recorded.") if form.is_bound else None
    return answer or _form(request, form, TITLES[act], "findings")


def _own(request: StaffRequest, finding_id: UUID, said: dict[str, object]) -> None:
    try:
        owner = account_named(str(said["owner"]))
    except NotFound as refusal:
        raise BadInput(refusal.detail, field="owner") from refusal
    due = said["due_at"]
    own(finding_id, owner.pk, due_at=due, by=request.acting, now=request.now)  # type: ignore[arg-type]  # form's own


def _action(request: StaffRequest, finding_id: UUID, said: dict[str, object]) -> None:
    record_action(finding_id, str(said["said"]), by=request.acting, now=request.now)


def _back(request: StaffRequest, finding_id: UUID, said: dict[str, object]) -> None:
    hand_back(finding_id, str(said["said"]), by=request.acting, now=request.now)


def _check(request: StaffRequest, finding_id: UUID, said: dict[str, object]) -> None:
    check_or_close(finding_id, FindingState.CHECKED, str(said["said"]), by=request.acting, now=request.now)


def _close(request: StaffRequest, finding_id: UUID, said: dict[str, object]) -> None:
    check_or_close(finding_id, FindingState.CLOSED, str(said["said"]), by=request.acting, now=request.now)


_ACTS: dict[str, Callable[[StaffRequest, UUID, dict[str, object]], None]] = {
    "own": _own,
    "action": _action,
    "back": _back,
    "check": _check,
    "close": _close,
}
