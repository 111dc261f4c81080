"""The features of the pathway: each says what it is, and none repeats a limit that is written elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from care_loops.pathways.hypertension.table_files import BadTable, read_table
from care_loops.pathways.hypertension.tables_features import build_features, features
from care_loops.pathways.hypertension.tables_readings import averaging_rule, plausibility_limits
from models.features import Asked, BadSpec, Observed, PersonalData, in_bulk

MONDAY = datetime(2026, 3, 2, 7, tzinfo=UTC)


def test_every_feature_has_unit_owner_and_class_and_nothing_about_a_person_is_called_nothing():
    specs = features().specs
    assert len(specs) == len({spec.name for spec in specs}) == 10
    assert all(spec.unit and spec.owner for spec in specs)
    assert {spec.personal_data for spec in specs} == {PersonalData.HEALTH}


def test_home_features_take_the_window_and_the_limits_that_care_uses():
    spec = features().spec("home_systolic_mean_7d@1")
    limits = plausibility_limits("home")
    assert (spec.least, spec.most) == (limits.systolic_min, limits.systolic_max)
    assert spec.window == timedelta(days=averaging_rule("home_7_day").window_days)


def test_a_week_of_readings_gives_the_numbers_a_clinician_would_count():
    refs = ("home_systolic_mean_7d@1", "home_systolic_sd_7d@1", "home_readings_7d@1", "home_systolic_least_14d@1")
    specs = [features().spec(ref) for ref in refs]
    values = [150, 140, 130, 140]
    known = [
        Observed(f"r{day}", "home_systolic", at := MONDAY + timedelta(days=day), at, Decimal(value))
        for day, value in enumerate(values)
    ]
    asked = Asked("ann", MONDAY + timedelta(days=3, hours=1))
    mean, sd, count, least = in_bulk(specs, {"ann": known}, [asked])[asked]
    assert (mean, count, least) == (140.0, 4.0, 130.0)
    assert sd == pytest.approx(8.165, abs=0.001)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"limits": "home temperature"}, BadTable),
        ({"unit": ""}, BadSpec),
        ({"owner": ""}, BadSpec),
        ({"aggregate": "median"}, ValueError),
        ({"personal_data": "some"}, ValueError),
        ({"window_days": 0}, BadSpec),
        ({"window_days": "7"}, BadTable),
    ],
    ids=str,
)
def test_a_row_that_defines_nothing_does_not_load(wrong, error):
    with pytest.raises(error):
        build_features(({**read_table("features").rows[0], **wrong},))
    with pytest.raises(BadSpec, match="defined twice"):
        build_features((read_table("features").rows[0],) * 2)
