"""Which state a recommendation may enter from which: the one table, from which everything else is derived (DESIGN 8).

Rules
 * What is not in `MOVES` is not legal. The database holds the same table (migration 0002) and refuses the rest.
 * A state without moves is an ending; a loop has one ending.
 * States a named clinician must have caused are in `DECIDED`; the database pairs them with the decider (N1).
"""

from __future__ import annotations

from .domain.loops import LoopState

S = LoopState

MOVES: dict[LoopState, frozenset[LoopState]] = {
    S.PROPOSED: frozenset({S.WITHHELD, S.WITH_PATIENT, S.WITH_CLINICIAN}),
    S.WITHHELD: frozenset(),
    S.WITH_PATIENT: frozenset({S.ACCEPTED, S.DECLINED, S.WITH_CLINICIAN, S.EXPIRED, S.WITHDRAWN}),
    S.WITH_CLINICIAN: frozenset({S.APPROVED, S.MODIFIED, S.REJECTED, S.EXPIRED, S.WITHDRAWN}),
    S.APPROVED: frozenset({S.DELIVERED, S.RECALLED}),
    S.MODIFIED: frozenset({S.DELIVERED, S.RECALLED}),
    S.REJECTED: frozenset(),
    S.DELIVERED: frozenset({S.ACCEPTED, S.DECLINED, S.RECALLED, S.EXPIRED}),
    S.ACCEPTED: frozenset({S.DONE, S.RECALLED, S.EXPIRED}),
    S.DECLINED: frozenset(),
    S.RECALLED: frozenset(),
    S.EXPIRED: frozenset(),
    S.WITHDRAWN: frozenset(),
    S.DONE: frozenset(),
}

ENDINGS = frozenset(state for state, moves in MOVES.items() if not moves)
OPEN = frozenset(MOVES) - ENDINGS
DECIDED = frozenset({S.APPROVED, S.MODIFIED, S.REJECTED})
# With the patient: seen on the phone. Each needs a decision or a boundary behind it (N1).
PATIENT_VISIBLE = frozenset({S.WITH_PATIENT, S.DELIVERED, S.ACCEPTED, S.DECLINED, S.RECALLED, S.DONE})


class IllegalMove(Exception):
    """A bug: code asked for a move that is not in the table. People never see it; their refusals come before."""


def check_move(before: LoopState | None, after: LoopState) -> None:
    """Raise `IllegalMove` unless the table allows it. `None` stands for "not yet begun"."""
    legal = {S.PROPOSED} if before is None else MOVES[before]
    if after not in legal:
        raise IllegalMove(f"{before} -> {after}")
