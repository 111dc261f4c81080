"""Who may act: the decision table of CLINICAL 1.9, as a table; and proof that no row of it can be lost unnoticed."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from governance.tier_policy import parse, shipped
from governance.tiers import (
    FIELDS,
    BoundaryFacts,
    FactName,
    OperatingMode,
    PathwayMode,
    Question,
    Subject,
    Tier,
    TierFacts,
    TierPolicy,
    TierRow,
    assign,
    holds,
    reference_rows,
)

POLICY = shipped()

# A step up of 5 to 10 mg that may go straight to the patient, everything at its safest.
FACTS = TierFacts(
    emergency=False, is_increase=True, is_start=False, is_stop=False, is_timing=False,
    change_steps=1, new_dose=Decimal(10), ceiling=Decimal(40), restricted_class=False,
    days_taken=60, days_since_change=60, windows_out=3, windows_apart_days=35,
    lowest_systolic=Decimal(128), highest_systolic=Decimal(158), lowest_diastolic=Decimal(74),
    highest_diastolic=Decimal(98), adherence_percent=Decimal(95), labs_in_date=True, labs_within_limits=True,
    contraindicated=False, interacting=False, cautioned=False, pregnant=False, atrial_fibrillation=False,
    end_stage_kidney_disease=False, age_years=60, model_approved=True, in_distribution=True, model_confident=True,
    inputs_complete=True, consents=True, human_only=False, explanation_ready=True, can_decline=True,
    quota_left=5, kill_switch_open=True,
)  # fmt: skip
ORDER = BoundaryFacts(
    signed=True, by_prescriber=True, review_everything=False, days_since_start=Decimal(40), days_left=Decimal(80),
    life_days=Decimal(120), names_drug=True, names_product=True, allows_direction=True, names_target=True,
    max_steps=2, steps_left=2, max_dose=Decimal(20), min_interval_days=28,
)  # fmt: skip
MODE = PathwayMode(OperatingMode.RESEARCH, patient_directed=True)

# What differs from the case above | who must act | the rows that did not hold
SPEC = """
                                                      | patient_may_act    |
facts.emergency=true                                  | withheld           | no_emergency
mode=off                                              | withheld           | mode_on
mode=simulation                                       | patient_may_act    |
mode=live                                             | patient_may_act    |
patient_directed=false                                | clinician_approves | patient_directed
boundary.signed=false                                    | clinician_approves | order_signed
boundary.by_prescriber=false                             | clinician_approves | order_prescriber
boundary.review_everything=true                          | clinician_approves | order_not_review_everything
boundary.days_since_start=0                              | patient_may_act    |
boundary.days_since_start=-1                             | clinician_approves | order_begun
boundary.days_left=1                                     | patient_may_act    |
boundary.days_left=0                                     | clinician_approves | order_unexpired
boundary.days_left=0.01                                  | patient_may_act    |
boundary.life_days=180                                   | patient_may_act    |
boundary.life_days=181                                   | clinician_approves | order_life
boundary.names_drug=false                                | clinician_approves | order_drug
boundary.names_product=false                             | clinician_approves | order_product
boundary.allows_direction=false                          | clinician_approves | order_direction
boundary.names_target=false                              | clinician_approves | order_target
boundary.max_steps=3                                     | patient_may_act    |
boundary.max_steps=4                                     | clinician_approves | order_max_steps
boundary.steps_left=1                                    | patient_may_act    |
boundary.steps_left=0                                    | clinician_approves | order_steps_left
boundary.max_dose=10                                     | patient_may_act    |
boundary.max_dose=9                                      | clinician_approves | order_dose
boundary.max_dose=40                                     | patient_may_act    |
boundary.max_dose=41                                     | clinician_approves | order_under_ceiling
boundary.min_interval_days=27                            | clinician_approves | order_interval
boundary.min_interval_days=60                            | patient_may_act    |
boundary.min_interval_days=61                            | clinician_approves | order_interval_passed
facts.is_increase=false                               | clinician_approves | increase
facts.is_start=true                                   | clinician_decides  | no_start
facts.is_stop=true                                    | clinician_decides  | no_stop
facts.is_timing=true                                  | clinician_decides  | no_timing
facts.days_taken=28                                   | patient_may_act    |
facts.days_taken=27                                   | clinician_approves | taken_28_days
facts.days_since_change=28                            | patient_may_act    |
facts.days_since_change=27                            | clinician_approves | order_interval_passed
facts.days_since_change=27 boundary.min_interval_days=20 | clinician_approves | order_interval
facts.change_steps=2                                  | clinician_approves | exactly_one_step
facts.change_steps=0                                  | clinician_approves | exactly_one_step
facts.restricted_class=true                           | clinician_approves | not_restricted_class
facts.new_dose=40 boundary.max_dose=40                   | patient_may_act    |
facts.new_dose=41 boundary.max_dose=40                   | clinician_decides  | order_dose under_ceiling
facts.ceiling=9                                       | clinician_decides  | order_under_ceiling under_ceiling
facts.windows_out=2                                   | patient_may_act    |
facts.windows_out=1                                   | clinician_approves | two_windows
facts.windows_apart_days=28                           | patient_may_act    |
facts.windows_apart_days=27                           | clinician_approves | windows_28_days_apart
facts.lowest_systolic=100                             | patient_may_act    |
facts.lowest_systolic=99                              | clinician_approves | systolic_from_100
facts.highest_systolic=179                            | patient_may_act    |
facts.highest_systolic=180                            | clinician_approves | systolic_to_179
facts.lowest_diastolic=60                             | patient_may_act    |
facts.lowest_diastolic=59                             | clinician_approves | diastolic_from_60
facts.highest_diastolic=119                           | patient_may_act    |
facts.highest_diastolic=120                           | clinician_approves | diastolic_to_119
facts.adherence_percent=80                            | patient_may_act    |
facts.adherence_percent=79                            | clinician_decides  | adherence
facts.labs_in_date=false                              | clinician_decides  | labs_in_date
facts.labs_within_limits=false                        | clinician_decides  | labs_within_limits
facts.contraindicated=true                            | clinician_decides  | no_contraindication
facts.interacting=true                                | clinician_decides  | no_interaction
facts.cautioned=true                                  | clinician_decides  | no_caution
facts.pregnant=true                                   | clinician_decides  | not_pregnant
facts.atrial_fibrillation=true                        | clinician_decides  | no_atrial_fibrillation
facts.end_stage_kidney_disease=true                   | clinician_decides  | no_end_stage_kidney_disease
facts.age_years=18                                    | patient_may_act    |
facts.age_years=17                                    | clinician_decides  | age_from_18
facts.age_years=79                                    | patient_may_act    |
facts.age_years=80                                    | clinician_decides  | age_to_79
facts.model_approved=false                            | clinician_decides  | model_approved
facts.in_distribution=false                           | clinician_decides  | in_distribution
facts.model_confident=false                           | clinician_decides  | model_confident
facts.inputs_complete=false                           | clinician_decides  | inputs_complete
facts.consents=false                                  | clinician_approves | consent
facts.human_only=true                                 | clinician_approves | not_human_only
facts.explanation_ready=false                         | clinician_approves | explanation
facts.can_decline=false                               | clinician_approves | can_decline
facts.quota_left=1                                    | patient_may_act    |
facts.quota_left=0                                    | clinician_approves | quota
facts.kill_switch_open=false                          | clinician_approves | kill_switch_open
facts.emergency=true facts.cautioned=true             | withheld           | no_emergency no_caution
facts.is_start=true facts.consents=false              | clinician_decides  | no_start consent
"""
LINES = [[cell.strip() for cell in line.split("|")] for line in SPEC.strip("\n").splitlines()]


def read(text: str) -> bool | int | Decimal:
    if text in ("true", "false"):
        return text == "true"
    return Decimal(text) if "." in text else int(text)


def case(differences: str) -> tuple[TierFacts, BoundaryFacts, PathwayMode]:
    facts, order, mode = FACTS, ORDER, MODE
    for difference in differences.split():
        name, _, value = difference.partition("=")
        match name.partition("."):
            case ("facts", ".", fact):
                facts = replace(facts, **{fact: read(value)})
            case ("boundary", ".", fact):
                order = replace(order, **{fact: read(value)})
            case ("mode", "", ""):
                mode = replace(mode, mode=OperatingMode(value))
            case _:
                assert name == "patient_directed"
                mode = replace(mode, patient_directed=read(value) is True)
    return facts, order, mode


def agrees(differences: str, tier: str, reasons: str, policy: TierPolicy) -> bool:
    facts, order, mode = case(differences)
    answer = assign(facts, order, policy, mode)
    return (answer.tier.value, " ".join(answer.reasons)) == (tier, reasons)


@pytest.mark.parametrize(("differences", "tier", "reasons"), LINES, ids=[line[0] or "all holds" for line in LINES])
def test_who_must_act(differences, tier, reasons):
    facts, order, mode = case(differences)
    answer = assign(facts, order, POLICY, mode)
    assert (answer.tier.value, " ".join(answer.reasons)) == (tier, reasons)


# Mutation: whatever is done to the table, the cases above notice. The tier alone must notice it too, so that no row
# hides behind another.


def notices(policy: TierPolicy) -> bool:
    return not all(assign(*_args(case(d), policy)).tier.value == tier for d, tier, _ in LINES)


def _args(parts: tuple[TierFacts, BoundaryFacts, PathwayMode], policy: TierPolicy):
    facts, order, mode = parts
    return facts, order, policy, mode


def mutated(row: TierRow, **changes: object) -> TierPolicy:
    rows = tuple(replace(row, **changes) if one is row else one for one in POLICY.rows)
    return replace(POLICY, rows=rows)


def test_the_cases_agree_with_the_table_as_shipped():
    assert not notices(POLICY)


@pytest.mark.parametrize("row", POLICY.rows, ids=lambda row: row.row_id)
def test_removing_any_row_is_noticed(row):
    assert notices(replace(POLICY, rows=tuple(one for one in POLICY.rows if one is not row)))


@pytest.mark.parametrize("row", POLICY.rows, ids=lambda row: row.row_id)
def test_turning_any_row_round_is_noticed(row):
    opposite = {
        Question.IS_TRUE: Question.IS_FALSE,
        Question.IS_FALSE: Question.IS_TRUE,
        Question.AT_LEAST: Question.AT_MOST,
        Question.AT_MOST: Question.AT_LEAST,
        Question.ABOVE: Question.AT_MOST,
        Question.EQUALS: Question.ABOVE,
    }
    assert notices(mutated(row, test=opposite[row.test]))


NUMBERED = [row for row in POLICY.rows if row.limit is not None]


@pytest.mark.parametrize("delta", [-1, 1])
@pytest.mark.parametrize("row", NUMBERED, ids=lambda row: row.row_id)
def test_moving_any_number_by_one_is_noticed(row, delta):
    assert notices(mutated(row, limit=row.limit + delta))


@pytest.mark.parametrize("row", [r for r in POLICY.rows if r.test is Question.ABOVE], ids=lambda row: row.row_id)
def test_letting_in_the_boundary_itself_is_noticed(row):
    assert notices(mutated(row, test=Question.AT_LEAST))


@pytest.mark.parametrize("tier", [t for t in Tier if t is not Tier.PATIENT_MAY_ACT])
@pytest.mark.parametrize("row", POLICY.rows, ids=lambda row: row.row_id)
def test_sending_any_row_to_another_tier_is_noticed(row, tier):
    assert row.else_tier is tier or notices(mutated(row, else_tier=tier))


# Properties over everything that can be known.


def fact_values(name: str, annotation: str) -> st.SearchStrategy[object]:
    """Values of one fact: yes and no, or numbers on both sides of every limit of the table; or not known."""
    if "bool" in annotation:
        return st.sampled_from([True, False, None])
    limits = [int(row.limit) for row in NUMBERED if row.fact.name == name] or [10, 20, 40]
    near = sorted({number + delta for number in limits for delta in (-1, 0, 1)})
    return st.sampled_from([*(Decimal(n) if "Decimal" in annotation else n for n in near), None])


@st.composite
def differing(draw: st.DrawFn, usual: TierFacts | BoundaryFacts) -> TierFacts | BoundaryFacts:
    """The usual case with a few facts drawn anew, or with all of them."""
    named = {field.name: str(field.type) for field in fields(usual)}
    few = st.lists(st.sampled_from(sorted(named)), max_size=4, unique=True)
    chosen = draw(st.one_of(few, few, st.just(sorted(named))))
    return replace(usual, **{name: draw(fact_values(name, named[name])) for name in chosen})


modes = st.builds(PathwayMode, st.sampled_from(OperatingMode), patient_directed=st.sampled_from([True, True, False]))
tier_facts = differing(FACTS)
orders = st.one_of(differing(ORDER), differing(ORDER), st.none())


@given(facts=tier_facts, order=orders, mode=modes)
def test_the_patient_acts_only_when_every_row_holds(facts, order, mode):
    answer = assign(facts, order, POLICY, mode)
    every_row = all(holds(row, facts, order, mode) for row in POLICY.rows)
    assert (answer.tier is Tier.PATIENT_MAY_ACT) == every_row == (not answer.reasons)


@given(facts=tier_facts, order=orders, mode=modes)
def test_the_dose_of_the_patients_path_is_within_the_order_and_the_order_within_the_guideline(facts, order, mode):
    if assign(facts, order, POLICY, mode).tier is Tier.PATIENT_MAY_ACT:
        assert facts.new_dose <= order.max_dose <= facts.ceiling
        assert facts.change_steps == 1 <= order.steps_left
        assert mode.patient_directed
        assert mode.mode is not OperatingMode.OFF


@given(facts=tier_facts, order=orders, mode=modes, emergency=st.sampled_from([True, None]))
def test_in_an_emergency_or_when_that_is_not_known_nobody_acts(facts, order, mode, emergency):
    assert assign(replace(facts, emergency=emergency), order, POLICY, mode).tier is Tier.WITHHELD


@pytest.mark.parametrize("name", sorted(FIELDS[Subject.FACTS]))
def test_a_fact_that_is_not_known_never_leaves_the_change_to_the_patient(name):
    assert assign(replace(FACTS, **{name: None}), ORDER, POLICY, MODE).tier is not Tier.PATIENT_MAY_ACT


@pytest.mark.parametrize("name", sorted(FIELDS[Subject.BOUNDARY]))
def test_an_order_of_which_something_is_not_known_covers_nothing(name):
    assert assign(FACTS, replace(ORDER, **{name: None}), POLICY, MODE).tier is Tier.CLINICIAN_APPROVES


def test_without_an_order_a_clinician_approves():
    assert assign(FACTS, None, POLICY, MODE).tier is Tier.CLINICIAN_APPROVES


def test_the_patients_path_is_off_unless_set():
    assert not PathwayMode(OperatingMode.LIVE).patient_directed
    assert assign(FACTS, ORDER, POLICY, PathwayMode(OperatingMode.LIVE)).tier is Tier.CLINICIAN_APPROVES


def test_the_strategies_reach_every_tier():
    seen = set()

    @seed(20261122)
    @settings(max_examples=400, database=None)
    @given(tier_facts, orders, modes)
    def record(facts, order, mode):
        seen.add(assign(facts, order, POLICY, mode).tier)

    record()
    assert seen == set(Tier)


# The file.


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"mark": "proposal"', b'"mark": "maybe"'),
        (b'"id": "no_stop"', b'"id": "no_start"'),
        (b'"fact": "consents"', b'"fact": "agrees"'),
        (b'"fact": "consents"', b'"fact": "can_decline"'),
        (b'"version": "2026-11-22"', b'"version": ""'),
        (b'"test": "is_true", "limit": null', b'"test": "at_least", "limit": null'),
        (b'"else_tier": "withheld"', b'"else_tier": "patient_may_act"'),
    ],
)
def test_a_wrong_table_does_not_load(old, new, request):
    path = request.config.rootpath / "governance" / "data" / "tier_table.json"
    data = path.read_bytes()
    assert parse(data) == POLICY
    assert old in data
    with pytest.raises(ValueError, match=r"."):
        parse(data.replace(old, new, 1))


def test_a_fact_that_does_not_exist_cannot_be_named():
    with pytest.raises(ValueError, match="no fact"):
        FactName(Subject.BOUNDARY, "on")


def test_the_reference_has_a_line_for_each_row():
    head, *rows = reference_rows(POLICY)
    assert [line[1] for line in rows] == [row.row_id for row in POLICY.rows]
    assert all(len(line) == len(head) for line in rows)
