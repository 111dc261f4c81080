"""What a campaign comes to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """How often it was tried, how often it failed, and whether the seeded defect was seen by the same counting."""

    n: int
    failed: int
    seed: int
    defect_caught: bool
    detail: str = ""
