"""A real browser, at the width of a desk and of a phone: sign in, see the worklist, decide with the keyboard alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect, sync_playwright

from care_loops.models import Alert, Decision
from care_loops.services.alerts import escalate_alerts
from governance.services import acting_person
from governance.services.credentials import draw_recovery_codes
from tests.care_loops.web.ward import measured, proposed, reading, uncontrolled
from tests.factories import PASSWORD, Hospital, job
from tests.signing_in import code_of, confirmed

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
WIDTHS = {"desk": (1280, 900), "phone": (390, 844)}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (CHROMIUM)"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the file. Its loop runs in this thread, so the tables are read across it on purpose."""
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield opened
        opened.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def busy() -> Hospital:
    """A ward with one recommendation and one alert."""
    ward = Hospital(now=timezone.now().replace(microsecond=0))
    proposed(ward, uncontrolled(ward, "Bergström", "Anna"))
    other = uncontrolled(ward, "Alvarez", "Mateo")
    measured(other, reading(ward.now, 192, 122), at=ward.now)
    return ward


@pytest.fixture
def ward(transactional_db, built):
    return built.once(busy, fresh_s=120)


@pytest.fixture(params=sorted(WIDTHS))
def page(request, browser, ward, live_server) -> Iterator[Page]:
    """A page signed in by keyboard. Anything the browser complains of fails the test."""
    width, height = WIDTHS[request.param]
    context = browser.new_context(viewport={"width": width, "height": height}, base_url=live_server.url)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda failed: complaints.append(failed.url))
    sign_in(page, ward)
    yield page
    context.close()
    assert complaints == []


def sign_in(page: Page, ward: Hospital) -> None:
    clinician = ward.people["clinician"]
    code_of(clinician)  # a generator is enrolled; its code of this half minute is kept for the signature
    confirmed(clinician, by=ward.people["admin"])
    now = timezone.now()
    by = acting_person(clinician, now=now)
    recovery = draw_recovery_codes(by=by, now=now).codes[0]
    page.goto("/")
    page.get_by_label("User name").focus()
    page.keyboard.type("clinician")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_label("Code from your app").focus()
    page.keyboard.type(recovery)
    page.keyboard.press("Enter")
    page.wait_for_url("**/worklist/")


def tab_to(page: Page, selector: str, *, most: int = 80) -> None:
    """Press Tab until the focus is on it; the focus must be seen wherever it goes."""
    for _ in range(most):
        page.keyboard.press("Tab")
        seen = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert seen != "none", page.evaluate("document.activeElement.outerHTML")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"the keyboard does not reach {selector}")


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def cut_off(page: Page) -> list[str]:
    """Text that runs out of a box which hides what runs out of it."""
    return page.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => getComputedStyle(e).overflowX === 'hidden'"
        " && e.clientWidth > 1 && e.scrollWidth > e.clientWidth).map(e => e.innerText)"
    )


def unlabelled(page: Page) -> list[str]:
    return page.evaluate(
        "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')]"
        ".filter(e => !e.labels.length && !e.getAttribute('aria-label')).map(e => e.outerHTML)"
    )


def test_a_recommendation_is_decided_with_the_keyboard_alone(page, ward):
    expect(page.get_by_role("heading", name="Worklist")).to_be_visible()
    expect(page.get_by_text("Simulation — not for patient care").first).to_be_visible()
    tab_to(page, "a.button[href^='/recommendations/']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/recommendations/**")
    expect(page.get_by_role("heading", level=1)).to_contain_text("lisinopril")
    assert page.locator("input[name=choice]:checked").count() == 0
    tab_to(page, "input[name=choice]")
    page.keyboard.press("Space")
    tab_to(page, "select[name=reason_code]")
    page.keyboard.type("Agrees")
    tab_to(page, "button.primary")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sign this")).to_be_visible()
    assert Decision.objects.count() == 0
    assert fits(page)
    tab_to(page, "#sign-password")
    page.keyboard.type(PASSWORD)
    tab_to(page, "#sign-code")
    page.keyboard.type(code_of(ward.people["clinician"]))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your decision is signed and recorded.")).to_be_visible()
    assert Decision.objects.get().signature.method == "password_totp"
    assert Decision.objects.get().decided_by == ward.people["clinician"]


def test_every_page_fits_its_width_and_labels_its_fields(page, ward):
    patient = page.locator("tbody th a").first.get_attribute("href")
    loop = page.locator("a.button[href^='/recommendations/']").get_attribute("href")
    pages = ["/worklist/", "/worklist/?show=patients", "/alerts/", "/quarantine/", "/quarantine/devices/"]
    pages += [patient, loop, *(f"{patient}{form}/" for form in ("target", "alert-limits", "boundary", "order"))]
    for where in pages:
        page.goto(where)
        assert fits(page), where
        assert cut_off(page) == [], where
        assert unlabelled(page) == [], where
        assert page.locator("h1").count() == 1, where


def test_an_alert_that_nobody_answered_is_read_to_its_last_word(page, ward):
    before = timezone.now() - timedelta(hours=21)
    measured(uncontrolled(ward, "Featherstonehaugh", "Wilhelmina"), reading(before, 86, 61), at=before)
    escalate_alerts(by=job("clock"), now=timezone.now() - timedelta(hours=1))
    escalate_alerts(by=job("clock"), now=timezone.now())
    for where in ("/worklist/", "/alerts/"):
        page.goto(where)
        expect(page.get_by_text("unanswered for 21 hours")).to_be_visible()
        assert cut_off(page) == [], where


def test_an_alert_is_acknowledged_and_closed_with_the_keyboard_alone(page, ward):
    page.goto("/alerts/")
    tab_to(page, "td.go a.button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/patients/**")
    tab_to(page, "form[action$='/acknowledge/'] button")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Acknowledged by").first).to_be_visible()
    tab_to(page, "form[action$='/dispose/'] select")
    page.keyboard.type("Treated")
    tab_to(page, "form[action$='/dispose/'] button")
    page.keyboard.press("Enter")
    expect(page.locator("article.alert")).to_have_count(0)
    alert = Alert.objects.get()
    assert alert.acknowledged_by == alert.disposed_by == ward.people["clinician"]


def test_the_first_tab_skips_to_the_content(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_finding_a_patient_changes_the_list_and_the_address_without_a_new_page(page):
    page.evaluate("window.same = true")
    page.get_by_label("Find a patient by name").fill("berg")
    page.keyboard.press("Enter")
    expect(page.locator("#work")).to_contain_text("Bergström")
    expect(page.locator("#work")).not_to_contain_text("Alvarez")
    assert page.evaluate("window.same") is True
    assert "q=berg" in page.url


def test_it_works_without_any_script(browser, ward, live_server):
    context = browser.new_context(java_script_enabled=False, base_url=live_server.url)
    page = context.new_page()
    sign_in(page, ward)
    page.locator("a.button[href^='/recommendations/']").click()
    page.get_by_role("radio", name="No change of medication now").check()
    page.get_by_label("Reason").select_option("side_effect")
    page.get_by_role("button", name="Sign and record my decision").click()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_label("Code from your app").fill(code_of(ward.people["clinician"]))
    page.get_by_role("button", name="Sign with password and code").click()
    expect(page.get_by_text("Your decision is signed and recorded.")).to_be_visible()
    assert Decision.objects.get().kind == "reject"
    context.close()
