"""What was entered in error is kept, says nothing, and takes back what was sent under its identifier before."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, transaction

from audit.selectors import payload_of
from care_loops.averaging import average
from care_loops.domain.loops import LoopState
from care_loops.domain.readings import NotUsed, Status
from care_loops.models import Alert, BloodPressure, Correction
from care_loops.pathways.hypertension.tables_readings import averaging_rule
from care_loops.presenters import phone as phone_pages
from care_loops.selectors.phone import day_of
from care_loops.selectors.record import readings
from care_loops.selectors.summary import reading_seen, readings_of
from care_loops.selectors.worklist import worklist
from care_loops.services.again import waits_to_be_looked_at
from care_loops.services.take_in import ArrivalOutcome, take_in
from governance.services import acting_device
from tests.care_loops.fhir_cases import bundle, panel, patient
from tests.care_loops.importing import pressures, the_patient
from tests.factories import NOW, Hospital, arrival_of

pytestmark = pytest.mark.django_db
ERROR_STATUS = Status.ENTERED_IN_ERROR
ERROR = ERROR_STATUS.value


def test_it_is_counted_by_its_name_and_as_nothing_else(imported):
    counts = imported(bundle(patient(), panel("o1", 220, 130, status=ERROR), panel("o2", 50, 0, status=ERROR)))
    assert (pressures(counts), counts["refused"]) == ((0, 0, 0), {"entered_in_error": 2})
    assert counts["danger"] == {"crisis": 0, "low": 0, "historic": 0}
    assert not Alert.objects.exists()
    again = imported(bundle(patient(), panel("o1", 220, 130, status=ERROR), panel("o2", 50, 0, status=ERROR)))
    assert (pressures(again), again["refused"], again["unchanged"]) == ((0, 0, 0), {}, 3)


def test_a_source_takes_back_what_it_sent_before(imported):
    imported(bundle(patient(), panel("o1", 150, 95)))
    before = BloodPressure.objects.get()
    counts = imported(bundle(panel("o1", 150, 95, status=ERROR)))
    assert (pressures(counts), counts["refused"]) == ((0, 0, 0), {"entered_in_error": 1})
    correction = Correction.objects.get()
    assert (correction.reading_id, correction.reason, correction.by_id) == (before.pk, "entered_in_error", None)
    said = payload_of(correction.entry)
    assert said["retracted_by"] == str(BloodPressure.objects.get(status=ERROR).pk)
    seen = readings(the_patient(), since=before.taken_at, now=correction.at)
    assert [r.status for r in seen] == [ERROR_STATUS]


def test_every_version_that_came_under_the_id_is_taken_back_and_only_those(imported):
    imported(bundle(patient(), panel("o1", 120, 80), panel("o1", 150, 95), panel("o10", 130, 85)))
    imported(bundle(panel("o1", 150, 95, status=ERROR)))
    standing = BloodPressure.objects.filter(correction__isnull=True).exclude(status=ERROR)
    assert [row.source_id.split(":")[-1] for row in standing] == ["Observation/o10"]
    again = imported(bundle(panel("o1", 150, 95, status=ERROR)))
    assert (again["unchanged"], Correction.objects.count()) == (1, 2)
    late = imported(bundle(panel("o1", 120, 80)))  # the old version again changes nothing
    assert (late["unchanged"], Correction.objects.count()) == (1, 2)


def test_a_version_that_comes_after_its_error_does_not_count(imported):
    imported(bundle(patient(), panel("o1", 150, 95, status=ERROR)))
    counts = imported(bundle(panel("o1", 150, 95)))
    assert (pressures(counts), BloodPressure.objects.exclude(status=ERROR).get().quarantined) == (
        (0, 0, 1),
        "equivocal",
    )


def test_nobody_takes_back_a_reading_of_somebody_else(imported):
    imported(bundle(patient("p1"), patient("p2"), panel("o1", 150, 95, who="Patient/p1")))
    counts = imported(bundle(panel("o1", 150, 95, who="Patient/p2", status=ERROR)))
    assert counts["refused"] == {"entered_in_error": 1}
    assert not Correction.objects.exists()


def test_no_average_and_no_page_counts_it():
    hospital = Hospital()
    person = hospital.patient()
    hospital.week(person, 150, 95)
    good = {row.pk for row in BloodPressure.objects.all()}
    for hours in (30, 40, 50):
        hospital.measures(person, 90, 55, at=NOW - timedelta(hours=hours), status=ERROR_STATUS)
    assert not Alert.objects.exists()
    known = readings(person, since=NOW - timedelta(days=9), now=NOW)
    window = average(known, averaging_rule("home_7_day"), as_of=NOW, zone=ZoneInfo(person.zone))
    assert window.average is not None
    assert (window.average.systolic.value, window.average.diastolic.value) == (150, 95)
    bad = {str(row.pk) for row in BloodPressure.objects.exclude(pk__in=good)}
    assert {left.reading_id for left in window.not_used if left.why is NotUsed.VOID_STATUS} == bad
    seen = readings_of([person.pk], since=NOW - timedelta(days=9), until=NOW)
    assert {r.reading_id for r in seen if r.corrected == "entered_in_error"} == bad
    assert not any(r.counts for r in seen if r.reading_id in bad)
    newest = hospital.measures(person, 90, 55, at=NOW - timedelta(minutes=1), status=ERROR_STATUS)
    row = BloodPressure.objects.get(pk=newest.results[0].reading_id)
    assert phone_pages.reading(reading_seen(row))["held_back"].lower() == "entered in error"
    lines = worklist(hospital.acting("clinician"), now=NOW).patients
    assert [line.last_reading_at for line in lines] == [max(r.taken_at for r in seen if r.reading_id not in bad)]


@pytest.mark.parametrize("status", [ERROR_STATUS, Status.PRELIMINARY])
def test_a_phone_s_mean_is_of_results_only(status):
    hospital = Hospital()
    person = hospital.patient()
    for minutes, systolic, said in ((60, 150, Status.FINAL), (30, 90, status)):
        hospital.measures(person, systolic, 85, at=NOW - timedelta(minutes=minutes), status=said)
    today = day_of(person, NOW.date())
    assert (today.counted, today.mean_systolic.value, len(today.readings)) == (1, 150, 2)


def test_a_reading_taken_back_leaves_the_open_recommendation_to_be_looked_at_again():
    hospital = Hospital()
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    row = BloodPressure.objects.filter(patient=loop.patient).order_by("-taken_at").first()
    sent = arrival_of(row.systolic, row.diastolic, at=row.taken_at, source_id=row.source_id, status=ERROR_STATUS)
    assert sent.source_system == row.source_system
    taken = take_in(loop.patient_id, [sent], by=acting_device("cuff-1"), now=NOW, received_at=NOW)
    assert taken.results[0].outcome is ArrivalOutcome.STORED
    assert Correction.objects.get().reading_id == row.pk
    assert waits_to_be_looked_at([loop.patient_id])


@pytest.mark.parametrize("change", ["reason = 'wrong_patient'", "moved_to_id = reading_id"])
def test_only_a_source_s_own_error_goes_without_a_person(imported, change):
    imported(bundle(patient(), panel("o1", 150, 95), panel("o2", 150, 95)))
    reading, other = BloodPressure.objects.all()
    row = {"reason": "entered_in_error", "moved_to_id": None}
    row |= {"reason": "wrong_patient"} if "wrong" in change else {"moved_to_id": other.pk}
    with pytest.raises(IntegrityError, match="correction_has_person_or_was_taken_back"), transaction.atomic():
        Correction.objects.create(reading=reading, at=NOW, entry=reading.entry, **row)
    connection.check_constraints()
