"""A real browser with a virtual authenticator: a newcomer enrols a passkey on desk and phone, and signs in with it."""

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connections
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from governance.domain import Role
from governance.models import Credential, SignedIn, User
from governance.services.accounts import invite
from tests.governance.people import PASSWORD, acting, founded, now

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
WIDTHS = {"desk": (1280, 900), "phone": (390, 844)}
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (CHROMIUM)"),
    pytest.mark.django_db(transaction=True),
]
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
# Chromium advises RS256 as well; only ES256 and EdDSA are taken, on purpose (governance.services.passkeys).
ADVICE = "publicKey.pubKeyCredParams is missing at least one of the default algorithm identifiers: ES256 and RS256."


def complains(said: ConsoleMessage) -> bool:
    """Whether the browser warns or errs about anything but the algorithms that are left out on purpose."""
    return said.type in ("error", "warning") and not said.text.startswith(ADVICE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the file; the tables are read across its loop on purpose."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield opened
        opened.close()
        connections.close_all()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(params=sorted(WIDTHS))
def page(request, browser, live_server) -> Iterator[Page]:
    """A page whose machine has an authenticator; whatever the browser complains of fails the test."""
    width, height = WIDTHS[request.param]
    context = browser.new_context(viewport={"width": width, "height": height}, base_url=live_server.url)
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda said: page.complaints.append(said.text) if complains(said) else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.tool = context.new_cdp_session(page)
    page.tool.send("WebAuthn.enable")
    page.authenticator = page.tool.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})[
        "authenticatorId"
    ]
    yield page
    context.close()


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def joins(page: Page) -> User:
    """A newcomer follows an invitation's link as far as the page on which the second factor is enrolled."""
    admin = founded(now() - timedelta(days=1))
    token = invite("grace@example.org", Role.CLINICIAN, by=acting(admin, now()), now=now()).token
    page.goto(f"/invitations/{token}/")
    for label, said in (("User name", "grace"), ("Given name", "Grace"), ("Family name", "Ward")):
        page.get_by_label(label).fill(said)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password once more").fill(PASSWORD)
    page.get_by_role("button", name="Join").click()
    page.wait_for_url("**/security/")
    return User.objects.get(username="grace")


def test_a_newcomer_enrols_a_passkey_and_signs_in_with_it_alone(page):
    grace = joins(page)
    expect(page.get_by_text("One step before you begin")).to_be_visible()
    assert fits(page)
    page.get_by_label("Name for a new passkey").fill("My laptop")
    page.get_by_role("button", name="Enrol a passkey").click()
    expect(page.get_by_text("The passkey is enrolled.")).to_be_visible()
    assert fits(page)
    assert Credential.objects.get(user=grace).name == "My laptop"
    page.get_by_role("button", name="Sign out").click()
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/worklist/")
    assert SignedIn.objects.filter(user=grace, ended_at__isnull=True).get().amr == "webauthn"
    assert page.complaints == []


def test_the_passkey_is_the_second_step_after_the_password(page):
    joins(page)
    page.get_by_role("button", name="Enrol a passkey").click()
    expect(page.get_by_text("The passkey is enrolled.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/accounts/login/")
    page.get_by_label("User name").fill("grace")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/second-step/")
    assert fits(page)
    page.get_by_role("button", name="Use my passkey").click()
    page.wait_for_url("**/worklist/")
    assert page.complaints == []


def test_a_passkey_whose_user_is_not_verified_is_not_taken(page):
    joins(page)
    page.tool.send("WebAuthn.setUserVerified", {"authenticatorId": page.authenticator, "isUserVerified": False})
    page.get_by_role("button", name="Enrol a passkey").click()
    expect(page.get_by_text("No passkey was used.")).to_be_visible(timeout=90_000)
    assert Credential.objects.count() == 0
