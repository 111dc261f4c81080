"""A patient's own alert limits: signed, only narrower than the site's, in force at once, never edited (HTN-06)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.selectors import payload_of
from care_loops.danger import Context, LimitName, as_rows, assess, loosened, narrowed, site_limit
from care_loops.danger.personal import ROWS_OF
from care_loops.domain.alerts import AlertKind
from care_loops.domain.evidence import Evidence
from care_loops.domain.loops import LoopState
from care_loops.domain.record import AlertLimits
from care_loops.domain.units import MmHg
from care_loops.freeze import thaw
from care_loops.models import Alert
from care_loops.models import AlertLimits as LimitsRow
from care_loops.pathways.hypertension.tables_danger import danger_table
from care_loops.selectors.danger import alert_limits
from care_loops.services import merge_patients, replay, sign_alert_limits, sign_target
from governance.domain import BadInput, Refusal
from tests.care_loops.clinic import NO_DRUGS, PLAIN_FACTS, reading
from tests.care_loops.clinic import NOW as THEN
from tests.care_loops.standing import commits, hospital, pass_on, refused, site, sql  # noqa: F401
from tests.factories import NOW, job

SITE = danger_table()
PLAIN = Context(facts=PLAIN_FACTS, regimen=NO_DRUGS)
CRISIS_165 = {LimitName.CRISIS_SYSTOLIC: Decimal(165)}
numbers = st.decimals(min_value=1, max_value=300, places=1)


def own(**signed: object) -> AlertLimits:
    named = {LimitName(name): Decimal(str(value)) for name, value in signed.items()}
    return AlertLimits("l-1", 1, as_rows(named), "dr", THEN)


# The rule


def test_the_alarm_comes_earlier_for_one_patient_and_says_by_which_limits():
    table = narrowed(SITE, [own(crisis_systolic=160, low_systolic=100)])
    (crisis,) = assess(reading(160, 80), PLAIN, received_at=THEN, table=table)
    assert (crisis.kind, crisis.limits) == (AlertKind.CRISIS, ("l-1@1",))
    low = [f for f in assess(reading(99, 65), PLAIN, received_at=THEN, table=table) if f.kind is AlertKind.LOW]
    assert [f.limits for f in low] == [("l-1@1",)]
    assert assess(reading(160, 80), PLAIN, received_at=THEN, table=SITE) == ()
    (diastolic,) = assess(reading(150, 125), PLAIN, received_at=THEN, table=table)
    assert diastolic.limits == ()  # the site's own limit spoke


def test_a_low_diastolic_is_a_page_or_a_card_by_the_systolic_also_under_an_own_limit():
    table = narrowed(SITE, [own(low_diastolic=65)])
    kinds = [assess(reading(s, 63), PLAIN, received_at=THEN, table=table)[0].kind for s in (105, 130)]
    assert kinds == [AlertKind.LOW, AlertKind.LOW_DIASTOLIC]


@pytest.mark.parametrize("signed", [{"crisis_systolic": 181}, {"low_systolic": 89}, {"fast_pulse": 121}])
def test_a_later_alarm_has_no_effect_and_would_not_be_signed(signed):
    """Kept by a defect or a broken database, it still cannot pull an alarm later."""
    assert narrowed(SITE, [own(**signed)]) == SITE
    named = {LimitName(name): Decimal(value) for name, value in signed.items()}
    assert loosened(named, SITE) == tuple(named)


@given(st.dictionaries(st.sampled_from(list(LimitName)), numbers), numbers, numbers)
def test_whatever_was_signed_no_reading_alarms_less_than_at_the_site(signed, systolic, diastolic):
    table = narrowed(SITE, [AlertLimits("l", 1, as_rows(signed), "dr", THEN)])
    one = reading(systolic, diastolic)
    at_site = {f.kind for f in assess(one, PLAIN, received_at=THEN, table=SITE)}
    for_patient = {f.kind for f in assess(one, PLAIN, received_at=THEN, table=table)}
    assert at_site <= for_patient


def test_every_limit_is_a_boundary_of_the_danger_table():
    rows = {rule.rule: rule for rule in SITE.rules}
    assert set(ROWS_OF) == set(LimitName)
    for name, named in ROWS_OF.items():
        assert {rows[row].boundary for row in named} == {replace(site_limit(name, SITE))}


# Signed, stored, in force


def test_a_reading_past_an_own_limit_is_a_crisis_in_the_transaction_that_stores_it(hospital):  # noqa: F811
    patient = hospital.patient()
    signed = sign_alert_limits(patient.pk, CRISIS_165, by=hospital.acting("clinician"), now=NOW)
    hospital.measures(patient, 166, 92, at=NOW + timedelta(minutes=5))
    alert = Alert.objects.get(patient=patient)
    assert (alert.kind, alert.locks) == ("crisis", True)
    assert payload_of(alert.entry)["limits"] == [f"{signed.pk}@1"]
    other = hospital.patient()
    hospital.measures(other, 166, 92, at=NOW + timedelta(minutes=5))
    assert not Alert.objects.filter(patient=other).exists()
    commits()


def test_newer_limits_supersede_and_the_older_stay_on_record(hospital):  # noqa: F811
    patient, by = hospital.patient(), hospital.acting("clinician")
    first = sign_alert_limits(patient.pk, CRISIS_165, by=by, now=NOW)
    later = NOW + timedelta(days=1)
    second = sign_alert_limits(patient.pk, {LimitName.LOW_SYSTOLIC: Decimal(105)}, by=by, now=later)
    assert (first.version, second.version) == (1, 2)
    assert alert_limits(patient, now=NOW)[0].ref == f"{first.pk}@1"  # as it stood then
    assert [limit.rule for limit in alert_limits(patient, now=later)[0].limits] == ["C7.systolic"]
    assert payload_of(second.entry)["limits"] == {"low_systolic": "105"}
    commits()


@pytest.mark.parametrize(
    ("signed", "field"),
    [
        ({LimitName.CRISIS_SYSTOLIC: Decimal(185)}, "crisis_systolic"),
        ({LimitName.LOW_DIASTOLIC: Decimal(55)}, "low_diastolic"),
        ({LimitName.SLOW_PULSE: Decimal(45)}, "slow_pulse"),
        ({LimitName.LOW_SYSTOLIC: Decimal(180)}, "low_systolic"),
        ({LimitName.LOW_SYSTOLIC: Decimal(150), LimitName.CRISIS_SYSTOLIC: Decimal(150)}, "low_systolic"),
    ],
)
def test_limits_that_loosen_or_leave_no_room_are_refused_by_name(hospital, signed, field):  # noqa: F811
    patient = hospital.patient()
    with pytest.raises(BadInput) as refusal:
        sign_alert_limits(patient.pk, signed, by=hospital.acting("clinician"), now=NOW)
    assert refusal.value.extra["field"] == field
    assert not LimitsRow.objects.exists()


def test_only_a_clinician_of_the_team_signs(hospital):  # noqa: F811
    patient = hospital.patient()
    for by in (hospital.acting("pharmacist"), hospital.acting("other_clinician"), hospital.own(patient), job()):
        with pytest.raises(Refusal):
            sign_alert_limits(patient.pk, CRISIS_165, by=by, now=NOW)


def test_an_open_increase_is_withdrawn_when_an_own_limit_makes_a_reading_of_the_window_dangerous(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    newest = max(r.systolic.value for r in thaw(loop.evidence, Evidence).readings)
    signed = {LimitName.CRISIS_SYSTOLIC: newest}
    sign_alert_limits(loop.patient_id, signed, by=hospital.acting("clinician"), now=NOW + timedelta(minutes=1))
    pass_on(NOW + timedelta(minutes=2))
    loop.refresh_from_db()
    last = loop.steps.order_by("-seq").first()
    assert (loop.state, last.reason_code) == ("withdrawn", "danger_rule")


def test_frozen_evidence_names_the_limits_and_a_replay_says_the_same(hospital):  # noqa: F811
    patient = hospital.patient()
    signed = sign_alert_limits(patient.pk, CRISIS_165, by=hospital.acting("clinician"), now=NOW - timedelta(days=60))
    hospital.weeks(patient, *[(166, 92)] * 5)
    loop = hospital.close(patient)
    evidence = thaw(loop.evidence, Evidence)
    assert [limits.ref for limits in evidence.alert_limits] == [f"{signed.pk}@1"]
    assert "up_titration:C1.systolic" in loop.outcome
    assert replay(loop.pk).identical
    before = json.loads(loop.evidence)
    del before["alert_limits"]  # as evidence was frozen before limits could be signed
    assert thaw(json.dumps(before), Evidence) == replace(evidence, alert_limits=())


def test_of_merged_records_the_earlier_alarm_of_both_holds(hospital):  # noqa: F811
    kept, absorbed, by = hospital.patient(), hospital.patient(), hospital.acting("clinician")
    sign_alert_limits(absorbed.pk, CRISIS_165, by=by, now=NOW)
    sign_alert_limits(kept.pk, {LimitName.CRISIS_SYSTOLIC: Decimal(175)}, by=by, now=NOW)
    merge_patients(absorbed.pk, kept.pk, reason="same person", by=hospital.acting("admin"), now=NOW)
    hospital.measures(kept, 166, 92, at=NOW + timedelta(minutes=5))
    assert Alert.objects.get(patient=kept).kind == "crisis"


# By raw SQL, as the application's own role


def test_signed_limits_are_not_changed_or_removed(hospital):  # noqa: F811
    patient = hospital.patient()
    sign_alert_limits(patient.pk, CRISIS_165, by=hospital.acting("clinician"), now=NOW)
    with refused("permission denied"):
        sql("UPDATE care_loops_alertlimits SET crisis_systolic = 250")
    with refused("permission denied"):
        sql("DELETE FROM care_loops_alertlimits")


COPY = """
    INSERT INTO care_loops_alertlimits
        (id, patient_id, version, crisis_systolic, signed_by_id, signed_at, signature_id, entry)
    SELECT gen_random_uuid(), patient_id, version + 1, 250, signed_by_id, signed_at + %s::interval, {signature}, entry
    FROM care_loops_alertlimits
"""
BORROWED = "(SELECT id FROM governance_signature ORDER BY signed_at LIMIT 1)"


def test_limits_are_not_put_in_beside_the_service_nor_dated_back(hospital):  # noqa: F811
    """Under the entry, or the signature, of something else; and before the version that they follow."""
    patient = hospital.patient()
    sign_alert_limits(patient.pk, CRISIS_165, by=hospital.acting("clinician"), now=NOW)
    commits()
    with refused("do not follow|is not signed over this very record"):
        sql(COPY.format(signature="signature_id"), "-1 day")
    with refused("not signed by|is not signed over this very record"):
        sql(COPY.format(signature=BORROWED), "0")
    target = sign_target(
        patient.pk, systolic_below=MmHg.of(135), diastolic_below=MmHg.of(85), by=hospital.acting("clinician"), now=NOW
    )
    with refused("entry that is not its own|is not signed over this very record"):
        sql(COPY.format(signature=f"'{target.signature_id}'"), "0")
