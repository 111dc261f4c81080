"""Alert limits and visits for tools, and what the patient's phone shows of visits and reminders."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from care_loops.models import AlertLimits, Visit
from care_loops.services import plan_visit, remind
from tests.care_loops.api.world import JOB, ZONE
from tests.governance.people import acting

pytestmark = pytest.mark.django_db


def test_limits_are_signed_once_for_a_key_and_never_later_than_the_sites(world):
    tool, where = world.tool(world.clinician), f"patients/{world.patient.pk}/alert-limits"
    later = tool.post(where, {"crisis_systolic": 190}, key="k-1")
    assert (later.status_code, later.json()["code"], later.json()["field"]) == (400, "bad_input", "crisis_systolic")
    unknown = tool.post(where, {"crisis": 170}, key="k-2")
    assert (unknown.status_code, unknown.json()["code"]) == (400, "unknown_field")
    signed = tool.post(where, {"crisis_systolic": 165, "low_systolic": 95.5}, key="k-3")
    assert signed.status_code == 201
    assert (signed.json()["version"], signed.json()["limits"]) == (
        1,
        {"crisis_systolic": "165", "low_systolic": "95.5"},
    )
    assert tool.post(where, {"crisis_systolic": 165, "low_systolic": 95.5}, key="k-3").content == signed.content
    assert AlertLimits.objects.count() == 1


def test_a_visit_is_recorded_and_a_second_of_that_day_is_refused(world):
    tool, where = world.tool(world.clinician), f"patients/{world.patient.pk}/visits"
    today = world.now.astimezone(ZoneInfo(ZONE)).date().isoformat()
    assert tool.post(where, {"outcome": "held"}, key="k-1").json()["field"] == "on_day"
    assert tool.post(where, {"outcome": "perhaps"}, key="k-2").status_code == 400
    done = tool.post(where, {"outcome": "held", "on_day": today, "stress": "less work"}, key="k-3")
    assert (done.status_code, done.json()["outcome"]) == (201, "held")
    again = tool.post(where, {"outcome": "held", "on_day": today}, key="k-4")
    assert (again.status_code, again.json()["code"]) == (409, "not_now")
    assert Visit.objects.get().stress == "less work"


def test_the_phone_shows_the_next_visit_and_its_reminder(world):
    due = world.now.astimezone(ZoneInfo(ZONE)).date() + timedelta(days=1)
    by = acting(world.clinician, world.now)
    plan_visit(world.patient.pk, due_on=due, rule="set_by_clinician", reason="talk", by=by, now=world.now)
    assert world.marys.get("me/today").json()["reminders"] == []
    assert remind(by=JOB, now=world.now) == 2
    today = world.marys.get("me/today").json()
    assert today["next_visit"]["due_on"] == due.isoformat()
    assert today["next_visit"]["in_words"].startswith("Next visit: ")
    assert {(one["kind"], one["in_words"].split(".")[0]) for one in today["reminders"]} >= {
        ("measure", "A visit is near")
    }
    assert any(one["in_words"].startswith("You have a visit on ") for one in today["reminders"])
