"""The demonstration: a small hospital played to its end, once; killed and gone on; refused where it has no business."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from care_loops.domain.loops import LoopState
from care_loops.models import BloodPressure, Loop, Patient, Step
from care_loops.models.people import source_index
from care_loops.services import replay
from edge_wearables.models import RefusedReading
from edge_wearables.runtime import DeviceRuntime, HttpLine, Identity
from edge_wearables.selectors import outcomes
from edge_wearables.simulators.hospital.cases import cases, staff
from edge_wearables.simulators.hospital.door import NotSimulated, SimulatedDoor
from edge_wearables.simulators.hospital.founding import where_to_sign_in
from governance.models import User
from governance.services.credentials import live, may_sign
from tests.factories import Hospital

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"patients", "readings", "windows", "proposals", "decisions", "alerts", "audit_entries", "verified"}


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """Passwords are made in numbers here; how strong they are kept is tried elsewhere."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def demo(disks, *options):
    out, err = StringIO(), StringIO()
    call_command("demo", "--headless", "--disks", str(disks), *options, stdout=out, stderr=err)
    return json.loads(out.getvalue().splitlines()[-1]), err.getvalue()


def kept_on(disks):
    """How many readings the devices hold on their own disks."""
    nobody, count = Identity("", bytes(32), "UTC"), 0
    for disk in disks.glob("*.sqlite3"):
        device = DeviceRuntime(disk, nobody, HttpLine("http://localhost:1"))
        count += len(device.kept())
        device.close()
    return count


def the_record_says_what_it_should():
    """What was accepted was taken, what was refused has its name, nobody in danger was given more."""
    assert Step.objects.filter(state=LoopState.DONE.value).exists()
    assert {refused.code for refused in RefusedReading.objects.all()} == {
        "device_sentinel",
        "systolic_not_above_diastolic",
        "not_a_number",
        "unknown_unit",
    }
    in_danger = Patient.objects.get(source_index=source_index("crisis_repeated"))
    crisis = BloodPressure.objects.filter(patient=in_danger, systolic__gte=180).latest("taken_at").taken_at
    increases = Loop.objects.filter(
        patient=in_danger, change_kind__in=("step_up", "start"), opened_at__range=(crisis, crisis + timedelta(days=14))
    )
    assert not increases.exists()
    assert Patient.objects.filter(synthetic=False).count() == 0
    assert all(replay(loop_id).identical for loop_id in Loop.objects.values_list("pk", flat=True))


def test_a_small_hospital_is_played_verified_and_played_only_once(tmp_path):
    found, progress = demo(tmp_path, "--patients", "8", "--weeks", "3")
    assert set(found) == KEYS
    assert found["verified"] is True
    assert found["patients"] == 8
    assert found["readings"] | {"accepted": 0} == {"accepted": 0, "duplicate": 12, "rejected": 2, "quarantined": 2}
    assert found["readings"]["accepted"] + 4 == kept_on(tmp_path)
    assert sum(found["windows"].values()) == 8 * 3
    assert sum(found["proposals"]["by_tier"].values()) + sum(found["proposals"]["withheld"].values()) == 8 * 3
    assert {"no_signed_target", "regimen_not_fully_known", "in_target"} <= set(found["proposals"]["withheld"])
    assert set(found["decisions"]) == {"approved", "modified", "rejected"}
    assert found["decisions"]["approved"] >= 1
    assert {"crisis", "low"} <= set(found["alerts"])
    assert all(0 < alert["median_seconds"] < 5 for alert in found["alerts"].values() if alert["median_seconds"])
    assert "week 3 of 3" in progress

    the_record_says_what_it_should()

    began = time.monotonic()
    again, progress = demo(tmp_path, "--patients", "8", "--weeks", "3")
    assert again == found
    assert "have been played before" in progress
    assert time.monotonic() - began < 10
    the_staff_sign_in_as_printed()


def the_staff_sign_in_as_printed():
    """With the password that is printed and the code that the command tells; each finds what their role is for."""
    printed = where_to_sign_in(now=timezone.now())
    for member in staff():
        assert re.search(
            rf"^  {re.escape(member.username)} +{member.role.value.replace('_', ' ')} ", printed, re.MULTILINE
        )
    for username, page in (("dr.brown", "worklist"), ("compliance", "record"), ("ai.lead", "oversight")):
        browser, told = Client(), StringIO()
        browser.post("/accounts/login/", {"login": username, "password": "synthetic-people-only"})
        assert browser.get(reverse(page)).status_code == 302
        call_command("demo_code", username, stdout=told)
        assert browser.post("/accounts/second-step/", {"code": told.getvalue().strip()}).status_code == 302
        assert browser.get(reverse(page)).status_code == 200
        assert all(may_sign(row) for row in live(User.objects.get(username=username)))


def test_killed_half_way_it_goes_on_where_it_was_and_no_reading_is_lost_or_doubled(tmp_path, database_urls):
    options = ["--headless", "--disks", str(tmp_path), "--patients", "4", "--weeks", "2"]
    first = subprocess.Popen(
        [sys.executable, "manage.py", "demo", *options],
        cwd=ROOT,
        env=os.environ | database_urls | {"CELERY_BROKER_URL": "memory://"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    while BloodPressure.objects.count() < 130 and first.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL, "it ended before it could be killed"
    before = BloodPressure.objects.count()
    found, _ = demo(tmp_path, *options[3:])
    assert found["verified"] is True
    assert BloodPressure.objects.count() > before
    assert BloodPressure.objects.count() == kept_on(tmp_path) == outcomes()["accepted"]
    assert BloodPressure.objects.values("patient", "taken_at").distinct().count() == BloodPressure.objects.count()
    assert Loop.objects.filter(origin="proposal").count() == 4 * 2


def test_the_devices_disks_cannot_be_replaced_by_others(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        stopped_after(tmp_path / "one", "week 1 of 2")
    with pytest.raises(CommandError, match="start again"):
        demo(tmp_path / "two", "--patients", "2", "--weeks", "2")


def stopped_after(disks, words):
    """Play until the progress says these words, as when somebody presses Ctrl-C."""

    class Stops(StringIO):
        def write(self, said):
            if words in said:
                raise KeyboardInterrupt
            return super().write(said)

    arguments = ("--disks", str(disks), "--patients", "2", "--weeks", "2")
    call_command("demo", *arguments, stdout=StringIO(), stderr=Stops())


def test_nobody_elses_site_is_played_in(tmp_path):
    Hospital()
    people = User.objects.count()
    with pytest.raises(CommandError, match="holds a site already"):
        demo(tmp_path, "--patients", "1", "--weeks", "1")
    assert User.objects.count() == people


def test_simulated_time_does_not_reach_a_site_that_is_not_in_simulation():
    hospital = Hospital(now=timezone.now() - timedelta(days=1))
    hospital.mode(mode="live")
    door = SimulatedDoor(lambda: timezone.now() - timedelta(hours=1), address="192.0.2.1")
    with pytest.raises(NotSimulated):
        door.post("/api/v1/devices/batches", headers={}, body=b"{}")


def test_every_case_names_its_situation_and_more_patients_than_cases_have_other_names():
    many = cases(120)
    assert all(case.situation for case in many)
    assert len({case.key for case in many}) == len({case.username for case in many}) == 120
    assert len(cases()) >= 40
