"""The formulas of oversight against published worked examples, and who may be shown apart from whom."""

from datetime import date, timedelta
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from care_loops.oversight.groups import Row, shown_groups
from care_loops.oversight.measures import Decided, by_group, figures
from care_loops.oversight.statistics import Subgroup, bimodality, kappa, p_chart, quantile, wilson
from care_loops.pathways.hypertension.tables_oversight import oversight_rules, parse

RULES = oversight_rules()
MONDAY = date(2026, 1, 5)


# --- the formulas -----------------------------------------------------------------------------------------------------


def test_wilson_gives_the_interval_of_newcombes_table():
    """Newcombe 1998, Stat Med 17:857-872, table I, method 3: 81/263, 15/148, 0/20, 1/29."""
    known = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (k, n), (low, high) in known.items():
        found = wilson(k, n, z=1.959964)
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert wilson(0, 0, z=1.96).value is None


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_its_share_and_stays_a_share(case):
    found = wilson(*case, z=1.96)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_p_chart_has_the_limits_of_its_formula():
    """Thirty samples of fifty, 347 of 1500: the orange juice example, limits 0.0524 and 0.4102 (Montgomery)."""
    counted = [
        12,
        15,
        8,
        10,
        4,
        7,
        16,
        9,
        14,
        10,
        5,
        6,
        17,
        12,
        22,
        8,
        10,
        5,
        13,
        11,
        20,
        18,
        24,
        15,
        9,
        12,
        7,
        13,
        9,
        6,
    ]
    chart = p_chart([Subgroup(str(n), 50, k) for n, k in enumerate(counted, 1)], sigmas=3, run=8)
    assert round(chart.centre, 4) == 0.2313
    assert (round(chart.points[0].lower, 4), round(chart.points[0].upper, 4)) == (0.0524, 0.4102)
    assert [point.name for point in chart.points if point.signal == "above"] == ["15", "23"]


def test_a_run_on_one_side_signals_and_a_point_on_the_centre_breaks_it():
    steady = [Subgroup(str(n), 100, 20) for n in range(8)] + [Subgroup(str(n), 100, 30) for n in range(8, 16)]
    assert [p.signal for p in p_chart(steady, sigmas=3, run=8).points] == [*[""] * 7, "run", *[""] * 7, "run"]
    broken = [Subgroup(str(n), 100, 25 if n == 4 else 20) for n in range(8)]
    broken += [Subgroup(str(n), 100, 25 if n == 12 else 30) for n in range(8, 16)]
    assert not [p for p in p_chart(broken, sigmas=3, run=8).points if p.signal == "run"]
    assert p_chart([Subgroup("empty", 0, 0)], sigmas=3, run=8).points == ()


def test_kappa_is_cohens():
    """20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: kappa 0.40."""
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    found = kappa(pairs, z=1.96)
    assert (found.n, found.agreed) == (50, 35)
    assert found.value == pytest.approx(0.4)
    assert (found.low, found.high) == (pytest.approx(0.1460, abs=1e-4), pytest.approx(0.6540, abs=1e-4))
    assert kappa([("y", "y")] * 5, z=1.96).value is None, "nothing is left over chance"
    assert kappa([], z=1.96).n == 0
    assert kappa([("y", "n"), ("n", "y")], z=1.96).value == -1


def test_two_humps_are_told_from_one():
    one = [float(n % 7) for n in range(70)]
    two = [0.0] * 30 + [100.0] * 30
    assert bimodality(two) > RULES.bimodal_above
    assert bimodality([1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 4.0, 5.0]) < RULES.bimodal_above < bimodality(two)
    assert bimodality(one) is not None
    assert bimodality([1.0] * 9) is None
    assert bimodality([1.0, 2.0]) is None


def test_quantiles_lie_between_their_neighbours():
    assert quantile([1, 2, 3, 4], 0.5) == 2.5
    assert quantile([7], 0.25) == 7
    assert quantile([], 0.5) is None


def test_every_number_has_its_source_and_a_row_without_one_is_refused():
    assert len(RULES.sources) == 11
    assert all(source for _, _, source in RULES.sources)
    assert RULES.least_deciders >= 3
    with pytest.raises(ValueError, match="source and a mark"):
        parse(
            b'{"version": "x", "rows": [{"name": "weeks", "value": "1", "unit": "", "source": "", "mark": "checked"}]}'
        )


# --- what is measured -------------------------------------------------------------------------------------------------


def decided(number, kind="approve", *, who="a", week=0, read=60.0, model="m 1", team="t", evidence=True, first=""):
    reason = "" if kind == "approve" else "patient_preference"
    monday = MONDAY + timedelta(weeks=week)
    return Decided(f"d{number}", who, model, team, monday, kind, reason, 3600.0, read, evidence, first)


def of(kinds, **more):
    return figures([decided(n, kind, who="abc"[n % 3], **more) for n, kind in enumerate(kinds)], RULES, least=3)


def test_who_approves_everything_and_who_rejects_most_both_signal():
    assert of(["approve"] * 100).signals == ("hardly_ever_overridden",)
    assert of(["approve"] * 10).signals == (), "ten say nothing yet"
    assert of(["reject"] * 9).signals == (), "too few to signal"
    assert of(["reject"] * 10).signals == ("very_often_overridden",)
    assert of(["reject"] * 60 + ["approve"] * 40).signals == ("very_often_overridden",)
    assert of((["approve"] * 9 + ["reject"]) * 10).signals == ()


def test_a_fast_approver_is_flagged_and_what_was_never_opened_is_not_quick():
    fast = of((["approve"] * 9 + ["reject"]) * 10, read=1.0)
    assert "decided_quicker_than_read" in fast.signals
    assert fast.read.quick.k == 100
    unopened = of((["approve"] * 9 + ["reject"]) * 10, read=None, evidence=False)
    assert unopened.read.n == 0
    assert unopened.signals == ()
    assert unopened.evidence.k == 0


def test_a_group_of_quick_and_slow_ones_shows_two_humps():
    rows = [decided(n, who="abc"[n % 3], read=1.0 if n % 2 else 600.0) for n in range(40)]
    assert figures(rows, RULES, least=3).read.two_humps
    assert not of(["approve"] * 40).read.two_humps


def test_reasons_are_counted_for_overrides_alone():
    assert of(["approve", "reject", "modify"]).reasons == (("patient_preference", 2),)


def test_a_point_of_the_chart_is_never_one_persons():
    rows = [decided(n, who="a", week=n) for n in range(4)] + [
        decided(10 + n, who=w, week=4) for n, w in enumerate("bc")
    ]
    assert [p.n for p in figures(rows, RULES, least=3).chart.points] == [6]
    more = [*rows, *[decided(20 + n, who=w, week=5 + n) for n, w in enumerate("abcab")]]
    assert [p.n for p in figures(more, RULES, least=3).chart.points] == [6, 5], "the last two weeks join those before"
    assert [p.n for p in figures(rows, RULES, least=1).chart.points] == [1, 1, 1, 1, 2], "one's own by week"


def test_agreement_with_what_was_said_first_is_measured_where_it_was_asked():
    rows = [decided(n, "approve", who="abc"[n % 3], first="approve" if n % 4 else "reject") for n in range(12)]
    found = figures([*rows, decided(99)], RULES, least=3)
    assert (found.first.k, found.first.n) == (9, 12)


# --- who may be shown -------------------------------------------------------------------------------------------------


def test_two_people_are_too_few_and_what_is_left_beside_a_large_team_too():
    rows = [decided(n, who="abc"[n % 3], team="large") for n in range(9)]
    assert [(g.kind, g.figures is not None) for g in by_group(rows, RULES)] == [("model", True), ("team", True)]
    rows += [decided(20, who="d", team="small")]
    found = {(g.kind, g.name): g.figures is not None for g in by_group(rows, RULES)}
    assert found == {("model", "m 1"): True, ("team", "large"): False, ("team", "small"): False}, (
        "all less the large team would be the one decision of d"
    )


def test_a_model_only_one_person_decided_on_is_not_told_by_subtraction():
    rows = [decided(n, who="abc"[n % 3]) for n in range(9)] + [decided(20, who="a", model="m 2", team="t")]
    found = {(g.kind, g.name): g.figures is not None for g in by_group(rows, RULES)}
    assert not found["model", "m 2"]
    assert not found["model", "m 1"]
    assert found["team", "t"]


CASES = st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("MN"), st.sampled_from("XYZ")), max_size=40)


def unions(members):
    """Every union of some of them, and of none."""
    for size in range(len(members) + 1):
        for parts in combinations(members, size):
            yield set().union(*parts)


def leftovers(rows, shown):
    """Every set that follows from the whole or from shown groups of one kind, less shown groups of one kind."""
    members = {key: {row.name for row in rows if key in row.groups} for key in shown}
    kinds = [[held for key, held in members.items() if key[0] == kind] for kind in ("model", "team")]
    for added in ([{row.name for row in rows}], *kinds):
        for taken in kinds:
            for whole, part in product(unions(added), unions(taken)):
                if part and part <= whole:
                    yield whole - part


@settings(max_examples=300)
@given(CASES)
def test_no_difference_of_what_is_shown_tells_of_one_or_two_people(case):
    rows = [Row(str(n), who, (("model", m), ("team", t))) for n, (who, m, t) in enumerate(case)]
    shown = shown_groups(rows, least=3)
    decider = {row.name: row.decider for row in rows}
    for key in shown:
        assert len({row.decider for row in rows if key in row.groups}) >= 3
    for left in leftovers(rows, shown):
        assert len({decider[name] for name in left}) not in (1, 2)


def test_one_person_is_not_told_by_two_models_less_a_team():
    both = [(who, model, "T1") for who in "abc" for model in ("M1", "M2")]
    said = [*both, ("d", "M1", "T2"), ("d", "M2", "T2"), *((who, "M3", f"T of {who}") for who in "hijk")]
    rows = [Row(str(n), who, (("model", m), ("team", t))) for n, (who, m, t) in enumerate(said)]
    assert not {("model", "M1"), ("model", "M2"), ("team", "T1")} <= shown_groups(rows, least=3)


def test_the_property_speaks_of_cases_in_which_something_is_shown_and_something_left_out():
    rows = [
        Row(str(n), who, (("model", "M"), ("team", t)))
        for n, (who, t) in enumerate(zip("abcabcdef", "XXXYYYZZZ", strict=True))
    ]
    assert shown_groups(rows, least=3) == {("model", "M"), ("team", "X"), ("team", "Y"), ("team", "Z")}
    alone = [*rows, Row("9", "g", (("model", "M"), ("team", "W")))]
    assert len(shown_groups(alone, least=3)) < 4
    assert list(leftovers(rows, shown_groups(rows, least=3)))
