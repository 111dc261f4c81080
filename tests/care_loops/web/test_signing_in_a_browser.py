"""A recommendation is signed in a real browser, by a passkey of a virtual authenticator; what was signed is shown.

Chromium's own authenticator answers over `localhost`, where passkeys work without a certificate. Its key is enrolled on
the page, confirmed by another person, and signs the record as shown (SECURITY 1.4, 3.4; 21 CFR 11.50, 11.200).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from care_loops.models import Decision
from governance.domain import Method
from governance.models import Signature, SignatureEvidence
from governance.services.credentials import live
from tests.care_loops.web.test_browser import (
    CHROMIUM,
    WIDTHS,
    browser,  # noqa: F401  (a fixture)
    fits,
    sign_in,
    unlabelled,
)
from tests.care_loops.web.ward import proposed, uncontrolled
from tests.factories import PASSWORD, Hospital, hospital_now
from tests.governance.test_passkeys_in_a_browser import AUTHENTICATOR, complains
from tests.signing_in import code_of, confirmed

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (CHROMIUM)"),
]
BY_PASSKEY = "by a passkey of their own, over the record as shown"
BY_APPLICATION = "by password and code: attested by this application"
PICTURES = os.environ.get("CLINAIOPS_PICTURES")


def with_anna() -> Hospital:
    """A ward with one recommendation."""
    ward = hospital_now()
    proposed(ward, uncontrolled(ward, "Bergström", "Anna"))
    return ward


@pytest.fixture
def ward(transactional_db, built) -> Hospital:
    return built.once(with_anna, fresh_s=120)


@pytest.fixture
def desk(request, browser, ward, live_server) -> Iterator[Page]:  # noqa: F811
    """The clinician's browser at a width, with a passkey enrolled on its page and confirmed by another person."""
    width, height = WIDTHS[getattr(request, "param", "desk")]
    context = browser.new_context(viewport={"width": width, "height": height}, base_url=live_server.url)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if complains(said) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.tool = context.new_cdp_session(page)
    page.tool.send("WebAuthn.enable")
    page.authenticator = page.tool.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})[
        "authenticatorId"
    ]
    sign_in(page, ward)
    enrol(page, ward)
    yield page
    context.close()
    assert complaints == []


def enrol(page: Page, ward: Hospital) -> None:
    page.goto("/security/")
    page.get_by_label("Name for a new passkey").fill("Ward laptop")
    page.locator("#passkey-password").fill(PASSWORD)
    page.get_by_role("button", name="Enrol a passkey").click()
    expect(page.get_by_text("The passkey is enrolled.")).to_be_visible()
    confirmed(ward.people["clinician"], by=ward.people["admin"])


def approve(page: Page) -> None:
    """Open the recommendation, choose, and come to the record that is to be signed."""
    page.goto("/worklist/")
    page.locator("a.button[href^='/recommendations/']").click()
    page.locator("input[name=choice][value=approve]").check()
    page.get_by_label("Reason").select_option("agrees_with_plan")
    page.get_by_role("button", name="Sign and record my decision").click()
    expect(page.get_by_role("heading", name="Sign this")).to_be_visible()
    assert Decision.objects.count() == 0


def pictured(page: Page, name: str) -> None:
    """Keep a picture where somebody asked for one; each page fits its width and labels its fields either way."""
    if PICTURES:
        width = page.viewport_size["width"]
        page.screenshot(path=str(Path(PICTURES) / f"{name}-{width}.png"), full_page=True)
    assert fits(page), name
    assert unlabelled(page) == [], name


def manifestation(page: Page) -> str:
    """The line under "Signed by", with its spaces as a reader sees them."""
    expect(page.get_by_text("Your decision is signed and recorded.")).to_be_visible()
    line = page.locator("dl div", has=page.locator("dt", has_text=re.compile("^Signed by$"))).locator("dd")
    expect(line).to_be_visible()
    return " ".join(line.inner_text().split())


def beside_their_labels(page: Page) -> bool:
    """Whether what the rules said of one change stands in one column, however many rules spoke."""
    edges = page.evaluate(
        "[...document.querySelectorAll('td[data-label=\"Rules said\"]')]"
        ".map(cell => [...cell.children].map(one => Math.round(one.getBoundingClientRect().left)))"
    )
    assert any(len(cell) > 1 for cell in edges)
    return all(len(set(cell)) == 1 for cell in edges)


def as_it_must_read(signature: Signature, how: str) -> str:
    """Printed name, time in UTC to the second, meaning, and how it was made (11.50)."""
    when = signature.signed_at.astimezone(UTC)
    assert signature.meaning
    return f"{signature.name_shown}, {when:%-d %b %Y, %H:%M:%S} UTC: “{signature.meaning}”, {how}."


@pytest.mark.parametrize("desk", sorted(WIDTHS), indirect=True)
def test_a_decision_is_signed_with_a_passkey_over_the_record_shown(desk, ward):
    clinician = ward.people["clinician"]
    approve(desk)
    shown = desk.locator("#main")
    expect(shown).to_contain_text(clinician.printed_name)
    for line in ("Bergström, Anna", "Increase lisinopril from 10 mg to 20 mg a day", "agrees_with_plan"):
        expect(shown).to_contain_text(line)
    expect(shown.locator("dl").filter(has_text='{"')).to_have_count(0)
    pictured(desk, "to-sign")
    desk.get_by_role("button", name="Sign with my passkey").click()
    said = manifestation(desk)
    pictured(desk, "signed")
    assert beside_their_labels(desk)

    decision = Decision.objects.get()
    assert decision.kind == "approve"
    assert decision.signature.method == "webauthn"
    assert decision.signature.name_shown == clinician.printed_name
    assert said == as_it_must_read(decision.signature, BY_PASSKEY)
    evidence = SignatureEvidence.objects.get(signature=decision.signature)
    assert evidence.credential == live(clinician, Method.WEBAUTHN).get(name="Ward laptop")


def test_without_the_authenticator_the_same_act_is_refused_and_nothing_is_decided(desk):
    approve(desk)
    signatures = Signature.objects.count()
    desk.tool.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": desk.authenticator})
    desk.get_by_role("button", name="Sign with my passkey").click()
    expect(desk.get_by_text("Follow your browser’s question.")).to_be_visible()
    assert Decision.objects.count() == 0
    desk.tool.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})  # somebody else's
    expect(desk.get_by_text("No passkey was used.")).to_be_visible()
    expect(desk.get_by_role("heading", name="Sign this")).to_be_visible()
    pictured(desk, "refused")
    assert Decision.objects.count() == 0
    assert Signature.objects.count() == signatures


@pytest.mark.parametrize("desk", sorted(WIDTHS), indirect=True)
def test_a_signature_by_password_and_code_is_shown_as_attested_by_the_application(desk, ward):
    approve(desk)
    desk.get_by_label("Your password").fill(PASSWORD)
    desk.get_by_label("Code from your app").fill(code_of(ward.people["clinician"]))
    desk.get_by_role("button", name="Sign with password and code").click()
    said = manifestation(desk)
    pictured(desk, "attested")
    signature = Decision.objects.get().signature
    assert signature.method == "password_totp"
    assert said == as_it_must_read(signature, BY_APPLICATION)
