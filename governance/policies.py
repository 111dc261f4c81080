"""How somebody must be recognised, and for how long: pure rules over `data/session_limits.json`.

Rules (SECURITY 1.4, 2.3 A11, A12, A15; 21 CFR 11.200, 11.300)
 * Staff are recognised by two factors: a passkey that verified its user, or a password with a code. One is not enough
   for anything but enrolling the second. Patients and carers may use one.
 * A session ends after a time without a request and after a time whatever was done; whoever holds a staff role is held
   to the staff's limits.
 * A code counts in its own step of 30 seconds and in no other, and once.
 * After some failures in a row an account looks at no further attempt until a time has passed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files

from .domain import STAFF_ROLES, Amr, Refusal, Role

MARKS = frozenset({"checked", "from memory", "proposal"})
_SECOND = frozenset({Amr.PASSKEY, Amr.CODE, Amr.RECOVERY})


class SecondFactorNeeded(Refusal):
    """Signed in with one factor; staff go no further than the page on which the second is enrolled."""

    code = "second_factor_needed"
    status = 403


class SessionOver(Refusal):
    """The session has ended: by its limits, by its owner, or by somebody who may."""

    code = "session_over"
    status = 401


class LockedOut(Refusal):
    """Too many failures in a row; nothing is looked at until the time has passed."""

    code = "locked_out"
    status = 429


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """For whom, how long without a request, how long at all."""

    who: str
    idle: timedelta
    absolute: timedelta


@dataclass(frozen=True, slots=True)
class FactorRules:
    """The numbers of second factors; seconds, counts."""

    code_step: timedelta
    failures_before_lock: int
    lock: timedelta
    challenge_lives: timedelta
    return_lives: timedelta
    recovery_codes: int


@cache
def _document() -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads(
        (files(__package__) / "data" / "session_limits.json").read_bytes()
    )
    for row in [*found["rows"], *found["factors"]]:
        if not row["source"] or row["mark"] not in MARKS:
            raise ValueError(f"{row}: a row needs a source and a mark")
    return found


@cache
def session_limits() -> dict[str, SessionLimits]:
    """The limits by who they hold for: `staff`, and `person` for everybody else."""
    return {
        str(row["who"]): SessionLimits(
            who=str(row["who"]),
            idle=timedelta(minutes=int(str(row["idle_minutes"]))),
            absolute=timedelta(minutes=int(str(row["absolute_minutes"]))),
        )
        for row in _document()["rows"]
    }


@cache
def factor_rules() -> FactorRules:
    """The numbers as shipped."""
    value = {str(row["name"]): int(str(row["value"])) for row in _document()["factors"]}
    if value["code_steps_either_side"] != 0:
        raise ValueError("a code counts in its own step only")
    return FactorRules(
        code_step=timedelta(seconds=value["code_step_seconds"]),
        failures_before_lock=value["failures_before_lock"],
        lock=timedelta(minutes=value["lock_minutes"]),
        challenge_lives=timedelta(seconds=value["challenge_seconds"]),
        return_lives=timedelta(hours=value["return_hours"]),
        recovery_codes=value["recovery_codes"],
    )


def limits_for(roles: Iterable[Role]) -> SessionLimits:
    """The strictest limits of the roles held."""
    return session_limits()["staff" if STAFF_ROLES & frozenset(roles) else "person"]


def two_factors(amr: Iterable[str]) -> bool:
    """Whether this is enough for staff: a passkey that verified its user, or a password with a code."""
    shown = frozenset(amr)
    return Amr.PASSKEY in shown or (Amr.PASSWORD in shown and bool(shown & _SECOND))


def check_factors(roles: Iterable[Role], amr: Iterable[str]) -> None:
    """Refuse staff who have shown one factor."""
    if STAFF_ROLES & frozenset(roles) and not two_factors(amr):
        raise SecondFactorNeeded("Staff sign in with two factors. Enrol a passkey or a code first.", missing="factor")


def check_not_over(limits: SessionLimits, *, began: datetime, seen: datetime, now: datetime) -> None:
    """Refuse a session that was idle for too long, or is too old."""
    if now - seen >= limits.idle:
        minutes = int(limits.idle.total_seconds() // 60)
        raise SessionOver(f"You were signed out after {minutes} minutes without a request.", reason="idle")
    if now - began >= limits.absolute:
        raise SessionOver("You were signed out: a session does not last longer than this.", reason="absolute")


def step_of(now: datetime) -> int:
    """The number of the code's step at `now` (RFC 6238, T0 = 0)."""
    return int(now.timestamp() // factor_rules().code_step.total_seconds())
