"""How far a model may go: nothing but a gate raises it, every rule lowers it, and the tier is never widened."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.autonomy import (
    FACTS,
    Chart,
    GateNotMet,
    Level,
    Measured,
    ModelKind,
    Point,
    check_gate,
    in_force,
    limited,
    missing,
    parse,
    rules,
    surges,
)
from governance.tiers import Tier

CHART = Chart(least=20, band=Decimal("0.30"), sigmas=3, run=8)
QUIET = Measured(
    stopped=False,
    open_critical=False,
    weeks=(Point(10, 1),) * 4,
    before=Point(200, 20),
    drift=Decimal("0.02"),
    calibration_error=Decimal("0.01"),
    review_age_days=10,
    approvals=2,
    published=True,
    observed=500,
)
# One fact at its limit and just past it: (rule, does not speak, speaks, level left). A row without a case fails below.
CASES = {
    "stopped": (QUIET, replace(QUIET, stopped=True), Level.OBSERVE),
    "open_critical": (QUIET, replace(QUIET, open_critical=True), Level.OBSERVE),
    "override_surge": (QUIET, replace(QUIET, weeks=(Point(10, 5),) * 4), Level.APPROVE_EACH),
    "drift": (replace(QUIET, drift=Decimal("0.25")), replace(QUIET, drift=Decimal("0.2501")), Level.SUGGEST),
    "calibration": (
        replace(QUIET, calibration_error=Decimal("0.05")),
        replace(QUIET, calibration_error=Decimal("0.0501")),
        Level.SUGGEST,
    ),
    "stale_review": (replace(QUIET, review_age_days=365), replace(QUIET, review_age_days=366), Level.APPROVE_EACH),
}
UNKNOWN = {"stopped": True, "open_critical": True, "drift": False, "calibration_error": False, "review_age_days": True}

decimals = st.none() | st.decimals(0, 1, places=4)
points = st.integers(0, 60).flatmap(lambda n: st.builds(Point, st.just(n), st.integers(0, n)))
measured = st.builds(
    Measured,
    stopped=st.none() | st.booleans(),
    open_critical=st.none() | st.booleans(),
    weeks=st.lists(points, min_size=4, max_size=10).map(tuple),
    before=points,
    drift=decimals,
    calibration_error=decimals,
    review_age_days=st.none() | st.integers(0, 1000),
    approvals=st.none() | st.integers(0, 4),
    published=st.none() | st.booleans(),
    observed=st.none() | st.integers(0, 500),
)


@given(st.sampled_from(Level), measured)
def test_no_fact_and_no_rule_raises(earned, known):
    found = in_force(earned, known, rules())
    assert found.level.rank <= earned.rank
    assert bool(found.reasons) == (found.level is not earned)


@given(st.sampled_from(Tier), st.sampled_from(Level))
def test_a_level_never_widens_the_tier(tier, level):
    assert limited(tier, level).at_least(tier) is limited(tier, level)


@given(st.sampled_from(Tier), st.sampled_from(Level), st.sampled_from(Level))
def test_a_lower_level_is_never_milder(tier, one, other):
    lower, higher = sorted((one, other), key=lambda level: level.rank)
    assert limited(tier, lower).at_least(limited(tier, higher)) is limited(tier, lower)


def test_only_within_the_boundary_is_anything_left_to_the_patient():
    left = [level for level in Level if limited(Tier.PATIENT_MAY_ACT, level) is Tier.PATIENT_MAY_ACT]
    assert left == [Level.WITHIN_BOUNDARY]
    assert limited(Tier.PATIENT_MAY_ACT, Level.OBSERVE) is Tier.WITHHELD


@pytest.mark.parametrize("rule", sorted(CASES))
def test_each_rule_speaks_past_its_limit_and_not_at_it(rule):
    quiet, loud, level = CASES[rule]
    assert in_force(Level.WITHIN_BOUNDARY, quiet, rules()) == in_force(Level.WITHIN_BOUNDARY, QUIET, rules())
    found = in_force(Level.WITHIN_BOUNDARY, loud, rules())
    assert (found.level, found.reasons) == (level, (rule,))


def test_every_rule_has_its_case():
    assert {row.row_id for row in rules().lowering} == set(CASES)
    assert in_force(Level.WITHIN_BOUNDARY, QUIET, rules()).level is Level.WITHIN_BOUNDARY


@pytest.mark.parametrize("fact", sorted(UNKNOWN))
def test_what_is_not_known_lowers_where_it_must_be_known(fact):
    found = in_force(Level.WITHIN_BOUNDARY, replace(QUIET, **{fact: None}), rules())
    assert bool(found.reasons) is UNKNOWN[fact]


MUTANTS = [
    (row["id"], field, value)
    for row in json.loads((files("governance") / "data" / "autonomy_rules.json").read_bytes())["rules"]
    for field, value in (
        [("to", "within_boundary"), ("unknown_lowers", not row["unknown_lowers"])]
        + (
            [
                ("limit", str(Decimal(row["limit"]) + (1 if row["limit"] == "365" else Decimal("0.0002")))),
                ("test", "at_least"),
            ]
            if row["limit"]
            else [("test", "is_false")]
        )
    )
]


@pytest.mark.parametrize(("rule", "field", "value"), MUTANTS, ids=[f"{rule}-{field}" for rule, field, _ in MUTANTS])
def test_a_row_that_is_changed_is_noticed(rule, field, value):
    """Mutation of the table: each change of a row makes one of the cases above come out otherwise."""
    said = json.loads((files("governance") / "data" / "autonomy_rules.json").read_bytes())
    row = next(row for row in said["rules"] if row["id"] == rule)
    row[field] = value
    changed = parse(json.dumps(said).encode())
    quiet, loud, level = CASES[rule]
    unknown = replace(QUIET, **{row["fact"]: None}) if row["fact"] in UNKNOWN else QUIET
    as_shipped = (False, (level, (rule,)), UNKNOWN.get(row["fact"], False))
    spoken = in_force(Level.WITHIN_BOUNDARY, loud, changed)
    now = (
        rule in in_force(Level.WITHIN_BOUNDARY, quiet, changed).reasons,
        (spoken.level, spoken.reasons),
        rule in in_force(Level.WITHIN_BOUNDARY, unknown, changed).reasons,
    )
    if row["fact"] == "override_surge" and field == "unknown_lowers":
        assert now == as_shipped  # whether there is a surge is always known
    else:
        assert now != as_shipped


# --- the chart --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weeks", "before", "said"),
    [
        ([Point(10, 1)] * 4, Point(200, 20), False),
        ([Point(10, 2)] * 4, Point(200, 20), False),  # 8 of 40 where 4 are usual: within three standard errors
        ([Point(25, 6)] * 4, Point(200, 20), True),  # 24 of 100 where 10 are usual: 14 > 3 * sqrt(9) = 9
        ([Point(25, 5), Point(25, 5), Point(25, 5), Point(25, 4)], Point(200, 20), False),  # 19: at the limit, not over
        ([Point(5, 5)] * 3, Point(200, 20), False),  # fifteen decisions say nothing yet
        ([Point(10, 6)] * 4, Point(0, 0), True),  # without a baseline, held against the band: 24 of 40 against 12
        ([Point(10, 5)] * 4, Point(0, 0), False),
        ([Point(1, 1)] * 8, Point(200, 20), True),  # eight weeks over the line
        ([Point(1, 1)] * 7, Point(200, 20), False),
        ([Point(1, 1)] * 4 + [Point(0, 0)] + [Point(1, 1)] * 4, Point(200, 20), True),  # a week without any is none
        ([Point(1, 1)] * 4 + [Point(1, 0)] + [Point(1, 1)] * 4, Point(200, 20), False),
        ([], Point(0, 0), False),
    ],
)
def test_a_surge_of_overrides_by_the_chart(weeks, before, said):
    assert surges(tuple(weeks), before, CHART) is said


@given(st.lists(points, max_size=10).map(tuple), points)
def test_a_model_nobody_overrides_never_surges(weeks, before):
    assert surges(tuple(Point(w.decided, 0) for w in weeks), before, CHART) is False


# --- gates ------------------------------------------------------------------------------------------------------------


def test_a_published_protocol_with_two_approvals_passes_each_gate():
    bare = replace(QUIET, drift=None, calibration_error=None, observed=0, weeks=(), before=Point(0, 0))
    for level in (Level.SUGGEST, Level.APPROVE_EACH, Level.WITHIN_BOUNDARY):
        check_gate(ModelKind.PROTOCOL, level, bare, rules())
        with pytest.raises(GateNotMet):
            check_gate(ModelKind.PROTOCOL, level, replace(bare, approvals=1), rules())
        with pytest.raises(GateNotMet):
            check_gate(ModelKind.PROTOCOL, level, replace(bare, published=False), rules())


def test_a_learned_model_passes_none_without_having_been_watched():
    bare = replace(QUIET, drift=None, calibration_error=None, observed=0, weeks=(), before=Point(0, 0))
    for level in (Level.SUGGEST, Level.APPROVE_EACH, Level.WITHIN_BOUNDARY):
        with pytest.raises(GateNotMet) as refusal:
            check_gate(ModelKind.LEARNED, level, bare, rules())
        assert refusal.value.extra["missing"]
    check_gate(ModelKind.LEARNED, Level.SUGGEST, QUIET, rules())


@given(
    st.sampled_from(ModelKind), st.sampled_from([Level.SUGGEST, Level.APPROVE_EACH, Level.WITHIN_BOUNDARY]), measured
)
def test_a_fact_that_is_not_known_opens_no_gate(kind, level, known):
    rows = [row for row in rules().gates if row.kind is kind and row.level is level]
    unknown = [row for row in rows if getattr(known, row.fact) is None]
    assert set(unknown) <= set(missing(kind, level, known, rules()))


def test_there_is_no_gate_to_observing():
    with pytest.raises(GateNotMet):
        check_gate(ModelKind.PROTOCOL, Level.OBSERVE, QUIET, rules())


@pytest.mark.parametrize(
    ("field", "value"), [("source", ""), ("mark", "guess"), ("fact", "mood"), ("test", "feels"), ("limit", "1")]
)
def test_a_row_without_source_mark_or_known_fact_is_not_read(field, value):
    said = json.loads((files("governance") / "data" / "autonomy_rules.json").read_bytes())
    said["rules"][0][field] = value
    with pytest.raises(ValueError, match=r"row|comparison"):
        parse(json.dumps(said).encode())


def test_the_strategies_reach_every_level_and_rule():
    seen: set[object] = set()

    @given(measured)
    def record(known):
        found = in_force(Level.WITHIN_BOUNDARY, known, rules())
        seen.update((found.level, *found.reasons))

    record()
    assert {row.row_id for row in rules().lowering} <= seen
    assert {"drift", "override_surge"} <= FACTS
