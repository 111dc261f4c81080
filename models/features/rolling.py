"""One feature of one entity in time: what becomes known goes in, and the value at a moment comes out.

Rules
 * Every number is a whole count of millionths, or it is refused: sums and squares are exact, whatever order they are
   added in and however often state is put away and taken up again. Only the last division makes a float.
 * Time runs forward: what becomes known, and what is asked, is never older than what was known or asked before.
 * A value happened no later than it became known (`at` <= `known_at`). So a moment sees what was known by then, and
   nothing that lies after it: a future value has no way in.
 * The state is a JSON object. It holds the values in the window and no more.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from .spec import Aggregate, FeatureSpec

MILLIONTHS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HOUR = 3_600_000_000  # microseconds


class BadHistory(ValueError):
    """What was handed in cannot have happened so: refused by name."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A value of a signal: when it happened, when it became known. Raises `BadHistory`."""

    id: str
    signal: str
    at: datetime
    known_at: datetime
    value: Decimal

    def __post_init__(self) -> None:
        if self.at.tzinfo is None or self.known_at.tzinfo is None:
            raise BadHistory(f"{self.id}: a moment without a zone")
        if self.at > self.known_at:
            raise BadHistory(f"{self.id}: known before it happened")
        if not self.value.is_finite() or (self.value * MILLIONTHS) % 1 != 0:
            raise BadHistory(f"{self.id}: {self.value} is no whole count of millionths")


@dataclass(frozen=True, slots=True)
class Retracted:
    """A value taken back: from `known_at` on it no longer counts; before, it did."""

    id: str
    signal: str
    known_at: datetime

    def __post_init__(self) -> None:
        if self.known_at.tzinfo is None:
            raise BadHistory(f"{self.id}: a moment without a zone")


@dataclass(frozen=True, slots=True)
class Asked:
    """A value is wanted of this entity as it was known at this moment."""

    entity: str
    at: datetime


Known = Observed | Retracted
_Held = tuple[int, str, int]  # happened at (microseconds), id, value in millionths


def _micro(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise BadHistory("a moment without a zone")
    return (moment - _EPOCH) // _MICROSECOND


@dataclass(slots=True)
class Rolling:
    """The feature `spec` of one entity."""

    spec: FeatureSpec
    held: list[_Held] = field(default_factory=list)
    total: int = 0
    squares: int = 0
    now: int = -(2**62)

    def take(self, known: Known) -> None:
        """Take in what became known. Raises `BadHistory` for the wrong signal, a time that runs back, a bad value."""
        if known.signal != self.spec.signal:
            raise BadHistory(f"{known.id}: {known.signal}, where {self.spec.signal} is wanted")
        self._forward(_micro(known.known_at), known.id)
        if isinstance(known, Retracted):
            self._take_back(known.id)
            return
        if not self.spec.least <= known.value <= self.spec.most:
            raise BadHistory(f"{known.id}: {known.value} {self.spec.unit} lies outside the range of {self.spec.ref}")
        if any(one[1] == known.id for one in self.held):
            raise BadHistory(f"{known.id}: known already")
        value = int(known.value * MILLIONTHS)
        insort(self.held, (_micro(known.at), known.id, value))
        self._add(value, 1)

    def value(self, at: datetime) -> float | None:
        """The feature as known at `at`; `None` where there is nothing to make it of. Raises `BadHistory` backwards."""
        self._forward(_micro(at), "what is asked")
        self._forget()
        return _finished(self)

    def _forward(self, moment: int, what: str) -> None:
        if moment < self.now:
            raise BadHistory(f"{what}: time runs forward")
        self.now = moment

    def _forget(self) -> None:
        """Let go of what has left the window; nobody can ask for it again."""
        begins = self.now - self.spec.window // _MICROSECOND
        gone = 0
        while gone < len(self.held) and self.held[gone][0] <= begins:
            self._add(self.held[gone][2], -1)
            gone += 1
        del self.held[:gone]

    def _take_back(self, name: str) -> None:
        """One that has left the window, or never was in it, is no error: it counts nowhere."""
        for at, held in enumerate(self.held):
            if held[1] == name:
                self._add(held[2], -1)
                del self.held[at]
                return

    def _add(self, value: int, sign: int) -> None:
        self.total += sign * value
        self.squares += sign * value * value

    def state(self) -> dict[str, Any]:
        """All that is needed to go on, as JSON; whole numbers as text, since JSON's have no size."""
        held = [[str(at), name, str(value)] for at, name, value in self.held]
        return {"feature": self.spec.ref, "digest": self.spec.digest(), "now": str(self.now), "held": held}

    @classmethod
    def resumed(cls, spec: FeatureSpec, state: Mapping[str, Any]) -> Rolling:
        """Go on from a state. Raises `BadHistory` for the state of another definition."""
        if state.get("digest") != spec.digest():
            raise BadHistory(f"{state.get('feature')}: the state of another definition than {spec.ref}")
        held = [(int(at), str(name), int(value)) for at, name, value in state["held"]]
        rolling = cls(spec, held=sorted(held), now=int(state["now"]))
        rolling.total = sum(value for _, _, value in held)
        rolling.squares = sum(value * value for _, _, value in held)
        return rolling


def _finished(rolling: Rolling) -> float | None:
    """The only place where a float is made."""
    held, count = rolling.held, len(rolling.held)
    match rolling.spec.aggregate:
        case Aggregate.COUNT:
            return float(count)
        case _ if count == 0:
            return None
        case Aggregate.MEAN:
            return float(Fraction(rolling.total, count * MILLIONTHS))
        case Aggregate.SD:
            return _sd(rolling.total, rolling.squares, count)
        case Aggregate.LEAST:
            return float(Fraction(min(value for _, _, value in held), MILLIONTHS))
        case Aggregate.MOST:
            return float(Fraction(max(value for _, _, value in held), MILLIONTHS))
        case Aggregate.LAST:
            return float(Fraction(held[-1][2], MILLIONTHS))
        case Aggregate.HOURS_SINCE:
            return float(Fraction(rolling.now - held[-1][0], _HOUR))


def _sd(total: int, squares: int, count: int) -> float | None:
    if count < 2:
        return None
    return math.sqrt(Fraction(squares * count - total * total, count * (count - 1) * MILLIONTHS**2))


def in_bulk(
    specs: Sequence[FeatureSpec], history: Mapping[str, Iterable[Known]], asked: Iterable[Asked]
) -> dict[Asked, tuple[float | None, ...]]:
    """Every feature at every asked moment, as it was known then. Raises `BadHistory`.

    `history`: by entity, in any order. What becomes known at the very moment that is asked counts.
    """
    wanted: dict[str, list[Asked]] = defaultdict(list)
    for one in asked:
        wanted[one.entity].append(one)
    found: dict[Asked, tuple[float | None, ...]] = {}
    for entity, moments in wanted.items():
        ordered = sorted(history.get(entity, ()), key=_order)
        columns = [_column(spec, [k for k in ordered if k.signal == spec.signal], moments) for spec in specs]
        found |= {one: tuple(column[one] for column in columns) for one in moments}
    return found


def _order(known: Known) -> tuple[int, bool, str]:
    """By when it became known; at one moment what was observed comes before what was taken back."""
    return _micro(known.known_at), isinstance(known, Retracted), known.id


def _column(spec: FeatureSpec, ordered: Sequence[Known], moments: Sequence[Asked]) -> dict[Asked, float | None]:
    rolling, taken, column = Rolling(spec), 0, {}
    for one in sorted(set(moments), key=lambda asked: _micro(asked.at)):
        while taken < len(ordered) and _micro(ordered[taken].known_at) <= _micro(one.at):
            rolling.take(ordered[taken])
            taken += 1
        column[one] = rolling.value(one.at)
    return column
