"""What the second verifier says: the exit, the first failure, and every failure it found (section 10)."""

from __future__ import annotations

from dataclasses import dataclass, field

# The steps' order at one position. What has no position comes before the walk, the totals after it.
BEFORE, TOTAL = -1, 1 << 62


class Unusable(Exception):
    """Exit 2: the input cannot be used. The argument is the class."""

    @property
    def kind(self) -> str:
        """The class of the failure."""
        return str(self.args[0])


@dataclass(frozen=True, slots=True, order=True)
class Failure:
    """One thing that is wrong: where in the order of positions, at which step, of which class."""

    order: int
    step: int
    kind: str
    position: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Judgment:
    """The exit, the class and position of the first failure, and all that were found."""

    exit: int
    kind: str | None = None
    position: int | None = None
    all: frozenset[tuple[str, int | None]] = frozenset()


@dataclass(slots=True)
class Findings:
    """Failures as they are found, in any order."""

    found: list[Failure] = field(default_factory=list)

    def at(self, position: int, step: int, kind: str) -> None:
        """Something is wrong with the entry at this position."""
        self.found.append(Failure(position, step, kind, position))

    def head(self, size: int, step: int, kind: str, position: int | None = None) -> None:
        """Something is wrong with what a checkpoint of this size says: found after the entries before it."""
        self.found.append(Failure(size - 1, 99 + step, kind, position))

    def gap(self, position: int) -> None:
        """Nothing fitting stands at this position."""
        self.found.append(Failure(position, -1, "tiling", position))

    def first(self, step: int, kind: str) -> None:
        """Something without a position, known before the walk."""
        self.found.append(Failure(BEFORE, step, kind))

    def total(self, step: int, kind: str) -> None:
        """A sum that does not agree, known after the walk."""
        self.found.append(Failure(TOTAL, step, kind))

    def judgment(self, otherwise: int) -> Judgment:
        """The first of all, or the exit otherwise."""
        if not self.found:
            return Judgment(otherwise)
        worst = min(self.found, key=lambda one: (one.order, one.step))
        return Judgment(1, worst.kind, worst.position, frozenset((one.kind, one.position) for one in self.found))
