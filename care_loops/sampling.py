"""Which decisions are read a second time: a draw that nobody can steer, heavier where the risk is (CLI-15).

Rules
 * Each decision holds tickets: one, and more for each mark of risk. A ticket's number is HMAC-SHA256(seed, decision and
   ticket); the decisions with the lowest ticket are drawn. So the chance grows with the tickets, and the same seed over
   the same decisions draws the same, anywhere.
 * The seed stands in the record before the decisions are taken, so nobody who decides, and nobody who draws, can pick.
 * The share is of all decisions, rounded up: where there is one, one is drawn.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

CONTEXT = b"clinaiops/second-review/v1\n"


class Mark(StrEnum):
    """What makes a second reading of a decision more likely."""

    CLINICIAN_DECIDES = "clinician_decides"
    DANGER = "danger"
    OVERRIDE = "override"
    UNCERTAIN = "uncertain"
    QUICK = "quick"


@dataclass(frozen=True, slots=True)
class SamplingRules:
    """The rules as shipped: `share_permille` of all decisions; tickets by mark, and those every decision holds."""

    version: str
    share_permille: int
    quick_seconds: int
    danger_days: int
    tickets_of_any: int
    tickets: Mapping[Mark, int]


@dataclass(frozen=True, slots=True)
class Considered:
    """A decision in the draw: its identifier, its marks, its tickets."""

    decision_id: str
    marks: tuple[Mark, ...]
    tickets: int


def considered(decision_id: str, marks: Iterable[Mark], rules: SamplingRules) -> Considered:
    """A decision with the tickets that its marks give it."""
    held = tuple(sorted(set(marks)))
    return Considered(decision_id, held, rules.tickets_of_any + sum(rules.tickets[mark] for mark in held))


def how_many(population: int, rules: SamplingRules) -> int:
    """How many of `population` decisions are drawn."""
    return -(-population * rules.share_permille // 1000)


def drawn(seed: bytes, population: Iterable[Considered], rules: SamplingRules) -> frozenset[str]:
    """The identifiers drawn from the population by this seed."""
    everybody = list(population)
    lowest = sorted((_lowest(seed, each), each.decision_id) for each in everybody)
    return frozenset(decision for _, decision in lowest[: how_many(len(everybody), rules)])


def _lowest(seed: bytes, one: Considered) -> bytes:
    name = CONTEXT + one.decision_id.encode()
    return min(hmac.digest(seed, name + f"\n{number}".encode(), "sha256") for number in range(one.tickets))


def population_digest(population: Iterable[Considered]) -> str:
    """The population as one digest: what was drawn from cannot be changed afterwards."""
    lines = sorted(f"{each.decision_id} {each.tickets}\n" for each in population)
    return sha256(CONTEXT + "".join(lines).encode()).hexdigest()
