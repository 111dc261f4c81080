"""Who gets in, with what, to whose record, as stories. Every route, cell by cell: `tests/access/test_matrix.py`."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import get_resolver
from oauth2_provider.models import get_access_token_model

from care_loops.services import join_care_team, leave_care_team, link_carer, unlink_carer
from governance.domain import STAFF_ROLES, Role
from governance.services.accounts import leave
from tests.care_loops.api.world import Phone, World, entries
from tests.governance.people import acting, staff
from tests.signing_in import signed_in

NOBODY = uuid4()
PHONE_GETS = ("me", "me/today", "me/history", "me/recommendations", "me/readings", "me/intakes", "me/consents")
PHONE_POSTS = ("me/readings", "me/symptoms", "me/intakes", "me/consents")
ANSWERS = ("accept", "decline", "ask-person")


def clinic_calls(world: World, loop_id: object, patient_id: object, alert_id: object) -> list[tuple[str, str]]:
    return [
        ("GET", "worklist"),
        ("GET", f"recommendations/{loop_id}"),
        ("POST", f"recommendations/{loop_id}/decision"),
        ("POST", f"patients/{patient_id}/orders"),
        ("POST", f"patients/{patient_id}/alert-limits"),
        ("POST", f"patients/{patient_id}/visits"),
        ("POST", f"alerts/{alert_id}/acknowledgement"),
        ("POST", f"alerts/{alert_id}/disposition"),
    ]


def send(phone: Phone, method: str, where: str):
    return phone.get(where) if method == "GET" else phone.post(where, {}, key="k-1")


def test_nobody_comes_in_without_signing_in(world):
    loop = world.delivered()
    for token in ("", "made-up", "a" * 5000):
        stranger = Phone(token)
        calls = [("GET", where) for where in PHONE_GETS] + [("POST", where) for where in PHONE_POSTS]
        calls += [("POST", f"me/recommendations/{loop.pk}/{answer}") for answer in ANSWERS]
        for method, where in calls + clinic_calls(world, loop.pk, world.patient.pk, NOBODY):
            answer = send(stranger, method, where)
            assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json"), where


def test_a_token_that_ran_out_opens_nothing(world):
    get_access_token_model().objects.update(expires=datetime.now(UTC) - timedelta(seconds=1)) if world.marys else None
    assert world.marys.get("me/today").status_code == 401


@pytest.mark.parametrize("role", sorted(STAFF_ROLES))
def test_no_member_of_staff_uses_the_patients_doors(world, role):
    person = staff(role, by=world.admin, at=world.then)
    phone = world.phone(person)
    before = len(entries("access.denied"))
    for where in PHONE_GETS[1:]:
        answer = phone.get(where)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), where
    denied = entries("access.denied")[before:]
    assert len(denied) == len(PHONE_GETS) - 1
    assert {entry["actor"]["id"] for entry in denied} == {str(person.pk)}


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.CLINICIAN, Role.PHARMACIST}))
def test_only_clinical_roles_use_the_clinicians_doors(world, role):
    loop = world.ordered()
    if role in (Role.PATIENT, Role.CARER):
        person = world.mary if role is Role.PATIENT else world.joined(world.patient.pk, role)
    else:
        person = staff(role, by=world.admin, at=world.then)
    tool = world.tool(person)
    before = len(entries("access.denied"))
    for method, where in clinic_calls(world, loop.pk, world.patient.pk, NOBODY):
        answer = send(tool, method, where)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), where
    assert len(entries("access.denied")) == before + 8


def test_a_pharmacist_sees_but_does_not_decide(world):
    loop = world.ordered()
    tool = world.tool(staff(Role.PHARMACIST, by=world.admin, at=world.then))
    assert tool.get("worklist").status_code == 200
    decision = {"kind": "reject", "reason_code": "will_see_patient", "seen_version": 1}
    assert tool.post(f"recommendations/{loop.pk}/decision", decision, key="k-1").status_code == 403


def test_a_foreign_record_and_none_at_all_are_the_same_bytes(world):
    loop = world.delivered()
    peter, his = world.stranger()
    phone, other_clinician = world.phone(his), world.tool(staff(Role.CLINICIAN, by=world.admin, at=world.then))
    pairs = [
        (phone.get(f"me/recommendations/{loop.pk}"), phone.get(f"me/recommendations/{NOBODY}")),
        *(
            (phone.get(f"{where}?patient={world.patient.pk}"), phone.get(f"{where}?patient={NOBODY}"))
            for where in PHONE_GETS[1:]
        ),
        *(
            (
                phone.post(f"me/recommendations/{loop.pk}/{a}", key="k"),
                phone.post(f"me/recommendations/{NOBODY}/{a}", key="k"),
            )
            for a in ANSWERS
        ),
        *zip(
            *(
                [send(other_clinician, m, where) for m, where in clinic_calls(world, loop_id, patient_id, NOBODY)[1:4]]
                for loop_id, patient_id in ((loop.pk, world.patient.pk), (NOBODY, NOBODY))
            ),
            strict=True,
        ),
    ]
    for foreign, absent in pairs:
        assert foreign.status_code == absent.status_code == 404
        assert foreign.content == absent.content
    assert str(peter.pk) in str(phone.get("me").json())


def test_a_patient_cannot_write_into_another_record(world):
    peter, _ = world.stranger()
    body = {"scope": "research", "given": True}
    assert world.marys.post(f"me/consents?patient={peter.pk}", body).status_code == 404
    assert not peter.consents.exists()


def test_a_carer_sees_the_record_of_the_person_cared_for_and_no_other(world):
    peter, _ = world.stranger()
    carer = world.joined(world.patient.pk, Role.CARER)
    phone = world.phone(carer)
    assert phone.get("me/today").json()["patient"]["id"] == str(world.patient.pk)
    assert phone.get(f"me/today?patient={peter.pk}").status_code == 404
    unlink_carer(world.patient.pk, carer.pk, by=acting(world.clinician, world.then), now=datetime.now(UTC))
    assert phone.get("me/today").status_code == 404


def test_a_carer_of_two_says_whose_record_is_meant(world):
    peter, _ = world.stranger()
    carer = world.joined(world.patient.pk, Role.CARER)
    link_carer(peter.pk, carer, by=acting(world.clinician, world.then), now=world.then)
    phone = world.phone(carer)
    assert (phone.get("me/today").status_code, phone.get("me/today").json()["code"]) == (400, "which_patient")
    assert phone.get(f"me/today?patient={peter.pk}").json()["patient"]["id"] == str(peter.pk)
    assert len(phone.get("me").json()["records"]) == 2


def test_a_token_opens_only_the_door_of_its_scope(world):
    loop = world.ordered()
    refused = world.phone(world.clinician).get(f"recommendations/{loop.pk}")
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    refused = world.tool(world.mary).get("me/today")
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")


def test_leaving_the_care_team_counts_from_the_next_request(world):
    loop = world.ordered()
    tool = world.tool(world.clinician)
    assert tool.get(f"recommendations/{loop.pk}").status_code == 200
    by = acting(world.clinician, world.now)
    heir = staff(Role.CLINICIAN, by=world.admin, at=world.then)
    join_care_team(world.patient.pk, heir.pk, responsible=False, by=by, now=world.now)
    leave_care_team(world.patient.pk, world.clinician.pk, by=by, now=datetime.now(UTC), next_responsible=heir.pk)
    assert tool.get(f"recommendations/{loop.pk}").status_code == 404


def test_who_left_has_no_way_in_with_token_or_session(world):
    session = signed_in(world.mary)
    assert session.get("/api/v1/me/today").status_code == 200
    token = world.marys.token
    leave(world.mary.pk, by=acting(world.admin, world.now), now=datetime.now(UTC))
    assert Phone(token).get("me/today").status_code == 401
    assert session.get("/api/v1/me/today").status_code == 401


def test_a_session_writes_only_with_its_forgery_token(world):
    careful = Client(enforce_csrf_checks=True)
    careful.cookies = signed_in(world.mary).cookies
    body = '{"scope": "research", "given": true}'
    refused = careful.post("/api/v1/me/consents", data=body, content_type="application/json")
    assert refused.status_code == 403
    careful.get("/me/")
    headers = {"X-CSRFToken": careful.cookies["csrftoken"].value}
    taken = careful.post("/api/v1/me/consents", data=body, content_type="application/json", headers=headers)
    assert taken.status_code == 200


def test_what_is_not_an_address_is_a_problem_document(world):
    answer = world.marys.get("me/nothing")
    assert (answer.status_code, answer["Content-Type"], answer.json()["code"]) == (
        404,
        "application/problem+json",
        "not_found",
    )
    for method in ("put", "patch", "delete"):
        headers = {"Authorization": f"Bearer {world.marys.token}"}
        answer = getattr(world.marys.web, method)("/api/v1/me/today", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert get_resolver().reverse_dict.getlist("api-me-today")
