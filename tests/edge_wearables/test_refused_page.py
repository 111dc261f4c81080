"""The page of what devices sent that was refused: by name, as it came, to who may see it, and each look recorded."""

import re

import pytest
from django.test import Client

from edge_wearables.models import RefusedReading
from tests.edge_wearables.entrance import Sender, a_sender, pressure
from tests.edge_wearables.test_doors import kinds_recorded
from tests.factories import Hospital, hospital_now
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True)
WHERE = "/quarantine/devices/"


@pytest.fixture
def ward(built) -> Hospital:
    return built.once(hospital_now, fresh_s=120)


def shown_to(ward: Hospital, who: str, query: str = "") -> str:
    answer = signed_in(ward.people[who]).get(WHERE + query)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def test_nothing_refused_is_said(ward):
    assert "Nothing was refused" in shown_to(ward, "clinician")


def test_a_reading_and_a_message_that_were_refused_are_there_with_their_reasons_as_they_came(ward):
    sender = a_sender(ward.patient("mary"))
    sender.taken(pressure(1), pressure(2, unit="psi"), pressure(3, systolic=2047))
    body, headers = sender.message([pressure(4)], body=b'{"format": "clinaiops/readings/v1", "readings": [NaN]}')
    assert sender.post(body, headers).status_code == 400
    page = shown_to(ward, "clinician")
    for words in ("unknown unit", "device sentinel", "not finite", "Reading 2", "Reading 3", "The whole message"):
        assert words in page, words
    assert "psi" in page
    assert "[NaN]" in page
    assert "Reading 1<" not in page
    assert "access.read" in kinds_recorded()


def test_a_patient_is_named_to_their_own_team_alone(ward):
    mary = ward.patient("mary")
    a_sender(mary).taken(pressure(1, systolic=2047))
    assert mary.shown_name in shown_to(ward, "clinician")
    page = shown_to(ward, "admin")
    assert mary.shown_name not in page
    assert "another team&#x27;s patient" in page
    assert "Nothing was refused" in shown_to(ward, "other_clinician")


def test_a_message_of_nobody_we_trust_is_shown_as_that(ward):
    sender = a_sender()
    stranger = Sender(sender.device_id, bytes(range(32)))
    body, headers = stranger.message([pressure(1)])
    assert stranger.post(body, headers).status_code == 401
    assert "not trusted; it said" in shown_to(ward, "admin")


def test_what_was_sent_is_shown_as_text_and_never_as_a_page(ward):
    sender = a_sender()
    body, headers = sender.message([pressure(1)], body=b"<script>alert(1)</script><b>")
    sender.post(body, headers)
    page = shown_to(ward, "admin")
    assert "&lt;script&gt;alert(1)" in page
    assert re.findall(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=", page) == []


def test_more_than_a_page_is_turned(ward):
    sender = a_sender()
    for start in (1, 31):
        sender.taken(*(pressure(n, unit="psi") for n in range(start, start + 30)))
    assert RefusedReading.objects.count() == 60
    first, second = shown_to(ward, "admin"), shown_to(ward, "admin", "?page=2")
    assert (first.count('<th scope="row">'), second.count('<th scope="row">')) == (50, 10)
    assert "?page=2" in first
    assert "?page=1" in second


@pytest.mark.parametrize("query", ["?page=0", "?page=x", "?page=99999"])
def test_a_bent_question_is_refused(ward, query):
    assert signed_in(ward.people["admin"]).get(WHERE + query).status_code == 400


@pytest.mark.parametrize("who", ["pharmacist", "engineer"])
def test_others_may_not_see_it(ward, who):
    assert signed_in(ward.people[who]).get(WHERE).status_code == 403


def test_nobody_is_sent_to_sign_in(ward):
    assert Client().get(WHERE).status_code == 302


def test_it_is_found_from_the_page_of_what_is_held_back(ward):
    assert f'href="{WHERE}"' in signed_in(ward.people["clinician"]).get("/quarantine/").content.decode()
