"""A clinician's tool: the same checks, signature and trail as the page; two at once, and one learns who was first."""

from uuid import uuid4

import pytest

from audit import receipts
from audit.entries import read_leaf
from audit.models import Pending
from audit.services import keys
from care_loops.domain.loops import LoopState
from care_loops.models import Alert, Decision, Loop
from care_loops.services import join_care_team
from governance.domain import Role
from tests.care_loops.api.test_proposals import at_once
from tests.care_loops.api.test_reports import reading
from tests.care_loops.api.world import Phone, entries
from tests.governance.people import acting, staff
from tests.signing_in import signing_key


def decision(loop: Loop, **more: object) -> dict[str, object]:
    return {"kind": "approve", "seen_version": Loop.objects.get(pk=loop.pk).version} | more


def test_a_proposal_is_shown_and_approved_with_a_signature(advised):
    world, loop = advised
    tool = world.tool(world.clinician)
    items = tool.get("worklist").json()["items"]
    assert ("recommendation", str(loop.pk)) in {(item["kind"], item["id"]) for item in items}
    shown = tool.get(f"recommendations/{loop.pk}").json()
    assert shown["heading"] == "Increase amlodipine from 5 mg to 10 mg a day"
    assert any(one["key"] == world.step_up_key() and not one["barred"] for one in shown["candidates"])
    body = {"kind": "approve", "seen_version": shown["version"]}
    done = tool.post(f"recommendations/{loop.pk}/decision", body, key="k-1")
    assert done.status_code == 200
    assert done.json()["decided_by"] == world.clinician.printed_name
    promise = receipts.check(done.json()["receipt"].encode(), keys=[keys.statement_vkey()])
    kept = bytes(Pending.objects.get(leaf_hash=promise.leaf_hash).leaf)
    assert read_leaf(kept, origin=keys.origin())["type"] == "recommendation.approved"
    assert tool.post(f"recommendations/{loop.pk}/decision", body, key="k-1").content == done.content
    assert Loop.objects.get(pk=loop.pk).state == LoopState.APPROVED
    [entry] = entries("recommendation.approved")
    assert entry["esign"]["meaning"] == "prescribes the change as proposed"
    assert entry["on_behalf_of"]["id"] == "clinaiops-phone"


def test_modifying_names_another_change_and_keeps_the_original(advised):
    world, loop = advised
    tool = world.tool(world.clinician)
    candidates = tool.get(f"recommendations/{loop.pk}").json()["candidates"]
    other = next(one for one in candidates if not one["barred"] and one["key"].startswith("step_down"))
    body = decision(loop, kind="modify", candidate_key=other["key"], reason_code="side_effect")
    assert tool.post(f"recommendations/{loop.pk}/decision", body, key="k-1").status_code == 200
    row = Decision.objects.get()
    assert "step_up" in row.original_change
    assert "step_down" in row.final_change


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"kind": "yes"}, "unknown_word", "kind"),
        ({"kind": "modify"}, "candidate_mismatch", "candidate_key"),
        ({"candidate_key": "stay:"}, "candidate_mismatch", "candidate_key"),
        ({"seen_version": "2"}, "string_for_number", "seen_version"),
        ({"seen_version": 2.0}, "wrong_type", "seen_version"),
        ({"seen_version": True}, "wrong_type", "seen_version"),
        ({"seen_version": 0}, "out_of_range", "seen_version"),
        ({"seen_version": 10**30}, "out_of_range", "seen_version"),
        ({"kind": "reject"}, "bad_input", "reason_code"),
        ({"kind": "reject", "reason_code": "because"}, "bad_input", "reason_code"),
        ({"free_text": "a\u202eb"}, "bad_text", "free_text"),
        ({"free_text": 7}, "wrong_type", "free_text"),
        ({"decided_by": "me"}, "unknown_field", "decided_by"),
    ],
)
def test_a_decision_that_cannot_be_read_decides_nothing(advised, change, code, field):
    world, loop = advised
    tool = world.tool(world.clinician)
    refused = tool.post(f"recommendations/{loop.pk}/decision", decision(loop) | change, key="k-1")
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (400, code, field)
    assert not Decision.objects.exists()


def test_a_decision_on_what_was_shown_before_is_refused(advised):
    world, loop = advised
    tool = world.tool(world.clinician)
    stale = tool.post(f"recommendations/{loop.pk}/decision", decision(loop, seen_version=1), key="k-1")
    assert (stale.status_code, stale.json()["code"]) == (409, "changed_since_shown")


def test_two_clinicians_at_once_have_one_winner_and_the_other_learns_who(committed_world):
    world = committed_world
    loop = world.proposed(direct=False)
    other = staff(Role.CLINICIAN, by=world.admin, at=world.then)
    by = acting(world.clinician, world.then)
    join_care_team(world.patient.pk, other.pk, responsible=False, by=by, now=world.then)
    people = (world.clinician, other)
    for person in people:
        signing_key(person)
    tokens = [world.tool(person).token for person in people]
    bodies = [decision(loop), decision(loop, kind="reject", reason_code="will_see_patient")]

    def send(n: int):
        tool = Phone(tokens[n % 2], signer=people[n % 2])
        return tool.post(f"recommendations/{loop.pk}/decision", bodies[n % 2], key=f"k-{n}")

    answers = at_once(send, 6)
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    winner = next(answer.json()["decided_by"] for answer in answers if answer.status_code == 200)
    losers = [answer.json() for answer in answers if answer.status_code == 409]
    assert {loser["code"] for loser in losers} == {"already_decided"}
    assert {loser["winner"] for loser in losers} == {winner}
    assert Decision.objects.count() == 1


def test_an_order_is_written_with_a_reason_and_refused_without_one(world):
    world.takes_amlodipine()
    tool, where = world.tool(world.clinician), f"patients/{world.patient.pk}/orders"
    body = {"candidate_key": world.step_up_key(), "reason_code": "agrees_with_plan"}
    assert tool.post(where, body | {"reason_code": ""}, key="k-1").json()["code"] == "empty"
    assert tool.post(where, body | {"candidate_key": "step_up:1:1"}, key="k-2").json()["code"] == "bad_input"
    written = tool.post(where, body, key="k-3")
    assert written.status_code == 201
    assert Loop.objects.get(pk=written.json()["recommendation"]).origin == "order"
    assert tool.post(where, body, key="k-3").content == written.content
    assert Loop.objects.count() == 1


def test_an_alert_is_acknowledged_and_only_a_clinicians_word_lifts_its_lock(world):
    world.marys.post("me/readings", reading(196, 124))
    alert = Alert.objects.get(kind="crisis")
    tool = world.tool(world.clinician)
    seen = tool.post(f"alerts/{alert.pk}/acknowledgement")
    assert seen.status_code == 200
    assert seen.json()["acknowledged_at"]
    assert world.marys.get("me/today").json()["alerts"][0]["seen_by_a_person"] is True
    refused = tool.post(f"alerts/{alert.pk}/disposition", {"code": "nothing"})
    assert (refused.status_code, refused.json()["field"]) == (400, "code")
    ended = tool.post(f"alerts/{alert.pk}/disposition", {"code": "patient_reached_and_well", "text": "Rang at noon."})
    assert ended.json()["disposed_at"]
    again = tool.post(f"alerts/{alert.pk}/disposition", {"code": "treated"})
    assert (again.status_code, again.json()["code"]) == (409, "not_now")
    assert entries("danger_lock.lifted")[-1]["reason_code"] == "patient_reached_and_well"


def test_an_alert_of_somebody_elses_patient_does_not_exist(world):
    world.marys.post("me/readings", reading(196, 124))
    alert = Alert.objects.get(kind="crisis")
    tool = world.tool(staff(Role.CLINICIAN, by=world.admin, at=world.then))
    for what, body in (("acknowledgement", {}), ("disposition", {"code": "treated"})):
        foreign, absent = (tool.post(f"alerts/{one}/{what}", body) for one in (alert.pk, uuid4()))
        assert foreign.status_code == absent.status_code == 404
        assert foreign.content == absent.content
    assert Alert.objects.get(pk=alert.pk).acknowledged_at is None
