"""The recommendation as a pure function of its evidence: look, propose, limit, say who must act."""

from __future__ import annotations

from .composing import Predict, recommend
from .looking import PathwayAges, Rules, Seen, look, windows_of

__all__ = ["PathwayAges", "Predict", "Rules", "Seen", "look", "recommend", "windows_of"]
