"""Readings, symptoms and doses from a phone: stored once, danger answered at once, what cannot be taken kept."""

from datetime import UTC, datetime, timedelta

import pytest

from care_loops.models import Alert, BloodPressure, ImportRefusal, IntakeLog, Symptom
from tests.care_loops.api.world import AMLODIPINE, entries


def at(**ago: float) -> str:
    """A time that long ago, as a phone writes it."""
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


def reading(systolic: object = 131, diastolic: object = 83, **more: object) -> dict[str, object]:
    said: dict[str, object] = {
        "source_id": "r-1",
        "taken_at": at(minutes=1),
        "unit": "mmHg",
        "systolic": systolic,
        "diastolic": diastolic,
        "method": "upper_arm_cuff",
        "setting": "home",
        "position": "seated",
        "device_validated": True,
    }
    return said | more


def test_a_reading_is_stored_and_comes_back(world):
    taken = world.marys.post("me/readings", reading(pulse=64))
    assert (taken.status_code, taken.json()["outcome"], taken.json()["what_to_do_now"]) == (201, "stored", [])
    row = BloodPressure.objects.get()
    assert (row.systolic, row.diastolic, row.pulse, row.zone) == (131, 83, 64, "Europe/Berlin")
    [shown] = world.marys.get("me/readings").json()["readings"]
    assert (shown["systolic"], shown["diastolic"], shown["pulse"], shown["held_back"]) == ("131", "83", "64", "")


def test_kilopascals_are_converted_and_sent_again_are_known_again(world):
    body = reading(17.333, 10.667, unit="kPa")
    assert world.marys.post("me/readings", body).json()["outcome"] == "stored"
    assert world.marys.post("me/readings", body).json()["outcome"] == "duplicate"
    row = BloodPressure.objects.get()
    assert (round(row.systolic), round(row.diastolic)) == (130, 80)


def test_the_same_name_for_other_content_is_a_conflict_and_both_are_kept(world):
    world.marys.post("me/readings", reading())
    answer = world.marys.post("me/readings", reading(188, 124))
    assert (answer.status_code, answer.json()["code"]) == (409, "conflicting_content")
    assert BloodPressure.objects.count() == 2
    assert BloodPressure.objects.exclude(quarantined="").get().systolic == 188
    assert answer.json()["what_to_do_now"], "the danger rules ran on the second one too"


def test_two_patients_may_use_the_same_name(world):
    _, other = world.stranger()
    phone = world.phone(other)
    assert world.marys.post("me/readings", reading()).json()["outcome"] == "stored"
    assert phone.post("me/readings", reading(140, 90)).json()["outcome"] == "stored"


@pytest.mark.parametrize(
    ("systolic", "diastolic", "code"), [(2047, 2047, "device_sentinel"), (80, 120, "systolic_not_above_diastolic")]
)
def test_an_implausible_reading_is_kept_and_says_why_it_does_not_count(world, systolic, diastolic, code):
    answer = world.marys.post("me/readings", reading(systolic, diastolic)).json()
    assert (answer["outcome"], answer["code"]) == ("quarantined", code)
    [shown] = world.marys.get("me/readings").json()["readings"]
    assert shown["held_back"]


def test_a_crisis_reading_is_answered_with_what_to_do_now(world):
    answer = world.marys.post("me/readings", reading(196, 124)).json()
    assert any("measure again" in line for line in answer["what_to_do_now"])
    assert any("emergency number" in line for line in answer["what_to_do_now"])
    assert world.marys.get("me/today").json()["what_to_do_now"] == answer["what_to_do_now"]
    assert Alert.objects.get(kind="crisis").locks


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"systolic": "131"}, "string_for_number"),
        ({"unit": "psi"}, "unknown_unit"),
        ({"taken_at": "2026-03-20T08:00:00"}, "missing_time_zone"),
        ({"taken_at": at(hours=-1)}, "in_future"),
        ({"quarantined": ""}, "unknown_field"),
    ],
)
def test_a_refused_reading_is_kept_where_it_can_be_looked_at(world, change, code):
    refused = world.marys.post("me/readings", reading() | change)
    assert (refused.status_code, refused.json()["code"]) == (400, code)
    assert refused["Content-Type"] == "application/problem+json"
    assert not BloodPressure.objects.exclude(quarantined="future").exists()
    kept = ImportRefusal.objects.get()
    assert (kept.reason, kept.resource_type, kept.source_id) == (code, "reading", "r-1")
    assert '"diastolic": 83' in kept.body
    assert entries("reading.quarantined")[-1]["reason_code"] == code


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b'{"systolic": NaN}', 400, "not_a_number"),
        (b'{"systolic": Infinity}', 400, "not_a_number"),
        (b'{"a": 1, "a": 2}', 400, "duplicate_key"),
        (b'{"text": "\\u0000"}', 400, "bad_text"),
        (b'{"text": "\\udc00"}', 400, "bad_text"),
        (b'{"text": "\xff"}', 400, "bad_json"),
        (b"{", 400, "bad_json"),
        (b"[]", 400, "wrong_type"),
        (b"[" * 40_000, 400, "too_deep"),
        (b'{"text": "' + b"a" * 70_000 + b'"}', 413, "too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_body_that_cannot_be_read_is_refused_by_name_and_kept_once(world, raw, status, code):
    for _ in range(2):
        refused = world.marys.post("me/readings", raw=raw)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert ImportRefusal.objects.filter(reason=code).count() == (0 if status == 413 else 1)


def test_only_json_is_read(world):
    for content_type in (
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/xml",
    ):
        headers = {"Authorization": f"Bearer {world.marys.token}"}
        refused = world.marys.web.post("/api/v1/me/readings", data=b"{}", content_type=content_type, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (415, "unsupported_media_type")


def test_a_symptom_blamed_on_a_drug_pauses_automation_and_stands_on_the_worklist(world):
    body = {
        "source_id": "s-1",
        "kind": "cough",
        "felt_at": at(hours=1),
        "suspected_ingredient": AMLODIPINE,
        "text": "At night",
    }
    answer = world.marys.post("me/symptoms", body)
    assert answer.status_code == 201
    assert answer.json()["paused_for"] == [AMLODIPINE]
    assert "care team" in answer.json()["how_to_get_a_person"]
    assert entries("automation.paused")[-1]["reason_code"] == "side_effect_reported"
    items = world.tool(world.clinician).get("worklist").json()["items"]
    assert ("symptom", answer.json()["id"]) in {(item["kind"], item["id"]) for item in items}


SWELLING = "swelling_of_lip_face_tongue_or_throat"


def test_an_emergency_is_answered_with_what_to_do_now_first(world):
    answer = world.marys.post("me/symptoms", {"source_id": "s-1", "kind": SWELLING, "felt_at": at(minutes=5)}).json()
    assert "emergency number" in answer["what_to_do_now"][0]
    assert Alert.objects.get().severity == "critical"


def test_chest_pain_with_a_crisis_reading_is_an_emergency(world):
    world.marys.post("me/readings", reading(196, 124))
    answer = world.marys.post(
        "me/symptoms", {"source_id": "s-1", "kind": "chest_pain", "felt_at": at(minutes=1)}
    ).json()
    assert "emergency number" in answer["what_to_do_now"][0]


def test_fainting_is_answered_with_what_to_do_now(world):
    answer = world.marys.post("me/symptoms", {"source_id": "s-1", "kind": "syncope", "felt_at": at(minutes=5)}).json()
    assert answer["what_to_do_now"]


def test_a_symptom_sent_again_is_known_and_another_under_its_name_is_kept_too(world):
    body = {"source_id": "s-1", "kind": "cough", "felt_at": at(hours=1)}
    first = world.marys.post("me/symptoms", body).json()
    first.pop("receipt")  # nothing is written the second time, so nothing is promised
    assert world.marys.post("me/symptoms", body).json() == first | {"outcome": "duplicate"}
    other = world.marys.post("me/symptoms", body | {"kind": SWELLING})
    assert (other.status_code, other.json()["code"]) == (409, "conflicting_content")
    assert "emergency number" in other.json()["what_to_do_now"][0]
    assert sorted(Symptom.objects.values_list("kind", flat=True)) == ["cough", SWELLING]


def test_a_dose_is_logged_once_and_a_different_one_under_its_name_is_a_conflict(world):
    taken = at(minutes=5)
    body = {"source_id": "d-1", "ingredient": AMLODIPINE, "due_on": taken[:10], "taken": True, "taken_at": taken}
    first = world.marys.post("me/intakes", body)
    assert first.status_code == 201
    said = first.json()
    said.pop("receipt")
    assert world.marys.post("me/intakes", body).json() == said
    other = world.marys.post("me/intakes", body | {"taken": False, "taken_at": None})
    assert (other.status_code, other.json()["code"]) == (409, "conflicting_content")
    assert IntakeLog.objects.get().taken is True
    assert [one["id"] for one in world.marys.get("me/intakes").json()["intakes"]] == [first.json()["id"]]
    assert ImportRefusal.objects.get().reason == "conflicting_content"


def test_a_phone_whose_clock_runs_ahead_logs_the_dose_now(world):
    body = {
        "source_id": "d-1",
        "ingredient": AMLODIPINE,
        "due_on": at()[:10],
        "taken": True,
        "taken_at": at(minutes=-3),
    }
    assert world.marys.post("me/intakes", body).status_code == 201
    assert IntakeLog.objects.get().taken_at <= datetime.now(UTC)
    assert world.marys.post("me/intakes", body).status_code == 201
    assert IntakeLog.objects.count() == 1


def test_a_key_is_not_needed_for_a_report_but_counts_when_it_is_given(world):
    body = reading()
    first = world.marys.post("me/readings", body, key="k-1")
    assert world.marys.post("me/readings", body, key="k-1").content == first.content
    other = world.marys.post("me/readings", reading(150, 90), key="k-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_body_differs")
    assert BloodPressure.objects.count() == 1


def test_a_dangerous_reading_from_a_phone_whose_clock_runs_ahead_is_refused_for_its_time_and_alarms_all_the_same(world):
    answer = world.marys.post("me/readings", reading(195, 125, taken_at=at(hours=-7)))

    assert (answer.status_code, answer.json()["code"]) == (400, "in_future")
    assert any("measure again" in line for line in answer.json()["what_to_do_now"])
    assert Alert.objects.get(kind="crisis").pages
    assert BloodPressure.objects.get().quarantined == "future"
