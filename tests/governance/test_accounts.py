"""People come by invitation, hold roles from one moment to another, and leave nothing that still opens a door."""

import json
import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from oauth2_provider.models import get_access_token_model

from audit.models import Pending
from governance.domain import BadInput, NotAllowed, NotFound, Role
from governance.models import Invitation, RoleHeld, User
from governance.services import acting_person
from governance.services.accounts import (
    INVITATION_LIVES,
    AccountUnusable,
    AlreadyFounded,
    InvitationOver,
    LastAdministrator,
    accept_invitation,
    found_site,
    invite,
    leave,
    open_invitation,
    revoke_role,
)
from governance.services.roles import answer_role, ask_for_role
from governance.services.tokens import issue_patient_token, issue_staff_token, phone_client
from tests.governance.people import PASSWORD, account, acting, founded, invited_to, now, staff

pytestmark = pytest.mark.django_db
CLIENT = ("https://phone.example.org/back",)


def kinds_recorded() -> list[str]:
    """The types of the entries written so far, oldest first."""
    leaves = (bytes(leaf) for leaf in Pending.objects.order_by("id").values_list("leaf", flat=True))
    return [json.loads(leaf.split(b"\n", 2)[2])["type"] for leaf in leaves]


def test_the_first_run_makes_one_administrator_and_never_a_second():
    admin = founded(now())
    assert acting(admin, now()).standing.roles == {Role.ADMINISTRATOR}
    assert kinds_recorded() == ["account.created", "role.granted", "site.founded"]
    with pytest.raises(AlreadyFounded):
        found_site(account(), now=now())
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_first_runs_at_once_make_one_administrator():
    gate, outcomes = threading.Barrier(2), []

    def run(name: str) -> None:
        gate.wait()
        try:
            found_site(account(name), now=now())
            outcomes.append("made")
        except AlreadyFounded:
            outcomes.append("refused")
        finally:
            connection.close()

    both = [threading.Thread(target=run, args=(name,)) for name in ("ada", "grace")]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(outcomes) == ["made", "refused"]
    assert RoleHeld.objects.filter(role=Role.ADMINISTRATOR).count() == 1


def test_an_invited_person_joins_once_with_the_role_they_were_invited_to():
    admin = founded(now())
    invited = invite("grace@example.org", Role.CLINICIAN, by=acting(admin, now()), now=now())
    assert invited.token not in json.dumps(list(Invitation.objects.values("token_sha256")))
    user, _ = accept_invitation(invited.token, account("grace"), now=now())
    assert acting(user, now()).standing.roles == {Role.CLINICIAN}
    assert user.email == "grace@example.org"
    assert user.check_password(PASSWORD)
    assert kinds_recorded()[-4:] == ["invitation.made", "account.created", "role.granted", "invitation.accepted"]
    with pytest.raises(InvitationOver):
        accept_invitation(invited.token, account("somebody"), now=now())


@pytest.mark.parametrize("when", ["before it was made", "after it ended"])
def test_an_invitation_opens_nothing_outside_its_days(when):
    admin, at = founded(now()), now()
    invited = invite("grace@example.org", Role.CLINICIAN, by=acting(admin, at), now=at)
    late = at + INVITATION_LIVES if when == "after it ended" else at - timedelta(seconds=1)
    with pytest.raises(InvitationOver):
        open_invitation(invited.token, now=late)
    with pytest.raises(InvitationOver):
        accept_invitation(invited.token, account(), now=late)


def test_a_token_nobody_made_looks_like_one_that_was_used():
    admin = founded(now())
    invited = invite("grace@example.org", Role.CLINICIAN, by=acting(admin, now()), now=now())
    accept_invitation(invited.token, account(), now=now())
    answers = []
    for token in (invited.token, "made-up"):
        with pytest.raises(InvitationOver) as refused:
            open_invitation(token, now=now())
        answers.append((refused.value.code, refused.value.detail, refused.value.extra))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.ADMINISTRATOR}))
def test_only_administrators_invite_staff(role):
    admin = founded(now())
    if role in (Role.PATIENT, Role.CARER):
        token = invited_to(uuid4(), role, by=admin, at=now())
        user, _ = accept_invitation(token, account(), now=now())
    else:
        user = staff(role, by=admin, at=now())
    with pytest.raises(NotAllowed):
        invite("x@example.org", Role.CLINICIAN, by=acting(user, now()), now=now())
    with pytest.raises(NotAllowed):
        ask_for_role(admin.pk, Role.AUDITOR, reason="r", by=acting(user, now()), now=now())
    assert acting(user, now()).standing.roles == {role}


def test_a_patients_invitation_names_a_record_and_a_clinicians_does_not():
    by, at = acting(founded(now()), now()), now()
    with pytest.raises(BadInput):
        invite("x@example.org", Role.PATIENT, by=by, now=at)
    with pytest.raises(BadInput):
        invite("x@example.org", Role.CLINICIAN, by=by, now=at, patient_ref=uuid4())
    with pytest.raises(BadInput):
        invite("not an address", Role.CLINICIAN, by=by, now=at)
    assert not Invitation.objects.exists()


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"password": "short"}, "password"),
        ({"password": "123456789012345"}, "password"),
        ({"username": "not a name!"}, "username"),
        ({"given_name": "x" * 200}, "first_name"),
        ({"username": "taken"}, "username"),
    ],
)
def test_an_account_that_cannot_be_made_says_why_and_leaves_the_invitation_open(said, field):
    admin = founded(now())
    first = invite("a@example.org", Role.CLINICIAN, by=acting(admin, now()), now=now())
    accept_invitation(first.token, account("taken"), now=now())
    invited = invite("b@example.org", Role.CLINICIAN, by=acting(admin, now()), now=now())
    with pytest.raises(AccountUnusable) as refused:
        accept_invitation(invited.token, account(**said), now=now())
    assert refused.value.extra["field"] == field
    assert open_invitation(invited.token, now=now()).accepted_at is None


def test_a_role_given_and_taken_away_counts_from_that_moment():
    admin = founded(now())
    user = staff(Role.CLINICIAN, by=admin, at=now())
    asked = ask_for_role(user.pk, Role.AUDITOR, reason="reviews", by=acting(admin, now()), now=now())
    other = staff(Role.ADMINISTRATOR, by=admin, at=now())
    assert acting(user, now()).standing.roles == {Role.CLINICIAN}
    answer_role(asked.pk, grant=True, by=acting(other, now()), now=now())
    held = RoleHeld.objects.get(user=user, role=Role.AUDITOR)
    assert acting(user, now()).standing.roles == {Role.CLINICIAN, Role.AUDITOR}
    revoke_role(user.pk, Role.AUDITOR, by=acting(admin, now()), now=now())
    assert acting(user, now()).standing.roles == {Role.CLINICIAN}
    assert RoleHeld.objects.get(pk=held.pk).until is not None
    with pytest.raises(NotFound):
        revoke_role(user.pk, Role.AUDITOR, by=acting(admin, now()), now=now())
    assert kinds_recorded()[-2:] == ["role.granted", "role.revoked"]


def test_roles_of_patients_are_not_handed_out():
    admin = founded(now())
    with pytest.raises(BadInput):
        ask_for_role(admin.pk, Role.PATIENT, reason="r", by=acting(admin, now()), now=now())


def test_the_last_administrator_stays():
    admin = founded(now())
    with pytest.raises(LastAdministrator):
        revoke_role(admin.pk, Role.ADMINISTRATOR, by=acting(admin, now()), now=now())
    with pytest.raises(LastAdministrator):
        leave(admin.pk, by=acting(admin, now()), now=now())
    other = staff(Role.ADMINISTRATOR, by=admin, at=now())
    leave(admin.pk, by=acting(other, now()), now=now())
    assert acting(other, now()).standing.roles == {Role.ADMINISTRATOR}


def test_who_left_can_do_nothing_and_what_they_did_stays():
    admin = founded(now())
    user = staff(Role.CLINICIAN, by=admin, at=now())
    issue_staff_token(user, phone_client(redirect_uris=CLIENT), now())
    leave(user.pk, by=acting(admin, now()), now=now())
    gone = User.objects.get(pk=user.pk)
    with pytest.raises(NotAllowed):
        acting_person(gone, now=now())
    assert not get_access_token_model().objects.filter(user=gone).exists()
    assert RoleHeld.objects.filter(user=gone).exists()
    assert kinds_recorded()[-3:] == ["role.revoked", "token.revoked", "staff.left"]
    with pytest.raises(NotFound):
        ask_for_role(user.pk, Role.CLINICIAN, reason="r", by=acting(admin, now()), now=now())


def test_nobody_who_left_gets_a_token():
    admin = founded(now())
    user = staff(Role.CLINICIAN, by=admin, at=now())
    leave(user.pk, by=acting(admin, now()), now=now())
    with pytest.raises(NotAllowed):
        issue_patient_token(User.objects.get(pk=user.pk), phone_client(redirect_uris=CLIENT), now())


def test_a_token_is_kept_only_as_its_digest():
    admin = founded(now())
    token = issue_staff_token(admin, phone_client(redirect_uris=CLIENT), now())
    row = get_access_token_model().objects.get()
    assert token not in {row.token, row.token_checksum}
    assert "token.issued" in kinds_recorded()


def test_the_commands_found_a_site_and_invite_its_staff(capsys, monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    names = ["--username", "ada", "--given-name", "Ada", "--family-name", "Byron"]
    call_command("first_run", *names, "--password-stdin", "--json")
    assert json.loads(capsys.readouterr().out)["administrator"] == "ada"
    call_command("invite_staff", "--by", "ada", "--role", "clinician", "--email", "grace@example.org", "--json")
    link = json.loads(capsys.readouterr().out)["link"]
    token = link.rstrip("/").rsplit("/", 1)[1]
    assert open_invitation(token, now=now()).role == Role.CLINICIAN
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    with pytest.raises(CommandError, match="already_founded"):
        call_command("first_run", *names, "--password-stdin")
    with pytest.raises(CommandError, match="not_found"):
        call_command("invite_staff", "--by", "nobody", "--role", "clinician", "--email", "x@example.org")
