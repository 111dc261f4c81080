"""How the record stands, for whoever checks it: a sentence first, the figures beside, and a drawing of both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from audit.receipts import MERGE_WITHIN
from audit.selectors import RecordState, WitnessStanding, WitnessState, record_state, witness_state
from audit.services import drift
from audit.services.proving import growth, witnesses_seen
from audit.services.self_check import SelfCheck, last_check
from audit.witness_policy import PolicyInvalid

from ..services.signed_rows import last_signatures_checked
from .drawings import growth_svg
from .record import ago, stamp

# What is said of the witnesses, and whether it asks for somebody.
_WITNESSES = {
    WitnessStanding.CURRENT: ("The witnesses have confirmed all but the last minute.", False),
    WitnessStanding.NONE: ("No outside witness is set up: nobody outside this system can vouch for its record.", True),
    WitnessStanding.BEHIND: ("The witnesses have not confirmed the newest entries yet.", True),
    WitnessStanding.STALE: (
        "The witnesses have confirmed nothing for more than 15 minutes: no model is released.",
        True,
    ),
}
_UNKNOWN = "Whether the record is witnessed cannot be told: the policy file cannot be read."


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that somebody has to look at. `entry_id` leads to what was recorded about it."""

    words: str
    entry_id: object = None


@dataclass(frozen=True, slots=True)
class WitnessShown:
    """One witness: how far it has cosigned, and how long ago it last answered."""

    name: str
    size: str
    at: str
    age: str
    clock: str


@dataclass(frozen=True, slots=True)
class StateShown:
    """The page."""

    sentence: str
    alarms: tuple[Alarm, ...]
    entries: int
    pending: int
    waiting: str
    signed: int
    unsigned: int
    signed_at: str
    quorum: str
    covered: int
    covered_at: str
    witnessing: str
    witnesses: tuple[WitnessShown, ...]
    receipts: str
    check: SelfCheck | None
    check_when: str
    drift: tuple[str, ...]
    drawing: str
    growth: tuple[tuple[str, int], ...]


def state_shown(*, now: datetime) -> StateShown:
    """The state of the record at `now`."""
    record, points = record_state(), growth()
    witness, seen, said, wrong = _witnesses(now)
    check, guards = last_check(), drift.last_seen()
    alarms = (
        *_check_alarm(check, now),
        *_signatures_alarm(),
        *(Alarm(f"A guard of the record was changed: {line}.") for line in guards),
        *((Alarm(said),) if wrong else ()),
    )
    covered = witness.covered_size if witness else 0
    return StateShown(
        sentence=_sentence(record, covered, alarms),
        alarms=alarms,
        entries=record.entries,
        pending=record.pending,
        waiting=ago(record.waiting_since, now=now) if record.waiting_since else "",
        signed=record.signed,
        unsigned=record.entries - record.signed,
        signed_at=f"{stamp(record.signed_at)} ({ago(record.signed_at, now=now)})" if record.signed_at else "",
        quorum=witness.quorum_text if witness else "unknown",
        covered=covered,
        covered_at=f"{stamp(witness.covered_at)} ({ago(witness.covered_at, now=now)})"
        if witness and witness.covered_at
        else "",
        witnessing=said,
        witnesses=seen,
        receipts=f"handed out with every decision; each promises a place in the log within "
        f"{int(MERGE_WITHIN.total_seconds())} seconds",
        check=check,
        check_when=f"{stamp(check.at)} ({ago(check.at, now=now)})" if check else "",
        drift=guards,
        drawing=growth_svg(points, signed=record.signed, covered=covered),
        growth=tuple((stamp(at), size) for at, size in points[:: max(1, len(points) // 8)] + points[-1:]),
    )


def _witnesses(now: datetime) -> tuple[WitnessState | None, tuple[WitnessShown, ...], str, bool]:
    try:
        found = witness_state()
        seen = tuple(
            WitnessShown(
                name=each.name,
                size=f"{each.size:,}" if each.size is not None else "never answered",
                at=stamp(each.at) if each.at else "",
                age=ago(each.at, now=now) if each.at else "never",
                clock=stamp(each.its_clock) if each.its_clock else "",
            )
            for each in witnesses_seen()
        )
    except (OSError, PolicyInvalid):
        return None, (), _UNKNOWN, True
    return found, seen, *_WITNESSES[found.state]


def _check_alarm(check: SelfCheck | None, now: datetime) -> tuple[Alarm, ...]:
    if check is None:
        return (Alarm("The record has not verified itself yet: that happens every night."),)
    if not check.verified:
        where = f" at position {check.position:,}" if check.position is not None else ""
        said = f"The record did not verify{where}: {check.code}. {check.detail}".strip()
        return (Alarm(f"{said} Keep everything as it is and follow docs/operations.md.", check.entry_id),)
    if check.late(now):
        return (Alarm(f"The record has not verified itself since {stamp(check.at)}.", check.entry_id),)
    return ()


def _signatures_alarm() -> tuple[Alarm, ...]:
    """Signed rows that were not what was signed when they were last gone over, at night."""
    checked = last_signatures_checked()
    if checked is None or not checked.found:
        return ()
    rows = "1 signed row is" if checked.found == 1 else f"{checked.found} signed rows are"
    said = f"{rows} not what was signed ({stamp(checked.at)}): see `manage.py check_signatures`."
    return (Alarm(said, checked.entry_id),)


def _sentence(record: RecordState, covered: int, alarms: tuple[Alarm, ...]) -> str:
    if alarms:
        return "Somebody has to look at the record." if len(alarms) == 1 else "Somebody has to look at several things."
    if covered >= record.entries:
        return "The record is whole, signed, and confirmed by its outside witnesses to the last entry."
    return "The record is whole and signed; the last entries are on their way to the outside witnesses."
