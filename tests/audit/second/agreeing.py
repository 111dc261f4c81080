"""Both verifiers on one case, and what counts as agreeing (for the suite and for the campaign).

The exit must be the same. Where one thing alone is wrong, so must class and position be; where several are, the first
verifier must name one that the second found too. Of bytes that are no usable bundle, receipt or policy, any class may
be told first: which of several bent bytes is met first is no part of the format. So it is with a PDF whose bytes were
bent: a reader that mends the file finds it unsigned (exit 1), one that does not finds it unreadable (exit 2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.audit.verify.judging import judge as first

from .judge import judge as second
from .mutating import Case, case
from .papers import BYTES, paper
from .verdict import Judgment

WITHOUT_A_PLACE = {"manifest-digest", "manifest-count", "line-form"}
Verifier = Callable[[Case, Path], Judgment]


def offline(given: Case, folder: Path) -> Judgment:
    """What `python -m audit.verify` says, with files."""
    beside = {"receipts": [*given.receipts], "seen": [*given.seen]}
    report = first(folder, given.bundle, given.policy, **{name: each for name, each in beside.items() if each})
    failure = report["failure"] or {}
    return Judgment(report["exit"], failure.get("class"), failure.get("position"))


def disagreement(told: Judgment, given: Case) -> str:
    """How the second verifier contradicts; empty when it does not."""
    other = second(given.bundle, given.policy, receipts=given.receipts, seen=given.seen)
    if given.how == BYTES and {told.exit, other.exit} <= {1, 2}:
        return ""
    if told.exit != other.exit:
        return f"exit {told.exit} ({told.kind} at {told.position}) or {other.exit} ({other.kind} at {other.position})"
    if told.exit != 1 or (told.kind, told.position) == (other.kind, other.position):
        return ""
    if told.kind in WITHOUT_A_PLACE and told.kind == other.kind:
        return ""
    if len(other.all) > 1 and any(_alike((told.kind, told.position), found) for found in other.all):
        return ""
    return f"{told.kind} at {told.position}, or of {sorted(other.all, key=str)}"


def _alike(told: tuple[str | None, int | None], found: tuple[str, int | None]) -> bool:
    return told[0] == found[0] and (told[1] == found[1] or None in (told[1], found[1]))


def missing(*kinds: str) -> Verifier:
    """A verifier with a hole, for the power of the comparison: it says of these classes that all holds."""

    def verifier(given: Case, folder: Path) -> Judgment:
        told = offline(given, folder)
        return Judgment(0) if told.kind in kinds else told

    return verifier


@dataclass(slots=True)
class Comparison:
    """How often it was asked, and what came of it."""

    seed: int | str
    papers: int = 0
    exits: Counter[int] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    differ: list[str] = field(default_factory=list)

    def case(self, number: int) -> Case:
        """Of every `papers`th number a report as PDF (0: of none), of the others a bundle."""
        return paper(self.seed, number) if self.papers and number % self.papers == 0 else case(self.seed, number)

    def compare(self, numbers: Iterable[int], folder: Path, *, verifier: Verifier = offline) -> None:
        """Ask both about the cases of these numbers."""
        for number in numbers:
            given = self.case(number)
            told = verifier(given, folder)
            self.exits[told.exit] += 1
            self.classes[told.kind or ""] += 1
            difference = disagreement(told, given)
            if difference:
                self.differ.append(f"#{number} of seed {self.seed} ({given.how}): {difference}")
