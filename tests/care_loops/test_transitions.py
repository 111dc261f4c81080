"""The table of moves, the same table in the database, and every way to get past either (DESIGN 8, N1, N5)."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib import import_module
from itertools import product
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from hypothesis import given, seed
from hypothesis import strategies as st

from audit.domain import Event, Job, ObjectRef
from audit.services import append
from care_loops.domain.loops import LoopState
from care_loops.models import Boundary, BoundaryDrug, Decision, Loop, Message, RegimenEntry, Step
from care_loops.services.moves import EVENT, enter
from care_loops.transitions import DECIDED, ENDINGS, MOVES, OPEN, PATIENT_VISIBLE, IllegalMove, check_move
from config.grants import connect_as_owner
from tests.care_loops.standing import commits, hospital, refused, site, sql  # noqa: F401
from tests.factories import NOW, Hospital, job

S = LoopState
SET_ASIDE = (
    ("care_loops_decision", "care_loops_decision_is_signed"),
    ("care_loops_boundary", "care_loops_boundary_is_signed"),
    ("governance_signature", "governance_signature_has_evidence"),
)


@pytest.fixture(autouse=True, scope="module")
def each_control_alone(django_db_setup) -> Iterator[None]:
    """Rows here carry signatures borrowed from others, so that what else holds them back is tried by itself.

    That a row without its own signature is refused before any of this: tests/care_loops/test_signed_rows.py.
    """
    with connect_as_owner(name=connection.settings_dict["NAME"]) as owner:
        for table, name in SET_ASIDE:
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER {name}")
        yield
        for table, name in SET_ASIDE:
            owner.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


# -- the table -----------------------------------------------------------------------------------------------------


def test_every_state_has_its_moves_and_its_event_written_down():
    assert set(MOVES) == set(EVENT) == set(LoopState)


def test_the_database_holds_the_same_table():
    legal = import_module("care_loops.migrations.0002_controls").LEGAL
    assert {S(before): {S(after) for after in afters} for before, afters in legal.items() if before} == {
        before: set(afters) for before, afters in MOVES.items() if afters
    }
    assert legal[""] == [S.PROPOSED.value]


def test_endings_are_those_of_the_design_and_everything_leads_to_one():
    assert {s.value for s in ENDINGS} == {
        *("withheld", "rejected", "declined", "recalled", "expired", "withdrawn", "done")
    }
    assert set(LoopState) == OPEN | ENDINGS
    assert not OPEN & ENDINGS
    for state in OPEN:
        assert _reachable(state) & ENDINGS, state


def test_every_state_can_be_reached_and_only_through_somebody_who_answers():
    """Without the decided states and without `with_patient` no patient-visible state can be reached at all (N1)."""
    assert _reachable(S.PROPOSED) == set(LoopState) - {S.PROPOSED}
    unsigned = _reachable(S.PROPOSED, without={S.APPROVED, S.MODIFIED, S.WITH_PATIENT})
    assert not unsigned & (PATIENT_VISIBLE - {S.WITH_PATIENT})
    assert {S.APPROVED, S.MODIFIED} < DECIDED


def _reachable(start: LoopState, without: frozenset[LoopState] | set[LoopState] = frozenset()) -> set[LoopState]:
    seen: set[LoopState] = set()
    waiting = deque([start])
    while waiting:
        for after in MOVES[waiting.popleft()] - seen - set(without):
            seen.add(after)
            waiting.append(after)
    return seen


sequences = st.lists(st.sampled_from(LoopState), min_size=1, max_size=8)


def walk(states: list[LoopState]) -> list[LoopState]:
    """As far as the table lets this history go."""
    gone: list[LoopState] = []
    for state in states:
        try:
            check_move(gone[-1] if gone else None, state)
        except IllegalMove:
            break
        gone.append(state)
    return gone


@given(sequences)
def test_no_sequence_whatever_gets_past_an_ending_or_reaches_the_patient_unsigned(states):
    gone = walk(states)
    assert all(state not in ENDINGS for state in gone[:-1])
    if set(gone) & PATIENT_VISIBLE - {S.RECALLED}:
        assert set(gone) & {S.APPROVED, S.MODIFIED, S.WITH_PATIENT}
    if S.DELIVERED in gone:
        assert gone[gone.index(S.DELIVERED) - 1] in {S.APPROVED, S.MODIFIED}


def test_the_sequences_tried_reach_every_state():
    """Drawing among the legal moves: random states alone would die at the first step."""
    seen: set[LoopState] = set()

    @seed(20261122)
    @given(st.data())
    def record(data):
        state = S.PROPOSED
        seen.add(state)
        while MOVES[state]:
            state = data.draw(st.sampled_from(sorted(MOVES[state])))
            seen.add(state)

    record()
    assert seen == set(LoopState)


# -- the database --------------------------------------------------------------------------------------------------


@pytest.fixture
def loop(hospital: Hospital) -> Loop:  # noqa: F811
    """A recommendation that waits for a clinician."""
    return hospital.loop_at(S.WITH_CLINICIAN)


def entry_for(loop: Loop, seq: int) -> UUID:
    """A true entry of that very step, so that nothing but the rule under test can refuse."""
    return _entry(ObjectRef(type="recommendation", id=str(loop.pk), version=seq))


def some_entry() -> UUID:
    """A true entry of something else."""
    return _entry(ObjectRef(type="recommendation", id=str(uuid4()), version=1))


def _entry(ref: ObjectRef) -> UUID:
    with transaction.atomic():
        given = {"subject": "patient", "payload": {"state": "x"}, "actor": Job("test", "1")}
        return append(Event(type="recommendation.routed", occurred_at=NOW, object=ref, **given)).entry_id


def push(loop: Loop, before: str, after: str, **more: object) -> None:
    """A step written around the services, by plain SQL, as the application's own role."""
    seq = int(more.pop("seq", loop.version + 1))
    given_entry = more.pop("entry", None)
    row = {
        "loop_id": loop.pk,
        "seq": seq,
        "before": before,
        "state": after,
        "entered_at": NOW + timedelta(hours=2),
        "actor_kind": "service",
        "actor_id": "nobody",
        "reason_code": "",
        "entry": given_entry or entry_for(loop, seq),
    } | more
    columns = ", ".join(row)
    sql(f"INSERT INTO care_loops_step ({columns}) VALUES ({', '.join(['%s'] * len(row))})", *row.values())


def test_the_database_refuses_every_pair_that_is_not_in_the_table(loop):
    """From where the loop stands every other state is tried; and no `before` can be made up."""
    for before, after in product(LoopState, LoopState):
        if after in MOVES[before] and before.value == loop.state:
            continue
        with refused("cannot go from|does not follow|check constraint"):
            push(loop, before.value, after.value)


@pytest.mark.parametrize("state", [S.REJECTED, S.EXPIRED, S.WITH_PATIENT, S.DELIVERED, S.ACCEPTED, S.DONE])
def test_the_database_refuses_illegal_moves_from_every_kind_of_state(hospital, state):  # noqa: F811
    loop = hospital.loop_at(state)
    for after in set(LoopState) - MOVES[state]:
        with refused("cannot go from|check constraint|unique constraint"):
            push(loop, state.value, after.value)


def test_a_loop_begins_as_proposed_and_nothing_else(loop):
    for state in set(LoopState) - {S.PROPOSED}:
        with refused("cannot go from|check constraint"):
            copy = raw_loop(loop, state)
            push(copy, "", state.value, seq=1)


def raw_loop(loop: Loop, state: LoopState) -> Loop:
    made = Loop.objects.get(pk=loop.pk)
    made.pk, made.window_key, made.state, made.version = uuid4(), f"raw:{uuid4()}", state.value, 0
    made.withheld_reason = "in_target" if state is S.WITHHELD else ""
    made.entry = some_entry()
    Loop.objects.bulk_create([made])
    return made


def test_a_step_without_an_entry_of_its_own_is_refused(loop):
    made_up, borrowed = uuid4(), loop.steps.get(seq=1).entry
    for entry in (made_up, borrowed, some_entry()):
        with refused("not its own|not in the record"):
            push(loop, loop.state, "expired", entry=entry)
    push(loop, loop.state, "expired")  # with its own entry the same step is taken


def test_a_head_that_is_not_where_the_history_stands_is_refused_at_commit(loop):
    with refused("a loop stands where its history does not"):
        Loop.objects.filter(pk=loop.pk).update(state="expired")
    with refused("a loop stands where its history does not"):
        sql("UPDATE care_loops_loop SET version = version + 1 WHERE id = %s", loop.pk)
    with refused("a loop stands where its history does not"):
        push(loop, loop.state, "expired")
        commits()


def test_a_step_cannot_be_skipped_doubled_or_put_before_another(loop):
    for seq in (loop.version, loop.version + 2, 1, 0):
        with refused("does not follow|unique|check"):
            push(loop, loop.state, "expired", seq=seq, entry=some_entry())


def test_the_service_refuses_an_illegal_move_as_a_bug_before_the_database_is_asked(loop):
    with pytest.raises(IllegalMove):
        enter(loop, S.DONE, by=job(), now=NOW)


# -- N1: who answers -----------------------------------------------------------------------------------------------


def test_approved_cannot_be_entered_without_a_decision(loop, hospital):  # noqa: F811
    who = hospital.people["clinician"].pk
    for after, more in (("approved", {}), ("approved", {"decided_by_id": who}), ("modified", {"decided_by_id": who})):
        with refused("step_decided_has_decider"):
            push(loop, loop.state, after, **more)


def test_nothing_is_delivered_with_the_decision_of_another_recommendation(hospital):  # noqa: F811
    mine, other = hospital.loop_at(S.APPROVED), hospital.loop_at(S.APPROVED)
    with refused("a decision that is not its own"):
        push(mine, "approved", "delivered", decision_id=other.decision.pk)
    with refused("step_delivered_rests_on_decision"):
        push(mine, "approved", "delivered")


def test_a_decision_to_reject_approves_nothing_and_delivers_nothing(loop, hospital):  # noqa: F811
    rejected = hospital.loop_at(S.REJECTED)
    with refused("a decision that is not its own"):
        push(
            loop,
            loop.state,
            "approved",
            decision_id=rejected.decision.pk,
            decided_by_id=rejected.decision.decided_by_id,
        )
    for kind, state in (
        ("reject", "approved"),
        ("approve", "modified"),
        ("modify", "rejected"),
        ("reject", "modified"),
    ):
        with refused("a decision that is not its own"):
            decision = raw_decision(loop, hospital.loop_at(S.APPROVED).decision, kind=kind)
            push(loop, loop.state, state, decision_id=decision.pk, decided_by_id=decision.decided_by_id)


def raw_decision(loop: Loop, like: Decision, **more: object) -> Decision:
    """A decision written around the services, with a signature of its own that says what it is told to say."""
    signature = like.signature
    signature.pk = uuid4()
    signature.signer_id = more.pop("signer_id", like.decided_by_id)
    signature.signed_at = more.pop("signed_at", NOW)
    signature.save(force_insert=True)
    like.pk, like.loop_id, like.signature = uuid4(), loop.pk, signature
    for name, value in ({"decided_at": NOW, "reason_code": "other"} | more).items():
        setattr(like, name, value)
    Decision.objects.bulk_create([like])
    return like


@pytest.mark.parametrize(
    "bent",
    [
        pytest.param({"signer": "other_clinician"}, id="signed by somebody else"),
        pytest.param({"signed_at": NOW + timedelta(days=1)}, id="signed after the step"),
        pytest.param({"decided_at": NOW + timedelta(days=1)}, id="decided after the step"),
        pytest.param({"step_by": "other_clinician"}, id="the step names somebody else"),
    ],
)
def test_a_decision_is_signed_by_its_decider_before_the_step(hospital, bent):  # noqa: F811
    loop, like = hospital.loop_at(S.WITH_CLINICIAN), hospital.loop_at(S.APPROVED).decision
    bent = dict(bent)
    by = hospital.people[bent.pop("step_by", "clinician")].pk
    if "signer" in bent:
        bent["signer_id"] = hospital.people[bent.pop("signer")].pk
    with refused("a decision that is not its own"):
        made = raw_decision(loop, like, kind="approve", **bent)
        push(loop, loop.state, "approved", decision_id=made.pk, decided_by_id=by)


def test_a_decision_that_entered_no_state_is_refused_at_commit(hospital):  # noqa: F811
    loop, like = hospital.loop_at(S.WITH_CLINICIAN), hospital.loop_at(S.APPROVED).decision
    with refused("entered no state"):
        raw_decision(loop, like, kind="approve")


def with_boundary(hospital: Hospital, **more: object) -> tuple[Loop, Boundary]:  # noqa: F811
    """A fresh recommendation still `proposed`, written by SQL, and a boundary of the same patient."""
    like = hospital.loop_at(S.WITH_PATIENT)
    made = raw_loop(like, S.PROPOSED)
    push(made, "", "proposed", seq=1, entry=entry_for(made, 1))
    made.version = 1
    boundary = like.boundary
    assert boundary is not None
    return made, boundary


def test_a_boundary_that_covers_lets_a_step_through_so_the_refusals_below_say_something(hospital):  # noqa: F811
    loop, boundary = with_boundary(hospital)
    push(loop, "proposed", "with_patient", boundary_id=boundary.pk)


def test_nothing_goes_to_the_patient_without_a_boundary(hospital):  # noqa: F811
    loop, _ = with_boundary(hospital)
    with refused("step_with_patient_rests_on_boundary"):
        push(loop, "proposed", "with_patient")


@pytest.mark.parametrize(
    ("when", "why"),
    [
        pytest.param("before", "not yet signed", id="before it was signed"),
        pytest.param("at_end", "the end itself is outside", id="at the instant of its end"),
        pytest.param("after", "over", id="after its end"),
    ],
)
def test_a_boundary_covers_only_while_it_stands(hospital, when, why):  # noqa: F811
    loop, boundary = with_boundary(hospital)
    at = {
        "before": boundary.signed_at - timedelta(seconds=1),
        "at_end": boundary.expires_at,
        "after": boundary.expires_at + timedelta(days=1),
    }[when]
    with refused("does not cover it|without the consent"):  # before it was signed there was no consent either
        push(loop, "proposed", "with_patient", boundary_id=boundary.pk, entered_at=at)
    last = boundary.expires_at - timedelta(seconds=1)
    push(loop, "proposed", "with_patient", boundary_id=boundary.pk, entered_at=last)


def test_a_boundary_of_another_patient_or_one_superseded_covers_nothing(hospital):  # noqa: F811
    loop, boundary = with_boundary(hospital)
    _, others = with_boundary(hospital)
    with refused("does not cover it"):
        push(loop, "proposed", "with_patient", boundary_id=others.pk)
    hospital.boundary(loop.patient, signed_at=NOW - timedelta(minutes=1))
    with refused("does not cover it"):
        push(loop, "proposed", "with_patient", boundary_id=boundary.pk)


def test_a_boundary_that_names_another_drug_a_lower_maximum_or_no_increase_covers_nothing(hospital):  # noqa: F811
    loop, boundary = with_boundary(hospital)
    for bent in ({"ingredient": "17767"}, {"max_daily_dose_mg": 19}, {"allow_up": False}):
        with refused("does not cover it"):
            made = _raw_boundary(boundary, bent)
            push(loop, "proposed", "with_patient", boundary_id=made.pk)
    made = _raw_boundary(boundary, {"max_daily_dose_mg": 20})  # equality is inside
    push(loop, "proposed", "with_patient", boundary_id=made.pk)


def test_a_boundary_signed_by_somebody_else_or_later_than_it_says_covers_nothing(hospital):  # noqa: F811
    loop, boundary = with_boundary(hospital)
    other = hospital.people["other_clinician"]
    for signature in ({"signer": other}, {"signed_at": NOW + timedelta(days=1)}):
        with refused("does not cover it"):
            made = _raw_boundary(boundary, {}, **signature)
            push(loop, "proposed", "with_patient", boundary_id=made.pk)


def _raw_boundary(like: Boundary, of_drug: dict, **of_signature: object) -> Boundary:
    drug, like = like.drugs.get(), Boundary.objects.select_related("signature").get(pk=like.pk)
    signature = like.signature
    signature.pk = uuid4()
    for name, value in of_signature.items():
        setattr(signature, name, value)
    for name, value in of_drug.items():
        setattr(drug, name, value)
    with transaction.atomic():  # a boundary and its drugs come together
        signature.save(force_insert=True)
        like.pk, like.version, like.signature = uuid4(), like.version + 1, signature
        like.save(force_insert=True)
        drug.pk, drug.boundary = None, like
        BoundaryDrug.objects.bulk_create([drug])
    return like


def test_a_yes_after_the_boundary_has_ended_is_refused_also_by_the_database(hospital):  # noqa: F811
    loop = hospital.loop_at(S.WITH_PATIENT)
    assert loop.boundary is not None
    with refused("does not cover it"):
        at = loop.boundary.expires_at
        push(loop, "with_patient", "accepted", boundary_id=loop.boundary.pk, entered_at=at)
    with refused("step_accepted_rests_on_someone"):
        push(loop, "with_patient", "accepted")


def test_a_boundary_cannot_be_dated_back(hospital):  # noqa: F811
    _, boundary = with_boundary(hospital)
    with refused("boundary_not_backdated"):
        made = Boundary.objects.get(pk=boundary.pk)
        made.pk, made.version, made.starts_at = uuid4(), 9, made.signed_at - timedelta(seconds=1)
        Boundary.objects.bulk_create([made])


def test_a_message_about_a_change_and_a_line_of_the_regimen_come_after_the_patient_was_reached(loop):
    message = Message(patient=loop.patient, loop=loop, kind="change", text="Take more.", sent_at=NOW, entry=loop.entry)
    with refused("has not come so far"):
        Message.objects.bulk_create([message])
    line = RegimenEntry.objects.filter(patient=loop.patient).first()
    assert line is not None
    line.pk, line.loop, line.source_id = uuid4(), loop, "raw"
    with refused("has not come so far"):
        RegimenEntry.objects.bulk_create([line])


# -- N1 on the other paths -----------------------------------------------------------------------------------------


def bulk_step(loop: Loop, state: str, at: datetime = NOW) -> Step:
    return Step(
        loop=loop,
        seq=loop.version + 1,
        before=loop.state,
        state=state,
        entered_at=at,
        actor_kind="service",
        actor_id="x",
        entry=entry_for(loop, loop.version + 1),
    )


def test_bulk_create_and_queryset_update_meet_the_same_rules(loop):
    for state in ("approved", "modified", "rejected", "with_patient", "delivered", "accepted", "done"):
        with refused("check constraint|cannot go from|rests on|answers"):
            Step.objects.bulk_create([bulk_step(loop, state)])
        with refused("history does not"):
            Loop.objects.filter(pk=loop.pk).update(state=state, version=loop.version + 1)


def test_frozen_evidence_and_what_was_proposed_cannot_be_changed_afterwards(loop):
    kept = ("evidence", "evidence_digest", "outcome", "tier", "boundary_id", "due_at", "patient_id", "model_digest")
    for column in (*kept, "opened_at"):
        with refused("permission denied"):
            sql(f"UPDATE care_loops_loop SET {column} = {column} WHERE id = %s", loop.pk)


def test_the_end_of_a_recommendation_moves_only_with_a_step(loop):
    with refused("moves only with a step"):
        sql("UPDATE care_loops_loop SET expires_at = expires_at + interval '1 day' WHERE id = %s", loop.pk)


def test_no_table_of_the_loop_can_be_edited_in_the_admin():
    from django.contrib import admin

    ours = [
        model
        for model in admin.site._registry
        if model._meta.app_label in ("care_loops", "model_registry", "governance")
    ]
    assert ours == []


def test_the_recorded_outcome_is_json_that_names_the_drug_and_dose_the_database_compares(hospital):  # noqa: F811
    change = json.loads(hospital.loop_at(S.WITH_PATIENT).outcome)["change"]
    assert change["kind"] == "step_up"
    assert change["new_daily_dose"] == {"value": "20"}
