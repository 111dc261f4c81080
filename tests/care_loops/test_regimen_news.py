"""What a regimen that changed elsewhere does to a change on its way: the pure rule, case by case (N1, N3)."""

from __future__ import annotations

import inspect
import itertools
from dataclasses import replace
from decimal import Decimal
from types import ModuleType

import pytest

from care_loops import regimen_news
from care_loops.domain.changes import STAY, Change, ChangeKind
from care_loops.domain.record import DrugClass, DrugTaken, Regimen
from care_loops.domain.units import Milligrams
from care_loops.regimen_news import News
from tests.governance.mutants import loaded, mutants

Said = tuple[str, bool, bool]


def mg(value: str | None) -> Milligrams | None:
    return None if value is None else Milligrams(Decimal(value))


def taken(name: str, dose: str | None) -> DrugTaken:
    return DrugTaken(name, name, DrugClass.ACE_INHIBITOR, mg(dose), None)


def regimen(*unknown: str, **doses: str | None) -> Regimen:
    return Regimen(tuple(taken(name, dose) for name, dose in doses.items()), unknown)


def change(kind: ChangeKind, old: str | None, new: str | None) -> Change:
    steps = {ChangeKind.STEP_UP: 1, ChangeKind.START: 1, ChangeKind.TIMING: 0}.get(kind, -1)
    return Change(kind, "ace", "ace", DrugClass.ACE_INHIBITOR, mg(old), mg(new), steps)


UP = change(ChangeKind.STEP_UP, "10", "20")
START = change(ChangeKind.START, None, "5")
TIMING = change(ChangeKind.TIMING, "10", "10")
DOWN = change(ChangeKind.STEP_DOWN, "10", "5")
STOP = change(ChangeKind.STOP, "10", None)
TAPERED = replace(change(ChangeKind.STOP, "40", None), taper=tuple(mg(step) for step in ("20", "10", "5")))
ON_FORTY = regimen(ace="40", ccb="5")
AS_IT_WAS = regimen(ace="10", ccb="5", statin="20")
WITHOUT = regimen(ccb="5", statin="20")
UNREAD = "unknown_code: something"


def stops(news: News) -> Said:
    return news.value, True, False


def calls(news: News) -> Said:
    return news.value, True, True


def told(news: News) -> Said:
    return news.value, False, False


def moved(
    what: Change,
    before: Regimen,
    now: Regimen,
    *,
    accepted: bool = False,
    ended: bool = False,
    rule: ModuleType = regimen_news,
) -> Said | None:
    """What moved, whether the change stands no longer, and whether somebody is called for it."""
    pressure = {"ace", "ccb"}
    found = rule.regimen_moved(what, before, now, lowers_pressure=pressure.__contains__, accepted=accepted, ended=ended)
    return None if found is None else (found.news.value, found.stops, found.calls)


CASES = [
    # an increase of a drug taken
    (UP, AS_IT_WAS, AS_IT_WAS, None),
    (UP, AS_IT_WAS, regimen(ace="40", ccb="5", statin="20"), stops(News.DOSE_CHANGED)),
    (UP, AS_IT_WAS, regimen(ace="5", ccb="5", statin="20"), stops(News.DOSE_CHANGED)),
    (UP, AS_IT_WAS, regimen(ace=None, ccb="5", statin="20"), stops(News.DOSE_CHANGED)),
    (UP, AS_IT_WAS, regimen(ace="20", ccb="5", statin="20"), None),  # the prescription coming back
    (UP, AS_IT_WAS, WITHOUT, stops(News.STOPPED)),
    (UP, AS_IT_WAS, regimen(ace="10", ccb="10", statin="20"), stops(News.OTHERS_CHANGED)),
    (UP, AS_IT_WAS, regimen(ace="40", ccb="10", statin="20"), stops(News.DOSE_CHANGED)),
    (UP, AS_IT_WAS, regimen(ace="20", ccb="10", statin="20"), stops(News.OTHERS_CHANGED)),
    (UP, AS_IT_WAS, regimen(ace="10", statin="20"), stops(News.OTHERS_CHANGED)),
    (UP, regimen(ace="10"), regimen(ace="10", ccb="5"), stops(News.OTHERS_CHANGED)),
    (UP, AS_IT_WAS, regimen(ace="10", ccb="5", statin="40"), None),  # what lowers no pressure
    (UP, AS_IT_WAS, regimen(ace="10", ccb="5"), None),
    (UP, AS_IT_WAS, regimen(UNREAD, ace="10", ccb="5", statin="20"), stops(News.NOT_FULLY_KNOWN)),
    (UP, regimen(UNREAD, ace="10"), regimen(UNREAD, ace="10"), None),  # signed over it
    (UP, regimen(UNREAD, ace="10"), regimen(ace="10"), None),
    # a start
    (START, WITHOUT, WITHOUT, None),
    (START, WITHOUT, regimen(ace="10", ccb="5"), stops(News.STARTED)),
    (START, WITHOUT, regimen(ace=None, ccb="5"), stops(News.STARTED)),
    (START, WITHOUT, regimen(ace="5", ccb="5"), stops(News.STARTED)),
    (START, WITHOUT, regimen(ccb="10"), stops(News.OTHERS_CHANGED)),
    (START, WITHOUT, regimen(), stops(News.OTHERS_CHANGED)),
    (START, WITHOUT, regimen(UNREAD, ccb="5"), stops(News.NOT_FULLY_KNOWN)),
    # another time of intake: the message says the dose
    (TIMING, AS_IT_WAS, AS_IT_WAS, None),
    (TIMING, AS_IT_WAS, regimen(ace="40", ccb="5"), stops(News.DOSE_CHANGED)),
    (TIMING, AS_IT_WAS, WITHOUT, stops(News.STOPPED)),
    (TIMING, AS_IT_WAS, regimen(UNREAD, ccb="5"), stops(News.NOT_FULLY_KNOWN)),
    (TIMING, AS_IT_WAS, regimen(ace="10", ccb="10"), None),
    (TIMING, AS_IT_WAS, regimen(UNREAD, ace="10"), None),
    # a reduction, while it makes less of what is taken
    (DOWN, AS_IT_WAS, AS_IT_WAS, None),
    (DOWN, AS_IT_WAS, regimen(ace="5"), None),
    (DOWN, AS_IT_WAS, regimen(ace="40"), told(News.DOSE_CHANGED)),
    (DOWN, AS_IT_WAS, regimen(ace="7.5"), told(News.DOSE_CHANGED)),
    (DOWN, AS_IT_WAS, regimen(ace=None), told(News.DOSE_CHANGED)),
    (DOWN, AS_IT_WAS, regimen(ace="2.5"), stops(News.DOSE_CHANGED)),
    (DOWN, AS_IT_WAS, WITHOUT, stops(News.STOPPED)),
    (DOWN, AS_IT_WAS, regimen(UNREAD, ccb="5"), told(News.NOT_FULLY_KNOWN)),
    (DOWN, AS_IT_WAS, regimen(UNREAD, ace="10"), None),
    (DOWN, AS_IT_WAS, regimen(ace="10", ccb="10"), None),
    # a stop at once, always
    (STOP, AS_IT_WAS, AS_IT_WAS, None),
    (STOP, AS_IT_WAS, WITHOUT, None),
    (STOP, AS_IT_WAS, regimen(ace="40", ccb="10"), told(News.DOSE_CHANGED)),
    (STOP, AS_IT_WAS, regimen(ace=None), told(News.DOSE_CHANGED)),
    (STOP, AS_IT_WAS, regimen(UNREAD, ccb="5"), None),
    # a stop by a taper, while no dose on the way is more than is taken
    (TAPERED, ON_FORTY, ON_FORTY, None),
    (TAPERED, ON_FORTY, regimen(UNREAD, ace="40"), None),
    (TAPERED, ON_FORTY, regimen(ace="80"), told(News.DOSE_CHANGED)),
    (TAPERED, ON_FORTY, regimen(ace="20"), told(News.DOSE_CHANGED)),
    (TAPERED, ON_FORTY, regimen(ace="10"), calls(News.DOSE_CHANGED)),
    (TAPERED, ON_FORTY, regimen(ace="2.5"), calls(News.DOSE_CHANGED)),
    (TAPERED, ON_FORTY, regimen(ace=None), calls(News.DOSE_CHANGED)),
    (TAPERED, ON_FORTY, WITHOUT, stops(News.STOPPED)),
    (TAPERED, ON_FORTY, regimen(UNREAD, ccb="5"), calls(News.NOT_FULLY_KNOWN)),
    (STAY, AS_IT_WAS, regimen(UNREAD, ace="40", ccb="10"), None),
]


WITHOUT_DOSE = replace(START, new_daily_dose=None)
ACCEPTED = [  # after the yes the prescription of a start may have arrived, and another dose may not
    (START, WITHOUT, regimen(ace="5", ccb="5"), None),
    (START, WITHOUT, regimen(ace="10", ccb="5"), stops(News.STARTED)),
    (START, WITHOUT, regimen(ace=None, ccb="5"), stops(News.STARTED)),
    (START, WITHOUT, regimen(ace="5", ccb="10"), stops(News.OTHERS_CHANGED)),
    (START, WITHOUT, WITHOUT, None),
    (WITHOUT_DOSE, WITHOUT, regimen(ace=None, ccb="5"), stops(News.STARTED)),
    (UP, AS_IT_WAS, WITHOUT, stops(News.STOPPED)),
    (TAPERED, ON_FORTY, WITHOUT, None),  # its own line
    (TAPERED, ON_FORTY, regimen(UNREAD, ccb="5"), None),
    (TAPERED, ON_FORTY, ON_FORTY, None),
    (TAPERED, ON_FORTY, regimen(ace="10"), calls(News.DOSE_CHANGED)),
    (DOWN, AS_IT_WAS, WITHOUT, stops(News.STOPPED)),
]
ENDED = [  # a line from outside says that the drug was stopped
    (DOWN, AS_IT_WAS, WITHOUT, stops(News.STOPPED)),
    (DOWN, AS_IT_WAS, regimen(UNREAD, ccb="5"), stops(News.STOPPED)),
    (TAPERED, ON_FORTY, WITHOUT, stops(News.STOPPED)),
    (TAPERED, ON_FORTY, regimen(UNREAD, ccb="5"), stops(News.STOPPED)),
    (STOP, AS_IT_WAS, regimen(UNREAD, ccb="5"), None),
]
ENDED_AFTER_THE_YES = [
    (TAPERED, ON_FORTY, WITHOUT, told(News.STOPPED)),
    (TAPERED, ON_FORTY, regimen(UNREAD, ccb="5"), told(News.STOPPED)),
    (DOWN, AS_IT_WAS, regimen(UNREAD, ccb="5"), stops(News.STOPPED)),
]
# A reduction without a dose is not called an increase.
CASES.append((replace(DOWN, new_daily_dose=None), AS_IT_WAS, regimen(ace="2.5"), told(News.DOSE_CHANGED)))


@pytest.mark.parametrize(("what", "before", "now", "expected"), CASES, ids=[str(n) for n in range(len(CASES))])
def test_what_moved_elsewhere(what, before, now, expected):
    assert moved(what, before, now) == expected


@pytest.mark.parametrize(("what", "before", "now", "expected"), ACCEPTED, ids=[str(n) for n in range(len(ACCEPTED))])
def test_what_moved_elsewhere_after_the_yes(what, before, now, expected):
    assert moved(what, before, now, accepted=True) == expected


@pytest.mark.parametrize(("what", "before", "now", "expected"), ENDED, ids=[str(n) for n in range(len(ENDED))])
def test_what_was_stopped_elsewhere_is_known_whatever_else_is_unread(what, before, now, expected):
    assert moved(what, before, now, ended=True) == expected


@pytest.mark.parametrize(("what", "before", "now", "expected"), ENDED_AFTER_THE_YES, ids=["taper", "unread", "down"])
def test_after_the_yes_a_stop_from_elsewhere_is_read_as_its_echo(what, before, now, expected):
    assert moved(what, before, now, accepted=True, ended=True) == expected


def test_every_mutant_of_the_rule_is_noticed():
    missed, tried = [], 0
    for change_made, source in mutants(inspect.getsource(regimen_news)):
        tried += 1
        if not noticed(loaded(source, regimen_news)):
            missed.append(change_made)
    assert tried > 20
    assert missed == []


def noticed(rule: ModuleType) -> bool:
    """Whether a case fails over this rule."""
    try:
        held = [moved(what, a, b, rule=rule) == expected for what, a, b, expected in CASES]
        held += [moved(what, a, b, accepted=True, rule=rule) == expected for what, a, b, expected in ACCEPTED]
        held += [moved(what, a, b, ended=True, rule=rule) == expected for what, a, b, expected in ENDED]
        after = ENDED_AFTER_THE_YES
        held += [moved(what, a, b, accepted=True, ended=True, rule=rule) == x for what, a, b, x in after]
    except Exception:  # noqa: BLE001  (whatever it is, it was noticed)
        return True
    return not all(held)


def test_no_regimen_whatever_holds_a_stop_or_a_reduction_that_makes_less():
    doses = [None, "2.5", "5", "7.5", "10", "40"]
    for ace, ccb, unread in itertools.product([*doses, "absent"], [*doses, "absent"], [(), (UNREAD,)]):
        given = {name: dose for name, dose in (("ace", ace), ("ccb", ccb)) if dose != "absent"}
        now = regimen(*unread, **given)
        for before in (AS_IT_WAS, now, regimen()):
            stop = moved(STOP, before, now)
            assert stop is None or not stop[1]
            down = moved(DOWN, before, now)
            gone = ace == "absent" and not set(unread) - set(before.unknown)
            raises = gone or (ace not in ("absent", None) and Decimal(ace) < 5)
            assert (down is not None and down[1]) == raises


def test_no_regimen_whatever_is_told_a_taper_that_gives_more_than_is_taken():
    taken_back = 0
    doses = ["absent", None, "2.5", "5", "10", "15", "20", "40", "80"]
    for ace, unread, accepted in itertools.product(doses, [(), (UNREAD,)], [False, True]):
        now = regimen(*unread, **({} if ace == "absent" else {"ace": ace}))
        said = moved(TAPERED, ON_FORTY, now, accepted=accepted)
        own_line = ace == "absent" and accepted
        enough = ace not in ("absent", None) and Decimal(ace) >= 20
        assert (said is not None and said[1]) == (not own_line and not enough)
        taken_back += not own_line and not enough
    assert taken_back > 10
