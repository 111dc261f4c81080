"""Who lets people at a record: its care team or an administrator, and nobody themself, on every road there is (N10)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from care_loops.models import CarerLink, CareTeamMember, Patient
from care_loops.selectors.access import patient_for
from care_loops.services import join_care_team, leave_care_team, link_account, link_carer, unlink_carer
from care_loops.services.joining import invite_to_record, join_by_invitation
from governance.domain import BadInput, NotAllowed, NotFound, Permission, Role
from governance.models import Invitation
from governance.services.ways_back import open_way_back
from tests.factories import PASSWORD, Hospital, account
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True)
FORM = {"given_name": "S", "family_name": "K", "password": PASSWORD, "again": PASSWORD}


def two_hours_ago() -> Hospital:
    return Hospital(now=datetime.now(UTC) - timedelta(hours=2))


@pytest.fixture
def hospital(built) -> Hospital:
    return built.once(two_hours_ago, fresh_s=120)


def invited(client: Client, patient, email: str = "x@example.org"):
    return client.post("/patients/invite/", {"patient": str(patient), "role": "carer", "email": email})


def link_in(answer) -> str:
    return re.search(r"/invitations/[^\"< /]+/", answer.content.decode()).group(0)


def test_a_clinician_elsewhere_invites_nobody_to_a_record_by_the_page(hospital):
    theirs = hospital.patient()
    client = signed_in(hospital.people["other_clinician"])
    foreign, missing = invited(client, theirs.pk), invited(client, uuid4())
    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert "/invitations/" not in foreign.content.decode()
    assert not Invitation.objects.filter(patient_ref=theirs.pk, accepted_at__isnull=True).exists()
    assert invited(signed_in(hospital.people["clinician"]), theirs.pk).status_code == 200
    assert invited(signed_in(hospital.people["admin"]), theirs.pk).status_code == 200


def test_who_invited_does_not_accept(hospital):
    mine = hospital.patient()
    client = signed_in(hospital.people["clinician"])
    where = link_in(invited(client, mine.pk))
    assert client.post(where, FORM | {"username": "sock"}).status_code == 422
    assert not CarerLink.objects.filter(patient=mine).exists()
    assert Client().post(where, FORM | {"username": "daughter"}).status_code == 302
    assert CarerLink.objects.get(patient=mine).user.username == "daughter"


def test_nobody_invites_their_own_address(hospital):
    mine, by = hospital.patient(), hospital.acting("clinician")
    own = by.person().email
    assert own
    with pytest.raises(BadInput, match="themself"):
        invite_to_record(mine.pk, Role.CARER, email=own.upper(), by=by, now=hospital.now)


def test_by_the_services_only_the_team_or_an_administrator(hospital):
    theirs, now = hospital.patient(), hospital.now
    stranger = hospital.people["other_clinician"]
    pharmacist = hospital.people["pharmacist"]
    by = hospital.acting("other_clinician")
    for record in (theirs.pk, uuid4()):
        for act in (
            lambda record: invite_to_record(record, Role.CARER, email="x@example.org", by=by, now=now),
            lambda record: join_care_team(record, stranger.pk, responsible=False, by=by, now=now),
            lambda record: join_care_team(record, pharmacist.pk, responsible=False, by=by, now=now),
            lambda record: leave_care_team(record, hospital.people["clinician"].pk, by=by, now=now),
            lambda record: link_carer(record, stranger, by=by, now=now),
            lambda record: link_account(record, stranger, by=by, now=now),
            lambda record: unlink_carer(record, stranger.pk, by=by, now=now),
        ):
            with pytest.raises(NotFound, match="no such record, or it is not yours"):
                act(record)
    with pytest.raises(NotFound):
        patient_for(by, theirs.pk, Permission.READ_RECORD, now=now)
    team = hospital.acting("clinician")
    join_care_team(theirs.pk, stranger.pk, responsible=False, by=team, now=now)
    link_carer(theirs.pk, pharmacist, by=team, now=now)
    assert patient_for(by, theirs.pk, Permission.READ_RECORD, now=now).pk == theirs.pk


def test_nobody_ties_themself_whatever_roles_they_hold(hospital):
    theirs, now = hospital.patient(), hospital.now
    hospital.also("admin", Role.CLINICIAN)
    admin, by = hospital.people["admin"], hospital.acting("admin")
    with pytest.raises(NotAllowed, match="Nobody puts themself"):
        join_care_team(theirs.pk, admin.pk, responsible=False, by=by, now=now)
    for tie in (link_carer, link_account):
        with pytest.raises(NotAllowed, match="Nobody ties themself"):
            tie(theirs.pk, admin, by=by, now=now)
    with pytest.raises(NotFound):
        patient_for(by, theirs.pk, Permission.READ_RECORD, now=now)


def test_an_invitation_to_one_record_ties_to_no_other(hospital):
    mine, theirs = hospital.patient(), hospital.patient(team=("other_clinician",))
    offered = invite_to_record(
        mine.pk, Role.CARER, email="x@x.example", by=hospital.acting("clinician"), now=hospital.now
    )
    carer = join_by_invitation(offered.token, account("carer"), now=hospital.now)
    hospital.people["carer"] = carer
    used = Invitation.objects.get(pk=offered.invitation.pk)
    with pytest.raises(NotAllowed):
        link_carer(theirs.pk, carer, by=hospital.acting("carer"), now=hospital.now, invitation=used)
    assert [link.patient_id for link in CarerLink.objects.filter(user=carer)] == [mine.pk]


def test_by_the_command_only_the_team_or_an_administrator(hospital):
    theirs = hospital.patient()
    stranger, clinician = hospital.people["other_clinician"].username, hospital.people["clinician"].username
    for record in (theirs.pk, uuid4()):
        with pytest.raises(CommandError, match="not_found"):
            call_command("care_team", "join", str(record), member=stranger, by=stranger)
        with pytest.raises(CommandError, match="not_found"):
            call_command("invite_to_record", str(record), role="carer", email="x@example.org", by=stranger)
    assert not CareTeamMember.objects.filter(patient=theirs, user__username=stranger).exists()
    call_command("care_team", "join", str(theirs.pk), member=stranger, by=clinician)
    assert CareTeamMember.objects.filter(patient=theirs, user__username=stranger).exists()


def test_a_clinician_enrols_a_new_patient_for_another_and_does_not_read_the_record(hospital):
    client = signed_in(hospital.people["other_clinician"])
    said = {
        "given_name": "Ann",
        "family_name": "New",
        "born_on": "1960-01-01",
        "sex": "female",
        "zone": "Europe/Berlin",
        "responsible": hospital.people["clinician"].username,
        "email": "ann@example.org",
    }
    answer = client.post("/patients/enrol/", said)
    assert "/invitations/" in answer.content.decode()
    new = Patient.objects.latest("enrolled_at")
    assert [member.user for member in new.care_team.all()] == [hospital.people["clinician"]]
    assert client.get(f"/patients/{new.pk}/").status_code == 404
    assert invited(client, new.pk).status_code == 404


def test_a_record_without_a_team_is_taken_over_by_no_clinician(hospital):
    """Enrolled again by its source, a record without a team (an imported one) stays out of reach."""
    from care_loops.domain.record import Sex
    from care_loops.services import NewPatient, admit, enrol_patient
    from tests.factories import job

    new = NewPatient("ehr", "p-1", "Ann", "Imported", None, Sex.FEMALE, "Europe/Berlin", synthetic=True)
    enrol_patient(new, by=job(), now=hospital.now)
    own = hospital.people["other_clinician"].pk
    with pytest.raises(NotFound):
        admit(new, own, by=hospital.acting("other_clinician"), now=hospital.now + timedelta(minutes=1))
    assert not CareTeamMember.objects.filter(user=own).exists()


def test_a_clinician_comes_into_no_patients_account_by_a_way_back(hospital):
    theirs, now = hospital.patient(), hospital.now
    account_id = theirs.account.pk
    for who in ("other_clinician", "clinician"):
        with pytest.raises(NotAllowed):
            open_way_back(account_id, reason="lost", by=hospital.acting(who), now=now)
        page = signed_in(hospital.people[who]).post(f"/people/{account_id}/way-back/", {"reason": "lost"})
        assert page.status_code == 403
    assert open_way_back(account_id, reason="lost", by=hospital.acting("admin"), now=now).token
