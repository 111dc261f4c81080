"""A reduction or a stop that a clinician signed goes out whatever is suspended, and is not ended by time (N3)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from care_loops.domain.loops import LoopState
from care_loops.models import Alert, Loop
from care_loops.policies import NotNow
from care_loops.presenters.phone import proposal
from care_loops.services import Answer, deliver, expire_loops, respond
from care_loops.services.respond import holds_now, tell_proposed
from governance.services.suspensions import throw_switch
from governance.suspension import EVERYTHING, Ref, Scope
from tests.care_loops.standing import commits, hospital, pass_on, refused, site, sql  # noqa: F401
from tests.factories import NOW, job

HOUR = timedelta(hours=1)
LATER = NOW + 2 * HOUR


def everything_suspended(hospital, _loop) -> None:  # noqa: F811
    commits()
    throw_switch(EVERYTHING, reason="drill", by=hospital.acting("clinician", now=NOW + HOUR), now=NOW + HOUR)


def its_pathway_suspended(hospital, _loop) -> None:  # noqa: F811
    commits()
    ref = Ref(Scope.PATHWAY, "hypertension")
    throw_switch(ref, reason="drill", by=hospital.acting("clinician", now=NOW + HOUR), now=NOW + HOUR)


def advice_withdrawn(hospital, loop) -> None:  # noqa: F811
    hospital.consents(loop.patient, "automated_advice", given=False, at=NOW + HOUR)


def people_only(hospital, loop) -> None:  # noqa: F811
    hospital.consents(loop.patient, "human_only_care", at=NOW + HOUR)


def mode_stopped(hospital, _loop) -> None:  # noqa: F811
    hospital.mode(patient_directed=True, stopped=True, now=NOW + HOUR)


def mode_off(hospital, _loop) -> None:  # noqa: F811
    hospital.mode(mode="off", now=NOW + HOUR)


def crisis(hospital, loop) -> None:  # noqa: F811
    hospital.measures(loop.patient, 195, 125, at=NOW + HOUR)


HOLDS = [everything_suspended, its_pathway_suspended, advice_withdrawn, people_only, mode_stopped, mode_off, crisis]
EACH = pytest.mark.parametrize("happens", HOLDS, ids=[one.__name__ for one in HOLDS])


def accept(hospital, loop: Loop, *, at=LATER) -> Loop:  # noqa: F811
    return respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=at), now=at)


def state_of(loop: Loop) -> str:
    loop.refresh_from_db()
    return loop.state


@EACH
def test_a_stop_is_delivered_shown_and_accepted(hospital, happens):  # noqa: F811
    loop = hospital.loop_at(LoopState.MODIFIED)
    happens(hospital, loop)
    pass_on(LATER)
    assert state_of(loop) == LoopState.DELIVERED
    assert loop.messages.filter(kind="change").exists()
    assert proposal(loop, holds_now(loop.patient, [loop], now=LATER), LATER)["waits_for_you"] is True
    assert accept(hospital, loop).state == LoopState.ACCEPTED
    commits()


@EACH
def test_an_increase_is_not(hospital, happens):  # noqa: F811
    loop = hospital.loop_at(LoopState.APPROVED)
    happens(hospital, loop)
    pass_on(LATER)
    assert state_of(loop) in (LoopState.APPROVED, LoopState.RECALLED)
    assert not loop.messages.filter(kind="change").exists()
    commits()


@pytest.mark.parametrize("happens", [mode_stopped, mode_off], ids=lambda one: one.__name__)
def test_an_increase_that_reached_the_patient_takes_no_yes_while_the_pathway_is_stopped(hospital, happens):  # noqa: F811
    loop = hospital.loop_at(LoopState.DELIVERED)
    happens(hospital, loop)
    with pytest.raises(NotNow):
        accept(hospital, loop)
    assert proposal(loop, holds_now(loop.patient, [loop], now=LATER), LATER)["waits_for_you"] is False


def test_a_stop_nobody_delivered_in_time_stays_in_force_and_somebody_is_called_once(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.MODIFIED)
    late = loop.expires_at + HOUR
    assert expire_loops(by=job("expire"), now=late) == 0
    alert = Alert.objects.get(patient=loop.patient, kind="not_reached")
    assert (alert.severity, alert.pages, alert.rules) == ("urgent", True, ["modified_too_long"])
    expire_loops(by=job("expire"), now=late + HOUR)
    alert.refresh_from_db()
    assert alert.occurrences == 1, "said once"
    assert state_of(loop) == LoopState.MODIFIED
    pass_on(late + 2 * HOUR)
    assert state_of(loop) == LoopState.DELIVERED
    assert loop.expires_at >= late + timedelta(days=7), "time of its own to answer"
    commits()


@pytest.mark.parametrize("reached", [LoopState.DELIVERED, LoopState.ACCEPTED], ids=lambda s: s.value)
def test_nor_does_time_end_one_that_reached_the_patient(hospital, reached):  # noqa: F811
    loop = hospital.loop_at(LoopState.MODIFIED)
    pass_on(NOW + HOUR)
    if reached is LoopState.ACCEPTED:
        accept(hospital, loop)
    state_of(loop)
    late = loop.expires_at + HOUR
    assert expire_loops(by=job("expire"), now=late) == 0
    assert state_of(loop) == reached
    assert Alert.objects.get(patient=loop.patient, kind="not_reached").rules == [f"{reached.value}_too_long"]
    if reached is LoopState.DELIVERED:
        assert proposal(loop, holds_now(loop.patient, [loop], now=late), late)["waits_for_you"] is True
        assert accept(hospital, loop, at=late).state == LoopState.ACCEPTED
    commits()


def test_an_increase_past_its_time_is_not_delivered_though_the_relay_comes_before_the_clock(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.APPROVED)
    assert deliver(loop.pk, by=job("relay"), now=loop.expires_at) is None
    last = loop.steps.latest("seq")
    assert (state_of(loop), last.reason_code) == (LoopState.RECALLED, "too_old")
    assert not loop.messages.exists()
    commits()


def test_it_is_a_moment_before(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.APPROVED)
    assert deliver(loop.pk, by=job("relay"), now=loop.expires_at - timedelta(seconds=1)) is not None


def test_nor_is_a_change_within_the_boundary_told_past_its_time(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.WITH_PATIENT)
    tell_proposed(loop.pk, by=job("relay"), now=loop.expires_at)
    assert (state_of(loop), loop.steps.latest("seq").reason_code) == (LoopState.EXPIRED, "too_old")
    assert not loop.messages.filter(kind="change").exists()


# --- raw SQL, as the application's own role ---------------------------------------------------------------------------


def delivered_by_sql(loop: Loop, at) -> None:
    """The step, as somebody would write it by hand beside an entry that exists."""
    sql(
        "INSERT INTO care_loops_step (loop_id, seq, before, state, entered_at, actor_kind, actor_id, reason_code,"
        " decision_id, entry) SELECT l.id, l.version + 1, l.state, 'delivered', %s, 'service', 'x', '', d.id, l.entry"
        " FROM care_loops_loop l JOIN care_loops_decision d ON d.loop_id = l.id WHERE l.id = %s",
        at,
        loop.pk,
    )


def test_by_sql_nothing_is_delivered_past_its_time(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.APPROVED)
    with refused("is past its time"):
        delivered_by_sql(loop, loop.expires_at)


@pytest.mark.parametrize("happens", [mode_stopped, mode_off], ids=lambda one: one.__name__)
def test_by_sql_nothing_is_delivered_while_the_pathway_is_stopped(hospital, happens):  # noqa: F811
    loop = hospital.loop_at(LoopState.APPROVED)
    happens(hospital, loop)
    with refused("the pathway of recommendation .* is stopped"):
        delivered_by_sql(loop, LATER)
