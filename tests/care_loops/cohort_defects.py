"""Seeded defects of the cohort simulator: other numbers, and the checks that must see each."""

from typing import NamedTuple


class Defect(NamedTuple):
    """What is wrong, which measure is asked, and which quantities must leave their bands."""

    name: str
    changes: dict[str, float]
    measure: str
    breaks: frozenset[str]


def _defect(name: str, measure: str, breaks: str, **changes: float) -> Defect:
    return Defect(name, changes, measure, frozenset(breaks.split()))


DEFECTS = (
    _defect("drugs do half of what they do", "efficacy", "one_drug one_doubling two_drugs", effect_scale=0.5),
    _defect("tablets hold a fifth of their dose", "efficacy", "one_drug half_over_reference", dose_scale=0.2),
    _defect("the pressure before makes no difference", "efficacy", "slope_on_baseline", baseline_slope_systolic=0),
    _defect("a second drug adds a third of itself", "efficacy", "two_drugs doubling_over_adding", addition=0.35),
    _defect("effects take months", "time_course", "share_week_1 share_week_2 after_week_4", slow_tau=60, fast_tau=20),
    _defect("effects are there at once", "time_course", "share_week_1 share_week_2", slow_tau=0.5, fast_tau=0.5),
    _defect("slow swings are twice as large", "within_person", "home_year_sd office_year_sd home_week_cv", slow_sd=9),
    _defect("days differ twice as much", "within_person", "home_daily_sd office_year_sd home_week_cv", day_sd=11.8),
    _defect("nobody answers otherwise than others", "own_answers", "best_of_four", axis_sd=0, residual_sd=0),
    _defect("people differ twice as much", "own_answers", "best_of_four", axis_sd=10, residual_sd=4),
    _defect("the other setting is not the other one", "own_answers", "bell_true_share", bell_axis_sd=9),
    _defect("drugs do a third", "fourth_drug", "spironolactone_fourth bisoprolol_fourth", effect_scale=0.3),
    _defect("no drug does anything", "titration", "tasminh4 home_bp self_titration", effect_scale=0),
    _defect("nobody's high pressure falls back", "titration", "usual_care_fall", visit_sd=0.1, white_coat_sd=25),
    _defect("every window is acted upon", "titration", "tasminh4", titration_intensify=1, plan_adds=1),
    _defect("the programme does nothing", "programme", "programme_fall programme_controlled", programme_intensify=0),
    _defect("the programme waits half a year", "programme", "programme_weeks programme_fall", programme_days=168),
    _defect("nobody forgets", "safety", "missed_days", forget_rate=0, holiday_rate=0.001),
    _defect("nobody takes a holiday", "safety", "missed_days in_long_runs", holiday_rate=0),
    _defect("doses make no difference", "safety", "full_week_gain", effect_scale=0),
    _defect("ankles swell thrice as often", "safety", "oedema", oedema_double=0.33),
    _defect("creatinine varies twice as much", "safety", "creatinine_30", creatinine_log_sd=0.22),
    _defect("potassium rises thrice as much", "safety", "potassium_over_5_5", potassium_ras=0.5),
    _defect("sodium falls thrice as often", "safety", "sodium_under_130", low_sodium_two_years=0.105),
)
