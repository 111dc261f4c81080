"""The body in time: doses taken or missed, the effect that follows them, and the true pressure of a day.

Rules (EFFECTS 3 and 7)
 * Doses: each day a person takes, forgets or is on holiday, a chain of three states with rates of their own; a drug may
   be given up for good (Weibull, slower for who has taken it for over a year).
 * Effect: of what a drug would do in the long run, two filters follow (3 and 13 days), times an occupancy that falls by
   the drug's own half-life when doses are missed.
 * Pressure: untreated level less effect, season, a slow part (30 days), a drift over years. A day's own part and all
   measurement are added where something is measured (`cuff`).
 * The office of a first visit wears off over weeks in everybody, treated or not (habituation, an office's placebo).
 * A body is advanced in place, day by day; days count from 0. People enter all through the year.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .drugs import NONE, Flags, Floats, Ints, pharmacy, steady_fall
from .parameters import Parameters
from .people import Chance, People

TAKEN, FORGOTTEN, HOLIDAY = 0, 1, 2
YEAR = 365.0


@dataclass(slots=True)
class Body:
    """n bodies. `drug` and `multiple` are the prescription; `kept` whether the person still takes it at all."""

    people: People
    p: Parameters
    untreated_home: Floats  # (n, 2)
    untreated_office: Floats  # (n, 2), the person's own white coat included
    drug: Ints  # (n, SLOTS)
    multiple: Floats  # (n, SLOTS)
    kept: Flags  # (n, SLOTS)
    steady: Floats  # (n, SLOTS, 2) office fall in the long run
    filters: Floats  # (2, n, SLOTS, 2) office fall reached so far, fast and slow
    occupancy: Floats  # (n, SLOTS)
    state: Ints  # (n,) TAKEN, FORGOTTEN, HOLIDAY today
    slow: Floats  # (n,)
    drift: Floats  # (n,)
    since: Floats  # (n, SLOTS) days since the drug was begun
    settled: Flags  # (n, SLOTS) taken for over a year at entry
    first_day: Floats  # (n,) of the year, at entry
    day: int = 0
    doses: Floats | None = None  # (n,) days on which doses were taken, since the last count
    perfect: bool = False  # every dose is taken, as in a trial of efficacy

    def prescribe(self, drug: Ints, multiple: Floats) -> None:
        """Take over a prescription, (n, SLOTS) each; effects follow in time. A slot may take a new drug."""
        new = (drug != self.drug) | ((multiple > 0) & (self.multiple == 0))
        self.since[new], self.kept[new], self.settled[new] = 0.0, True, False
        self.filters[:, drug != self.drug] = 0.0
        self.occupancy[drug != self.drug] = 0.0
        self.drug, self.multiple = drug, multiple
        self.steady = self._steady()

    def _steady(self) -> Floats:
        base = self.untreated_home + np.array([self.p["white_coat_mean"], self.p["white_coat_diastolic_mean"]])
        return steady_fall(base, self.people.answering, (self.drug, self.multiple), self.p)

    def advance(self, days: int, chance: Chance) -> None:
        """Live `days` days."""
        counted = np.zeros(len(self.people)) if self.doses is None else self.doses
        used = np.flatnonzero((self.drug != NONE).any(axis=0))
        slots = slice(0, int(used[-1]) + 1 if len(used) else 0)  # the rest stay as they are: nothing is taken there
        decay = np.exp(-np.log(2) / pharmacy().half_life_days)[np.maximum(self.drug[:, slots], 0)]
        asked, steady = self.kept[:, slots] & (self.multiple[:, slots] > 0), self.steady[:, slots]
        occupancy, filters = self.occupancy[:, slots], self.filters[:, :, slots]
        gains = 1 - np.exp(-1 / np.array([self.p["fast_tau"], self.p["slow_tau"]]))[:, None, None, None]
        for _ in range(days):
            taking = self._take(chance)
            counted += taking
            on = taking[:, None] & asked
            occupancy = occupancy * decay + np.where(on, 1 - decay, 0.0)
            follows = np.where((occupancy > self.p["occupancy_least"])[..., None], steady, 0.0)
            filters += gains * (follows - filters)
        self.occupancy[:, slots] = occupancy
        self.doses = counted
        self.day += days
        self.since += days
        self._give_up(days, chance)
        self._wander(days, chance)

    def _take(self, chance: Chance) -> Flags:
        """Whether each person takes today's doses; moves the chain on."""
        n = len(self.people)
        if self.perfect:
            return np.ones(n, dtype=bool)
        p, draw = self.p, chance.random(n)
        forgets = np.minimum(p["forget_rate"] * self.people.forgetful[:, 0], 0.5)
        leaves = np.minimum(p["holiday_rate"] * self.people.forgetful[:, 1], 0.3)
        onward = np.where(draw < forgets, FORGOTTEN, np.where(draw < forgets + leaves, HOLIDAY, TAKEN))
        stays = np.where(self.state == FORGOTTEN, p["forget_stays"], p["holiday_stays"])
        back = np.where(draw < stays, self.state, TAKEN)
        self.state = np.where(self.state == TAKEN, onward, back)
        taken: Flags = self.state == TAKEN
        return taken

    def _give_up(self, days: int, chance: Chance) -> None:
        """Drugs given up for good: Weibull with the published share after a year."""
        if self.perfect:
            return
        p, now = self.p, self.since
        scale = -np.log(p["persistence_year"]) / YEAR ** p["persistence_shape"]
        hazard = scale * (now ** p["persistence_shape"] - np.maximum(now - days, 0) ** p["persistence_shape"])
        hazard = np.where(self.settled, hazard * p["persistence_settled"], hazard)
        self.kept &= chance.random(now.shape) >= 1 - np.exp(-hazard)

    def resume(self, who: Flags, chance: Chance) -> None:
        """Who is asked about their drugs takes up again some of those given up."""
        again = who[:, None] & ~self.kept & (self.multiple > 0)
        again &= chance.random(again.shape) < self.p["resumes_when_asked"]
        self.kept |= again
        self.since = np.where(again, 0.0, self.since)

    def _wander(self, days: int, chance: Chance) -> None:
        keep = np.exp(-days / self.p["slow_days"])
        n = len(self.people)
        self.slow = self.slow * keep + chance.normal(0, self.p["slow_sd"], n) * np.sqrt(1 - keep**2)
        share = days / YEAR
        self.drift = self.drift + self.p["drift_year"] * share
        self.drift = self.drift + chance.normal(0, self.p["drift_sd_year"], n) * np.sqrt(share)

    def fall(self) -> Floats:
        """(n, 2) office fall of all drugs today."""
        p = self.p
        reached = p["fast_weight"] * self.filters[0] + (1 - p["fast_weight"]) * self.filters[1]
        summed: Floats = (reached * self.occupancy[..., None]).sum(axis=1)
        return summed

    def home_level(self) -> Floats:
        """(n, 2) true home pressure around today, without the day's own part."""
        return self.untreated_home - self.p["scale_home"] * self.fall() + self._common()

    def office_level(self) -> Floats:
        """(n, 2) true office pressure around today, the person's white coat included."""
        p = self.p
        worn = p["habituation"] * (1 - np.exp(-self.day / p["habituation_days"]))
        worn_off: Floats = worn * np.array([1.0, p["diastolic_noise_share"]])
        return self.untreated_office - self.fall() + self._common() - worn_off

    def day_level(self) -> Floats:
        """(n, 2) true daytime pressure; the level without drugs is that at home."""
        return self.untreated_home - self.p["scale_day"] * self.fall() + self._common()

    def night_level(self) -> Floats:
        """(n, 2) true pressure at night: each person's share of the untreated day, less what drugs do then."""
        asleep = self.untreated_home * self.people.night_ratio[:, None]
        return asleep - self.p["scale_night"] * self.fall() + self._common()

    def _common(self) -> Floats:
        """(n, 2) season, slow part and drift."""
        p = self.p
        turn = 2 * np.pi * (self.first_day + self.day - p["season_peak_day"]) / YEAR
        systolic = self.slow + self.drift + p["season_amplitude"] * np.cos(turn) * self.people.season
        return np.stack([systolic, systolic * p["diastolic_noise_share"]], axis=1)

    def taken_share(self, days: int) -> Floats:
        """(n,) share of days with doses taken since the last count, and begin a new count."""
        share = np.zeros(len(self.people)) if self.doses is None else self.doses / max(days, 1)
        self.doses = np.zeros(len(self.people))
        return share


def body_of(people: People, p: Parameters, chance: Chance, *, perfect: bool = False) -> Body:
    """A body at entry, at rest on its drugs of entry; the untreated level is what makes the entry pressure come out."""
    n, slots = people.drug.shape
    coat = np.array([p["white_coat_mean"], p["white_coat_diastolic_mean"]])
    share = np.ones(n) if perfect else usual_share(people, p)
    untreated, taken = people.home.copy(), (people.drug, people.multiple)
    for _ in range(6):
        steady = steady_fall(untreated + coat, people.answering, taken, p)
        reached = steady.sum(axis=1) * share[:, None]
        untreated = people.home + p["scale_home"] * reached
    return Body(
        people=people,
        p=p,
        untreated_home=untreated,
        untreated_office=people.home + people.white_coat + reached,
        drug=people.drug.copy(),
        multiple=people.multiple.copy(),
        kept=np.ones((n, slots), dtype=bool),
        steady=steady,
        filters=np.stack([steady, steady]),
        occupancy=np.where(people.multiple > 0, share[:, None], 0.0),
        state=np.zeros(n, dtype=np.int64),
        slow=chance.normal(0, p["slow_sd"], (n,)),
        drift=np.zeros(n),
        since=np.full((n, slots), YEAR),
        settled=people.drug != NONE,
        first_day=chance.uniform(0, YEAR, (n,)),
        perfect=perfect,
    )


def usual_share(people: People, p: Parameters) -> Floats:
    """(n,) share of days on which each person takes the doses, in the long run of the chain."""
    forgets = np.minimum(p["forget_rate"] * people.forgetful[:, 0], 0.5) / (1 - p["forget_stays"])
    leaves = np.minimum(p["holiday_rate"] * people.forgetful[:, 1], 0.3) / (1 - p["holiday_stays"])
    return 1 / (1 + forgets + leaves)
