"""The published titration protocols as predictors: HOME BP, and TASMINH4 as second (CLINICAL 1.5)."""

from __future__ import annotations

from dataclasses import dataclass

from .domain.changes import ChangeKind
from .domain.record import SymptomKind
from .domain.units import MmHg


@dataclass(frozen=True, slots=True)
class ProtocolTable:
    """The numbers of the protocols, and what a side effect asks for."""

    windows_over_target: tuple[tuple[str, int], ...]
    low_mean: MmHg
    low_single: MmHg
    patient_window_gap_days: int
    responses: tuple[tuple[SymptomKind, ChangeKind], ...]
