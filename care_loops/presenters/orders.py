"""What a clinician may order: each change with what rules say, and which of them must be overridden by name.

Rules
 * A danger that stands stops machines, never a clinician's own order: it is shown and needs no override.
 * A rule that is never overridden closes the choice; the others ask for their name and a reason in words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..domain.changes import Candidate
from ..services.order import only_for_machines
from ..services.since_signed import never_overridden
from .changes import CandidateShown, RuleShown, candidates_listed

SHOWN_ONLY = "Stops automated advice, not your order"


@dataclass(frozen=True, slots=True)
class OrderChoice:
    """One change and what rules say of it. `overrides` are those to name; `closed` when no order overrides one."""

    candidate: CandidateShown
    rules: tuple[RuleShown, ...]
    overrides: tuple[RuleShown, ...]
    closed: bool


def order_choices(candidates: Iterable[Candidate]) -> tuple[OrderChoice, ...]:
    """The choices of the order form, those that need no override first."""
    machines, never = only_for_machines(), never_overridden()
    found = []
    for one in candidates_listed(candidates):
        stops = tuple(rule for rule in one.rules if rule.severity == "hard_stop" and rule.code not in machines)
        said = tuple(replace(rule, severity_words=SHOWN_ONLY) if rule.code in machines else rule for rule in one.rules)
        found.append(OrderChoice(one, said, overrides=stops, closed=any(rule.code in never for rule in stops)))
    return tuple(sorted(found, key=lambda choice: (choice.closed, bool(choice.overrides))))
