"""The OAuth server gives a token for a code with S256 and for nothing else, and a refresh token is used once."""

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from oauth2_provider.models import get_access_token_model, get_application_model, get_refresh_token_model

from governance.domain import Role
from governance.services.accounts import accept_invitation, leave
from governance.services.tokens import phone_client
from tests.governance.people import account, acting, founded, invited_to, now, staff
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db
BACK = "https://phone.example.org/back"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def admin():
    return founded(now())


@pytest.fixture
def patient(admin):
    from uuid import uuid4

    user, _ = accept_invitation(invited_to(uuid4(), Role.PATIENT, by=admin, at=now()), account("mary"), now=now())
    return user


@pytest.fixture
def browser(patient):
    """Mary's browser, signed in, with the phone's client registered."""
    phone_client(redirect_uris=(BACK,))
    return signed_in(patient)


def request_of(**changes):
    """The authorization request of a well-behaved phone, changed as a test needs."""
    asked = {
        "response_type": "code",
        "client_id": "clinaiops-phone",
        "redirect_uri": BACK,
        "scope": "patient",
        "state": "s-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {key: value for key, value in (asked | changes).items() if value is not None}


def allow(browser, **changes):
    """What the browser is sent back with after Mary agreed."""
    answer = browser.post("/o/authorize/", request_of(**changes) | {"allow": "True"})
    return answer, {k: v[0] for k, v in parse_qs(urlsplit(answer.headers.get("Location", "")).query).items()}


def exchange(browser, **said):
    """The token endpoint's answer to the phone."""
    form = {"client_id": "clinaiops-phone", "redirect_uri": BACK, "code_verifier": VERIFIER} | said
    return browser.post("/o/token/", {key: value for key, value in form.items() if value is not None})


def tokens(browser):
    """A fresh pair of tokens."""
    _, sent = allow(browser)
    return exchange(browser, grant_type="authorization_code", code=sent["code"]).json()


def test_a_code_with_its_verifier_becomes_a_token_that_opens_the_patients_api(browser):
    given = tokens(browser)
    assert given["scope"] == "patient"
    assert given["expires_in"] == 3600
    row = get_access_token_model().objects.get()
    assert row.token_checksum == hashlib.sha256(given["access_token"].encode()).hexdigest()
    assert given["access_token"] not in (row.token or "")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "no challenge"),
        ({"code_challenge": VERIFIER, "code_challenge_method": "plain"}, "plain challenge"),
        ({"code_challenge_method": None}, "no method, which would mean plain"),
        ({"code_challenge_method": "S512"}, "a method of its own"),
        ({"response_type": "token"}, "implicit"),
        ({"response_type": "code token"}, "hybrid"),
        ({"redirect_uri": BACK + "/elsewhere"}, "another address"),
        ({"redirect_uri": "https://evil.example.org/back"}, "another site"),
        ({"client_id": "made-up"}, "an unknown client"),
        ({"scope": "patient admin"}, "a scope that is not one"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_authorization_request_outside_the_rules_gives_no_code(browser, changes, why):
    _, sent = allow(browser, **changes)
    assert "code" not in sent
    assert "access_token" not in sent


@pytest.mark.parametrize("verifier", [None, "", "w" * 64, CHALLENGE])
def test_a_code_without_its_own_verifier_is_worth_nothing(browser, verifier):
    _, sent = allow(browser)
    answer = exchange(browser, grant_type="authorization_code", code=sent["code"], code_verifier=verifier)
    assert answer.status_code == 400
    assert not get_access_token_model().objects.exists()


def test_a_code_is_used_once(browser):
    _, sent = allow(browser)
    assert exchange(browser, grant_type="authorization_code", code=sent["code"]).status_code == 200
    assert exchange(browser, grant_type="authorization_code", code=sent["code"]).status_code == 400


@pytest.mark.parametrize(
    "grant", ["password", "client_credentials", "implicit", "urn:ietf:params:oauth:grant-type:device_code"]
)
def test_no_other_grant_is_open(browser, grant):
    answer = exchange(browser, grant_type=grant, username="mary", password="x", scope="patient")
    assert answer.status_code in (400, 401)
    assert not get_access_token_model().objects.exists()


def test_a_refresh_token_used_twice_ends_the_whole_family(browser):
    first = tokens(browser)
    second = exchange(browser, grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert second["access_token"] != first["access_token"]
    again = exchange(browser, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert again.status_code == 400
    after = exchange(browser, grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert after.status_code == 400
    assert not get_refresh_token_model().objects.filter(revoked__isnull=True).exists()


def test_who_left_cannot_refresh(browser, patient, admin):
    given = tokens(browser)
    leave(patient.pk, by=acting(admin, now()), now=now())
    answer = exchange(browser, grant_type="refresh_token", refresh_token=given["refresh_token"])
    assert answer.status_code == 400


def test_nobody_registers_a_client_over_the_web(browser, admin):
    before = get_application_model().objects.count()
    for path in ("/o/applications/", "/o/applications/register/", "/o/register/", "/o/introspect/"):
        assert browser.get(path).status_code == 404
        assert browser.post(path, {"name": "mine"}).status_code == 404
    assert get_application_model().objects.count() == before


def test_staff_have_no_way_to_a_token_without_signing_in(admin):
    staff(Role.CLINICIAN, by=admin, at=now())
    phone_client(redirect_uris=(BACK,))
    answer = Client().get("/o/authorize/", request_of())
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/")


def test_the_page_lets_its_form_end_at_this_client_and_nowhere_else(browser):
    """A browser holds the redirect that follows a form to `form-action`; without this the code never arrives."""
    policy = browser.get("/o/authorize/", request_of())["Content-Security-Policy"]
    assert "form-action 'self' https://phone.example.org;" in policy
    foreign = browser.get("/o/authorize/", request_of(redirect_uri="https://elsewhere.example.org/back"))
    assert "elsewhere" not in foreign["Content-Security-Policy"]
    assert "form-action 'self';" in browser.get("/accounts/login/")["Content-Security-Policy"]
