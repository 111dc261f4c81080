"""Which times can be believed: a clock that lost its power begins again where its maker let time begin.

Rules
 * A time before `CLOCKS_SHOW_AT_LEAST`, in something that has just come in, is a reset clock and no time: it counts as
   received now (CLINICAL 1.3, an uncertain clock counts as recent). An import of history keeps its dates.
 * Up to `CLOCK_TOLERANCE` ahead of ours is a clock that runs fast (SECURITY 2.2 F15).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

CLOCK_TOLERANCE = timedelta(minutes=5)
CLOCKS_SHOW_AT_LEAST = datetime(2000, 1, 2, tzinfo=UTC)  # clocks that lost their power begin in 1970, 1980 or 2000


def was_reset(at: datetime, *, received_at: datetime) -> bool:
    """Whether a time that came at `received_at` is that of a clock that was reset."""
    return at < CLOCKS_SHOW_AT_LEAST <= received_at


def could_be(taken_at: datetime, *, received_at: datetime) -> bool:
    """Whether a reading received now could have been taken then: not in the future, nor by a clock that was reset."""
    return CLOCKS_SHOW_AT_LEAST <= taken_at <= received_at + CLOCK_TOLERANCE
