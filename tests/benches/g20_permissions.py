"""What asking who may costs: the share of the worklist page's time that is spent in checks.

Counted as checks: the roles of who asks (`acting_person`), the table (`governance.permissions`), what ties them to a
record (`care_loops.selectors.access`), and what pages ask for their buttons and navigation. One profile of one request
gives both figures, so that a slow moment of the machine meets both. The filter inside the worklist's own query (whose
care team) is part of that query and is not counted; nor is opening the seal on the person's own name.
"""

from __future__ import annotations

import cProfile
import pstats
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from django.test import Client, override_settings

from governance import permissions
from governance.services import acting
from governance.views import door
from tests.benches.measuring import Clock, Goal, Means
from tests.benches.records import own_database
from tests.factories import Hospital
from tests.signing_in import signed_in

NAME = "permissions"
PATIENTS, TIMES = 8, 7
MODULES = tuple(Path(str(module.__file__)) for module in (permissions, acting))
NAMED = "printed_name"  # opens the seal on a person's name, to show it: no check
OF_PAGES = frozenset({"may", "require", "_nav"})
SELECTORS = ("care_loops/selectors/access.py", "care_loops/views/context.py", Path(str(door.__file__)).as_posix())
Place = tuple[str, int, str]


@contextmanager
def prepared(_folder: Path) -> Iterator[Goal]:
    """A clinician with patients whose recommendations wait."""
    quick = override_settings(
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"], ALLOWED_HOSTS=["testserver"]
    )
    with own_database(), quick:
        hospital = Hospital()
        for _ in range(PATIENTS):
            patient = hospital.patient()
            hospital.weeks(patient, *[(150, 92)] * 2)
            hospital.close(patient)
        browser = signed_in(hospital.people["clinician"])
        arms: dict[str, Callable[[], float]] = {
            "checks": partial(_median, browser, 0),
            "page": partial(_median, browser, 1),
        }
        what = "time of the worklist page spent in asking who may, of its whole time"
        gate = partial(_gate, browser)
        yield Goal(what, 0.05, Means.COST_AT_MOST, "checks", "page", arms, gate, Clock.P50, rounds=9, warm_up=2)


def _median(browser: Client, which: int) -> float:
    return statistics.median(_profiled(browser)[which] for _ in range(TIMES))


def _profiled(browser: Client) -> tuple[float, float]:
    """Seconds in checks and in all, of one request."""
    profile = cProfile.Profile()
    answer = profile.runcall(browser.get, "/worklist/")
    assert answer.status_code == 200
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    spent = 0.0
    for place, (_, _, _, whole, callers) in stats.items():
        if _is_check(place):
            outside = [said[3] for caller, said in callers.items() if not _is_check(caller)]
            spent += sum(outside) if callers else whole
        elif place[2] == NAMED:
            spent -= sum(said[3] for caller, said in callers.items() if _is_check(caller))
    total = max(said[3] for said in stats.values())
    return spent, total


def _is_check(place: Place) -> bool:
    where, _, name = place
    if Path(where) in MODULES or where.endswith(SELECTORS[0]):
        return True
    return name in OF_PAGES and where.endswith(SELECTORS[1:])


def _gate(browser: Client) -> None:
    """The page shows who waits, and checks were seen at work."""
    assert b"Test" in browser.get("/worklist/").content
    assert 0 < _profiled(browser)[0] < _profiled(browser)[1]
