"""Serving: the interface every predictor has, and the breaker in front of it.

Rules
 * A predictor is a callable with a name, a version and a digest of what runs. Only one whose digest the registry has
   approved is called; the check is made by the caller's side of the registry, at every prediction (N7).
 * A predictor that raises is a fault, not an answer. After `OPENS_AFTER` faults in a row the breaker opens and refuses
   without calling, until `HALF_OPEN_AFTER` has passed; then one call tries. Danger rules never pass through here (N4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Generic, TypeVar

Evidence = TypeVar("Evidence")
Answer = TypeVar("Answer")

OPENS_AFTER = 3
HALF_OPEN_AFTER = timedelta(minutes=1)


class ModelDown(Exception):
    """The predictor failed, or the breaker is open: there is no prediction, and the reason is kept."""


@dataclass(frozen=True, slots=True)
class Served(Generic[Evidence, Answer]):
    """A predictor as it is served: which one, and the function that answers."""

    name: str
    version: str
    digest: str
    answer: Callable[[Evidence], Answer]


@dataclass(slots=True)
class Breaker:
    """Counts faults in a row for one predictor, in this process."""

    faults: int = 0
    opened_at: datetime | None = None
    lock: Lock = field(default_factory=Lock)

    def is_open(self, now: datetime) -> bool:
        """Whether calls are refused at `now`."""
        return self.opened_at is not None and now - self.opened_at < HALF_OPEN_AFTER

    def call(self, predictor: Served[Evidence, Answer], evidence: Evidence, *, now: datetime) -> Answer:
        """Ask the predictor, or raise `ModelDown`."""
        if self.is_open(now):
            raise ModelDown(f"{predictor.name}: breaker open")
        try:
            answer = predictor.answer(evidence)
        except Exception as err:
            with self.lock:
                self.faults += 1
                if self.faults >= OPENS_AFTER:
                    self.opened_at = now
            raise ModelDown(f"{predictor.name}: {type(err).__name__}") from err
        with self.lock:
            self.faults, self.opened_at = 0, None
        return answer
