"""The patient's own page in a real browser: it lives on the patient's API alone, under the content policy."""

import os
import shutil
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connections

from care_loops.domain.loops import LoopState
from care_loops.models import BloodPressure, IntakeLog, Loop, Symptom
from tests.care_loops.api.world import World
from tests.signing_in import signed_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def page(committed_world: World, live_server) -> Iterator:
    """Mary's browser, signed in, at her page; whatever the browser complains of is collected in `page.complaints`."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    web = signed_in(committed_world.mary)
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": web.cookies[settings.SESSION_COOKIE_NAME].value}
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # the test's own thread has playwright's loop, the server's has not
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin")
        context.add_cookies([cookie | {"url": live_server.url}])
        shown = context.new_page()
        shown.complaints = []
        shown.on("console", lambda said: shown.complaints.append(said.text) if said.type == "error" else None)
        shown.on("pageerror", lambda error: shown.complaints.append(str(error)))
        shown.home = f"{live_server.url}/me/"
        yield shown
        browser.close()
        connections.close_all()  # those of playwright's own context, which nobody else would close
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def test_a_proposal_is_read_and_accepted_and_its_first_dose_logged(committed_world, page):
    loop = committed_world.delivered()
    page.goto(page.home)
    page.get_by_text("Increase amlodipine from 5 mg to 10 mg a day.").wait_for()
    page.get_by_role("button", name="Accept", exact=True).click()
    page.get_by_text("Log the first dose when you take it").wait_for()
    page.get_by_role("button", name="Taken: amlodipine", exact=True).click()
    page.get_by_text("Taken today").wait_for()
    assert Loop.objects.get(pk=loop.pk).state == LoopState.DONE
    assert IntakeLog.objects.count() == 1
    assert page.complaints == []


def test_a_person_can_be_asked_with_the_keyboard_alone(committed_world, page):
    loop = committed_world.delivered()
    page.goto(page.home)
    button = page.get_by_role("button", name="Ask a person instead")
    button.wait_for()
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_text("Your care team will decide with you").wait_for()
    assert Loop.objects.get(pk=loop.pk).state == LoopState.DECLINED


def test_a_crisis_reading_shows_what_to_do_now_first(committed_world, page):
    page.goto(page.home)
    page.get_by_text("Nothing waits for you.").wait_for()
    page.get_by_label("Systolic").fill("196")
    page.get_by_label("Diastolic").fill("124")
    page.get_by_label("Position").select_option("seated")
    page.get_by_label("Monitor", exact=True).select_option("upper_arm_cuff")
    page.get_by_label("Your clinic gave you this monitor").select_option("yes")
    page.get_by_role("button", name="Send the reading").click()
    page.get_by_role("heading", name="What to do now").wait_for()
    assert "emergency number" in page.locator("#me-now-list").inner_text()
    assert page.get_by_role("cell", name="196/124 mmHg").is_visible()
    assert BloodPressure.objects.get().systolic == 196
    assert page.complaints == []


def test_a_side_effect_is_reported_and_the_page_says_what_that_stops(committed_world, page):
    committed_world.takes_amlodipine()
    page.goto(page.home)
    page.get_by_text("Nothing waits for you.").wait_for()
    page.get_by_label("What you feel").select_option("ankle_swelling")
    page.get_by_label("Do you think a medicine causes it?").select_option("17767")
    page.get_by_label("In your own words").fill("<b>since Monday</b>")
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("Nothing automatic happens with this medicine").wait_for()
    row = Symptom.objects.get()
    assert (row.suspected_ingredient, row.text) == ("17767", "<b>since Monday</b>")
    assert page.complaints == []


def test_a_dangerous_symptom_that_is_refused_shows_what_to_do_now(committed_world, page):
    page.goto(page.home)
    page.get_by_text("Nothing waits for you.").wait_for()
    page.get_by_label("What you feel").select_option("swelling_of_lip_face_tongue_or_throat")
    page.locator("#me-text").evaluate("(field) => { field.removeAttribute('maxlength'); }")
    page.get_by_label("In your own words").fill("x" * 3000)
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_role("heading", name="What to do now").wait_for()
    assert "emergency number" in page.locator("#me-now-list").inner_text()
    assert "text" in page.locator("#me-say").inner_text()
