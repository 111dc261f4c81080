"""A day, the days before, what the patient agrees to, and who looked."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from care_loops.domain.refusals import Withheld
from care_loops.models import Loop
from care_loops.services import close_window
from governance.services import acting_job
from tests.care_loops.api.test_reports import at, reading
from tests.care_loops.api.world import AMLODIPINE, ZONE, entries


def test_every_day_with_data_has_a_digest_and_no_other_day_does(world):
    world.measured(142, 88, days=3)
    today = world.now.astimezone(ZoneInfo(ZONE)).date()
    history = world.marys.get("me/history").json()
    assert [day["date"] for day in history["days"]] == [(today - timedelta(days=ago)).isoformat() for ago in (1, 2, 3)]
    for day in history["days"]:
        same = world.marys.get(f"me/today?date={day['date']}").json()["day"]
        assert same == day
        assert day["mean_of_the_day"] == {"systolic": "142", "diastolic": "88", "unit": "mmHg", "readings_counted": 4}
        assert "4 readings" in day["in_words"]
    before = world.marys.get(f"me/today?date={(today - timedelta(days=4)).isoformat()}").json()["day"]
    assert (before["has_data"], before["mean_of_the_day"], before["readings"]) == (False, None, [])


def test_history_goes_on_from_where_it_stopped(world):
    world.measured(142, 88, days=5)
    first = world.marys.get("me/history?days=2").json()
    rest = world.marys.get(f"me/history?days=10&before={first['next_before']}").json()
    days = [day["date"] for day in first["days"] + rest["days"]]
    assert len(days) == 5
    assert days == sorted(set(days), reverse=True)


def test_a_cuffless_reading_is_shown_and_joins_no_mean(world):
    world.marys.post("me/readings", reading(180, 100, method="cuffless", device_validated=False))
    day = world.marys.get("me/today").json()["day"]
    assert len(day["readings"]) == 1
    assert day["mean_of_the_day"] is None


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("date=yesterday", "bad_date"),
        ("date=2026-02-30", "bad_date"),
        ("date=9999-12-31", "in_future"),
        ("date=", "bad_date"),
        ("day=2026-01-01", "unknown_field"),
        ("date=2026-01-01&date=2026-01-02", "duplicate_key"),
        ("patient=7", "wrong_type"),
        ("patient=%00", "wrong_type"),
    ],
)
def test_a_question_that_cannot_be_read_is_refused_by_name(world, query, code):
    refused = world.marys.get(f"me/today?{query}")
    assert (refused.status_code, refused.json()["code"]) == (400, code)


@pytest.mark.parametrize("query", ["days=0", "days=63", "days=-1", "days=1e9", "days=", "days=٣", "before=never"])
def test_a_page_that_cannot_be_is_refused(world, query):
    assert world.marys.get(f"me/history?{query}").status_code == 400


def test_a_page_of_readings_goes_on_from_its_last(world):
    world.measured(142, 88, days=2)
    first = world.marys.get("me/readings?limit=5").json()
    rest = world.marys.get("me/readings").json()["readings"][5:]
    quoted = first["next_before"].replace("+", "%2B")
    assert world.marys.get(f"me/readings?before={quoted}").json()["readings"] == rest


def test_reading_the_record_leaves_a_trace_and_its_answer_stays_in_no_cache(world):
    before = len(entries("access.read"))
    answer = world.marys.get("me/today")
    assert answer["Cache-Control"] == "no-store"
    left = entries("access.read")[before:]
    assert [(entry["actor"]["id"], entry["on_behalf_of"]["id"]) for entry in left] == [
        (str(world.mary.pk), "clinaiops-phone")
    ]


def test_consent_is_not_given_until_it_is_and_human_only_care_stops_proposals(world):
    standing = {one["scope"]: one["given"] for one in world.marys.get("me/consents").json()["consents"]}
    assert standing["human_only_care"] is False
    world.ready_for_proposals(direct=True)
    answer = world.marys.post("me/consents", {"scope": "human_only_care", "given": True})
    assert answer.status_code == 200
    assert {one["scope"]: one["given"] for one in answer.json()["consents"]}["human_only_care"] is True
    loop = close_window(world.patient.pk, by=acting_job("test", "2"), now=datetime.now(UTC))
    assert loop is not None
    assert Loop.objects.get(pk=loop.pk).withheld_reason == Withheld.HUMAN_ONLY_CARE
    back = world.marys.post("me/consents", {"scope": "human_only_care", "given": False})
    assert {one["scope"]: one["given"] for one in back.json()["consents"]}["human_only_care"] is False
    assert [entry["type"] for entry in entries() if entry["type"].startswith("consent.")][-2:] == [
        "consent.given",
        "consent.withdrawn",
    ]


def test_who_i_am_and_whose_records_i_may_open(world):
    said = world.marys.get("me").json()
    assert said["roles"] == ["patient"]
    assert [(one["id"], one["own"]) for one in said["records"]] == [(str(world.patient.pk), True)]


def test_the_doses_of_the_day_are_in_its_digest(world):
    taken = at(minutes=5)
    body = {"source_id": "d-1", "ingredient": AMLODIPINE, "due_on": taken[:10], "taken": True, "taken_at": taken}
    world.marys.post("me/intakes", body)
    day = world.marys.get(f"me/today?date={taken[:10]}").json()["day"]
    assert [(one["ingredient"], one["taken"]) for one in day["intakes"]] == [(AMLODIPINE, True)]
    assert "doses logged: 1 taken, 0 not taken" in day["in_words"].lower()


def test_patients_are_told_while_nobody_watches_at_every_hour(world):
    said = world.marys.get("me/today").json()["unattended"]
    assert "Nobody watches" in said
    assert "local emergency number" in said
