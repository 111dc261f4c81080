"""Features: one definition, the same bits in bulk and one by one, and nothing from the future."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.features import (
    Aggregate,
    Asked,
    BadHistory,
    BadSpec,
    Catalogue,
    FeatureDeprecated,
    FeatureSpec,
    Observed,
    PersonalData,
    Retracted,
    Rolling,
    UnknownFeature,
    in_bulk,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)


def spec(aggregate: Aggregate = Aggregate.MEAN, **more: object) -> FeatureSpec:
    given = {"name": f"home_systolic_{aggregate.value}", "signal": "home_systolic", "unit": "mm[Hg]", "version": 1,
             "window": WEEK, "least": Decimal(40), "most": Decimal(300), "personal_data": PersonalData.HEALTH,
             "owner": "hypertension pathway"}  # fmt: skip
    return FeatureSpec(**({"aggregate": aggregate} | given | more))


SPECS = tuple(spec(aggregate) for aggregate in Aggregate)


def seen(hour: float, value: object, *, late: float = 0, name: str = "") -> Observed:
    at = START + HOUR * hour
    return Observed(name or f"r{hour}", "home_systolic", at, at + HOUR * late, Decimal(str(value)))


def life(chance: Random, number: int) -> list[Observed | Retracted]:
    """Some weeks of readings: some known late, some taken back later."""
    known: list[Observed | Retracted] = []
    for at in range(chance.randint(0, 40)):
        late = chance.choice([0, 0, 0, chance.uniform(0, 200)])
        value = chance.choice([chance.randint(90, 190), round(chance.uniform(90, 190), 3)])
        one = seen(chance.uniform(0, 900), value, late=late, name=f"p{number}-{at}")
        known.append(one)
        if chance.random() < 0.1:
            known.append(Retracted(one.id, one.signal, one.known_at + HOUR * chance.uniform(0, 100)))
    return known


def by_hand(one: FeatureSpec, known: list[Observed | Retracted], at: datetime) -> float | None:
    """The same, looked up plainly at one moment, in fractions."""
    gone = {k.id for k in known if isinstance(k, Retracted) and k.known_at <= at}
    inside = sorted(
        (k.at, k.id, Fraction(k.value))
        for k in known
        if isinstance(k, Observed) and k.id not in gone and k.known_at <= at and at - one.window < k.at <= at
    )
    values = [value for _, _, value in inside]
    if one.aggregate is Aggregate.COUNT:
        return float(len(values))
    if not values or (one.aggregate is Aggregate.SD and len(values) < 2):
        return None
    mean = sum(values, Fraction()) / len(values)
    plain = {
        Aggregate.MEAN: mean,
        Aggregate.LEAST: min(values),
        Aggregate.MOST: max(values),
        Aggregate.LAST: values[-1],
        Aggregate.HOURS_SINCE: Fraction((at - inside[-1][0]) // timedelta(microseconds=1), 3_600_000_000),
    }
    if one.aggregate is Aggregate.SD:
        return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return float(plain[one.aggregate])


def one_by_one(one: FeatureSpec, known: list[Observed | Retracted], moments: list[datetime]) -> list[float | None]:
    """As serving does it: the state is put away as text after every step."""
    steps = [(k.known_at, 0, isinstance(k, Retracted), k.id, k) for k in known]
    steps += [(at, 1, False, str(n), at) for n, at in enumerate(moments)]
    kept, answers = json.dumps(Rolling(one).state()), []
    for *_, step in sorted(steps, key=lambda s: s[:4]):
        rolling = Rolling.resumed(one, json.loads(kept))
        if isinstance(step, datetime):
            answers.append(rolling.value(step))
        else:
            rolling.take(step)
        kept = json.dumps(rolling.state())
    return answers


def lives(people: int = 100) -> dict[str, list[Observed | Retracted]]:
    return {f"p{number}": life(Random(number), number) for number in range(people)}


def moments(entity: str, count: int = 10) -> list[datetime]:
    chance = Random(f"asked {entity}")
    return sorted(START + HOUR * chance.uniform(0, 1_000) for _ in range(count))


def test_a_thousand_entity_times_are_the_same_to_the_last_bit_in_bulk_and_one_by_one():
    history = lives()
    asked = [Asked(entity, at) for entity in history for at in moments(entity)]
    bulk = in_bulk(SPECS, history, asked)
    assert len(bulk) == len(asked) == 1_000
    there = 0
    for entity, known in history.items():
        for column, one in enumerate(SPECS):
            online = one_by_one(one, known, moments(entity))
            for at, value in zip(moments(entity), online, strict=True):
                offline = bulk[Asked(entity, at)][column]
                assert bits(offline) == bits(value) == bits(by_hand(one, known, at)), (entity, at, one.ref)
                there += value is not None
    assert there > 2_000


def bits(value: float | None) -> str | None:
    return None if value is None else value.hex()


def test_running_sums_of_floats_would_have_differed():
    """The defect that whole numbers are there for: adding and taking away floats leaves something behind."""
    differ = 0
    for entity, known in lives().items():
        total, held = 0.0, []
        for at in moments(entity):
            now = [float(k.value) for k in known if isinstance(k, Observed) and at - WEEK < k.at and k.known_at <= at]
            total += sum(v for v in now if v not in held) - sum(v for v in held if v not in now)
            held = now
            exact = float(sum(map(Fraction, held), Fraction()))
            differ += bits(total) != bits(exact)
    assert differ > 20


def test_a_join_by_when_it_happened_alone_would_have_seen_the_future():
    history = lives()
    wrong = 0
    for entity, known in history.items():
        hindsight = [replace(k, known_at=k.at) for k in known if isinstance(k, Observed)]
        for at in moments(entity):
            wrong += by_hand(SPECS[1], hindsight, at) != by_hand(SPECS[1], known, at)
    assert wrong > 100


# ---- the future stays out


@given(
    before=st.lists(st.integers(0, 160), max_size=8, unique=True),
    after=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 300)), min_size=1, max_size=8, unique=True),
    values=st.lists(st.integers(40, 300), min_size=16, max_size=16),
)
def test_whatever_becomes_known_later_changes_nothing_that_was_asked_before(before, after, values):
    at = START + HOUR * 168
    known = [seen(hour, value, name=f"b{hour}") for hour, value in zip(before, values, strict=False)]
    later = [
        replace(seen(hour, value, name=f"a{n}"), known_at=max(at, START + HOUR * hour) + HOUR * late)
        for n, ((hour, late), value) in enumerate(zip(after, values[8:], strict=False))
    ]
    taken_back = [Retracted(k.id, k.signal, at + HOUR) for k in known]
    asked = [Asked("ann", at)]
    assert in_bulk(SPECS, {"ann": known}, asked) == in_bulk(SPECS, {"ann": [*later, *taken_back, *known]}, asked)


def test_a_correction_counts_from_when_it_was_made():
    known = [seen(0, 180, name="wrong"), seen(1, 120), Retracted("wrong", "home_systolic", START + HOUR * 5)]
    times = [Asked("ann", START + HOUR * hour) for hour in (4, 5)]
    found = in_bulk([spec()], {"ann": known}, times)
    assert [found[one] for one in times] == [(150.0,), (120.0,)]


def test_a_value_as_old_as_the_window_no_longer_counts_and_one_asked_at_its_moment_does():
    rolling = Rolling(spec(Aggregate.COUNT))
    rolling.take(seen(0, 120))
    assert rolling.value(START) == 1
    assert rolling.value(START + WEEK - timedelta(microseconds=1)) == 1
    assert rolling.value(START + WEEK) == 0


def test_nothing_to_make_it_of_is_no_number():
    found = in_bulk(SPECS, {}, [Asked("nobody", START)])[Asked("nobody", START)]
    assert found == tuple(0.0 if one.aggregate is Aggregate.COUNT else None for one in SPECS)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: replace(seen(5, 120), known_at=START), "known before it happened"),
        (lambda: replace(seen(5, 120), at=datetime(2026, 3, 1)), "without a zone"),
        (lambda: Retracted("r", "home_systolic", datetime(2026, 3, 1)), "without a zone"),
        (lambda: seen(5, "NaN"), "millionths"),
        (lambda: seen(5, "120.0000001"), "millionths"),
        (lambda: Rolling(spec()).take(seen(5, 301)), "outside the range"),
        (lambda: Rolling(spec()).take(replace(seen(5, 120), signal="pulse")), "where home_systolic is wanted"),
        (lambda: [Rolling(spec()).value(datetime(2026, 3, 1))], "without a zone"),
    ],
    ids=["from the future", "no zone", "no zone either", "NaN", "too fine", "out of range", "signal", "asked so"],
)
def test_what_cannot_have_happened_is_refused_by_name(wrong, said):
    with pytest.raises(BadHistory, match=said):
        wrong()


def test_time_runs_forward_and_a_value_comes_once():
    rolling = Rolling(spec())
    rolling.take(seen(5, 120))
    with pytest.raises(BadHistory, match="known already"):
        rolling.take(seen(5, 120))
    with pytest.raises(BadHistory, match="time runs forward"):
        rolling.take(seen(4, 120))
    with pytest.raises(BadHistory, match="time runs forward"):
        rolling.value(START)


def test_a_state_goes_on_under_its_own_definition_only():
    rolling = Rolling(spec())
    rolling.take(seen(1, 120))
    state = rolling.state()
    assert Rolling.resumed(spec(), state).value(START + HOUR * 2) == 120
    with pytest.raises(BadHistory, match="another definition"):
        Rolling.resumed(spec(version=2), state)
    with pytest.raises(BadHistory, match="another definition"):
        Rolling.resumed(spec(window=WEEK * 2), state)


# ---- definitions, and those on their way out


@pytest.mark.parametrize("name", [field.name for field in fields(FeatureSpec)])
def test_every_part_of_a_definition_is_in_its_digest(name):
    other = {"name": "another_name", "signal": "pulse", "unit": "/min", "aggregate": Aggregate.SD, "version": 2,
             "window": WEEK * 2, "least": Decimal(41), "most": Decimal(299), "owner": "somebody else",
             "personal_data": PersonalData.NONE}  # fmt: skip
    assert replace(spec(), **{name: other[name]}).digest() != spec().digest()
    assert spec().digest() == spec().digest()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Home mean"},
        {"signal": ""},
        {"unit": ""},
        {"owner": " "},
        {"window": timedelta(0)},
        {"least": Decimal(300)},
        {"most": Decimal("NaN")},
        {"version": 0},
        {"version": True},
    ],
    ids=str,
)
def test_a_definition_that_lacks_something_is_refused(wrong):
    with pytest.raises(BadSpec):
        spec(**wrong)


def test_deprecating_a_feature_lists_exactly_the_models_that_use_it_and_nothing_new_trains_on_it():
    catalogue = Catalogue(SPECS)
    mean, sd = spec().ref, spec(Aggregate.SD).ref
    models = {"htn@2": [mean, sd], "htn@1": [mean], "sleep@1": [sd], "other@1": []}
    after, said = catalogue.deprecate(mean, models, reason="the window is too short")
    assert said.models == ("htn@1", "htn@2")
    assert [one.ref for one in catalogue.check_trainable([mean, sd])] == [mean, sd]
    with pytest.raises(FeatureDeprecated) as refused:
        after.check_trainable([sd, mean])
    assert refused.value.refs == (mean,)
    assert [one.ref for one in after.check_trainable([sd])] == [sd]
    with pytest.raises(BadSpec, match="already"):
        after.deprecate(mean, models, reason="again")


def test_a_feature_that_is_none_and_one_defined_twice_are_refused():
    catalogue = Catalogue(SPECS)
    with pytest.raises(UnknownFeature):
        catalogue.check_trainable(["no_such@1"])
    with pytest.raises(UnknownFeature):
        catalogue.deprecate("no_such@1", {}, reason="gone")
    with pytest.raises(BadSpec, match="say why"):
        catalogue.deprecate(spec().ref, {}, reason=" ")
    with pytest.raises(BadSpec, match="defined twice"):
        Catalogue((spec(), spec(window=WEEK * 2)))


def test_a_model_sees_which_of_its_features_are_defined_otherwise_now():
    trained = {one.ref: one.digest() for one in SPECS}
    moved = tuple(replace(one, window=WEEK * 2) if one.aggregate is Aggregate.SD else one for one in SPECS)
    assert Catalogue(SPECS).changed(trained) == ()
    assert Catalogue(moved).changed(trained) == (spec(Aggregate.SD).ref,)
    assert Catalogue(SPECS[1:]).changed(trained) == (SPECS[0].ref,)
