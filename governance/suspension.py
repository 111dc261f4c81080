"""What is suspended, and what that touches: pure, so that a page, a service and a test say the same.

Rules (REGULATORY 2.3 Art. 14(4)(e) and 26, FAL-03, DESIGN 1)
 * A suspension names one thing: everything, a pathway, a model, a boundary, a device type or a cohort of patients.
 * What is touched by a standing suspension proposes nothing, is not delivered, and lets no patient act. Danger rules, a
   clinician's own orders and recalls are never asked (N4), nor is what a clinician signed that gives less (N3).
 * It stands until another person than who began it has ended it. Nobody else can: no model, device or job.
 * Asked in the act's own transaction, of the table itself; nothing is remembered between two acts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from .domain import BadInput, Refusal


class Scope(StrEnum):
    """What kind of thing a suspension names."""

    EVERYTHING = "everything"
    PATHWAY = "pathway"
    MODEL = "model"
    BOUNDARY = "boundary"
    DEVICE_TYPE = "device_type"
    COHORT = "cohort"


class Cause(StrEnum):
    """Why it was begun."""

    FINDING = "finding"
    KILL_SWITCH = "kill_switch"
    AUTOMATIC_RULE = "automatic_rule"


class Suspended(Refusal):
    """What this rests on is suspended: nothing of it goes on until somebody else has ended that."""

    code = "suspended"


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """One thing that can be suspended, by its kind and its name; `everything` has no name."""

    scope: Scope
    name: str = ""


EVERYTHING = Ref(Scope.EVERYTHING)


@dataclass(frozen=True, slots=True)
class Stopped:
    """One suspension that stands."""

    suspension_id: UUID
    scope: Scope
    name: str
    cause: Cause
    reason: str
    since: datetime

    @property
    def ref(self) -> Ref:
        """What it names."""
        return Ref(self.scope, self.name)


def ref_of(scope: str, name: str) -> Ref:
    """The thing somebody named, or a refusal that says what is missing."""
    if scope not in set(Scope):
        raise BadInput("Choose what is suspended.", field="scope", known=[s.value for s in Scope])
    if (scope == Scope.EVERYTHING) != (name == ""):
        raise BadInput("Name the one thing that is suspended; everything has no name.", field="name")
    return Ref(Scope(scope), name)


def about(
    *,
    pathway: str,
    model: tuple[str, str] | None = None,
    boundary: str | None = None,
    device_types: Iterable[str] = (),
    cohorts: Iterable[str] = (),
) -> frozenset[Ref]:
    """Everything a suspension of which would touch this. `model` is (name, version); a name alone is any version."""
    found = {EVERYTHING, Ref(Scope.PATHWAY, pathway)}
    if model is not None and model[0]:
        found |= {Ref(Scope.MODEL, model[0]), Ref(Scope.MODEL, "@".join(model))}
    if boundary:
        found.add(Ref(Scope.BOUNDARY, boundary))
    found |= {Ref(Scope.DEVICE_TYPE, name) for name in device_types if name}
    return frozenset(found | {Ref(Scope.COHORT, name) for name in cohorts if name})


def touching(standing: Iterable[Stopped], refs: frozenset[Ref]) -> tuple[Stopped, ...]:
    """Those of the standing suspensions that touch any of `refs`."""
    return tuple(one for one in standing if one.ref in refs)


def check_goes_on(stopped: Iterable[Stopped]) -> None:
    """Refuse to go on while any of these stands; the refusal names them."""
    found = list(stopped)
    if found:
        named = [{"scope": s.scope.value, "name": s.name, "cause": s.cause.value} for s in found]
        raise Suspended("This is suspended. Nothing of it goes on until that has been ended.", suspensions=named)
