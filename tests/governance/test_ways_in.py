"""Every way in, one by one: no session, token or admin page for staff without two factors (SECURITY A11 to A15)."""

import json
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from oauth2_provider.models import get_access_token_model

from edge_wearables.simulators.authenticator import SoftKey
from governance.domain import Amr, Presence, Role
from governance.middleware import OPEN
from governance.models import SignedIn
from governance.policies import session_limits
from governance.services.accounts import accept_invitation, leave, revoke_role
from governance.services.recognising import check_not_locked
from governance.services.sessions import open_session
from governance.services.tokens import given_under, keep_under, phone_client
from governance.services.ways_back import open_way_back
from tests.governance.people import PASSWORD, account, acting, founded, invited_to, now, staff
from tests.governance.test_oauth import BACK, VERIFIER, request_of
from tests.signing_in import code_of, key_of, sign_in, signed_in

pytestmark = pytest.mark.django_db
SAMPLES = {"uuid": str(uuid4()), "str": "x", "int": "1", "slug": "x", "path": "x"}


@pytest.fixture
def admin():
    return founded(now() - timedelta(days=3))


@pytest.fixture
def clinician(admin):
    return staff(Role.CLINICIAN, by=admin, at=now() - timedelta(days=2))


def addresses(patterns=None, prefix=""):
    """Every address of the house with a sample in each place, and its name."""
    for found in patterns if patterns is not None else get_resolver().url_patterns:
        text = prefix + str(found.pattern)
        if isinstance(found, URLResolver):
            yield from addresses(found.url_patterns, text)
        elif isinstance(found, URLPattern):
            where = re.sub(r"<(?:(\w+):)?\w+>", lambda m: SAMPLES[m.group(1) or "str"], text)
            where = re.sub(r"\(\?P<\w+>[^)]*\)", "x", where)
            yield "/" + re.sub(r"[\^$\\]|\?\$?$", "", where), found.name


def with_password(user, **more):
    """A browser in which this person has given the right password."""
    browser = Client()
    answer = browser.post("/accounts/login/", {"login": user.username, "password": PASSWORD} | more)
    return browser, answer


def test_one_factor_of_staff_reaches_the_enrolment_pages_and_nothing_else(clinician):
    browser, answer = with_password(clinician)
    assert answer.status_code == 302
    tried = [where for where, name in addresses() if name not in OPEN]
    assert len(tried) > 80
    for where in tried:
        for method in ("get", "post"):
            said = getattr(browser, method)(where)
            if where.startswith(("/api/", "/fhir/", "/cds-services")):
                assert (said.status_code, said.json()["code"]) == (403, "second_factor_needed"), where
            else:
                assert (said.status_code, said.headers.get("Location")) == (302, "/security/"), (method, where)


def test_the_enrolment_pages_are_few_and_named():
    assert {name for _, name in addresses()} >= OPEN
    assert len(OPEN) == 8


def test_a_password_alone_opens_nothing_for_whoever_has_a_second_factor(clinician):
    key_of(clinician)
    browser, answer = with_password(clinician)
    assert answer["Location"] == "/accounts/second-step/"
    assert not SignedIn.objects.filter(user=clinician).exists()
    assert browser.get("/worklist/")["Location"].startswith("/accounts/login/")
    assert browser.get("/api/v1/worklist").status_code == 401
    assert browser.get("/security/")["Location"].startswith("/accounts/login/")


def test_password_and_code_open_the_house_and_the_entry_says_so(clinician):
    code = code_of(clinician)
    browser, _ = with_password(clinician)
    assert browser.post("/accounts/second-step/", {"code": code}).status_code == 302
    assert browser.get("/worklist/").status_code == 200
    assert SignedIn.objects.get(user=clinician).amr == "pwd otp"


def test_a_passkey_alone_opens_the_house(clinician):
    assert signed_in(clinician).get("/worklist/").status_code == 200
    assert SignedIn.objects.get(user=clinician).amr == "webauthn"


def test_a_session_that_a_library_or_a_shell_made_is_nobodys(clinician):
    key_of(clinician)
    browser = Client()
    browser.force_login(clinician, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get("/worklist/")["Location"].startswith("/accounts/login/")
    assert not Session.objects.filter(session_data__gt="", pk=browser.cookies["sessionid"].value).exists()


@pytest.mark.parametrize("user_is", ["nobody", "staff", "superuser"])
def test_the_admin_has_no_door_of_its_own(clinician, user_is):
    said = {"username": clinician.username, "password": PASSWORD}
    browser = Client()
    assert browser.post("/admin/login/", said)["Location"] == "/accounts/login/"
    if user_is != "nobody":
        browser, _ = with_password(clinician)
        assert browser.get("/admin/")["Location"] == "/security/"
    if user_is == "superuser":
        assert (
            signed_in(clinician).get("/admin/")["Location"].startswith("/admin/login/")
        )  # nobody is the admin's staff


@pytest.mark.parametrize(
    "where",
    [
        "signup/", "password/reset/", "password/change/", "password/set/", "reauthenticate/", "email/", "login/code/",
        "login/code/confirm/", "confirm-email/", "2fa/", "2fa/totp/activate/", "2fa/webauthn/add/",
        "2fa/webauthn/login/", "2fa/recovery-codes/generate/", "2fa/trust/", "social/login/cancelled/",
    ],
)  # fmt: skip
def test_the_librarys_other_doors_are_not_there(clinician, where):
    assert Client().get(f"/accounts/{where}").status_code == 404
    assert signed_in(clinician).post(f"/accounts/{where}").status_code == 404


def test_nothing_is_remembered_on_the_machine(clinician):
    key_of(clinician)
    for cookie in (None, "on", "1"):
        browser, answer = with_password(clinician, **({"remember": cookie} if cookie else {}))
        assert answer["Location"] == "/accounts/second-step/"
        assert not any(morsel["max-age"] for name, morsel in browser.cookies.items() if name != "csrftoken")
        browser.cookies["mfa_trusted"] = "1"
        assert browser.get("/worklist/")["Location"].startswith("/accounts/login/")


def exchange(browser, **changes):
    """A token of the OAuth server for whoever is signed in in this browser."""
    allowed = browser.post("/o/authorize/", request_of(scope="staff", **changes) | {"allow": "True"})
    found = re.search(r"[?&]code=([^&]+)", allowed.headers.get("Location", ""))
    if found is None:
        return None
    form = {"client_id": "clinaiops-phone", "redirect_uri": BACK, "code_verifier": VERIFIER, "code": found.group(1)}
    return browser.post("/o/token/", form | {"grant_type": "authorization_code"}).json()


def opens(token):
    """What the clinician's API answers to this token."""
    return Client().get("/api/v1/worklist", headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_token_of_staff_carries_two_factors_or_is_not_given(clinician):
    phone_client(redirect_uris=(BACK,))
    weak, _ = with_password(clinician)
    assert exchange(weak) is None
    strong = signed_in(clinician)
    given = exchange(strong)
    assert opens(given["access_token"]) == 200
    row = get_access_token_model().objects.get()
    assert given_under("access", str(row.pk)).amr == ("webauthn",)
    form = {"client_id": "clinaiops-phone", "grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    again = strong.post("/o/token/", form).json()
    assert opens(again["access_token"]) == 200
    newest = get_access_token_model().objects.order_by("-pk").first()
    assert given_under("access", str(newest.pk)).amr == ("webauthn",)


def test_a_token_that_says_nothing_of_how_it_was_given_opens_nothing_for_staff(clinician):
    """As one made past the services would be, or one from before this rule."""
    from governance.services.tokens import issue_staff_token

    issue_staff_token(clinician, phone_client(redirect_uris=(BACK,)), now())
    row = get_access_token_model().objects.get()
    assert given_under("access", str(row.pk)) is not None
    assert given_under("access", str(row.pk + 1)) is None
    from governance.policies import SecondFactorNeeded
    from governance.services.tokens import check_token

    for presence in (None, Presence("", (Amr.PASSWORD.value,), now())):
        with pytest.raises(SecondFactorNeeded):
            check_token(clinician, presence, now=now())


def test_a_token_of_staff_does_not_outlive_the_sign_in_it_came_of(clinician):
    from governance.policies import SessionOver
    from governance.services.tokens import check_token

    since, longest = now(), session_limits()["staff"].absolute
    presence = Presence("", (Amr.PASSKEY.value,), since)
    keep_under("access", "1", presence)
    check_token(clinician, given_under("access", "1"), now=since + longest - timedelta(seconds=1))
    with pytest.raises(SessionOver):
        check_token(clinician, given_under("access", "1"), now=since + longest)


def begun(user, at, amr=(Amr.PASSKEY,)):
    """A browser whose session was opened at `at` and not heard of since."""
    browser = Client()
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    open_session(user, key=browser.session.session_key, amr=amr, agent="test", now=at)
    return browser


def test_staff_are_signed_out_after_a_quarter_of_an_hour_and_patients_later(clinician, admin):
    mary, _ = accept_invitation(invited_to(uuid4(), Role.PATIENT, by=admin, at=now()), account("mary"), now=now())
    minutes = {"staff": session_limits()["staff"].idle, "person": session_limits()["person"].idle}
    assert minutes["staff"] == timedelta(minutes=15) < minutes["person"]
    almost = timedelta(seconds=5)
    assert begun(clinician, now() - minutes["staff"] + almost).get("/worklist/").status_code == 200
    over = begun(clinician, now() - minutes["staff"])
    assert over.get("/worklist/")["Location"].startswith("/accounts/login/")
    assert "15 minutes" in over.get("/accounts/login/").content.decode()
    assert SignedIn.objects.filter(user=clinician, end_reason="idle").count() == 1
    assert begun(mary, now() - minutes["staff"], amr=(Amr.PASSWORD,)).get("/me/").status_code == 200
    assert begun(mary, now() - minutes["person"], amr=(Amr.PASSWORD,)).get("/me/").status_code == 302


def test_a_session_of_staff_ends_after_twelve_hours_however_busy(clinician):
    from governance.policies import SessionOver, check_not_over

    limits, began = session_limits()["staff"], now()
    assert limits.absolute == timedelta(hours=12)
    last = began + limits.absolute
    check_not_over(limits, began=began, seen=last - timedelta(minutes=1), now=last - timedelta(seconds=1))
    with pytest.raises(SessionOver):
        check_not_over(limits, began=began, seen=last - timedelta(minutes=1), now=last)


def test_signing_in_draws_a_new_key_and_the_one_before_is_worth_nothing(clinician):
    browser = Client()
    browser.post("/accounts/passkey/options/")
    before = browser.cookies["sessionid"].value
    sign_in(browser, clinician)
    after = browser.cookies["sessionid"].value
    assert after != before
    sign_in(browser, clinician)
    assert browser.cookies["sessionid"].value != after
    stale = Client()
    stale.cookies["sessionid"] = after
    assert stale.get("/worklist/")["Location"].startswith("/accounts/login/")


def test_ending_every_session_counts_at_the_next_request(clinician, admin):
    one, two = signed_in(clinician), signed_in(clinician)
    assert two.get("/worklist/").status_code == 200
    assert one.post("/security/sessions/end-others/").status_code == 302
    assert two.get("/worklist/")["Location"].startswith("/accounts/login/")
    assert one.get("/worklist/").status_code == 200
    open_way_back(clinician.pk, reason="lost the laptop", by=acting(admin, now()), now=now())
    assert one.get("/worklist/")["Location"].startswith("/accounts/login/")


def test_who_left_and_who_lost_the_role_is_out_at_the_next_request(clinician, admin):
    browser = signed_in(clinician)
    revoke_role(clinician.pk, Role.CLINICIAN, by=acting(admin, now()), now=now())
    assert browser.get("/worklist/").status_code == 403
    leave(clinician.pk, by=acting(admin, now()), now=now())
    assert browser.get("/worklist/")["Location"].startswith("/accounts/login/")
    with pytest.raises(AssertionError):
        sign_in(Client(), clinician, key=SoftKey(seed=f"test {clinician.pk}", place="testserver"))


def test_nobody_learns_whether_a_name_exists(clinician):
    def answers(name):
        browser = Client()
        said = browser.post("/accounts/login/", {"login": name, "password": "not the password 1"})
        text = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", said.content.decode())
        return said.status_code, text.replace(name, "NAME")

    assert answers(clinician.username) == answers("nobody.of.that.name")


def test_after_five_wrong_codes_no_code_is_looked_at_right_or_wrong(clinician):
    code = code_of(clinician)
    browser, _ = with_password(clinician)
    wrong = "000000" if code != "000000" else "111111"
    answers = [browser.post("/accounts/second-step/", {"code": wrong}).status_code for _ in range(7)]
    assert answers == [422] * 5 + [429] * 2
    assert browser.post("/accounts/second-step/", {"code": code}).status_code == 429
    from governance.policies import LockedOut, factor_rules

    with pytest.raises(LockedOut):
        check_not_locked(clinician, now=now())
    check_not_locked(clinician, now=now() + factor_rules().lock)


def test_what_is_no_answer_of_a_passkey_is_refused_by_name(clinician):
    key = key_of(clinician)
    for said in (
        "",
        "null",
        "[]",
        "{}",
        '{"id": 1}',
        "{" * 500,
        json.dumps({"id": "x", "rawId": "AA", "response": {}}),
    ):
        browser = Client()
        browser.post("/accounts/passkey/options/")
        answer = browser.post("/accounts/passkey/", {"credential": said})
        assert (answer.status_code, 'role="alert"' in answer.content.decode()) == (422, True), said
    options = Client().post("/accounts/passkey/options/").json()
    stolen = Client().post("/accounts/passkey/", {"credential": json.dumps(key.get(options))})
    assert stolen.status_code == 422  # another browser's challenge
