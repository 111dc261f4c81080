"""How the house is, for machines: `/health/live`, `/health/ready`, and `/metrics` in Prometheus text.

The rules
 * Nothing here names a patient, a person or an entry: counts, ages and states only.
 * Ready means: the database answers. How far the record is, and how the witnesses stand, is told beside it and does not
   take a server out of service: care goes on (SECURITY 3.2).
"""

import time
from datetime import datetime
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audit.selectors import WitnessStanding, record_state, witness_state
from audit.services import drift
from audit.services.self_check import last_check
from audit.witness_policy import PolicyInvalid
from governance.selectors.findings import overdue_findings
from governance.selectors.suspensions import standing
from governance.services.signed_rows import last_signatures_checked
from governance.suspension import Cause

Row = tuple[str, str, str, list[tuple[str, float]]]
"""A metric: name, type, help, and its samples as (labels, value)."""


@require_safe
@never_cache
def live(_request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("live\n", content_type="text/plain")


@require_safe
@never_cache
def ready(_request: HttpRequest) -> HttpResponse:
    """Whether this server can work, and how far the record is."""
    try:
        record = record_state()
    except DatabaseError:
        return JsonResponse({"ready": False, "database": "unreachable"}, status=503)
    standing, behind_since = _witnesses()
    checked = last_check()
    return JsonResponse(
        {
            "ready": True,
            "database": "answers",
            "record": {
                "entries": record.entries,
                "pending": record.pending,
                "unsigned": record.entries - record.signed,
                "witnesses": standing,
                "witnesses_behind_since": behind_since,
                "guards_changed": len(drift.last_seen()),
                "verified": checked.verified if checked else None,
                "verified_at": checked.at if checked else None,
            },
        }
    )


@require_safe
@never_cache
def metrics(_request: HttpRequest) -> HttpResponse:
    """The same as numbers over time."""
    began = time.monotonic()
    try:
        rows = _rows(timezone.now())
    except DatabaseError:
        rows = [("clinaiops_database_up", "gauge", "Whether the database answers.", [("", 0.0)])]
    took = [("", time.monotonic() - began)]
    rows.append(("clinaiops_metrics_seconds", "gauge", "How long these figures took to collect.", took))
    lines = []
    for name, kind, told, samples in rows:
        lines += [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{{{labels}}} {value:g}" if labels else f"{name} {value:g}" for labels, value in samples]
    return HttpResponse("\n".join([*lines, ""]), content_type="text/plain; version=0.0.4; charset=utf-8")


def _rows(now: datetime) -> list[Row]:
    record = record_state()
    standing, _ = _witnesses()
    waiting = (now - record.waiting_since).total_seconds() if record.waiting_since else 0.0
    states = [(f'state="{each}"', float(each == standing)) for each in (*WitnessStanding, "unknown")]
    found: list[tuple[str, str, float]] = [
        ("clinaiops_database_up", "Whether the database answers.", 1.0),
        ("clinaiops_audit_entries", "Entries with a place in the record.", record.entries),
        ("clinaiops_audit_pending_entries", "Entries written and not yet numbered.", record.pending),
        ("clinaiops_audit_pending_oldest_seconds", "Age of the oldest of those.", waiting),
        ("clinaiops_audit_unsigned_entries", "Entries beyond the last checkpoint.", record.entries - record.signed),
        ("clinaiops_audit_guards_changed", "Guards that differ from what was installed.", len(drift.last_seen())),
        *_self_check(now),
        *_signatures(),
        *_stopped(now),
    ]
    rows: list[Row] = [(name, "gauge", told, [("", float(value))]) for name, told, value in found]
    return [*rows, ("clinaiops_witness_state", "gauge", "How the witnesses stand; one of these is 1.", states)]


def _self_check(now: datetime) -> list[tuple[str, str, float]]:
    """What the record's last verification of itself found; nothing before the first."""
    checked = last_check()
    if checked is None:
        return []
    age = (now - checked.at).total_seconds()
    return [
        ("clinaiops_audit_verified", "Whether the record's last verification of itself held.", checked.verified),
        ("clinaiops_audit_verified_seconds", "Age of that verification.", age),
    ]


def _signatures() -> list[tuple[str, str, float]]:
    """How many signed rows were not what was signed, when they were last gone over; nothing before the first time."""
    checked = last_signatures_checked()
    told = "Signed rows that are not what was signed."
    return [("clinaiops_signatures_void", told, checked.found)] if checked is not None else []


def _stopped(now: datetime) -> list[tuple[str, str, float]]:
    """What is suspended, and which findings are late."""
    found = standing()
    thrown = any(one.cause is Cause.KILL_SWITCH for one in found)
    return [
        ("clinaiops_suspensions", "Suspensions that stand.", len(found)),
        ("clinaiops_kill_switch", "Whether a kill switch is thrown.", thrown),
        ("clinaiops_findings_overdue", "Findings whose corrective action is late.", overdue_findings(now=now)),
    ]


def _witnesses() -> tuple[str, Any]:
    """How the witnesses stand, and since when an entry waits for them."""
    try:
        found = witness_state()
    except (OSError, PolicyInvalid):
        return "unknown", None
    return found.state.value, found.behind_since
