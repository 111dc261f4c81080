"""The cohort simulator beside what was published: the twelve acceptance checks, and the defects that they see.

Run with `-s` to see the table. The long figures, 20 seeds and 2,000 people an arm, are `make campaign ONLY=cohort`.
"""

from __future__ import annotations

import numpy as np
import pytest

from care_loops.pathways.hypertension.cohort_simulator.checks import MEASURES, acceptance, as_table, rows
from care_loops.pathways.hypertension.cohort_simulator.parameters import published
from care_loops.pathways.hypertension.cohort_simulator.people import BadCohort
from care_loops.pathways.hypertension.cohort_simulator.trials import also_seen
from care_loops.pathways.hypertension.table_files import decimal_of
from tests.care_loops.cohort_defects import DEFECTS

PEOPLE, SEEDS = 1_000, (1, 2)


def test_the_simulated_figures_lie_in_the_published_bands():
    checks = acceptance(published(), people=PEOPLE, seeds=SEEDS)
    table = as_table(checks)
    print(f"\n{PEOPLE} people an arm, seeds {SEEDS}\n{table}")
    assert {check.number for check in checks} == set(range(1, 13))
    assert [check.quantity for check in checks] == list(rows())
    assert [check.quantity for check in checks if not check.holds] == [], table
    assert all(check.low <= check.simulated <= check.high and check.published and check.source for check in checks)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_seeded_defect_is_seen_by_the_checks_named_for_it(defect):
    found = acceptance(published().changed(defect.changes), people=250, seeds=(1,), measures=[defect.measure])
    assert defect.breaks <= {check.quantity for check in found if not check.holds}, as_table(found)


def test_every_quantity_has_a_defect_that_it_sees():
    assert set(rows()) == set().union(*(defect.breaks for defect in DEFECTS))
    assert {defect.measure for defect in DEFECTS} == set(MEASURES)


def test_every_band_says_what_was_published_and_where():
    for quantity, row in rows().items():
        assert decimal_of(row, "least") < decimal_of(row, "most"), quantity
        assert row["published"], quantity
        assert str(row["citation"]).startswith("EFFECTS 8: "), quantity


def test_what_is_run_without_a_verdict_is_of_the_published_size():
    seen = also_seen(4_000, published(), np.random.default_rng(1))
    assert 0.1 < seen["masked_of_controlled"] < 0.4  # 25 to 35 % by a day's monitor
    assert 0.4 < seen["nights_without_dip"] < 0.7  # 53 %
    assert 5 < seen["winter_less_summer"] < 8  # 6.4 mmHg


@pytest.mark.parametrize(("people", "seeds"), [(0, (1,)), (-1, (1,)), (5, ())])
def test_nobody_and_no_seed_are_refused(people, seeds):
    with pytest.raises(BadCohort):
        acceptance(published(), people=people, seeds=seeds)
