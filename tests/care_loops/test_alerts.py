"""Alerts: raised by rule without a model, joined, only made graver, passed on by a clock, ended by a clinician (N4)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from audit.models import Outbox
from care_loops.domain.loops import LoopState
from care_loops.domain.record import Sex
from care_loops.models import Alert, Loop
from care_loops.pathways.hypertension import predictors
from care_loops.policies import NotNow
from care_loops.services import (
    acknowledge_alert,
    close_window,
    dispose_alert,
    escalate_alerts,
    merge_patients,
    record_condition,
)
from care_loops.services import correct_reading as correct
from care_loops.services.clinical import NewCondition
from care_loops.services.events import note
from governance.domain import BadInput, NotAllowed, NotFound
from tests.care_loops.standing import commits, hospital, pass_on, refused, site, sql  # noqa: F401
from tests.factories import NOW, Hospital, job

SOON = NOW + timedelta(hours=1)


def crisis(hospital: Hospital, patient, systolic=188, diastolic=95, **more) -> Alert:  # noqa: F811
    hospital.measures(patient, systolic, diastolic, **more)
    return Alert.objects.get(patient=patient, kind="crisis", disposed_at__isnull=True)


def test_a_crisis_locks_and_pages_in_the_transaction_of_the_reading_and_a_repeat_makes_it_critical(hospital):  # noqa: F811
    patient = hospital.patient()
    first = crisis(hospital, patient)
    assert (first.severity, first.locks, first.pages, first.occurrences) == ("urgent", True, True, 1)
    again = crisis(hospital, patient, at=NOW + timedelta(minutes=5))
    assert (again.pk, again.severity, again.occurrences) == (first.pk, "critical", 2)
    assert list(again.events.order_by("pk").values_list("kind", flat=True)) == ["raised", "upgraded"]
    mild = crisis(hospital, patient, 181, 90, at=NOW + timedelta(minutes=9))
    assert (mild.severity, mild.occurrences) == ("critical", 3), "never milder"
    commits()


def test_it_is_passed_on_by_the_clock_until_a_person_takes_it(hospital):  # noqa: F811
    patient = hospital.patient(team=("clinician", "pharmacist"))
    alert = crisis(hospital, patient)
    levels = []
    at = NOW
    while alert.escalates_at is not None and len(levels) < 10:
        assert escalate_alerts(by=job(), now=alert.escalates_at - timedelta(seconds=1)) == 0
        at = alert.escalates_at
        assert escalate_alerts(by=job(), now=at) == 1
        alert.refresh_from_db()
        levels.append(alert.level)
        assert alert.escalates_at is None or alert.escalates_at > at
    assert levels == list(range(1, len(levels) + 1))
    assert len(levels) >= 2
    acknowledge_alert(alert.pk, by=hospital.acting("pharmacist", now=at), now=at)
    alert.refresh_from_db()
    assert (alert.escalates_at, alert.locks) == (None, True), "seen is not lifted"
    assert escalate_alerts(by=job(), now=at + timedelta(days=30)) == 0


def test_a_graver_turn_wakes_people_again_and_starts_the_clock_anew(hospital):  # noqa: F811
    patient = hospital.patient()
    alert = crisis(hospital, patient)
    acknowledge_alert(alert.pk, by=hospital.acting("clinician", now=SOON), now=SOON)
    late = NOW + timedelta(hours=8)
    again = crisis(hospital, patient, 200, 110, at=late)
    assert (again.severity, again.acknowledged_at, again.level) == ("critical", None, 0)
    assert again.escalates_at > late
    first = again.escalates_at
    assert escalate_alerts(by=job(), now=first) == 1
    again.refresh_from_db()
    assert again.escalates_at is None or again.escalates_at > first, "the ladder counts from the graver turn"


@pytest.mark.parametrize("later", [timedelta(hours=2), timedelta(hours=24), timedelta(days=5)])
def test_a_crisis_after_an_acknowledged_one_wakes_people_again_and_its_repeats_do_not(hospital, later):  # noqa: F811
    patient = hospital.patient()
    crisis(hospital, patient, 185, 100)
    alert = crisis(hospital, patient, 186, 100, at=NOW + timedelta(minutes=5))
    assert alert.severity == "critical", "nothing can be graver"
    acknowledge_alert(alert.pk, by=hospital.acting("clinician", now=SOON), now=SOON)
    before = pages()
    again = crisis(hospital, patient, 250, 150, at=SOON + later)
    assert (again.pk, again.level, again.acknowledged_at, again.acknowledged_by) == (alert.pk, 0, None, None)
    assert again.escalates_at > SOON + later, "its clock starts anew"
    assert pages() == before + 1
    crisis(hospital, patient, 251, 150, at=SOON + later + timedelta(minutes=1))
    assert pages() == before + 1, "a repeat that nobody has acknowledged yet joins without paging"
    kinds = list(again.events.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["raised", "upgraded", "acknowledged", "coalesced", "coalesced"]
    assert escalate_alerts(by=job(), now=again.escalates_at) == 1
    commits()


def test_an_urgent_alert_taken_on_weeks_ago_wakes_people_when_the_next_crisis_comes(hospital):  # noqa: F811
    patient = hospital.patient()
    alert = crisis(hospital, patient, 185, 105)
    acknowledge_alert(alert.pk, by=hospital.acting("clinician", now=SOON), now=SOON)
    before, late = pages(), NOW + timedelta(days=20)
    again = crisis(hospital, patient, 245, 150, at=late)
    assert (again.pk, again.severity, again.acknowledged_at) == (alert.pk, "urgent", None)
    assert (again.escalates_at > late, pages()) == (True, before + 1)
    commits()


def test_what_is_known_of_the_person_and_asked_again_wakes_nobody_twice(hospital):  # noqa: F811
    patient = hospital.patient(born_on=date(1991, 5, 4), sex=Sex.FEMALE)
    condition(patient, "preg-1", "77386006", may_be_pregnancy=True, at=NOW)
    alert = Alert.objects.get(patient=patient, pages=True, disposed_at__isnull=True)
    acknowledge_alert(alert.pk, by=hospital.acting("clinician", now=SOON), now=SOON)
    before = pages()
    condition(patient, "other-1", "38341003", may_be_pregnancy=False, at=SOON + timedelta(hours=1))
    alert.refresh_from_db()
    assert (alert.acknowledged_at, pages()) == (SOON, before)


def pages() -> int:
    """How many words to page somebody were left."""
    return Outbox.objects.filter(topic="alert.page").count()


def condition(patient, source_id: str, code: str, *, may_be_pregnancy: bool, at) -> None:
    new = NewCondition(
        "test", source_id, None, "http://snomed.info/sct", code, "x", may_be_pregnancy, at, None, active=True
    )
    record_condition(patient.pk, new, by=job("import"), now=at)


def test_only_a_clinician_of_the_team_ends_a_lock_and_time_never_does(hospital):  # noqa: F811
    patient = hospital.patient(team=("clinician", "pharmacist"))
    alert = crisis(hospital, patient)
    for name, refusal in (("pharmacist", NotAllowed), ("other_clinician", NotFound), ("admin", NotAllowed)):
        with pytest.raises(refusal):
            dispose_alert(alert.pk, code="treated", text="", by=hospital.acting(name), now=SOON)
    with pytest.raises(NotAllowed):
        dispose_alert(alert.pk, code="treated", text="", by=job(), now=SOON)
    with pytest.raises(BadInput):
        dispose_alert(alert.pk, code="went away", text="", by=hospital.acting("clinician"), now=SOON)
    escalate_alerts(by=job(), now=NOW + timedelta(days=400))
    alert.refresh_from_db()
    assert (alert.locks, alert.disposed_at) == (True, None)
    dispose_alert(alert.pk, code="treated", text="seen", by=hospital.acting("clinician", now=SOON), now=SOON)
    with pytest.raises(NotNow):
        dispose_alert(alert.pk, code="treated", text="", by=hospital.acting("clinician", now=SOON), now=SOON)
    commits()


@pytest.mark.parametrize(
    "change",
    ["locks = false", "bars = '{}'", "severity = 'info'", "pages = false", "occurrences = 0", "disposed_at = now()"],
)
def test_the_database_lets_nobody_make_an_alert_milder(hospital, change):  # noqa: F811
    alert = crisis(hospital, hospital.patient())
    with refused("only gets graver|disposed_by_someone"):
        sql(f"UPDATE care_loops_alert SET {change} WHERE id = %s", alert.pk)


def test_the_database_wants_an_event_by_that_person_for_every_ending(hospital):  # noqa: F811
    """Nor is the entry of it enough, and without that it does not move at all."""
    alert = crisis(hospital, hospital.patient())
    by = hospital.acting("clinician", now=SOON)
    for what in ("disposed", "acknowledged"):
        statement = f"UPDATE care_loops_alert SET {what}_at = %s, {what}_by_id = %s WHERE id = %s"
        with refused("moved without an entry"):
            sql(statement, SOON, by.person().pk, alert.pk)
        with refused("without an event"):
            of = ("alert", alert.pk, alert.events.count() + 1)
            note(f"alert.{what}", of=of, by=by, now=SOON, patient_id=alert.patient_id, reason="treated")
            sql(statement, SOON, by.person().pk, alert.pk)


@pytest.mark.parametrize(
    ("age", "pages", "same_day"),
    [(timedelta(hours=23), True, None), (timedelta(days=2), False, True), (timedelta(days=13), False, True)],
)
def test_by_the_time_of_measuring_it_pages_or_makes_an_item_for_today(hospital, age, pages, same_day):  # noqa: F811
    patient = hospital.patient()
    alert = crisis(hospital, patient, at=NOW - age, received_at=NOW)
    assert alert.pages is pages
    assert same_day is None or alert.same_day is same_day
    assert (alert.escalates_at is not None) is pages


def test_what_is_older_than_two_weeks_is_history_and_raises_nothing(hospital):  # noqa: F811
    patient = hospital.patient()
    taken = hospital.measures(patient, 200, 125, at=NOW - timedelta(days=15), received_at=NOW)
    assert (taken.alerts, taken.results[0].historic) == ((), ("crisis",))
    assert not Alert.objects.filter(patient=patient).exists()


def test_danger_is_raised_while_the_predictor_fails_and_the_failure_is_a_named_reason(hospital, monkeypatch):  # noqa: F811
    """The predictor of this process is replaced by one that fails: not a mock of ours, a broken part in its place."""

    def broken(*_: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setitem(predictors.PROTOCOLS, "home_bp", broken)
    monkeypatch.setattr(predictors, "_BREAKERS", {})
    patient = hospital.patient()
    hospital.weeks(patient, *[(150, 92)] * 5)
    loop = hospital.close(patient)
    assert (loop.state, loop.withheld_reason) == ("withheld", "model_down")
    assert "ZeroDivisionError" in loop.outcome
    assert crisis(hospital, patient, at=NOW + timedelta(minutes=1)).locks
    commits()


def test_danger_is_raised_with_an_empty_registry(hospital):  # noqa: F811
    from models.registry.models import ModelVersion

    ModelVersion.objects.update(active=False)
    patient = hospital.patient()
    hospital.weeks(patient, *[(150, 92)] * 5)
    assert hospital.close(patient).withheld_reason == "no_approved_model"
    assert crisis(hospital, patient).locks


# -- one person, two records; a reading of somebody else ------------------------------------------------------------


def merged(hospital: Hospital):  # noqa: F811
    kept, absorbed = hospital.patient(), hospital.patient()
    merge_patients(absorbed.pk, kept.pk, reason="the same card", by=hospital.acting("admin"), now=NOW)
    return kept, absorbed


def test_what_arrives_for_a_merged_record_acts_on_the_person(hospital):  # noqa: F811
    kept, absorbed = merged(hospital)
    hospital.measures(absorbed, 190, 125, at=SOON)
    assert Alert.objects.filter(patient=kept, locks=True).count() == 1
    assert not Alert.objects.filter(patient=absorbed).exists()


def test_an_alert_of_the_absorbed_record_locks_the_person(hospital):  # noqa: F811
    kept, absorbed = hospital.patient(), hospital.patient()
    hospital.weeks(kept, *[(150, 92)] * 5)
    crisis(hospital, absorbed)
    merge_patients(absorbed.pk, kept.pk, reason="the same card", by=hospital.acting("admin"), now=NOW)
    loop = hospital.close(kept)
    assert (loop.state, loop.withheld_reason) == ("withheld", "danger_lock")
    commits()


def test_a_merge_into_a_merged_record_is_read_through_to_the_end(hospital):  # noqa: F811
    first, second = merged(hospital)
    third = hospital.patient()
    crisis(hospital, first)
    merge_patients(first.pk, third.pk, reason="again", by=hospital.acting("admin"), now=NOW)
    hospital.measures(second, 150, 90, at=SOON)
    assert third.blood_pressures.count() == 1
    for bad in ((first.pk, third.pk), (third.pk, third.pk), (second.pk, third.pk)):
        with pytest.raises(BadInput):
            merge_patients(*bad, reason="x", by=hospital.acting("admin"), now=NOW)


def test_a_corrected_reading_leaves_the_average_and_is_corrected_once(hospital):  # noqa: F811
    patient = hospital.patient()
    hospital.weeks(patient, *[(150, 92)] * 5)
    loop = hospital.close(patient)
    assert loop.state == "with_clinician"
    by = hospital.acting("clinician", now=SOON)
    newest = list(patient.blood_pressures.order_by("-taken_at")[:16])
    for row in newest:
        correct(row.pk, reason="entered_in_error", moved_to=None, text="cuff on the sleeve", by=by, now=SOON)
    with pytest.raises(NotNow):
        correct(newest[0].pk, reason="entered_in_error", moved_to=None, text="", by=by, now=SOON)
    pass_on(SOON)
    commits()
    loop.refresh_from_db()
    assert loop.state == "withdrawn"
    assert loop.steps.order_by("-seq").first().reason_code == "now_not_enough_readings"


def test_a_reading_of_somebody_else_runs_the_danger_rules_on_the_right_person(hospital):  # noqa: F811
    wrong, right = hospital.patient(), hospital.patient()
    crisis(hospital, wrong)
    row = wrong.blood_pressures.get(systolic=188)
    by = hospital.acting("clinician", now=SOON)
    correct(row.pk, reason="wrong_patient", moved_to=right.pk, text="", by=by, now=SOON)
    assert Alert.objects.filter(patient=right, kind="crisis", locks=True).count() == 1
    other = hospital.patient(team=("other_clinician",))
    fresh = right.blood_pressures.get(systolic=188)
    with pytest.raises(NotFound):
        correct(fresh.pk, reason="wrong_patient", moved_to=other.pk, text="", by=by, now=SOON)
    assert close_window(right.pk, by=job(), now=SOON).withheld_reason == "not_enough_readings"
    assert Loop.objects.filter(state=LoopState.WITH_PATIENT.value).count() == 0
    commits()
