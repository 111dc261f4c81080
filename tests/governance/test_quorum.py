"""A quorum is an AND across roles, bound to one digest; whatever is done to its rule, the cases notice (GOV-04, N7)."""

from __future__ import annotations

import ast
import copy
import sys
import types
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from governance import quorum
from governance.domain import STAFF_ROLES, Refusal, Role
from governance.quorum import Given, MotionStatus, Now, Put, QuorumAct, Seat, check_may_approve, may_approve, standing
from governance.quorum_rules import described, parse, rule_of, shipped
from tests.governance.quorum_spec import HELD, LINES, NOON, TRIED, case, disagreements
from tests.governance.quorum_spec import rule_of as rule_named

DATA = Path(quorum.__file__).parent / "data" / "quorum_rules.json"


@pytest.mark.parametrize("line", LINES, ids=[f"{number} {line[0]}" for number, line in enumerate(LINES)])
def test_how_a_motion_stands(line):
    put, given, now = case(line)
    state = standing(put, given, now=now)
    assert state.status.value == line[4]


def test_the_rule_agrees_with_every_case():
    assert disagreements() == []
    assert len(LINES) > 30
    assert len(TRIED) > 20


# Mutation: every comparison, condition, number and word of the rule is changed, one at a time.

_COMPARES = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
FUNCTIONS = ("met", "asks", "standing", "missing_seats", "check_may_approve", "may_approve", "_counted", "_status")


def mutants() -> Iterator[tuple[str, types.ModuleType]]:
    """Each way in which the rule could be wrong, as a module."""
    tree = ast.parse(Path(quorum.__file__).read_text(encoding="utf-8"))
    places = [
        (function.name, node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name in FUNCTIONS
        for node in ast.walk(function)
    ]
    for place, (name, node) in enumerate(places):
        for what, change in _changes(node):
            other = copy.deepcopy(tree)
            nodes = [
                n
                for f in ast.walk(other)
                if isinstance(f, ast.FunctionDef) and f.name in FUNCTIONS
                for n in ast.walk(f)
            ]
            change(nodes[place])
            yield f"{name}:{getattr(node, 'lineno', 0)} {what}", _module(other)


def _changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    if isinstance(node, ast.Compare):
        for at, op in enumerate(node.ops):
            yield f"turned {type(op).__name__}", lambda n, at=at, op=op: n.ops.__setitem__(at, _COMPARES[type(op)]())
    if isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield "and for or", lambda n: setattr(n, "op", other())
        for at in range(len(node.values)):
            yield (
                f"without part {at}",
                lambda n, at=at: n.values.__setitem__(slice(None), [v for i, v in enumerate(n.values) if i != at] * 2),
            )
    if isinstance(node, ast.If | ast.IfExp):
        yield "always", lambda n: setattr(n, "test", ast.Constant(value=True))
        yield "never", lambda n: setattr(n, "test", ast.Constant(value=False))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        yield "plus", lambda n: setattr(n, "op", ast.Add())
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool):
        yield "one more", lambda n: setattr(n, "value", n.value + 1)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "MotionStatus":
        taken = "OPEN" if node.attr != "OPEN" else "MET"
        yield f"{node.attr} becomes {taken}", lambda n: setattr(n, "attr", taken)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("any", "sorted")
        and not (
            isinstance(node.args[0], ast.SetComp)  # a list in a refusal: any order says the same
        )
    ):
        other = {"any": "all", "sorted": "tuple"}[node.func.id]
        yield f"{other} for {node.func.id}", lambda n: setattr(n.func, "id", other)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setdefault":
        yield "the last for the first", lambda n: setattr(n.func, "attr", "__setitem__")


def _module(tree: ast.Module) -> types.ModuleType:
    made = types.ModuleType("governance.quorum_mutant")
    made.__package__ = "governance"
    sys.modules[made.__name__] = made  # where dataclasses look up what they are made of
    try:
        exec(compile(ast.fix_missing_locations(tree), "mutant", "exec"), made.__dict__)  # noqa: S102
    finally:
        sys.modules.pop(made.__name__)
    return made


def noticed(module: types.ModuleType) -> bool:
    """Whether the cases see the difference; a rule that crashes is seen."""
    try:
        return disagreements(module) != []
    except (AttributeError, TypeError, ValueError, KeyError):
        return True


def test_whatever_is_done_to_the_rule_is_noticed():
    made = list(mutants())
    assert len(made) > 60
    survived = [name for name, module in made if not noticed(module)]
    assert survived == []


# Properties over sequences of approvals, edits, changes of the rule and of roles, and time.

PEOPLE = sorted(HELD)
approving = st.tuples(st.just("approve"), st.sampled_from(PEOPLE), st.sampled_from([None, *sorted(STAFF_ROLES)]))
willing = st.tuples(st.just("approve"), st.sampled_from(PEOPLE), st.none())
acts = st.one_of(
    willing,
    willing,
    willing,
    approving,
    st.tuples(st.just("edit"), st.sampled_from("def"), st.none()),
    st.tuples(st.just("rule"), st.sampled_from(["one and one", "two of two", "two and one"]), st.none()),
    st.tuples(st.just("role"), st.sampled_from(PEOPLE), st.sampled_from([Role.CLINICIAN, Role.PHARMACIST])),
    st.tuples(st.just("time"), st.integers(1, 60), st.none()),
)
sequences = st.tuples(
    st.sampled_from(["one and one", "two of two", "two and one"]), st.sampled_from(PEOPLE), st.lists(acts, max_size=14)
)


def played(sequence):
    """What comes of a sequence: the motion, the approvals that were taken, and each state on the way."""
    name, author, happened = sequence
    put = Put(author, "d" * 64, rule_named(name), NOON + timedelta(days=7))
    given, held, digest, rule, at = [], {who: frozenset(roles) for who, roles in HELD.items()}, "d" * 64, put.rule, NOON
    for what, one, two in happened:
        match what:
            case "approve":
                now = Now(digest, rule, held, at)
                try:
                    role = check_may_approve(put, given, who=one, wanted=two, now=now)
                except Refusal:
                    pass
                else:
                    given.append(Given(one, role, put.digest))
            case "edit":
                digest = one * 64
            case "rule":
                rule = rule_named(one)
            case "role":
                held[one] = held[one] ^ {two}
            case "time":
                at += timedelta(hours=one * 6)
        now = Now(digest, rule, held, at)
        yield put, tuple(given), now, standing(put, given, now=now)


@given(sequences)
def test_a_met_quorum_has_every_seat_filled_by_another_person_over_what_stands(sequence):
    for put, _, now, state in played(sequence):
        people = [each.approver for each in state.counted]
        assert len(people) == len(set(people))
        assert put.author not in people
        assert all(each.role in now.held[each.approver] for each in state.counted)
        if state.met:
            assert (now.digest, now.rule.asks) == (put.digest, put.rule.asks)
            assert now.at < put.expires_at
            for seat in put.rule.seats:
                assert sum(each.role in seat.roles for each in state.counted) >= seat.count
        assert (state.status is MotionStatus.VOID) == (now.digest != put.digest or now.rule.asks != put.rule.asks)


@given(sequences)
def test_who_is_listed_is_who_would_be_taken(sequence):
    for put, taken, now, state in played(sequence):
        listed = dict(may_approve(put, taken, now=now))
        assert put.author not in listed
        assert not (listed and state.status is not MotionStatus.OPEN)
        for who in PEOPLE:
            try:
                role = check_may_approve(put, taken, who=who, now=now)
            except Refusal:
                assert who not in listed
            else:
                assert listed[who] is role
                after = standing(put, [*taken, Given(who, role, put.digest)], now=now)
                assert sum(s.count for s in after.missing) == sum(s.count for s in state.missing) - 1


@given(sequences)
def test_after_an_edit_nothing_given_before_counts_until_it_is_undone(sequence):
    for put, taken, now, _ in played(sequence):
        edited = Now("f" * 64, now.rule, now.held, now.at)
        assert standing(put, taken, now=edited).status is MotionStatus.VOID
        other = Put(put.author, "f" * 64, put.rule, put.expires_at)
        assert standing(other, taken, now=edited).counted == ()


def test_the_sequences_reach_every_status():
    seen = set()

    @seed(20261122)
    @settings(max_examples=600, database=None)
    @given(sequences)
    def record(sequence):
        seen.update(state.status for *_, state in played(sequence))

    record()
    assert seen == {MotionStatus.OPEN, MotionStatus.MET, MotionStatus.VOID, MotionStatus.EXPIRED}


# The file.


def test_every_act_has_a_rule_with_somebody_else_in_it():
    for row in shipped().rows:
        for of in row.of:
            rule = shipped().rule(row.act, of)
            assert rule_of(described(rule)) == rule
            assert bool(rule.seats) is (of != "operating_mode.stop")


def test_what_changes_care_needs_one_prescriber_and_one_pharmacist():
    rule = shipped().rule(QuorumAct.POLICY, "operating_mode")
    assert rule.seats == (Seat(frozenset({Role.CLINICIAN}), 1), Seat(frozenset({Role.PHARMACIST}), 1))


def test_a_site_asks_for_more_people_and_never_for_fewer():
    more = shipped().with_more({"policy_clinical": Role.COMPLIANCE_OFFICER, "boundary": Role.PHARMACIST})
    care, boundary = more.rule(QuorumAct.POLICY, "targets"), more.rule(QuorumAct.BOUNDARY)
    assert care.seats[-1] == Seat(frozenset({Role.COMPLIANCE_OFFICER}), 1)
    assert boundary.seats == (Seat(frozenset({Role.PHARMACIST}), 2),)
    for row in shipped().rows:
        after = next(one for one in more.rows if one.rule_id == row.rule_id)
        for seat in row.seats:
            assert any(seat.roles <= one.roles and seat.count <= one.count for one in after.seats)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"mark": "proposal"', b'"mark": "maybe"'),
        (b'"roles": ["pharmacist"], "count": 1', b'"roles": ["pharmacist"], "count": 0'),
        (b'"roles": ["pharmacist"], "count": 1', b'"roles": ["clinician"], "count": 1'),
        (b'"roles": ["pharmacist"], "count": 1', b'"roles": ["patient"], "count": 1'),
        (b'"roles": ["pharmacist"], "count": 1', b'"roles": [], "count": 1'),
        (b'[{"roles": ["pharmacist"], "count": 1}], "lives_days": 7', b'[], "lives_days": 7'),
        (b'"lives_days": 7', b'"lives_days": 0'),
        (b'"act": "finding"', b'"act": "key"'),
        (b'"of": ["gate_thresholds"]', b'"of": ["targets"]'),
        (b'"version": "2026-11-22"', b'"version": ""'),
        (b'"id": "finding"', b'"id": "key"'),
    ],
    ids=range(11),
)  # fmt: skip
def test_a_table_that_cannot_be_trusted_does_not_load(old, new):
    data = DATA.read_bytes()
    assert old in data
    with pytest.raises((ValueError, StopIteration)):
        parse(data.replace(old, new, 1))
