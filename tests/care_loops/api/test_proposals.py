"""What is put before the patient, and the answer: one effect, the same bytes, and nothing that is not the patient's."""

import threading
from uuid import uuid4

import pytest
from django.db import connection

from audit import receipts
from audit.entries import read_leaf
from audit.models import IdempotencyKey, Pending
from audit.services import keys
from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.domain.record import SymptomKind
from care_loops.models import Loop, RegimenEntry
from care_loops.services import DecisionInput, OrderInput, decide, recall, record_no_medicines, write_order
from care_loops.services.respond import deliver
from governance.domain import Role
from tests.care_loops.api.world import JOB, World, entries
from tests.governance.people import acting


def state_of(loop: Loop) -> str:
    return Loop.objects.values_list("state", flat=True).get(pk=loop.pk)


def path(loop: Loop, answer: str = "") -> str:
    return f"me/recommendations/{loop.pk}{'/' if answer else ''}{answer}"


def test_a_delivered_change_says_old_and_new_dose_what_to_stop_who_decided_and_how_to_get_a_person(world):
    loop = world.delivered()
    said = world.marys.get(path(loop)).json()
    assert said["waits_for_you"] is True
    assert said["change"]["old_total_daily_dose"] == "5 mg"
    assert said["change"]["new_total_daily_dose"] == "10 mg"
    assert "replaced, not added" in said["change"]["what_to_stop"]
    assert "Stop the old dose" in said["message"]
    assert said["decided_by"] == world.clinician.printed_name
    assert said["decided_by"] in said["why"]
    assert "care team" in said["how_to_get_a_person"]
    assert [one["id"] for one in world.marys.get("me/recommendations").json()["recommendations"]] == [str(loop.pk)]


def test_a_proposal_within_the_boundary_names_who_signed_it(directed):
    world, loop = directed
    said = world.marys.get(path(loop)).json()
    assert said["state"] == "with_patient"
    assert world.clinician.printed_name in said["why"]
    accepted = world.marys.post(path(loop, "accept"), key="k-1")
    assert accepted.status_code == 200
    assert state_of(loop) == LoopState.ACCEPTED


def test_what_waits_for_a_clinician_does_not_exist_on_the_phone(advised):
    world, loop = advised
    nowhere = world.marys.get(f"me/recommendations/{uuid4()}")
    hidden = world.marys.get(path(loop))
    assert (hidden.status_code, hidden.content) == (404, nowhere.content)
    assert world.marys.get("me/recommendations").json() == {"recommendations": []}
    today = world.marys.get("me/today").json()
    assert today["waiting_for_you"] == []
    assert str(loop.pk) not in str(today)
    for answer in ("accept", "decline", "ask-person"):
        answered = world.marys.post(path(loop, answer), key=f"k-{answer}")
        assert (answered.status_code, answered.content) == (404, nowhere.content)
    assert state_of(loop) == LoopState.WITH_CLINICIAN
    rejected = DecisionInput(DecisionKind.REJECT, "will_see_patient", "", Loop.objects.get(pk=loop.pk).version)
    decide(loop.pk, rejected, by=acting(world.clinician, world.now), now=world.now)
    assert world.marys.get(path(loop)).content == nowhere.content


def test_what_was_approved_is_seen_only_once_it_is_delivered(world):
    loop = world.ordered()
    assert world.marys.get(path(loop)).status_code == 404
    deliver(loop.pk, by=JOB, now=world.now)
    assert world.marys.get(path(loop)).status_code == 200


def test_what_was_taken_back_before_it_was_shown_was_never_there(world):
    never_shown = world.ordered()
    recall(
        never_shown.pk,
        reason_code="other_condition",
        free_text="",
        by=acting(world.clinician, world.now),
        now=world.now,
    )
    assert world.marys.get(path(never_shown)).status_code == 404


def test_what_was_taken_back_after_it_was_shown_says_so(world):
    loop = world.delivered()
    recall(loop.pk, reason_code="other_condition", free_text="", by=acting(world.clinician, world.now), now=world.now)
    said = world.marys.get(path(loop)).json()
    assert "taken this back" in said["in_words"]
    assert (said["message"], said["change"]["what_to_stop"]) == ("", "")
    assert said["waits_for_you"] is False
    assert world.marys.post(path(loop, "accept"), key="k-1").status_code == 409


def test_accepting_writes_the_line_that_counts_from_the_first_dose(world):
    loop = world.delivered()
    said = world.marys.post(path(loop, "accept"), key="k-1").json()
    assert said["answer"] == "accept"
    promise = receipts.check(said["receipt"].encode(), keys=[keys.statement_vkey()], origin=keys.origin())
    kept = bytes(Pending.objects.get(leaf_hash=promise.leaf_hash).leaf)
    assert read_leaf(kept, origin=keys.origin())["type"] == "recommendation.accepted"
    assert world.marys.post(path(loop, "accept"), key="k-1").json() == said
    assert state_of(loop) == LoopState.ACCEPTED
    shown = world.marys.get("me/today").json()["medicines"][0]
    assert shown["total_daily_dose"] == "5 mg"
    assert shown["next"].startswith("From your next dose: 10 mg a day in all.")
    dose = {
        "source_id": "d-1",
        "ingredient": "17767",
        "due_on": world.now.date().isoformat(),
        "taken": True,
        "taken_at": entry_time(world),
        "daily_dose_mg": 10,
    }
    assert world.marys.post("me/intakes", dose).status_code == 201
    assert state_of(loop) == LoopState.DONE
    shown = world.marys.get("me/today").json()["medicines"][0]
    assert (shown["total_daily_dose"], shown["next"]) == ("10 mg", "")


def test_a_new_medicine_that_was_accepted_stands_in_the_list_so_that_its_first_dose_can_be_logged(world):
    record_no_medicines(world.patient.pk, by=JOB, now=world.then)
    order = OrderInput("start:17767:5", reason_code="will_see_patient", free_text="")
    loop = write_order(world.patient.pk, order, by=acting(world.clinician, world.now), now=world.now)
    deliver(loop.pk, by=JOB, now=world.now)
    listed = {one["ingredient"] for one in world.marys.get("me/today").json()["medicines"]}
    assert "17767" not in listed, "not before the patient said yes"
    assert world.marys.post(path(loop, "accept"), key="k-1").status_code == 200
    new = {one["ingredient"]: one for one in world.marys.get("me/today").json()["medicines"]}["17767"]
    assert (new["total_daily_dose"], new["next"][:35]) == (None, "From your next dose: 5 mg a day in ")
    dose = {"source_id": "d-9", "ingredient": "17767", "due_on": world.now.date().isoformat(), "taken": True}
    assert world.marys.post("me/intakes", dose | {"taken_at": entry_time(world)}).status_code == 201
    assert state_of(loop) == LoopState.DONE


def entry_time(world: World) -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat()


@pytest.mark.parametrize(
    ("answer", "state"), [("decline", LoopState.DECLINED), ("ask-person", LoopState.WITH_CLINICIAN)]
)
def test_declining_and_asking_a_person_change_nothing_about_the_medicine(directed, answer, state):
    world, loop = directed
    before = RegimenEntry.objects.count()
    answered = world.marys.post(path(loop, answer), {"reason": "wants_to_talk"}, key="k-1")
    assert answered.status_code == 200
    assert state_of(loop) == state
    assert RegimenEntry.objects.count() == before
    if answer == "decline":
        assert world.marys.get(path(loop)).json()["message"] == ""


@pytest.mark.parametrize("answer", ["accept", "decline", "ask-person"])
def test_an_answer_without_a_usable_key_does_nothing(world, answer):
    loop = world.delivered()
    refused = world.marys.post(path(loop, answer))
    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_needed")
    for bad in ("x" * 256, "with space", "é"):
        assert world.marys.post(path(loop, answer), key=bad).json()["code"] == "idempotency_key_needed"
    assert state_of(loop) == LoopState.DELIVERED


@pytest.mark.parametrize("answer", ["accept", "decline", "ask-person"])
def test_the_same_key_gives_the_same_bytes_and_one_effect(directed, answer):
    world, loop = directed
    first = world.marys.post(path(loop, answer), key="k-1")
    again = world.marys.post(path(loop, answer), key="k-1")
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert Loop.objects.get(pk=loop.pk).steps.count() == 3
    assert IdempotencyKey.objects.count() == 1


def test_the_same_key_with_another_body_is_refused(world):
    loop = world.delivered()
    world.marys.post(path(loop, "decline"), {"reason": "feels_well"}, key="k-1")
    other = world.marys.post(path(loop, "decline"), {"reason": "other"}, key="k-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_body_differs")


def test_a_refused_answer_is_not_remembered(world):
    loop = world.delivered()
    world.marys.post(path(loop, "decline"), key="k-1")
    late = world.marys.post(path(loop, "accept"), key="k-2")
    assert (late.status_code, late.json()["code"]) == (409, "not_now")
    assert not IdempotencyKey.objects.filter(key="k-2").exists()


def test_only_words_of_the_list_go_with_an_answer(world):
    loop = world.delivered()
    refused = world.marys.post(path(loop, "decline"), {"reason": "because"}, key="k-1")
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (400, "unknown_word", "reason")
    refused = world.marys.post(path(loop, "decline"), {"state": "accepted"}, key="k-1")
    assert refused.json()["code"] == "unknown_field"


def test_a_carer_reads_but_does_not_answer(world):
    loop = world.delivered()
    carer = world.phone(world.joined(world.patient.pk, Role.CARER))
    assert carer.get(path(loop)).status_code == 200
    refused = carer.post(path(loop, "accept"), key="k-1")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert state_of(loop) == LoopState.DELIVERED
    assert entries("access.denied")[-1]["actor"]["role"] == "carer"


def test_a_side_effect_holds_an_increase_of_that_drug_at_once(directed):
    world, loop = directed
    symptom = {
        "source_id": "s-1",
        "kind": SymptomKind.ANKLE_SWELLING.value,
        "felt_at": entry_time(world),
        "suspected_ingredient": "17767",
    }
    said = world.marys.post("me/symptoms", symptom).json()
    assert said["paused_for"] == ["17767"]
    held = world.marys.post(path(loop, "accept"), key="k-1")
    assert (held.status_code, held.json()["code"]) == (409, "held_for_safety")
    assert state_of(loop) == LoopState.WITH_PATIENT
    assert entries("automation.paused")[-1]["reason_code"] == "side_effect_reported"
    shown = world.marys.get(path(loop)).json()
    assert shown["waits_for_you"] is False
    assert "Do not change anything yet" in shown["in_words"]
    assert (shown["message"], shown["change"]["what_to_stop"]) == ("", "")
    assert world.marys.get("me/today").json()["waiting_for_you"] == []


def test_a_crisis_reading_holds_an_increase_at_once(directed):
    world, loop = directed
    reading = {
        "source_id": "r-1",
        "taken_at": entry_time(world),
        "unit": "mmHg",
        "systolic": 196,
        "diastolic": 122,
        "method": "upper_arm_cuff",
        "setting": "home",
        "position": "seated",
        "device_validated": True,
    }
    assert world.marys.post("me/readings", reading).status_code == 201
    assert world.marys.get("me/today").json()["waiting_for_you"] == []
    held = world.marys.post(path(loop, "accept"), key="k-1")
    assert (held.status_code, held.json()["code"]) == (409, "held_for_safety")


def at_once(work, times: int) -> list:
    """What `work(n)` returned in `times` threads that started together."""
    gate, found = threading.Barrier(times), [None] * times

    def run(n: int) -> None:
        gate.wait()
        try:
            found[n] = work(n)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(times)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return found


def test_one_key_sent_eight_times_at_once_acts_once(committed_world):
    world, loop = committed_world, committed_world.delivered()
    answers = at_once(lambda _: world.phone_again().post(path(loop, "accept"), key="k-1"), 8)
    done = [answer.content for answer in answers if answer.status_code == 200]
    running = [answer.json()["code"] for answer in answers if answer.status_code != 200]
    assert done
    assert len(set(done)) == 1
    assert set(running) <= {"idempotency_running"}
    assert Loop.objects.get(pk=loop.pk).steps.filter(state="accepted").count() == 1
    assert RegimenEntry.objects.filter(loop=loop).count() == 1
    assert world.marys.post(path(loop, "accept"), key="k-1").content == done[0]


def test_different_answers_at_once_have_one_winner(committed_world):
    world, loop = committed_world, committed_world.delivered()
    said = ["accept", "decline"] * 4
    answers = at_once(lambda n: world.phone_again().post(path(loop, said[n]), key=f"k-{n}"), 8)
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert Loop.objects.get(pk=loop.pk).steps.filter(state__in=["accepted", "declined"]).count() == 1


def test_the_same_reading_sent_at_once_is_stored_once(committed_world):
    world = committed_world
    at = entry_time(world)
    dose = {"source_id": "d-1", "ingredient": "17767", "due_on": at[:10], "taken": True, "taken_at": at}
    symptom = {"source_id": "s-1", "kind": "cough", "felt_at": at}
    reading = {
        "source_id": "r-1", "taken_at": at, "unit": "mmHg", "systolic": 131, "diastolic": 83,
        "method": "upper_arm_cuff", "setting": "home", "position": "seated", "device_validated": True,
    }  # fmt: skip
    for where, body in (("me/readings", reading), ("me/symptoms", symptom), ("me/intakes", dose)):
        answers = at_once(lambda _, where=where, body=body: world.phone_again().post(where, body), 6)
        assert {answer.status_code for answer in answers} == {201}, [a.content for a in answers]
        assert len({answer.json()["id"] for answer in answers}) == 1
