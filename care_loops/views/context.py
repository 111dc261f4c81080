"""What every page carries: whether this is a simulation, who is signed in, where they can go."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from governance.domain import NotAllowed, Permission, Role
from governance.permissions import TABLE
from governance.presenters.oversight import CAUSES, thing
from governance.selectors import site_mode
from governance.selectors.suspensions import standing
from governance.services import Acting, acting_person

from ..presenters import words
from ..presenters.glass import OpeningShown, opening_shown
from ..presenters.modes import SiteShown, site_shown
from ..selectors.glass import openings_of_session, overdue

_NAV: tuple[tuple[str, str, Permission], ...] = (
    ("worklist", "Worklist", Permission.SEE_WORKLIST),
    ("alerts", "Alerts", Permission.SEE_WORKLIST),
    ("quarantine", "Held back", Permission.SEE_QUARANTINE),
    ("cover", "On call", Permission.SEE_COVER),
    ("policies", "Policies", Permission.SEE_POLICIES),
    ("people", "People", Permission.CONFIRM_PEOPLE),
    ("break-glass", "Break-glass", Permission.BREAK_GLASS),
    ("break-glass", "Break-glass", Permission.REVIEW_BREAK_GLASS),
    ("models", "Models", Permission.APPROVE_MODEL),
    ("record", "Record", Permission.VERIFY_RECORD),
    ("record-exports", "Exports", Permission.EXPORT_AUDIT),
    ("second-reviews", "Second reviews", Permission.SECOND_REVIEW),
    ("oversight", "Oversight", Permission.SEE_OVERSIGHT),
)


def frame(request: HttpRequest) -> dict[str, Any]:
    """The frame of a page. A mode that cannot be read is shown as not for patient care."""
    acting = getattr(request, "acting", None) or _acting(request)
    shown: SiteShown = site_shown(_mode())
    return {
        "frame": {
            "banner": shown.banner,
            "short": shown.short,
            "not_for_care": shown.not_for_care,
            "mode_words": shown.mode_words,
            "person": acting.standing.name if acting else "",
            "roles": ", ".join(words.role(role) for role in sorted(acting.standing.roles)) if acting else "",
            "nav": _nav(request, acting) if acting else [],
            "glass": _glass(request, acting) if acting else [],
            "glass_overdue": _overdue(acting) if acting else 0,
            "stopped": _stopped() if acting else [],
            "oversees": acting is not None and _holds(acting, Permission.SEE_OVERSIGHT),
        }
    }


def _mode() -> str | None:
    try:
        return site_mode(now=timezone.now())
    except DatabaseError:
        return None


def _glass(request: HttpRequest, acting: Acting) -> list[OpeningShown]:
    """What this person has open by break-glass in this session: it stands on every page while it is open."""
    presence, now = getattr(request, "presence", None), timezone.now()
    if presence is None or Role.CLINICIAN not in acting.standing.roles:
        return []
    rows = openings_of_session(acting.person().pk, presence.session, now=now)
    return [opening_shown(row, now=now, named=True) for row in rows]


def _overdue(acting: Acting) -> int:
    """How many reviews nobody has closed in time: for who may close them."""
    if not any((Permission.REVIEW_BREAK_GLASS, role) in TABLE for role in acting.standing.roles):
        return 0
    return overdue(now=timezone.now())


def _stopped() -> list[str]:
    """What is suspended now, a line each; what cannot be read is said."""
    try:
        return [f"{thing(one.scope.value, one.name)} ({CAUSES[one.cause]})" for one in standing()]
    except DatabaseError:
        return ["What is stopped cannot be read."]


def _acting(request: HttpRequest) -> Acting | None:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    try:
        return acting_person(user, now=timezone.now())
    except NotAllowed:
        return None


def _holds(acting: Acting, permission: Permission) -> bool:
    return any((permission, role) in TABLE for role in acting.standing.roles)


def _nav(request: HttpRequest, acting: Acting) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for name, shown, permission in _NAV:
        if not _holds(acting, permission):
            continue
        try:
            href = reverse(name)
        except NoReverseMatch:
            continue
        if any(href.startswith(str(before["href"])) for before in found):
            continue  # one of the pages of an item that stands here already
        found.append({"href": href, "words": shown, "here": request.path.startswith(href)})
    return found
