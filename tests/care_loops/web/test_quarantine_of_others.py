"""What was held back of another team's patient is shown to no clinician: no name, no value, no identifier (N10)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from governance.domain import Role
from governance.services.tokens import issue_patient_token, phone_client
from tests.edge_wearables.entrance import a_sender, pressure
from tests.factories import Hospital
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True)


def two_hours_ago() -> Hospital:
    return Hospital(now=datetime.now(UTC) - timedelta(hours=2))


@pytest.fixture
def hospital(built) -> Hospital:
    return built.once(two_hours_ago, fresh_s=120)


def page(hospital: Hospital, who: str, where: str = "/quarantine/") -> str:
    answer = signed_in(hospital.people[who]).get(where)
    assert answer.status_code == 200
    return answer.content.decode()


def held_back_of(hospital: Hospital, patient) -> None:
    """A reading no body has, and a message its own phone sent that could not be read."""
    hospital.measures(patient, 125, 210, at=hospital.now)
    token = issue_patient_token(
        patient.account, phone_client(redirect_uris=("https://phone.example.org/back",)), datetime.now(UTC)
    )
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k1"}
    body = json.dumps({"source_id": "canary-source", "taken_at": "x"})
    answer = Client().post("/api/v1/me/readings", data=body, content_type="application/json", headers=headers)
    assert answer.status_code >= 400


def test_rows_of_another_teams_patient_are_not_there(hospital):
    theirs = hospital.patient()
    held_back_of(hospital, theirs)
    own, foreign, site = page(hospital, "clinician"), page(hospital, "other_clinician"), page(hospital, "admin")
    for words in ("125/210", f"phone:{theirs.pk}", "canary-source"):
        assert words in own, words
        assert words in site, words
        assert words not in foreign, words
    assert str(theirs.pk) not in foreign
    assert "another team" not in foreign
    assert theirs.shown_name not in site
    hospital.join("feeds", Role.DATA_ENGINEER, now=hospital.now)
    assert "canary-source" in page(hospital, "feeds")


def test_what_a_device_sent_of_another_teams_patient_is_not_there(hospital):
    theirs = hospital.patient()
    sender = a_sender(theirs)
    sender.taken(pressure(1, systolic=2047))
    body, headers = sender.message([pressure(2)], body=b'{"canary": NaN}')
    assert sender.post(body, headers).status_code == 400
    where = "/quarantine/devices/"
    own, foreign, site = (page(hospital, who, where) for who in ("clinician", "other_clinician", "admin"))
    for words in ("2047", "canary"):
        assert words in own, words
        assert words in site, words
        assert words not in foreign, words
    told = signed_in(hospital.people["other_clinician"]).get("/api/v1/devices/refused")
    assert (told.status_code, told.json()["refused"]) == (200, [])
    assert len(signed_in(hospital.people["admin"]).get("/api/v1/devices/refused").json()["refused"]) == 2


def test_an_account_without_patients_sees_an_empty_page(hospital):
    hospital.people["new"] = hospital.join("new", Role.CLINICIAN, now=hospital.now)
    held_back_of(hospital, hospital.patient())
    assert "No reading is held back" in page(hospital, "new")
