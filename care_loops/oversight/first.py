"""Which proposals are decided first without being shown: a keyed draw that nobody can foresee (CLINICAL 4.3).

Rules
 * A proposal is drawn when HMAC-SHA256(site key, its identifier) falls under the rate. Who lacks the key cannot tell
   beforehand; who has it can tell of each afterwards that it was drawn as it should have been.
 * The rate is at least 10 %: a file with less is refused.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum

CONTEXT = b"clinaiops/decide-first/v1\n"
LEAST_PERMILLE = 100
STAY, OTHER = "stay", "other"
_WHOLE = 1 << 64


class Amounts(StrEnum):
    """What a first answer would have amounted to as a decision on the proposal nobody had seen."""

    APPROVE = "approve"
    MODIFY = "modify"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class FirstRules:
    """The rate as shipped, in 1/1000 of the proposals that go to a clinician."""

    version: str
    permille: int

    def __post_init__(self) -> None:
        if not LEAST_PERMILLE <= self.permille <= 1000:
            raise ValueError(f"{self.version}: at least {LEAST_PERMILLE} of 1000 proposals are decided first")


def drawn_first(key: bytes, loop_id: str, *, permille: int) -> bool:
    """Whether this proposal is drawn."""
    drawn = int.from_bytes(hmac.digest(key, CONTEXT + loop_id.encode(), "sha256")[:8], "big")
    return drawn * 1000 < permille * _WHOLE


def amounts_to(answer: str, proposed: str) -> Amounts:
    """What `answer` (the key of a change, or `stay` or `other`) would have been, had it been said of `proposed`."""
    if answer == proposed:
        return Amounts.APPROVE
    return Amounts.REJECT if answer == STAY else Amounts.MODIFY
