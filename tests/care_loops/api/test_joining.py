"""Patients, carers and staff come by a link that works once; who leaves hands over first."""

import json
import re
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from care_loops.models import CareTeamMember, Patient
from care_loops.services.joining import hand_over, invite_to_record
from governance.domain import BadInput, NotAllowed, NotFound, Role
from governance.models import Invitation, User
from governance.services.accounts import invite
from tests.care_loops.api.test_proposals import at_once
from tests.governance.people import PASSWORD, acting, staff
from tests.signing_in import signed_in

FORM = {"username": "mary", "given_name": "Mary", "family_name": "Ward", "password": PASSWORD, "again": PASSWORD}


def link(world, role: Role = Role.CLINICIAN) -> str:
    return (
        f"/invitations/{invite('x@example.org', role, by=acting(world.admin, world.now), now=datetime.now(UTC)).token}/"
    )


def test_the_link_shows_a_form_makes_the_account_and_signs_its_owner_in(world):
    web, where = Client(), link(world)
    page = web.get(where)
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    joined = web.post(where, FORM)
    assert (joined.status_code, joined["Location"]) == (302, "/")
    user = User.objects.get(username="mary")
    assert acting(user, datetime.now(UTC)).standing.roles == {Role.CLINICIAN}
    assert web.session["_auth_user_id"] == str(user.pk)
    assert Client().get(where).status_code == 410
    assert Client().post(where, FORM | {"username": "other"}).status_code == 410


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"again": "something else"}, "passwords differ"),
        ({"password": "short", "again": "short"}, "too short"),
        ({"username": ""}, "required"),
        ({"username": "bad name"}, "valid username"),
        ({"username": "a\x00b"}, "Null"),
    ],
)
def test_a_form_that_cannot_be_taken_says_why_and_the_link_still_works(world, said, words):
    web, where = Client(), link(world)
    answer = web.post(where, FORM | said)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert web.post(where, FORM).status_code == 302


@pytest.mark.parametrize("token", ["made-up", "x" * 2000, "%00", "é", "<script>"])
def test_a_link_nobody_made_opens_nothing(world, token):
    answer = Client().get(f"/invitations/{token}/")
    assert answer.status_code in (404, 410)
    assert "<script>" not in answer.content.decode().replace('<script src="', "")


def test_nobody_makes_an_account_without_an_invitation(world):
    before = User.objects.count()
    form = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD}
    for answer in (Client().get("/accounts/signup/"), Client().post("/accounts/signup/", form)):
        assert "password1" not in answer.content.decode()
    assert User.objects.count() == before


def test_two_people_with_one_link_at_once_make_one_account(committed_world):
    where = link(committed_world)
    answers = at_once(lambda n: Client().post(where, FORM | {"username": f"mary{n}"}), 4)
    assert sorted(answer.status_code for answer in answers) == [302, 410, 410, 410]
    assert sum(user.username.startswith("mary") for user in User.objects.all()) == 1


def test_a_patients_link_ties_the_account_to_the_record(world):
    patient = world.enrolled("Ann")
    by = acting(world.clinician, world.now)
    invited = invite_to_record(patient.pk, Role.PATIENT, email="ann@example.org", by=by, now=datetime.now(UTC))
    web = Client()
    assert web.post(f"/invitations/{invited.token}/", FORM).status_code == 302
    assert Patient.objects.get(pk=patient.pk).account.username == "mary"
    assert web.get("/api/v1/me").json()["records"][0]["id"] == str(patient.pk)
    assert web.get("/me/").status_code == 200
    with pytest.raises(BadInput):
        invite_to_record(patient.pk, Role.PATIENT, email="ann@example.org", by=by, now=datetime.now(UTC))


def test_two_links_to_one_record_make_one_account(world):
    patient, by = world.enrolled("Ann"), acting(world.clinician, world.now)
    links = [
        invite_to_record(patient.pk, Role.PATIENT, email="ann@example.org", by=by, now=datetime.now(UTC)).token
        for _ in range(2)
    ]
    assert Client().post(f"/invitations/{links[0]}/", FORM).status_code == 302
    second = Client().post(f"/invitations/{links[1]}/", FORM | {"username": "other"})
    assert second.status_code == 422
    assert not User.objects.filter(username="other").exists()
    assert Invitation.objects.filter(accepted_at__isnull=True, patient_ref=patient.pk).count() == 1


def test_only_who_enrols_invites_to_a_record(world):
    for person in (world.mary, staff(Role.AUDITOR, by=world.admin, at=world.then)):
        by = acting(person, world.now)
        with pytest.raises(NotAllowed):
            invite_to_record(world.patient.pk, Role.CARER, email="x@example.org", by=by, now=world.now)
    by = acting(world.clinician, world.now)
    with pytest.raises(NotFound):
        invite_to_record(world.mary.pk, Role.CARER, email="x@example.org", by=by, now=world.now)


def test_who_leaves_hands_over_every_patient_with_the_same_responsibility(world):
    other = staff(Role.CLINICIAN, by=world.admin, at=world.then)
    second = world.enrolled("Ann")
    now = datetime.now(UTC)
    assert hand_over(world.clinician, other, by=acting(world.admin, now), now=now) == 2
    standing = CareTeamMember.objects.filter(until__isnull=True)
    assert {(m.patient_id, m.user_id, m.responsible) for m in standing} == {
        (world.patient.pk, other.pk, True),
        (second.pk, other.pk, True),
    }
    assert User.objects.get(pk=world.clinician.pk).left_at is not None
    with pytest.raises(NotAllowed):
        acting(User.objects.get(pk=world.clinician.pk), now)


def test_nobody_hands_over_to_who_cannot_care_for_patients(world):
    auditor, now = staff(Role.AUDITOR, by=world.admin, at=world.then), datetime.now(UTC)
    for successor in (auditor, world.clinician):
        with pytest.raises(BadInput):
            hand_over(world.clinician, successor, by=acting(world.admin, now), now=now)
    other = staff(Role.CLINICIAN, by=world.admin, at=world.then)
    with pytest.raises(NotAllowed):
        hand_over(world.clinician, other, by=acting(other, now), now=now)
    assert CareTeamMember.objects.get(until__isnull=True).user == world.clinician


def test_the_commands_enrol_invite_and_hand_over(world, capsys):
    names = ["--given-name", "Ann", "--family-name", "Lee", "--born-on", "1961-04-02", "--sex", "female"]
    who = ["--by", world.admin.username, "--responsible", world.clinician.username]
    call_command("enrol_patient", *names, *who, "--zone", "Europe/Berlin", "--source-id", "ann-1", "--json")
    patient = json.loads(capsys.readouterr().out)["patient"]
    call_command("enrol_patient", *names, *who, "--zone", "Europe/Berlin", "--source-id", "ann-1", "--json")
    assert json.loads(capsys.readouterr().out)["patient"] == patient
    with pytest.raises(CommandError, match="unknown_time_zone"):
        call_command("enrol_patient", *names, *who, "--zone", "Mars/Olympus")
    call_command(
        "invite_to_record", patient, "--as", "patient", "--email", "ann@example.org", "--by", world.admin.username
    )
    where = re.search(r"/invitations/\S+", capsys.readouterr().out).group()
    assert Client().get(where).status_code == 200
    other = staff(Role.CLINICIAN, by=world.admin, at=world.then)
    call_command(
        "hand_over", "--from", world.clinician.username, "--to", other.username, "--by", world.admin.username, "--json"
    )
    assert json.loads(capsys.readouterr().out)["patients"] == 2
    with pytest.raises(CommandError, match="not_found"):
        call_command(
            "hand_over", "--from", world.clinician.username, "--to", other.username, "--by", world.admin.username
        )


def test_the_patients_page_has_no_script_or_style_of_its_own_and_needs_signing_in(world):
    assert Client().get("/me/").status_code == 302
    web = signed_in(world.mary)
    page = web.get("/me/")
    text = page.content.decode()
    assert page.status_code == 200
    assert "csrftoken" in page.cookies
    assert "style=" not in text
    assert "onclick" not in text
    assert all(part.split(">", 1)[1].startswith("</script>") for part in text.split("<script")[1:])


def test_the_commands_add_to_a_care_team_end_it_and_merge_two_records(world, capsys):
    admin, other = world.admin.username, staff(Role.PHARMACIST, by=world.admin, at=world.then)
    patient, member = str(world.patient.pk), ["--member", other.username, "--by", admin]
    team = CareTeamMember.objects.filter(patient=world.patient, until__isnull=True)
    for _ in range(2):
        call_command("care_team", "join", patient, *member, "--json")
        assert json.loads(capsys.readouterr().out)["did"] == "join"
        assert {m.user_id: m.responsible for m in team.all()} == {world.clinician.pk: True, other.pk: False}
    call_command("care_team", "leave", patient, *member)
    assert "no longer" in capsys.readouterr().out
    assert {m.user_id for m in team.all()} == {world.clinician.pk}
    with pytest.raises(CommandError, match="not_found"):
        call_command("care_team", "join", str(uuid4()), *member)
    with pytest.raises(CommandError, match="not_allowed"):
        call_command("care_team", "join", patient, "--member", other.username, "--by", other.username)

    twice = str(world.enrolled("Mary").pk)
    call_command("merge_patients", twice, "--into", patient, "--reason", "registered twice", "--by", admin, "--json")
    assert json.loads(capsys.readouterr().out) == {"absorbed": twice, "kept": patient}
    with pytest.raises(CommandError, match="bad_input"):
        call_command("merge_patients", twice, "--into", patient, "--reason", "again", "--by", admin)
    with pytest.raises(CommandError, match="not_allowed"):
        call_command("merge_patients", twice, "--into", patient, "--reason", "x", "--by", world.clinician.username)
