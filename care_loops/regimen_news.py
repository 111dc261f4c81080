"""Whether a change still stands on the regimen it was decided for: what changed elsewhere since, by name.

Rules (PRODUCT N1, N3; CLINICAL 1.5 I8, 1.6, 1.9 row 2)
 * An increase stands only on the very regimen it was made for: its own drug at the old dose, every other drug that
   lowers pressure as it was, and no new line that could not be read.
 * Where the record shows the new dose itself, that is the prescription coming back, and stops nothing. A drug to be
   started that is taken already is none of that before the patient's yes: told to start, they would take it twice.
 * Another time of intake stands while its own drug is taken at the dose that the message names.
 * A stop at once always stands, and a reduction while it still makes less of what is taken, or nobody can say what is
   taken. Where another dose is taken than it was signed for, it goes on and a clinician is told (N3).
 * A stop by a taper says doses to take: it stands only while none of them is more than is known to be taken. Else it is
   taken back and, where the stop is still owed, somebody is called, so that it is signed anew from the dose of today.
 * What was stopped elsewhere is not told as a dose again, whatever else on the list cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from .domain.changes import Change, ChangeKind
from .domain.record import DrugTaken, Regimen
from .domain.units import Milligrams


class News(StrEnum):
    """What changed elsewhere. Codes of the step that takes a change back, and of the alert that says so."""

    NOT_FULLY_KNOWN = "regimen_no_longer_fully_known"
    DOSE_CHANGED = "dose_changed_elsewhere"
    STOPPED = "stopped_elsewhere"
    STARTED = "started_elsewhere"
    OTHERS_CHANGED = "other_drugs_changed_elsewhere"
    INTERACTS = "interacts_with_a_new_drug"


@dataclass(frozen=True, slots=True)
class Moved:
    """What moved, and whether the change stands no longer; if it does, a clinician is told all the same.

    `calls`: a stop that was still owed is taken back, so somebody is called now.
    """

    news: News
    stops: bool
    calls: bool = False


def regimen_moved(
    change: Change,
    before: Regimen,
    now: Regimen,
    *,
    lowers_pressure: Callable[[str], bool],
    accepted: bool,
    ended: bool,
) -> Moved | None:
    """What moved between the regimen the change was decided for and the one of now; None where it stands untouched.

    `accepted`: the patient has said yes, so that the prescription of a start may have arrived, and a stop stands as a
    line of its own. `ended`: the record says from outside that the drug of the change was stopped.
    """
    taken = next((drug for drug in now.drugs if drug.ingredient == change.ingredient), None)
    unread = bool(set(now.unknown) - set(before.unknown))
    match change.kind:
        case ChangeKind.STAY:
            return None
        case ChangeKind.STOP if change.taper:
            return _of_taper(change, taken, unread=unread, ended=ended, accepted=accepted)
        case ChangeKind.STOP:
            changed = taken is not None and taken.daily_dose != change.old_daily_dose
            return Moved(News.DOSE_CHANGED, stops=False) if changed else None
        case ChangeKind.STEP_DOWN:
            return _of_reduction(change, taken, unread=unread and not ended)
        case ChangeKind.TIMING:
            news = _of_its_drug(change, taken, unread=unread)
        case ChangeKind.START | ChangeKind.STEP_UP:
            news = News.NOT_FULLY_KNOWN if unread else _of_increase(change, taken, accepted=accepted)
            if news is None and _others(before, change, lowers_pressure) != _others(now, change, lowers_pressure):
                news = News.OTHERS_CHANGED
    return None if news is None else Moved(news, stops=True)


def _of_increase(change: Change, taken: DrugTaken | None, *, accepted: bool) -> News | None:
    echo = taken is not None and taken.daily_dose is not None and taken.daily_dose == change.new_daily_dose
    if change.kind is ChangeKind.START:
        return None if taken is None or (echo and accepted) else News.STARTED
    return None if echo else _of_its_drug(change, taken, unread=False)


def _of_its_drug(change: Change, taken: DrugTaken | None, *, unread: bool) -> News | None:
    """What became of the drug itself: whether it is still taken at the old dose."""
    if taken is None:
        return News.NOT_FULLY_KNOWN if unread else News.STOPPED
    return None if taken.daily_dose == change.old_daily_dose else News.DOSE_CHANGED


def _of_taper(change: Change, taken: DrugTaken | None, *, unread: bool, ended: bool, accepted: bool) -> Moved | None:
    """A taper gives no more than is taken, or it is none."""
    if taken is None and accepted:  # its own line has ended the drug; a stop from elsewhere is most likely that one
        return Moved(News.STOPPED, stops=False) if ended else None
    if taken is None:
        known = ended or not unread
        return Moved(News.STOPPED if known else News.NOT_FULLY_KNOWN, stops=True, calls=not known)
    if taken.daily_dose is None or taken.daily_dose < max(change.taper):
        return Moved(News.DOSE_CHANGED, stops=True, calls=True)
    return None if taken.daily_dose == change.old_daily_dose else Moved(News.DOSE_CHANGED, stops=False)


def _of_reduction(change: Change, taken: DrugTaken | None, *, unread: bool) -> Moved | None:
    """A lower dose than what is taken now is still one; of what is no longer taken it would be a start."""
    if taken is None:
        return Moved(News.NOT_FULLY_KNOWN, stops=False) if unread else Moved(News.STOPPED, stops=True)
    if _would_raise(taken, change):
        return Moved(News.DOSE_CHANGED, stops=True)
    expected = taken.daily_dose in (change.old_daily_dose, change.new_daily_dose)
    return None if expected else Moved(News.DOSE_CHANGED, stops=False)


def _would_raise(taken: DrugTaken, change: Change) -> bool:
    """Whether following a reduction now would give more than is taken; what nobody knows does not say so."""
    known = taken.daily_dose is not None and change.new_daily_dose is not None
    return known and taken.daily_dose < change.new_daily_dose  # type: ignore[operator]


def _others(
    regimen: Regimen, change: Change, lowers_pressure: Callable[[str], bool]
) -> frozenset[tuple[str, Milligrams | None]]:
    """The other drugs that lower pressure, each with its daily dose."""
    others = (drug for drug in regimen.drugs if drug.ingredient != change.ingredient)
    return frozenset((drug.ingredient, drug.daily_dose) for drug in others if lowers_pressure(drug.ingredient))
