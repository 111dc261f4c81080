"""A change on its way whose regimen changed elsewhere is taken back by name wherever it would go on (N1)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from care_loops.domain.evidence import candidate_key
from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.domain.record import DrugClass
from care_loops.models import Alert, FirstIntake, IntakeLog, Loop, RegimenEntry
from care_loops.policies import HeldForSafety, NotNow
from care_loops.presenters.alerts import alert_shown
from care_loops.presenters.phone import LAPSED, proposal
from care_loops.services import (
    Answer,
    DecisionInput,
    NewIntake,
    NewRegimenEntry,
    OrderInput,
    decide,
    deliver,
    log_intake,
    merge_patients,
    order_candidates,
    record_regimen_entry,
    reevaluate_all,
    respond,
    write_order,
)
from care_loops.services.respond import holds_now, tell_proposed
from tests.care_loops.standing import commits, hospital, pass_on, site  # noqa: F401
from tests.factories import AMLODIPINE, HCTZ, LISINOPRIL, NOW, job

HOUR = timedelta(hours=1)
KNOWN, LATER = NOW + 2 * HOUR, NOW + 3 * HOUR
LOSARTAN, ENALAPRIL = "52175", "3827"


def line(
    patient, *, source: str, ingredient="", name="", unknown="", stopped=False, drug_class=None, starts_at=KNOWN
) -> None:
    new = NewRegimenEntry(
        source_system="test",
        source_id=source,
        ingredient=ingredient,
        name=name or ingredient,
        drug_class=drug_class,
        product="",
        daily_dose_mg=None,
        step_index=None,
        stopped=stopped,
        starts_at=starts_at,
        unknown_reason=unknown,
        code_system="http://www.nlm.nih.gov/research/umls/rxnorm",
        code="0",
    )
    record_regimen_entry(patient.pk, new, by=job("import"), now=KNOWN)


def another_dose(hospital, patient) -> None:  # noqa: F811
    hospital.takes(patient, LISINOPRIL, "40", since=KNOWN)


def another_of_the_class(hospital, patient) -> None:  # noqa: F811
    hospital.takes(patient, ENALAPRIL, "10", since=KNOWN)


def a_drug_beside_it(hospital, patient) -> None:  # noqa: F811
    hospital.takes(patient, LOSARTAN, "50", since=KNOWN)


def stopped_elsewhere(_hospital, patient) -> None:
    line(
        patient,
        source="stop",
        ingredient=LISINOPRIL,
        name="lisinopril",
        stopped=True,
        drug_class=DrugClass.ACE_INHIBITOR,
    )


def not_readable(_hospital, patient) -> None:
    line(patient, source="odd", name="Heart tablets", unknown="unknown_code")


NEWS = [
    (another_dose, "dose_changed_elsewhere"),
    (another_of_the_class, "other_drugs_changed_elsewhere"),
    (a_drug_beside_it, "other_drugs_changed_elsewhere"),
    (stopped_elsewhere, "stopped_elsewhere"),
    (not_readable, "regimen_no_longer_fully_known"),
]
EACH = pytest.mark.parametrize(("happens", "named"), NEWS, ids=[news.__name__ for news, _ in NEWS])


def accept(hospital, loop: Loop, *, at=LATER) -> Loop:  # noqa: F811
    return respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=at), now=at)


def taken_back(loop: Loop, named: str, *, state=LoopState.RECALLED) -> Alert:
    """It ended by name, and a clinician has a card that says why."""
    loop.refresh_from_db()
    last = loop.steps.latest("seq")
    assert (loop.state, last.reason_code, last.actor_kind) == (state, named, "service")
    alert = Alert.objects.get(patient=loop.patient, kind="regimen_changed", disposed_at__isnull=True)
    assert alert.rules == [named]
    assert alert.same_day
    assert alert_shown(alert, None, zone="Europe/Berlin", now=LATER).found
    commits()
    return alert


@EACH
def test_it_is_not_delivered(hospital, happens, named):  # noqa: F811
    loop = hospital.loop_at(LoopState.APPROVED)
    happens(hospital, loop.patient)
    assert deliver(loop.pk, by=job("relay"), now=LATER) is None
    assert not taken_back(loop, named).pages
    pass_on(LATER)
    assert not loop.messages.exists()


@EACH
def test_once_delivered_it_takes_no_yes_and_the_relay_takes_it_back(hospital, happens, named):  # noqa: F811
    loop = hospital.loop_at(LoopState.DELIVERED)
    happens(hospital, loop.patient)
    loop.refresh_from_db()
    assert proposal(loop, holds_now(loop.patient, [loop], now=LATER), LATER)["in_words"] == LAPSED
    with pytest.raises(NotNow):
        accept(hospital, loop)
    assert not RegimenEntry.objects.filter(loop=loop).exists()
    pass_on(LATER)
    taken_back(loop, named)
    words = loop.messages.get(kind="recalled").text
    assert "no longer stands" in words
    assert " mg" not in words, "what was taken before may be gone: no dose to go back to"


@EACH
def test_its_first_dose_confirms_nothing_and_somebody_is_called(hospital, happens, named):  # noqa: F811
    loop = hospital.loop_at(LoopState.ACCEPTED)
    happens(hospital, loop.patient)
    dose = NewIntake("test", "first", LISINOPRIL, LATER.date(), taken=True, taken_at=LATER, daily_dose_mg=Decimal(20))
    log_intake(loop.patient_id, dose, by=hospital.own(loop.patient, now=LATER), now=LATER)
    assert IntakeLog.objects.filter(source_id="first").exists(), "what was taken is kept"
    assert not FirstIntake.objects.filter(regimen_entry__loop=loop).exists()
    alert = taken_back(loop, named)
    assert (alert.severity, alert.pages) == ("urgent", True)


@EACH
def test_accepted_and_not_begun_it_is_taken_back_as_soon_as_it_is_known(hospital, happens, named):  # noqa: F811
    loop = hospital.loop_at(LoopState.ACCEPTED)
    happens(hospital, loop.patient)
    pass_on(LATER)
    assert not taken_back(loop, named).pages


@EACH
def test_what_would_go_straight_to_the_patient_is_not_told(hospital, happens, named):  # noqa: F811
    loop = hospital.loop_at(LoopState.WITH_PATIENT)
    happens(hospital, loop.patient)
    tell_proposed(loop.pk, by=job("relay"), now=LATER)
    taken_back(loop, named, state=LoopState.WITHDRAWN)
    assert not loop.messages.filter(kind="change").exists()


def test_nor_accepted(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.WITH_PATIENT)
    pass_on(NOW)
    another_dose(hospital, loop.patient)
    with pytest.raises((HeldForSafety, NotNow)):
        accept(hospital, loop)


@EACH
def test_a_clinicians_own_order_was_signed_over_a_regimen_too(hospital, happens, named):  # noqa: F811
    patient = hospital.patient()
    hospital.weeks(patient, *[(150, 92)] * 5)
    pass_on(NOW)
    keys = [candidate_key(c.change) for c in order_candidates(patient, now=NOW + HOUR) if not c.barred]
    order = OrderInput(next(key for key in keys if key.startswith("step_up")), "agrees_with_plan", "")
    loop = write_order(patient.pk, order, by=hospital.acting("clinician", now=NOW + HOUR), now=NOW + HOUR)
    happens(hospital, patient)
    assert deliver(loop.pk, by=job("relay"), now=LATER) is None
    taken_back(loop, named)


def test_a_line_that_begins_to_count_later_is_found_by_the_clock(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.DELIVERED)
    tomorrow = NOW + timedelta(days=1)
    later_line = {"ingredient": HCTZ, "name": "hydrochlorothiazide", "drug_class": DrugClass.THIAZIDE}
    line(loop.patient, source="t", starts_at=tomorrow, **later_line)
    pass_on(KNOWN)
    loop.refresh_from_db()
    assert loop.state == LoopState.DELIVERED
    assert reevaluate_all(by=job("look-again"), now=tomorrow + HOUR) == 1
    taken_back(loop, "other_drugs_changed_elsewhere")


def test_a_record_merged_with_it_counts_and_the_card_stands_on_the_one_kept(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.APPROVED)
    other = hospital.patient(drugs=((HCTZ, "25"),))
    merge_patients(loop.patient_id, other.pk, reason="same", by=hospital.acting("admin", now=KNOWN), now=KNOWN)
    assert deliver(loop.pk, by=job("relay"), now=LATER) is None
    loop.refresh_from_db()
    assert loop.state == LoopState.RECALLED
    assert Alert.objects.get(kind="regimen_changed").patient_id == other.pk


def test_a_new_drug_that_must_not_be_taken_with_it(hospital):  # noqa: F811
    spironolactone = "9997"
    patient = hospital.patient(drugs=((spironolactone, "25"),))
    hospital.weeks(patient, *[(150, 92)] * 5)
    pass_on(NOW)
    key = next(
        candidate_key(c.change) for c in order_candidates(patient, now=NOW) if c.change.ingredient == spironolactone
    )
    by = hospital.acting("clinician")
    loop = write_order(patient.pk, OrderInput(key, "agrees_with_plan", ""), by=by, now=NOW)
    assert loop.decision.final_change.count("step_up")
    line(patient, source="k", ingredient="8591", name="potassium chloride", drug_class=DrugClass.POTASSIUM_SUPPLEMENT)
    assert deliver(loop.pk, by=job("relay"), now=LATER) is None
    taken_back(loop, "interacts_with_a_new_drug")


def test_the_prescription_coming_back_from_elsewhere_stops_nothing(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.DELIVERED)
    hospital.takes(loop.patient, LISINOPRIL, "20", since=KNOWN)
    pass_on(LATER)
    assert accept(hospital, loop).state == LoopState.ACCEPTED


def test_what_lowers_no_pressure_stops_nothing(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.APPROVED)
    line(loop.patient, source="s", ingredient="36567", name="simvastatin", drug_class=DrugClass.STATIN)
    pass_on(LATER)
    loop.refresh_from_db()
    assert loop.state == LoopState.DELIVERED


@EACH
def test_a_stop_goes_on_whatever_changed(hospital, happens, named):  # noqa: F811
    loop = hospital.loop_at(LoopState.MODIFIED)
    happens(hospital, loop.patient)
    pass_on(LATER)
    loop.refresh_from_db()
    assert loop.state == LoopState.DELIVERED
    assert accept(hospital, loop).state == LoopState.ACCEPTED
    assert Alert.objects.filter(kind="regimen_changed").exists() == (happens is another_dose)


def lowered(hospital, ingredient=AMLODIPINE) -> Loop:  # noqa: F811
    """A reduction from 10 to 5 that a clinician signed."""
    patient = hospital.patient(drugs=((ingredient, "10"),))
    hospital.weeks(patient, *[(150, 92)] * 5)
    loop = hospital.close(patient)
    chosen = DecisionInput(DecisionKind.MODIFY, "side_effect", "", loop.version, f"step_down:{ingredient}:5")
    decide(loop.pk, chosen, by=hospital.acting("clinician"), now=NOW)
    loop.refresh_from_db()
    return loop


def test_a_reduction_below_which_the_patient_is_already_is_no_longer_one(hospital):  # noqa: F811
    loop = lowered(hospital)
    hospital.takes(loop.patient, AMLODIPINE, "2.5", since=KNOWN)
    assert deliver(loop.pk, by=job("relay"), now=LATER) is None
    taken_back(loop, "dose_changed_elsewhere")


def test_a_reduction_from_a_dose_between_goes_on_and_is_said_once(hospital):  # noqa: F811
    loop = lowered(hospital, LISINOPRIL)
    hospital.takes(loop.patient, LISINOPRIL, "40", since=KNOWN)
    pass_on(LATER)
    loop.refresh_from_db()
    assert loop.state == LoopState.DELIVERED
    alert = Alert.objects.get(patient=loop.patient, kind="regimen_changed")
    reevaluate_all(by=job("look-again"), now=LATER + HOUR)
    alert.refresh_from_db()
    assert (alert.rules, alert.occurrences) == (["dose_changed_elsewhere"], 1)
