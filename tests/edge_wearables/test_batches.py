"""A signed batch is taken in once, answered reading by reading, and answered the same for ever (SECURITY F13-F16)."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection, connections
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.models import Pending
from care_loops.models import Alert, BloodPressure
from care_loops.presenters.alerts import alert_shown
from care_loops.selectors.alert_evidence import newest_evidence
from edge_wearables.models import Batch, BootMark, Received, RefusedReading
from edge_wearables.services import assign_device, revoke_device
from tests.edge_wearables.entrance import (
    JOB,
    Sender,
    a_sender,
    enrolled_key,
    new_device,
    new_patient,
    pressure,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_batch_is_stored_and_acknowledged_reading_by_reading():
    sender = a_sender()
    answer = sender.taken(pressure(1), pressure(2, systolic=131), pressure(3, systolic="131"))
    assert answer["accepted"] == [1, 2]
    assert answer["rejected"] == [{"seq": 3, "code": "not_a_number"}]
    assert answer["high_water"] == 3
    assert answer["missing_ranges"] == []
    rows = sender.stored()
    assert [row.systolic for row in rows] == [128, 131]
    assert all(row.device_validated and row.method == "upper_arm_cuff" and row.setting == "home" for row in rows)
    assert {row.patient_id for row in rows} == {sender.patient.pk}


def test_the_receipt_names_an_entry_of_the_record_with_its_hash():
    sender = a_sender()
    receipt = sender.taken(pressure(1), pressure(2))["receipt"]
    kept = Pending.objects.get(entry_id=receipt["entry_id"])
    assert bytes(kept.leaf_hash).hex() == receipt["leaf_hash"]
    assert {str(row.entry) for row in sender.stored()} == {receipt["entry_id"]}


def test_a_refused_reading_is_kept_and_does_not_take_its_neighbours_with_it():
    sender = a_sender()
    sender.taken(pressure(1), pressure(2, unit="cmH2O"), pressure(3))
    kept = RefusedReading.objects.get()
    assert (kept.seq, kept.code, kept.outcome) == (2, "unknown_unit", "rejected")
    assert json.loads(bytes(kept.body))["unit"] == "cmH2O"
    assert len(sender.stored()) == 2


def test_the_same_message_again_gets_the_same_bytes_and_stores_nothing():
    sender = a_sender()
    message = sender.message([pressure(1), pressure(2, systolic="high")])
    first = sender.post(*message)
    entries = Pending.objects.count()
    for _ in range(3):
        again = sender.post(*message)
        assert again.status_code == 200
        assert again.content == first.content
        assert again.headers["Batch-Replayed"] == "true"
    assert first.headers["Batch-Replayed"] == "false"
    assert BloodPressure.objects.count() == 1
    assert Batch.objects.count() == 1
    assert RefusedReading.objects.count() == 1
    assert Pending.objects.count() == entries


def test_a_hundred_captured_messages_sent_again_after_a_restart_store_nothing():
    sender = a_sender()
    captured = [sender.message([pressure(2 * n + 1), pressure(2 * n + 2)]) for n in range(100)]
    answers = [sender.post(*message).content for message in captured]
    assert BloodPressure.objects.count() == 200
    connections.close_all()  # what a new process would have: the database, and nothing else
    stranger = Client()
    again = [
        stranger.post("/api/v1/devices/batches", data=body, content_type="application/json", headers=headers)
        for body, headers in captured
    ]
    assert [a.content for a in again] == answers
    assert all(a.headers["Batch-Replayed"] == "true" for a in again)
    assert BloodPressure.objects.count() == 200
    assert Received.objects.count() == 200


def test_the_same_reading_in_another_batch_is_a_duplicate():
    sender = a_sender()
    one, two, three = pressure(1), pressure(2), pressure(3)
    sender.taken(one, two)
    answer = sender.taken(two, three)
    assert answer["duplicate"] == [2]
    assert answer["accepted"] == [3]
    assert len(sender.stored()) == 3


def test_other_content_under_a_known_number_is_held_back_and_reported():
    sender = a_sender()
    sender.taken(pressure(1, systolic=128))
    answer = sender.taken(pressure(1, systolic=141))
    assert answer["quarantined"] == [{"seq": 1, "code": "equivocal"}]
    assert answer["accepted"] == []
    honest, other = sender.stored()
    assert (honest.systolic, honest.quarantined) == (128, "")
    assert (other.systolic, other.quarantined) == (141, "equivocal")
    assert RefusedReading.objects.get().code == "equivocal"
    assert Received.objects.get().outcome == "accepted"


def test_a_dangerous_reading_under_a_known_number_still_raises_an_alert():
    sender = a_sender()
    sender.taken(pressure(1, systolic=128, ago=30))
    assert not Alert.objects.exists()
    sender.taken(pressure(1, systolic=202, diastolic=124, ago=20))
    assert Alert.objects.filter(patient=sender.patient).exists()


def test_a_number_twice_in_one_batch_is_told_for_what_it_is():
    sender = a_sender()
    one = pressure(1)
    answer = sender.taken(one, one, pressure(1, systolic=150))
    assert answer["accepted"] == [1]
    assert answer["duplicate"] == [1]
    assert answer["quarantined"] == [{"seq": 1, "code": "equivocal"}]
    assert [row.quarantined for row in sender.stored()] == ["", "equivocal"]


def test_missing_numbers_are_told_and_late_ones_close_the_gap():
    sender = a_sender()
    answer = sender.taken(pressure(2), pressure(5))
    assert answer["missing_ranges"] == [[1, 1], [3, 4]]
    assert sender.taken(pressure(3))["missing_ranges"] == [[1, 1], [4, 4]]
    answer = sender.taken(pressure(1), pressure(4))
    assert (answer["high_water"], answer["missing_ranges"]) == (5, [])
    mark = BootMark.objects.get()
    assert (mark.high_water, mark.gaps) == (5, [])


def test_a_number_far_ahead_is_held_back_and_does_not_move_the_mark():
    sender = a_sender()
    answer = sender.taken(pressure(1), pressure(2**31))
    assert answer["quarantined"] == [{"seq": 2**31, "code": "sequence_jump"}]
    assert answer["high_water"] == 1
    assert sender.stored()[1].quarantined == "equivocal"


def test_numbers_of_another_boot_are_other_numbers():
    sender = a_sender()
    sender.taken(pressure(1, systolic=120))
    other = Sender(sender.device_id, sender.private, sender.patient)
    assert other.taken(pressure(1, systolic=130))["accepted"] == [1]
    assert len(sender.stored()) == 2


def test_the_same_message_from_eight_sides_at_once_is_stored_once():
    sender = a_sender()
    message = sender.message([pressure(n) for n in range(1, 6)])
    barrier = Barrier(8)

    def post(_: int) -> bytes:
        try:
            barrier.wait(timeout=20)
            return (
                Client()
                .post("/api/v1/devices/batches", data=message[0], content_type="application/json", headers=message[1])
                .content
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(post, range(8)))
    assert len(answers) == 1
    assert json.loads(answers.pop())["accepted"] == [1, 2, 3, 4, 5]
    assert BloodPressure.objects.count() == 5
    assert Batch.objects.count() == 1


def test_overlapping_batches_from_several_sides_at_once_lose_and_double_nothing():
    sender = a_sender()
    readings = [pressure(n) for n in range(1, 41)]
    messages = [sender.message(readings[start : start + 10]) for start in range(0, 31, 5)]
    barrier = Barrier(len(messages))

    def post(message: tuple) -> int:
        try:
            barrier.wait(timeout=20)
            return Sender(sender.device_id, sender.private).post(*message).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(messages)) as pool:
        assert set(pool.map(post, messages)) == {200}
    assert [row.source_id for row in sender.stored()] == [f"{sender.boot_id}:{n}" for n in range(1, 41)]
    assert BootMark.objects.get().high_water == 40


# -- time --------------------------------------------------------------------------------------------------------------


def test_a_clock_four_minutes_ahead_is_tolerated():
    sender = a_sender()
    ahead = timezone.now() + timedelta(minutes=4)
    answer = sender.taken(pressure(1, ago=-4), sent_at=ahead)
    assert answer["accepted"] == [1]
    assert sender.stored()[0].quarantined == ""


def test_a_reading_from_the_future_is_held_back_with_its_flag():
    sender = a_sender()
    answer = sender.taken(pressure(1), pressure(2, ago=-30))
    assert answer["accepted"] == [1]
    assert answer["quarantined"] == [{"seq": 2, "code": "future"}]
    future = sender.stored()[1]
    assert future.quarantined == "future"
    assert "clock_uncertain" in future.flags


def test_a_dangerous_reading_from_the_future_still_raises_an_alert():
    sender = a_sender()
    sender.taken(pressure(1, systolic=204, diastolic=118, ago=-60 * 24 * 30))
    assert Alert.objects.filter(patient=sender.patient, kind="crisis").exists()


def test_what_is_held_back_confirms_no_crisis_and_is_dated_by_its_receipt():
    sender = a_sender()
    ahead = -60 * 16
    sender.taken(pressure(1, systolic=190, diastolic=82, ago=ahead), pressure(2, systolic=80, diastolic=120, ago=ahead))
    sender.taken(pressure(3, systolic=191, diastolic=84, ago=ahead - 5))
    crisis, low = (Alert.objects.get(patient=sender.patient, kind=kind) for kind in ("crisis", "low"))
    assert (crisis.severity, crisis.pages, crisis.locks, crisis.unverified) == ("urgent", True, True, True)
    assert (low.severity, low.pages, low.locks, low.unverified) == ("urgent", True, False, True)
    assert set(crisis.rules) == {"C1.systolic", "C1.diastolic"}
    assert crisis.measured_at <= timezone.now()
    found = newest_evidence(Alert.objects.filter(patient=sender.patient).prefetch_related("events"))
    for alert, lock in ((crisis, "Danger lock: it ends when"), (low, "No danger lock: the numbers contradict")):
        shown = alert_shown(alert, found[alert.pk], zone="Europe/Berlin", now=timezone.now())
        assert shown.measured.startswith("clock uncertain, received ")
        assert "in 16 hours" not in f"{shown.measured} {shown.clock}"
        assert shown.lock.startswith(lock)


def test_a_second_sound_reading_still_confirms_a_crisis():
    sender = a_sender()
    sender.taken(pressure(1, systolic=190, diastolic=82, ago=20), pressure(2, systolic=188, diastolic=84, ago=10))
    crisis = Alert.objects.get(patient=sender.patient, kind="crisis")
    assert (crisis.severity, crisis.unverified) == ("critical", False)
    found = newest_evidence(Alert.objects.filter(patient=sender.patient).prefetch_related("events"))
    shown = alert_shown(crisis, found[crisis.pk], zone="Europe/Berlin", now=timezone.now())
    assert shown.measured.startswith("measured ")


def test_a_dangerous_reading_of_a_clock_set_back_to_the_factory_date_still_raises_an_alert():
    sender = a_sender()
    then = timezone.now() - timedelta(days=9_000)
    answer = sender.taken(pressure(1, systolic=204, diastolic=118, ago=60 * 24 * 9_000), sent_at=then)
    assert answer["quarantined"] == [{"seq": 1, "code": "clock_uncertain"}]
    assert sender.stored()[0].flags == ["clock_uncertain"]
    assert Alert.objects.filter(patient=sender.patient, kind="crisis").exists()


def test_a_late_reading_is_kept_and_flagged():
    sender = a_sender()
    assert sender.taken(pressure(1, ago=60 * 24 * 9))["accepted"] == [1]
    assert sender.stored()[0].flags == ["late"]


def test_a_reading_belongs_to_whoever_had_the_device_when_it_was_taken():
    sender = a_sender()
    second = new_patient("B")
    assign_device(sender.device_id, second.pk, by=JOB, now=timezone.now() - timedelta(days=3))
    answer = sender.taken(pressure(1, ago=60 * 24 * 5), pressure(2, ago=60 * 24 * 2))
    assert answer["accepted"] == [1, 2]
    assert [row.patient_id for row in sender.stored()] == [sender.patient.pk, second.pk]


def test_a_reading_of_nobody_is_refused_by_name_and_kept():
    device = new_device()
    sender = Sender(device, enrolled_key(device))
    assert sender.taken(pressure(1))["rejected"] == [{"seq": 1, "code": "not_assigned_then"}]
    assert RefusedReading.objects.get().code == "not_assigned_then"
    assert not BloodPressure.objects.exists()


# -- what kind of measurement ------------------------------------------------------------------------------------------


def test_a_cuffless_device_cannot_pass_itself_off_as_a_cuff():
    from care_loops.domain.readings import Method

    sender = a_sender(method=Method.CUFFLESS, validated=False)
    sender.taken(pressure(1), pressure(2, method="upper_arm_cuff"))
    assert {(row.method, row.device_validated) for row in sender.stored()} == {("cuffless", False)}


def test_heart_rate_and_steps_become_samples_and_never_pressures():
    sender = a_sender()
    at = (timezone.now() - timedelta(hours=1)).isoformat()
    answer = sender.taken(
        {"seq": 1, "kind": "heart_rate", "starts_at": at, "ends_at": at, "value": 71, "unit": "/min"},
        {"seq": 2, "kind": "steps", "starts_at": at, "ends_at": at, "value": 820, "unit": "{steps}"},
        {"seq": 3, "kind": "steps", "starts_at": at, "ends_at": at, "value": 820, "unit": "km"},
    )
    assert answer["accepted"] == [1, 2]
    assert answer["rejected"] == [{"seq": 3, "code": "unknown_unit"}]
    assert {(s.kind, s.value) for s in sender.samples()} == {("heart_rate", 71), ("steps", 820)}
    assert not BloodPressure.objects.exists()


def test_a_sentinel_is_held_back_by_the_name_of_what_it_is():
    sender = a_sender()
    answer = sender.taken(pressure(1, systolic=2047, diastolic=2047))
    assert answer["quarantined"] == [{"seq": 1, "code": "device_sentinel"}]


def test_kilopascal_converts_and_is_stored_in_mmhg():
    sender = a_sender()
    sender.taken(pressure(1, systolic=16, diastolic=10.5, unit="kPa"))
    row = sender.stored()[0]
    assert 119.9 < row.systolic < 120.1
    assert 78.7 < row.diastolic < 78.8


def test_a_revoked_device_is_refused_at_the_next_message():
    sender = a_sender()
    message = sender.message([pressure(1)])
    assert sender.post(*message).status_code == 200
    assert revoke_device(sender.device_id, reason="lost", by=JOB, now=timezone.now()) == 1
    for refused in (sender.send(pressure(2)), sender.post(*message)):
        assert refused.status_code == 403
        assert refused.json()["code"] == "key_revoked"
    assert BloodPressure.objects.count() == 1


def test_a_reading_soon_after_effort_is_told_so_and_one_at_rest_is_not():
    sender, now = a_sender(), timezone.now()
    walk = {"kind": "steps", "unit": "{steps}", "value": 4200}
    walk |= {
        "starts_at": (now - timedelta(minutes=95)).isoformat(),
        "ends_at": (now - timedelta(minutes=60)).isoformat(),
    }
    sender.taken(pressure(1, ago=50), pressure(2, ago=80), pressure(3, ago=20), pressure(4, ago=150), {"seq": 5} | walk)
    assert [row.flags for row in sender.stored()] == [["post_exercise"], ["post_exercise"], [], []]
    sender.taken(pressure(6, ago=45))
    assert sender.stored()[4].flags == ["post_exercise"]


# -- any order, any crash ----------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(1, 31)), st.lists(st.integers(0, 29), max_size=15), st.integers(1, 9))
def test_a_stream_in_any_order_with_repeats_ends_as_the_sorted_stream_would(order, repeats, size):
    sender = a_sender()
    readings = {seq: pressure(seq, systolic=100 + seq) for seq in order}
    stream = [*order, *(order[place] for place in repeats)]
    accepted, repeated = [], set()
    for start in range(0, len(stream), size):
        answer = sender.send(*(readings[seq] for seq in stream[start : start + size]))
        if answer.headers["Batch-Replayed"] == "false":
            accepted += answer.json()["accepted"]
            repeated |= set(answer.json()["duplicate"])
    assert [int(row.systolic) for row in sender.stored()] == [100 + seq for seq in range(1, 31)]
    assert sorted(accepted) == list(range(1, 31))
    assert repeated <= set(stream[30:])
    mark = BootMark.objects.get(device=sender.device_id)
    assert (mark.high_water, mark.gaps) == (30, [])


class Killed(BaseException):
    """The process is gone: nothing catches it, nothing after it runs."""


def killed_at(nth):
    """Kill at the nth statement to the database."""
    left = [nth]

    def wrapper(execute, sql, params, many, context):
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return execute(sql, params, many, context)

    return wrapper


def test_a_kill_at_any_statement_of_taking_in_leaves_all_of_the_batch_or_nothing():
    sender = a_sender()
    message = sender.message([pressure(1), pressure(2, systolic=205, diastolic=118, ago=30), pressure(3, unit="psi")])
    counted = (BloodPressure, Batch, Received, RefusedReading, Alert, Pending)
    before = [table.objects.count() for table in counted]
    kept = []
    for nth in range(1, 200):
        try:
            with connection.execute_wrapper(killed_at(nth)):
                answer = sender.post(*message)
        except Killed:
            connection.close()
            kept.append([table.objects.count() for table in counted])
            continue
        break
    assert nth > 15
    after = [table.objects.count() for table in counted]  # once committed, the connection is told what it sees again
    assert [number for number, left in enumerate(kept, 1) if left not in (before, after)] == []
    assert kept[:15] == [before] * 15
    assert answer.json()["accepted"] == [1, 2]
    assert BloodPressure.objects.count() == 2
    assert Alert.objects.exists()
    assert sender.post(*message).content == answer.content
