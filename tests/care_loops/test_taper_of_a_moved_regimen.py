"""A signed stop by a taper, and a reduction, never give back what somebody ended or lowered elsewhere (N1, N3)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from care_loops.domain.changes import ChangeKind
from care_loops.domain.evidence import candidate_key
from care_loops.domain.loops import LoopState
from care_loops.domain.record import DrugClass
from care_loops.models import Alert, Loop
from care_loops.policies import NotNow
from care_loops.presenters.phone import LAPSED, proposal
from care_loops.selectors.regimen import stopped_elsewhere
from care_loops.services import Answer, OrderInput, deliver, order_candidates, respond, write_order
from care_loops.services.respond import holds_now
from tests.care_loops.standing import commits, hospital, pass_on, site  # noqa: F401
from tests.care_loops.test_regimen_moved import HOUR, KNOWN, LATER, accept, line, not_readable, taken_back
from tests.factories import LISINOPRIL, NOW, job

METOPROLOL = "6918"
DRUGS = {
    METOPROLOL: ("metoprolol", "200", DrugClass.BETA_BLOCKER),
    LISINOPRIL: ("lisinopril", "40", DrugClass.ACE_INHIBITOR),
}


def signed(hospital, ingredient: str, kind: ChangeKind) -> Loop:  # noqa: F811
    """A clinician's order over the dose taken for three months."""
    person = hospital.patient(drugs=())
    hospital.takes(person, ingredient, DRUGS[ingredient][1], since=NOW - timedelta(days=90))
    found = order_candidates(person, now=NOW)
    change = next(c.change for c in found if c.change.kind is kind and c.change.ingredient == ingredient)
    assert bool(change.taper) == (ingredient == METOPROLOL)
    order = OrderInput(candidate_key(change), "side_effect", "")
    return write_order(person.pk, order, by=hospital.acting("clinician"), now=NOW)


def tapered(hospital) -> Loop:  # noqa: F811
    return signed(hospital, METOPROLOL, ChangeKind.STOP)


def stopped(loop: Loop, ingredient: str = METOPROLOL, *, at=KNOWN) -> None:
    name, _, drug_class = DRUGS[ingredient]
    line(
        loop.patient,
        source="stop",
        ingredient=ingredient,
        name=name,
        stopped=True,
        drug_class=drug_class,
        starts_at=at,
    )


def alert_of(loop: Loop) -> Alert:
    return Alert.objects.get(patient=loop.patient, kind="regimen_changed")


def test_a_taper_of_what_was_stopped_elsewhere_is_taken_back(hospital):  # noqa: F811
    loop = tapered(hospital)
    stopped(loop)
    assert deliver(loop.pk, by=job("relay"), now=LATER) is None
    assert not taken_back(loop, "stopped_elsewhere").pages, "the stop is done: a card says so"
    assert not loop.messages.exists()


def test_a_taper_from_more_than_is_taken_is_taken_back_and_somebody_is_called(hospital):  # noqa: F811
    loop = tapered(hospital)
    hospital.takes(loop.patient, METOPROLOL, "25", since=KNOWN)
    assert deliver(loop.pk, by=job("relay"), now=LATER) is None
    alert = taken_back(loop, "dose_changed_elsewhere")
    assert (alert.severity, alert.pages) == ("urgent", True), "a stop is still owed"
    assert not loop.messages.exists()


def test_so_it_is_where_nobody_can_say_how_much_is_taken(hospital):  # noqa: F811
    loop = tapered(hospital)
    line(loop.patient, source="m", ingredient=METOPROLOL, name="metoprolol", drug_class=DrugClass.BETA_BLOCKER)
    assert deliver(loop.pk, by=job("relay"), now=LATER) is None
    assert taken_back(loop, "dose_changed_elsewhere").pages


def test_somebody_who_has_a_card_of_it_already_is_called_when_it_is_taken_back(hospital):  # noqa: F811
    loop = tapered(hospital)
    hospital.takes(loop.patient, METOPROLOL, "100", since=KNOWN)
    assert deliver(loop.pk, by=job("relay"), now=LATER) is not None
    assert not alert_of(loop).pages, "no step is more than is taken"
    hospital.takes(loop.patient, METOPROLOL, "50", since=KNOWN + HOUR)
    pass_on(LATER + HOUR)
    assert taken_back(loop, "dose_changed_elsewhere").pages
    assert " mg" not in loop.messages.get(kind="recalled").text


def test_a_taper_over_what_cannot_be_read_beside_its_drug_goes_on(hospital):  # noqa: F811
    loop = tapered(hospital)
    not_readable(hospital, loop.patient)
    assert deliver(loop.pk, by=job("relay"), now=LATER) is not None
    assert not Alert.objects.filter(kind="regimen_changed").exists()
    commits()


def test_a_delivered_taper_takes_no_yes_once_the_drug_was_stopped_however_late(hospital):  # noqa: F811
    loop = tapered(hospital)
    deliver(loop.pk, by=job("relay"), now=NOW + HOUR)
    stopped(loop)
    loop.refresh_from_db()
    late = NOW + timedelta(days=200)
    shown = proposal(loop, holds_now(loop.patient, [loop], now=late), late)
    assert (shown["in_words"], shown["waits_for_you"]) == (LAPSED, False)
    assert "100 mg" not in str(shown)
    with pytest.raises(NotNow):
        respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=late), now=late)


@pytest.mark.parametrize("at", [KNOWN, NOW], ids=["after the yes", "before it, known after"])
def test_an_accepted_taper_is_its_own_line_and_a_stop_from_elsewhere_is_a_card(hospital, at):  # noqa: F811
    loop = tapered(hospital)
    deliver(loop.pk, by=job("relay"), now=NOW + HOUR)
    loop.refresh_from_db()
    accept(hospital, loop, at=NOW + HOUR)
    pass_on(NOW + HOUR)
    assert not Alert.objects.filter(kind="regimen_changed").exists(), "its own line is no news"
    stopped(loop, at=at)
    pass_on(LATER)
    loop.refresh_from_db()
    assert loop.state == LoopState.ACCEPTED
    alert = alert_of(loop)
    assert (alert.rules, alert.pages, alert.same_day) == (["stopped_elsewhere"], False, True)
    commits()


def test_a_reduction_of_what_was_stopped_is_taken_back_whatever_else_cannot_be_read(hospital):  # noqa: F811
    loop = signed(hospital, LISINOPRIL, ChangeKind.STEP_DOWN)
    stopped(loop, LISINOPRIL)
    not_readable(hospital, loop.patient)
    assert deliver(loop.pk, by=job("relay"), now=LATER) is None
    taken_back(loop, "stopped_elsewhere")
    assert not loop.messages.exists()


def test_what_was_stopped_and_is_taken_again_is_not_stopped(hospital):  # noqa: F811
    loop = signed(hospital, LISINOPRIL, ChangeKind.STEP_DOWN)
    stopped(loop, LISINOPRIL)
    assert stopped_elsewhere(loop.patient, now=LATER) == {LISINOPRIL}
    hospital.takes(loop.patient, LISINOPRIL, "40", since=KNOWN + HOUR / 2)
    assert stopped_elsewhere(loop.patient, now=LATER) == frozenset()
    assert deliver(loop.pk, by=job("relay"), now=LATER) is not None
