"""What became known after the signature: no order of a clinician's own carries it past delivery or the yes."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from care_loops.domain.evidence import candidate_key
from care_loops.domain.loops import LoopState
from care_loops.domain.record import ConditionKind, LabKind, Sex
from care_loops.models import Alert, Loop, RegimenEntry
from care_loops.policies import HeldForSafety
from care_loops.services import (
    Answer,
    OrderInput,
    dispose_alert,
    order_candidates,
    record_condition,
    respond,
    write_order,
)
from care_loops.services.clinical import NewCondition
from tests.care_loops.standing import commits, hospital, pass_on, site  # noqa: F401
from tests.factories import AMLODIPINE, LISINOPRIL, NOW, job

HOUR = timedelta(hours=1)
SIGNED, KNOWN, LATER = NOW + HOUR, NOW + 2 * HOUR, NOW + 3 * HOUR


def ordered(hospital, ingredient=LISINOPRIL):  # noqa: F811
    """A clinician's own order to start a drug, signed and not yet delivered."""
    drugs = ((AMLODIPINE, "5"),)
    patient = hospital.patient(born_on=date(1991, 5, 4), sex=Sex.FEMALE, drugs=drugs)
    hospital.weeks(patient, *[(150, 92)] * 5)
    hospital.lab(patient, LabKind.POTASSIUM, "4.2", at=NOW - timedelta(days=2))
    hospital.lab(patient, LabKind.EGFR, "80", at=NOW - timedelta(days=2))
    pass_on(NOW)
    keys = [candidate_key(c.change) for c in order_candidates(patient, now=SIGNED) if not c.barred]
    key = next(key for key in keys if ingredient in key)
    by = hospital.acting("clinician", now=SIGNED)
    return write_order(patient.pk, OrderInput(key, "agrees_with_plan", ""), by=by, now=SIGNED)


def becomes_pregnant(loop: Loop, *, at=KNOWN) -> None:
    _condition(loop, None, "77386006", pregnancy=True, at=at)


def had_angioedema(loop: Loop, *, at=KNOWN) -> None:
    _condition(loop, ConditionKind.ANGIOEDEMA_HISTORY, "41291007", pregnancy=False, at=at)


def _condition(loop: Loop, kind, code: str, *, pregnancy: bool, at) -> None:
    new = NewCondition("test", f"c-{code}", kind, "http://snomed.info/sct", code, "x", pregnancy, at, None, active=True)
    record_condition(loop.patient_id, new, by=job("import"), now=at)


def accept(hospital, loop: Loop, *, at=LATER) -> Loop:  # noqa: F811
    return respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=at), now=at)


def lines(loop: Loop) -> int:
    return RegimenEntry.objects.filter(loop=loop).count()


@pytest.mark.parametrize(
    ("news", "rule", "kind"),
    [(becomes_pregnant, None, "pregnancy"), (had_angioedema, "acei-angioedema", "angioedema")],
)
def test_an_order_signed_before_it_was_known_is_not_delivered_and_is_said_by_name(hospital, news, rule, kind):  # noqa: F811
    loop = ordered(hospital)
    news(loop)
    pass_on(LATER)
    loop.refresh_from_db()
    assert (loop.state, loop.messages.count()) == (LoopState.MODIFIED, 0)
    alert = Alert.objects.get(patient=loop.patient, kind=kind, disposed_at__isnull=True)
    assert rule is None or rule in alert.rules
    seen = alert.occurrences
    hospital.lab(loop.patient, LabKind.EGFR, "79", at=LATER)
    pass_on(LATER + HOUR)
    alert.refresh_from_db()
    assert alert.occurrences == seen, "said once"
    commits()


@pytest.mark.parametrize("news", [becomes_pregnant, had_angioedema])
def test_an_order_that_has_reached_the_patient_takes_no_yes(hospital, news):  # noqa: F811
    loop = ordered(hospital)
    pass_on(SIGNED)
    loop.refresh_from_db()
    assert loop.state == LoopState.DELIVERED
    news(loop)
    with pytest.raises(HeldForSafety):
        accept(hospital, loop)
    assert lines(loop) == 0
    pass_on(LATER)
    with pytest.raises(HeldForSafety):
        accept(hospital, loop)
    respond(loop.pk, Answer.DECLINE, reason_code="", by=hospital.own(loop.patient, now=LATER), now=LATER)


def test_closing_its_alert_does_not_let_it_through(hospital):  # noqa: F811
    loop = ordered(hospital)
    becomes_pregnant(loop)
    for alert in Alert.objects.filter(patient=loop.patient, disposed_at__isnull=True):
        dispose_alert(alert.pk, code="treated", text="", by=hospital.acting("clinician", now=LATER), now=LATER)
    pass_on(LATER)
    loop.refresh_from_db()
    assert (loop.state, loop.messages.count()) == (LoopState.MODIFIED, 0)


def test_an_order_that_nothing_new_speaks_against_goes_on(hospital):  # noqa: F811
    loop = ordered(hospital)
    pass_on(LATER)
    loop.refresh_from_db()
    assert loop.state == LoopState.DELIVERED
    assert accept(hospital, loop).state == LoopState.ACCEPTED
    assert lines(loop) == 1


@pytest.mark.parametrize("state", [LoopState.APPROVED, LoopState.DELIVERED])
def test_a_potassium_over_five_since_the_signature_holds_a_step_up(hospital, state):  # noqa: F811
    loop = hospital.loop_at(state)
    hospital.lab(loop.patient, LabKind.POTASSIUM, "5.3", at=KNOWN)
    pass_on(LATER)
    loop.refresh_from_db()
    assert loop.state == state
    assert Alert.objects.filter(patient=loop.patient, kind="dangerous_lab", disposed_at__isnull=True).exists()
    if state is LoopState.DELIVERED:
        with pytest.raises(HeldForSafety):
            accept(hospital, loop)


def test_a_stop_is_never_held(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.MODIFIED)
    becomes_pregnant(loop)
    pass_on(LATER)
    loop.refresh_from_db()
    assert loop.state == LoopState.DELIVERED
