"""Pages of the house itself: legal moves, who may, what is recorded, addresses, commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from audit.kinds import REGISTRY
from governance.domain import Permission, Role
from governance.permissions import TABLE

from ...transitions import DECIDED, ENDINGS, MOVES, PATIENT_VISIBLE
from .markdown import Page, table

OURS = ("audit", "governance", "models", "care_loops", "edge_wearables", "config")


def transitions() -> Page:
    """The moves of a loop, as a table and as a drawing."""
    head = ("state", "may become", "a clinician decided", "the patient has seen it", "ending")
    rows = (
        (
            state.value,
            ", ".join(sorted(move.value for move in moves)),
            "yes" if state in DECIDED else "",
            "yes" if state in PATIENT_VISIBLE else "",
            "yes" if state in ENDINGS else "",
        )
        for state, moves in MOVES.items()
    )
    arrows = [f"    {a.value} --> {b.value}" for a, moves in MOVES.items() for b in sorted(moves)]
    ends = [f"    {state.value} --> [*]" for state in MOVES if state in ENDINGS]
    drawing = "\n".join(("```mermaid", "stateDiagram-v2", "    [*] --> proposed", *arrows, *ends, "```"))
    return Page(
        name="transitions",
        title="Moves of a recommendation",
        about="What is not here is not legal; a trigger of the database holds the same table.",
        made_from="care_loops/transitions.py",
        body=f"{table((head, *rows))}\n{drawing}",
    )


def permissions() -> Page:
    """Who may: permission by role, and the relation that is needed."""
    roles = [role for role in Role if any(role is held for _, held in TABLE)]
    head = ("permission", *(role.value for role in roles))
    rows = (
        (
            permission.value,
            *(", ".join(sorted(r.value for r in TABLE.get((permission, role), frozenset()))) for role in roles),
        )
        for permission in Permission
    )
    idle = [role.value for role in Role if role not in roles]
    return Page(
        name="permissions",
        title="Who may",
        about=(
            "A role alone lets nobody act on a record: the cell names the relation that is needed beside it. An empty "
            f"cell is a no. Roles that may do nothing yet: {', '.join(idle) or 'none'}."
        ),
        made_from="governance/permissions.py",
        body=table((head, *rows)),
    )


def audit_events() -> Page:
    """Every type of entry the record takes."""
    head = ("type", "must say", "payload must have")
    rows = (
        (kind.name, ", ".join(sorted(kind.needs)), ", ".join(sorted(kind.payload_needs))) for kind in REGISTRY.values()
    )
    return Page(
        name="audit_events",
        title="What is recorded",
        about="The closed list of event types. Every one also names its actor, its object and its purpose.",
        made_from="audit/kinds.py",
        body=table((head, *rows)),
    )


def addresses() -> Page:
    """The addresses that are ours; those of the libraries (`/accounts/`, `/admin/`, `/o/`) are theirs to tell."""
    rows = sorted(set(_ours(get_resolver().url_patterns, "/")))
    return Page(
        name="addresses",
        title="Addresses",
        about="Every address that this house answers itself. The API in full: `/api/docs/` of a running server.",
        made_from="config/urls.py",
        body=table((("address", "name", "answered by"), *rows)),
    )


def _ours(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[tuple[str, str, str]]:
    for pattern in patterns:
        where = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _ours(pattern.url_patterns, where)
            continue
        called: Any = pattern.callback
        view = getattr(called, "view_class", None) or getattr(called, "cls", called)
        if view.__module__.split(".")[0] in OURS:
            yield where, str(pattern.name or ""), f"{view.__module__}.{view.__qualname__}"


def commands(known: Mapping[str, str]) -> Page:
    """Commands of ours, with what each is for."""
    rows = ((f"`manage.py {name}`", known[name]) for name in sorted(known))
    return Page(
        name="commands",
        title="Commands",
        about="All of them take `--help`. Beside these: `manage.py serve`, and Django's own.",
        made_from="*/management/commands/",
        body=table((("command", "does"), *rows)),
    )
