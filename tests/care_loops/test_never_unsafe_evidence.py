"""N2 and N4 where they are decided: the recommendation as a pure function of evidence.

Evidence that does reach the patient is bent in every way that must stop it; the unbent one is the proof of reach.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count, product

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from care_loops.domain.alerts import Scope
from care_loops.domain.changes import STAY, ChangeKind, ModelRef
from care_loops.domain.evidence import Evidence, ModeInForce, OpenAlert
from care_loops.domain.readings import Flag, Implausible, Method, Position, Reading, Setting
from care_loops.domain.record import (
    NO_LIST,
    Adherence,
    AllowedDrug,
    Boundary,
    ConditionKind,
    CurrentConsent,
    DrugClass,
    DrugTaken,
    Lab,
    LabKind,
    PatientFacts,
    Pregnancy,
    Regimen,
    Sex,
    SymptomKind,
    SymptomReport,
    Target,
)
from care_loops.domain.refusals import Withheld
from care_loops.domain.units import Bpm, Milligrams, MmHg
from care_loops.pathways.hypertension import predictors
from care_loops.pathways.hypertension.rules import rules, tables
from care_loops.protocol import HOME_BP
from care_loops.recommend import recommend

NOW = datetime(2026, 3, 30, 10, 0, tzinfo=UTC)
MODEL = ModelRef(HOME_BP, "1", predictors.digest_of(HOME_BP))
LISINOPRIL = DrugTaken(
    "29046", "lisinopril", DrugClass.ACE_INHIBITOR, Milligrams(Decimal(10)), NOW - timedelta(days=200), "314076"
)
_ids = count(1)


def reading(systolic, diastolic, at, **more) -> Reading:
    given_more = {"pulse": Bpm.of(70)} | more
    return Reading(
        reading_id=f"r{next(_ids)}",
        taken_at=at,
        zone="Europe/Berlin",
        systolic=None if systolic is None else MmHg.of(systolic),
        diastolic=None if diastolic is None else MmHg.of(diastolic),
        method=given_more.pop("method", Method.UPPER_ARM_CUFF),
        setting=Setting.HOME,
        device_validated=True,
        position=given_more.pop("position", Position.SEATED),
        **given_more,
    )


def weeks(n: int = 6) -> tuple[Reading, ...]:
    """Two readings each morning and evening, over target, for so many weeks."""
    times = product(range(7 * n, 0, -1), ((6, 0), (6, 2), (19, 0), (19, 2)))
    midnight = NOW.replace(hour=0)
    return tuple(reading(150, 92, midnight - timedelta(days=d) + timedelta(hours=h, minutes=m)) for d, (h, m) in times)


def plain() -> Evidence:
    """A man of 64 on lisinopril 10 mg, six weeks over target, a boundary up to 40 mg, all labs: the patient may act."""
    labs = tuple(
        Lab(f"l{kind}{days}", kind, Decimal(value), NOW - timedelta(days=days))
        for days in (230, 30)
        for kind, value in (
            (LabKind.POTASSIUM, "4.2"),
            (LabKind.SODIUM, "140"),
            (LabKind.CREATININE, "80"),
            (LabKind.EGFR, "85"),
        )
    )
    signed = NOW - timedelta(days=60)
    return Evidence(
        pathway="hypertension",
        as_of=NOW,
        window_closed_at=NOW,
        zone="Europe/Berlin",
        facts=PatientFacts(64, Sex.MALE, Pregnancy.UNKNOWN, (), ()),
        target=Target("t1", MmHg.of(135), MmHg.of(85), "dr", NOW - timedelta(days=240)),
        boundary=Boundary(
            "b1",
            1,
            (AllowedDrug("29046", Milligrams(Decimal(40)), ("314076", "314077", "197884"), allow_up=True),),
            3,
            28,
            "dr",
            signed,
            signed,
            signed + timedelta(days=120),
            review_everything=False,
            by_prescriber=True,
            target_id="t1",
        ),
        consent=CurrentConsent(automated_advice=True, human_only_care=False),
        readings=weeks(),
        regimen=Regimen((LISINOPRIL,), ()),
        changes=(),
        boundary_steps_used=0,
        labs=labs,
        symptoms=(),
        adherence=Adherence(7, 7),
        said_no=(),
        alerts=(),
        mode=ModeInForce("simulation", patient_directed=True, stopped=False, quota_left=5, policy="operating_mode:x@1"),
        tier_policy=None,
        model=MODEL,
        model_fault=None,
        tables=tables(),
    )


PLAIN = plain()


def outcome(evidence: Evidence):
    answer = predictors.nobody if evidence.model is None or evidence.model_fault else predictors.unguarded(MODEL)
    return recommend(evidence, rules(), answer)


def test_the_plain_case_does_reach_the_patient():
    found = outcome(PLAIN)
    assert (found.withheld, found.tier, found.change.kind) == (None, "patient_may_act", ChangeKind.STEP_UP)
    assert found.change.new_daily_dose == Milligrams(Decimal(20))


# -- N4 ------------------------------------------------------------------------------------------------------------

dangerous = st.one_of(
    st.tuples(st.integers(180, 299), st.integers(40, 150) | st.none()),
    st.tuples(st.integers(100, 299), st.integers(120, 180)),
    st.tuples(st.integers(40, 89), st.integers(30, 60) | st.none()),
    st.tuples(st.none(), st.integers(120, 180)),
)
ages = st.timedeltas(timedelta(0), timedelta(days=14) - timedelta(minutes=1))
bent_ways = st.fixed_dictionaries(
    {},
    optional={
        "quarantined": st.sampled_from([q for q in Implausible if "sentinel" not in q.value]),
        "flags": st.lists(st.sampled_from(list(Flag)), max_size=2, unique=True).map(tuple),
        "position": st.sampled_from(Position),
        "method": st.sampled_from(Method),
        "pulse": st.none() | st.integers(45, 110).map(Bpm.of),
    },
)


@settings(max_examples=150)
@given(st.lists(st.tuples(dangerous, ages, bent_ways), min_size=1, max_size=3), st.booleans())
def test_no_history_with_a_dangerous_reading_in_14_days_lets_anything_go_up_or_to_the_patient(found, alert_disposed):
    """Whether or not somebody has ended the alert, and whatever became of the reading: the rules look themselves."""
    readings = tuple(reading(s, d, NOW - age, **how) for (s, d), age, how in found)
    alerts = () if alert_disposed else (OpenAlert("a1", "crisis", locks=True, bars=(Scope.PATIENT_FACING,)),)
    result = outcome(replace(PLAIN, readings=by_time(readings + PLAIN.readings), alerts=alerts))
    assert result.tier != "patient_may_act", readings
    assert not result.change.intensifies, readings


def by_time(readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    return tuple(sorted(readings, key=lambda r: (r.taken_at, r.reading_id)))


@settings(max_examples=40)
@given(st.tuples(st.integers(110, 165), st.integers(62, 100)), ages)
def test_an_ordinary_reading_in_the_same_place_stops_nothing(values, age):
    """Reach: the property above is not true because any further reading stops everything."""
    result = outcome(replace(PLAIN, readings=by_time((reading(*values, NOW - age), *PLAIN.readings))))
    assert result.tier == "patient_may_act"


def test_the_dangerous_readings_tried_reach_every_component_and_every_way_of_being_held_back():
    seen: set[object] = set()

    @seed(20261122)
    @settings(max_examples=150)
    @given(st.tuples(dangerous, ages, bent_ways))
    def record(one):
        (systolic, _diastolic), age, how = one
        seen.add("high" if (systolic or 0) >= 180 else "low" if systolic and systolic < 90 else "diastolic")
        seen.add(age.days >= 1)
        seen.update(how)

    record()
    assert {"high", "low", "diastolic", True, False, "quarantined", "flags", "position", "method"} <= seen


@pytest.mark.parametrize(
    ("systolic", "diastolic", "stops"),
    [
        (179, 119, False),
        (180, 100, True),
        (181, 100, True),
        (170, 119, False),
        (170, 120, True),
        (90, 60, True),
        (89, 60, True),
        (100, 61, False),
    ],
)
def test_the_edges_of_danger_by_one(systolic, diastolic, stops):
    """At 180, 120 and under 90 everything stops. 90 to 99 is amber: it bars increases too (CLINICAL 1.3 C9)."""
    result = outcome(replace(PLAIN, readings=by_time((reading(systolic, diastolic, NOW), *PLAIN.readings))))
    assert result.change.intensifies is not stops


def test_fourteen_days_bar_and_not_a_day_longer():
    for days, stops in ((13, True), (15, False)):
        found = outcome(
            replace(PLAIN, readings=by_time((reading(190, 95, NOW - timedelta(days=days)), *PLAIN.readings)))
        )
        assert found.change.intensifies is not stops, days


# -- N2: each missing fact has its name ----------------------------------------------------------------------------


def without(kind: LabKind) -> tuple[Lab, ...]:
    return tuple(lab for lab in PLAIN.labs if lab.kind is not kind)


def facts(**more) -> dict:
    return {"facts": replace(PLAIN.facts, **more)}


CHANGED_MODE = PLAIN.mode
assert CHANGED_MODE is not None
MISSING = [
    pytest.param({"target": None}, Withheld.NO_TARGET, id="no signed target"),
    pytest.param(facts(age_years=None), Withheld.AGE_UNKNOWN, id="age not known"),
    pytest.param(facts(age_years=17), Withheld.AGE_OUTSIDE, id="seventeen"),
    pytest.param(facts(age_years=100), Withheld.AGE_OUTSIDE, id="a hundred"),
    pytest.param(facts(conditions=(ConditionKind.DIALYSIS_OR_ESRD,)), Withheld.DIALYSIS_OR_ESRD, id="dialysis"),
    pytest.param(facts(pregnancy=Pregnancy.PREGNANT), Withheld.PREGNANCY, id="pregnant"),
    pytest.param(facts(pregnancy=Pregnancy.POSTPARTUM), Withheld.PREGNANCY, id="six weeks after"),
    pytest.param(
        {"regimen": Regimen((LISINOPRIL,), ("unknown_code: x",))}, Withheld.REGIMEN_NOT_FULLY_KNOWN, id="drug"
    ),
    pytest.param({"regimen": Regimen((), (NO_LIST,))}, Withheld.NO_LIST_OF_MEDICINES, id="no list of medicines"),
    pytest.param({"readings": ()}, Withheld.NOT_ENOUGH_READINGS, id="no readings"),
    pytest.param({"model": None}, Withheld.NO_APPROVED_MODEL, id="no approved model"),
    pytest.param({"model_fault": "home_bp: ValueError"}, Withheld.MODEL_DOWN, id="the model failed"),
    pytest.param({"mode": None}, Withheld.KILL_SWITCH, id="no mode was ever set"),
    pytest.param({"mode": replace(CHANGED_MODE, stopped=True)}, Withheld.KILL_SWITCH, id="stopped"),
    pytest.param({"mode": replace(CHANGED_MODE, mode="off")}, Withheld.KILL_SWITCH, id="off"),
    pytest.param(
        {"consent": CurrentConsent(automated_advice=True, human_only_care=True)}, Withheld.HUMAN_ONLY_CARE, id="human"
    ),
]


@pytest.mark.parametrize(("bent", "reason"), MISSING)
def test_what_is_missing_is_named_and_nothing_is_proposed(bent, reason):
    found = outcome(replace(PLAIN, **bent))
    assert (found.withheld, found.change, found.tier) == (reason, STAY, "withheld")


@pytest.mark.parametrize(
    ("bent", "row"),
    [
        pytest.param({"boundary": None}, "order_signed", id="no boundary"),
        pytest.param(
            {"consent": CurrentConsent(automated_advice=False, human_only_care=False)}, "consent", id="no consent"
        ),
        pytest.param({"adherence": None}, "adherence", id="no doses logged"),
        pytest.param(facts(sex=Sex.FEMALE, age_years=30), "pregnan", id="pregnancy not known"),
        pytest.param(facts(sex=Sex.UNKNOWN, pregnancy=Pregnancy.UNKNOWN), "pregnan", id="sex not known"),
        pytest.param(facts(sex=Sex.UNKNOWN, pregnancy=Pregnancy.UNKNOWN, age_years=79), "pregnan", id="nor at 79"),
        pytest.param(
            facts(conditions=(ConditionKind.ATRIAL_FIBRILLATION,)),
            "too_few_readings",
            id="two readings a session with atrial fibrillation",
        ),
        pytest.param({"mode": replace(CHANGED_MODE, patient_directed=False)}, "directed", id="not switched on"),
        pytest.param({"mode": replace(CHANGED_MODE, quota_left=0)}, "quota", id="quota used up"),
        pytest.param({"boundary_steps_used": 3}, "step", id="all steps used"),
        pytest.param({"labs": without(LabKind.POTASSIUM)}, "order_drug", id="a lab of the drug is missing"),
    ],
)
def test_what_is_missing_for_the_patient_goes_to_a_clinician_or_nobody_never_to_the_patient(bent, row):
    found = outcome(replace(PLAIN, **bent))
    assert found.tier != "patient_may_act"
    assert any(row in reason for reason in (*found.tier_reasons, *found.detail, found.withheld or "")), (
        found.tier_reasons
    )


def test_eleven_readings_give_no_average_and_twelve_do():
    day = NOW.replace(hour=0)
    older = tuple(r for r in PLAIN.readings if r.taken_at < day - timedelta(days=6))
    week = [r for r in PLAIN.readings if r.taken_at >= day - timedelta(days=5)]
    kept = (*week[:4], *week[8:12], *week[16:20])
    assert outcome(replace(PLAIN, readings=older + kept)).windows[0].average is not None
    found = outcome(replace(PLAIN, readings=older + kept[:-1]))
    assert found.withheld is Withheld.NOT_ENOUGH_READINGS
    assert found.windows[0].average is None


def test_missed_doses_never_lead_to_more_drug():
    found = outcome(replace(PLAIN, adherence=Adherence(3, 7)))
    assert (found.change.kind, found.tier) == (ChangeKind.TIMING, "clinician_decides")


# -- the boundary at its edges -------------------------------------------------------------------------------------


def boundary(**more) -> Evidence:
    assert PLAIN.boundary is not None
    return replace(PLAIN, boundary=replace(PLAIN.boundary, **more))


def drugs(**more) -> Evidence:
    assert PLAIN.boundary is not None
    return boundary(drugs=(replace(PLAIN.boundary.drugs[0], **more),))


@pytest.mark.parametrize(
    ("evidence", "patient"),
    [
        pytest.param(drugs(max_daily_dose=Milligrams(Decimal(20))), True, id="new dose equals the maximum"),
        pytest.param(drugs(max_daily_dose=Milligrams(Decimal("19.999"))), False, id="just under the new dose"),
        pytest.param(drugs(allow_up=False), False, id="the drug may not go up"),
        pytest.param(drugs(ingredient="17767"), False, id="another drug"),
        pytest.param(drugs(products=("314076",)), False, id="another product"),
        pytest.param(boundary(expires_at=NOW), False, id="ends at this instant"),
        pytest.param(boundary(expires_at=NOW + timedelta(seconds=1)), True, id="ends a second later"),
        pytest.param(boundary(starts_at=NOW + timedelta(seconds=1)), False, id="not begun"),
        pytest.param(boundary(expires_at=NOW - timedelta(days=1)), False, id="expired"),
        pytest.param(boundary(review_everything=True), False, id="review everything"),
        pytest.param(boundary(by_prescriber=False), False, id="not by a prescriber"),
        pytest.param(boundary(target_id="t0"), False, id="signed for another target"),
        pytest.param(boundary(max_steps=0), False, id="no steps at all"),
        pytest.param(replace(boundary(max_steps=2), boundary_steps_used=1), True, id="the last step"),
        pytest.param(replace(boundary(max_steps=2), boundary_steps_used=2), False, id="no step left"),
    ],
)
def test_the_boundary_covers_to_its_edges_and_not_beyond(evidence, patient):
    found = outcome(evidence)
    assert (found.tier == "patient_may_act") is patient, found.tier_reasons
    if not patient and found.withheld is None:
        assert found.tier in ("clinician_approves", "clinician_decides")


# -- a predictor chooses, and makes up nothing ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "bent",
    [
        pytest.param({"new_daily_dose": Milligrams(Decimal(40)), "steps": 2}, id="two steps at once"),
        pytest.param(
            {"kind": ChangeKind.START, "ingredient": "52175", "drug_class": DrugClass.ARB}, id="a barred start"
        ),
        pytest.param({"ingredient": "99999"}, id="a drug nobody takes"),
    ],
)
def test_a_predictor_that_proposes_what_the_rules_do_not_leave_open_is_not_followed(bent):
    def wild(view):
        said = predictors.unguarded(MODEL)(view)
        return replace(said, proposed=replace(said.proposed, **bent))

    found = recommend(PLAIN, rules(), wild)
    assert (found.withheld, found.change) == (Withheld.MODEL_DOWN, STAY)


def test_a_barred_candidate_is_no_proposal_either():
    def wild(view):
        barred = next(c.change for c in view.candidates if c.barred and c.change.intensifies)
        return replace(predictors.unguarded(MODEL)(view), proposed=barred)

    assert recommend(PLAIN, rules(), wild).withheld is Withheld.MODEL_DOWN


# -- order of refusals ---------------------------------------------------------------------------------------------

IN_ORDER = [case.values for case in MISSING[:13] if case.values[1] is not Withheld.AGE_OUTSIDE]
RANK = [
    *(Withheld.HUMAN_ONLY_CARE, Withheld.KILL_SWITCH, Withheld.PREGNANCY, Withheld.AGE_UNKNOWN, Withheld.AGE_OUTSIDE),
    *(Withheld.DIALYSIS_OR_ESRD, Withheld.NO_TARGET, Withheld.REGIMEN_NOT_FULLY_KNOWN, Withheld.NOT_ENOUGH_READINGS),
    *(Withheld.NO_APPROVED_MODEL, Withheld.MODEL_DOWN),
]


@pytest.mark.parametrize(("first", "second"), [(a, b) for a in MISSING for b in MISSING if a is not b])
def test_of_two_reasons_the_earlier_in_the_order_is_named(first, second):
    """Each refusal is noticed when it is taken out or moved: a pair then answers with the other name."""
    (one, reason), (two, other) = first.values, second.values
    if set(one) & set(two) or not {reason, other} <= set(RANK):
        return
    found = outcome(replace(PLAIN, **one, **two))
    assert found.withheld is min(reason, other, key=RANK.index)


# -- N3: a reduction is never held back ----------------------------------------------------------------------------


@pytest.mark.parametrize("locked", [False, True])
def test_less_of_a_blamed_drug_goes_to_a_clinician_also_under_a_danger_lock(locked):
    blamed = SymptomReport("s1", SymptomKind.COUGH, NOW - timedelta(days=1), "29046", reviewed=False)
    alerts = (OpenAlert("a1", "crisis", locks=True, bars=(Scope.UP_TITRATION, Scope.PATIENT_FACING)),) if locked else ()
    found = outcome(replace(PLAIN, symptoms=(blamed,), alerts=alerts))
    assert found.withheld is None, (found.withheld, found.detail)
    assert found.change.reduces or found.change.kind is ChangeKind.TIMING
    assert found.tier == "clinician_decides"
