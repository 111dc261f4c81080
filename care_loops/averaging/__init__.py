"""Readings of blood pressure become an average, or a reason why there is none (CLINICAL 1.1).

The rules
 * A rule of averaging is data (`AveragingRule`): what counts, over which days, in which sessions, how much is enough.
 * Nothing is imputed and nothing vanishes: each reading handed in is used, or left out with the first reason that
   applies.
 * The answer does not depend on the order in which readings were handed in.
 * Days are local and half-open: [midnight, next midnight), 23 or 25 hours long when clocks change. Gaps are measured
   between instants, never between wall clocks.
 * A window is seven consecutive local days, the last of them the last day before `as_of` that is over. The day of
   `as_of` itself counts as over once it holds a full morning and a full evening session (docs/decisions/0020).
 * The first day that is discarded is the first day of the window that holds a reading fit to be used (A6).
 * A day is settled when all of it lies `settle_days` or more after the last change of regimen (A14).
"""

from __future__ import annotations

from .rule import AveragingRule, SessionBy
from .windows import average, previous_window

__all__ = ["AveragingRule", "SessionBy", "average", "previous_window"]
