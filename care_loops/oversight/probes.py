"""Probes: known-wrong proposals for people who do not exist, put among the real ones to see who notices (CLINICAL 4.3).

Rules
 * What is wrong stands in the case and can be seen on its pages; why, with its source, is told after the decision.
 * After how many real proposals the next one comes is drawn with the site's key, for each person and each time anew,
   between the bounds of the file: between 2 and 5 % of the queue.
 * Noticing is not approving what was proposed.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..domain.changes import STAY, Candidate, Change
from ..domain.evidence import Outcome
from ..domain.readings import Average, WindowResult
from ..domain.record import Sex

CONTEXT = b"clinaiops/probe/v1\n"
LEAST_GAP, MOST_GAP = 19, 49  # 1 in 20 is 5 %, 1 in 50 is 2 %
RULE = "home_7_day"


@dataclass(frozen=True, slots=True)
class Drug:
    """A line of the regimen: `daily_dose` in mg."""

    name: str
    daily_dose: str


@dataclass(frozen=True, slots=True)
class Case:
    """One case of the library: who, what is on record, what is proposed, and why that is wrong."""

    name: str
    sex: Sex
    age: int
    names: tuple[str, str]
    drugs: tuple[Drug, ...]
    conditions: tuple[str, ...]
    labs: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    average: Average
    readings: int
    proposed: Change
    others: tuple[Change, ...]
    wrong: str
    source: str
    mark: str


@dataclass(frozen=True, slots=True)
class Library:
    """All cases, and the bounds of the gap between two probes of one person, in real proposals."""

    version: str
    least_gap: int
    most_gap: int
    cases: tuple[Case, ...]

    def __post_init__(self) -> None:
        if not LEAST_GAP <= self.least_gap <= self.most_gap <= MOST_GAP:
            raise ValueError(f"{self.version}: probes are between 2 and 5 % of the queue")
        for case in self.cases:
            if not case.wrong or not case.source:
                raise ValueError(f"{case.name}: a case says why it is wrong, and who says so")

    def case(self, name: str) -> Case:
        """The case of that name. Raises KeyError."""
        return {case.name: case for case in self.cases}[name]


def _drawn(key: bytes, *about: str) -> int:
    return int.from_bytes(hmac.digest(key, CONTEXT + "\n".join(about).encode(), "sha256")[:8], "big")


def gap(key: bytes, person: str, number: int, library: Library) -> int:
    """After how many real proposals this person meets their probe of that number."""
    span = library.most_gap - library.least_gap + 1
    return library.least_gap + _drawn(key, "gap", person, str(number)) % span


def chosen(key: bytes, person: str, number: int, library: Library, *, seen: Collection[str]) -> Case:
    """The case they meet: one they have not met, while there is one."""
    left = [case for case in library.cases if case.name not in seen] or list(library.cases)
    return left[_drawn(key, "case", person, str(number)) % len(left)]


def outcome_of(case: Case, *, now: datetime) -> Outcome:
    """The case as it stands on the page: the window of the last seven days, what could be done, what is proposed."""
    ends = now.replace(hour=0, minute=0, second=0, microsecond=0)
    window = WindowResult(
        rule=RULE,
        rule_version="1",
        starts_at=ends - timedelta(days=7),
        ends_at=ends,
        average=case.average,
        reason=None,
        used=tuple(f"r{number}" for number in range(case.readings)),
        not_used=(),
    )
    return Outcome(
        withheld=None,
        detail=(),
        change=case.proposed,
        before_limits=case.proposed,
        candidates=(*(Candidate(change) for change in (case.proposed, *case.others)), Candidate(STAY)),
        spoken=(),
        prediction=None,
        barred=(),
        tier="clinician_approves",
        tier_reasons=(),
        windows=(window,),
    )
