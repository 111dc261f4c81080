"""What an administrator does with people, on pages: invite, one role more, a way back; and the first sign-in."""

import json
import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from edge_wearables.simulators.authenticator import SoftKey
from governance.domain import Method, Role
from governance.models import RoleHeld, User
from governance.policies import step_of
from governance.services.codes import code_at
from governance.services.credentials import live, may_sign
from tests.governance.people import PASSWORD, founded, now, staff
from tests.signing_in import HOST, code_of, key_of, signed_in

pytestmark = pytest.mark.django_db
FORM = {"username": "grace", "given_name": "Grace", "family_name": "Ward", "password": PASSWORD, "again": PASSWORD}


@pytest.fixture
def admin():
    return founded(now() - timedelta(days=3))


@pytest.fixture
def other(admin):
    return staff(Role.ADMINISTRATOR, by=admin, at=now() - timedelta(days=2))


def link_on(page):
    """The link that a page shows once, as a path."""
    return re.search(r"https?://[^/]+(/[^\"<]+/)[\"<]", page.content.decode()).group(1)


def enrols_passkey(browser, seed, **more):
    """The answer of the security page to a passkey made by this browser."""
    options = browser.post("/security/passkeys/options/").json()
    key = SoftKey(seed=seed, place=HOST, origin=f"https://{HOST}")
    return browser.post("/security/passkeys/", {"credential": json.dumps(key.create(options)), "name": "Laptop"} | more)


def test_from_invitation_to_work_leads_through_enrolment(admin, other):
    desk = signed_in(admin)
    page = desk.post("/people/invite/", {"email": "grace@example.org", "role": "clinician"})
    newcomer = Client()
    assert newcomer.post(link_on(page), FORM)["Location"] == "/"
    assert newcomer.get("/")["Location"] == "/security/"
    shown = newcomer.get("/security/").content.decode()
    assert "One step before you begin" in shown
    assert "Recovery codes" not in shown
    before = newcomer.cookies["sessionid"].value
    assert enrols_passkey(newcomer, "grace").status_code == 302
    assert newcomer.cookies["sessionid"].value != before
    assert newcomer.get("/worklist/").status_code == 200
    grace = User.objects.get(username="grace")
    row = live(grace, Method.WEBAUTHN).get()
    assert not may_sign(row)
    assert "Grace Ward" in signed_in(other).get("/people/waiting/").content.decode()
    assert signed_in(other).post(f"/people/waiting/credentials/{row.pk}/").status_code == 302
    assert may_sign(row)
    assert "May sign" in newcomer.get("/security/").content.decode()


def test_an_app_that_shows_codes_is_enrolled_by_showing_one(admin):
    clinician = staff(Role.CLINICIAN, by=admin, at=now())
    browser = Client()
    browser.post("/accounts/login/", {"login": clinician.username, "password": PASSWORD})
    page = browser.get("/security/code/").content.decode()
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", page).group(1)
    assert "data:image/svg+xml" in page
    assert browser.post("/security/code/", {"code": "12345x"}).status_code == 422
    assert browser.get("/worklist/")["Location"] == "/security/"
    fresh = re.search(r"<code>([A-Z2-7]{32})</code>", browser.get("/security/code/").content.decode()).group(1)
    assert fresh != secret
    assert browser.post("/security/code/", {"code": code_at(fresh, step_of(now()))}).status_code == 302
    assert browser.get("/worklist/").status_code == 200


def test_changes_at_a_machine_left_open_need_the_password(admin):
    clinician = staff(Role.CLINICIAN, by=admin, at=now())
    browser = signed_in(clinician)
    assert enrols_passkey(browser, "thief").status_code == 422
    assert browser.post("/security/recovery-codes/").status_code == 422
    assert live(clinician).count() == 1
    assert enrols_passkey(browser, "second", password=PASSWORD).status_code == 302
    sheet = browser.post("/security/recovery-codes/", {"password": PASSWORD}).content.decode()
    codes = re.findall(r"<code>(\w{4}-\w{4}-\w{4})</code>", sheet)
    assert len(codes) == 10
    again = Client()
    again.post("/accounts/login/", {"login": clinician.username, "password": PASSWORD})
    assert again.post("/accounts/second-step/", {"code": codes[3]}).status_code == 302
    assert again.get("/worklist/").status_code == 200
    first = live(clinician, Method.WEBAUTHN).first()
    assert browser.post(f"/security/credentials/{first.pk}/remove/", {"password": PASSWORD}).status_code == 302
    assert not live(clinician).filter(pk=first.pk).exists()


def test_a_changed_password_ends_every_other_session(admin):
    one, two = signed_in(admin), signed_in(admin)
    said = {"password": PASSWORD, "new": "a wide river runs south", "again": "a wide river runs south"}
    assert one.post("/security/password/", said | {"again": "other"}).status_code == 400
    assert one.post("/security/password/", said | {"password": "wrong"}).status_code == 422
    assert one.post("/security/password/", said).status_code == 302
    assert two.get("/people/")["Location"].startswith("/accounts/login/")


def test_who_lost_everything_comes_back_by_another_person(admin, other):
    clinician = staff(Role.CLINICIAN, by=admin, at=now())
    lost = signed_in(clinician)
    desk = signed_in(admin)
    assert desk.post(f"/people/{clinician.pk}/way-back/", {"reason": ""}).status_code == 422
    page = desk.post(f"/people/{clinician.pk}/way-back/", {"reason": "lost the phone; known by face"})
    where = link_on(page)
    assert lost.get("/worklist/")["Location"].startswith("/accounts/login/")
    back = Client()
    assert clinician.username in back.get(where).content.decode()
    assert back.post(where, {"password": "short", "again": "short"}).status_code == 422
    assert back.post(where, {"password": "a wide river runs south", "again": "a wide river runs"}).status_code == 422
    said = {"password": "a wide river runs south", "again": "a wide river runs south"}
    assert back.post(where, said)["Location"] == "/security/"
    assert back.get("/worklist/")["Location"] == "/security/"
    assert Client().get(where).status_code == 410
    assert enrols_passkey(back, "new").status_code == 302
    assert back.get("/worklist/").status_code == 200
    row = live(clinician).get()
    assert desk.post(f"/people/waiting/credentials/{row.pk}/").status_code == 403
    assert signed_in(other).post(f"/people/waiting/credentials/{row.pk}/").status_code == 302


def test_a_role_more_is_asked_for_on_one_page_and_granted_on_anothers(admin, other):
    clinician = staff(Role.CLINICIAN, by=admin, at=now())
    desk = signed_in(admin)
    assert desk.post(f"/people/{clinician.pk}/roles/", {"role": "auditor", "reason": ""}).status_code == 422
    assert desk.post(f"/people/{clinician.pk}/roles/", {"role": "auditor", "reason": "reviews"}).status_code == 302
    page = signed_in(other).get("/people/waiting/").content.decode()
    where = re.search(r"/people/waiting/roles/[^\"]+", page).group()
    assert desk.post(where, {"answer": "grant"}).status_code == 403
    assert signed_in(other).post(where, {"answer": "grant"}).status_code == 302
    assert RoleHeld.objects.filter(user=clinician, role="auditor", until__isnull=True).exists()
    assert desk.post(f"/people/{clinician.pk}/roles/", {"take_away": "auditor"}).status_code == 302
    assert not RoleHeld.objects.filter(user=clinician, role="auditor", until__isnull=True).exists()


@pytest.mark.parametrize("role", [Role.CLINICIAN, Role.AUDITOR, Role.PHARMACIST])
def test_these_pages_are_for_those_who_manage_people(admin, role):
    browser = signed_in(staff(role, by=admin, at=now()))
    for where in (
        "/people/",
        "/people/invite/",
        "/people/waiting/",
        f"/people/{admin.pk}/",
        f"/people/{admin.pk}/leaves/",
    ):
        assert browser.get(where).status_code == 403, where


def test_every_page_of_people_opens_for_an_administrator(admin, other):
    key_of(other)
    desk = signed_in(admin)
    for where in ("", "invite/", "waiting/", f"{other.pk}/", f"{other.pk}/way-back/", f"{other.pk}/leaves/"):
        assert desk.get(f"/people/{where}").status_code == 200, where
    for where in ("/patients/enrol/", "/patients/invite/", "/security/", "/security/code/", "/accounts/help/"):
        assert desk.get(where).status_code == 200, where


def test_the_ceremony_at_the_console_names_the_mark_and_the_witnesses(admin, capsys):
    with pytest.raises(CommandError, match="not_found"):
        call_command("key_ceremony", "--username", admin.username, "--witness", "Ann Witness")
    key_of(admin)
    call_command("key_ceremony", "--username", admin.username)
    assert "--witness" in capsys.readouterr().out
    assert not may_sign(live(admin).get())
    call_command("key_ceremony", "--username", admin.username, "--witness", "Ann Witness", "--witness", "Ben Other")
    assert "may sign" in capsys.readouterr().out
    assert may_sign(live(admin).get())
    with pytest.raises(CommandError, match="confirmed_already"):
        call_command("key_ceremony", "--username", admin.username, "--witness", "Ann Witness")


def test_the_code_of_the_demonstration_is_told_nowhere_else(admin):
    code_of(admin)
    for name in (admin.username, "dr.brown", "admin"):
        with pytest.raises(CommandError, match="site_is_not_the_demonstration"):
            call_command("demo_code", name)
