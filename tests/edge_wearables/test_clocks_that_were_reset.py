"""A vendor's file from a device whose clock lost its power: what it measured counts as now (CLINICAL 1.3, N4)."""

import json

import pytest
from django.utils import timezone

from care_loops.models import Alert, BloodPressure
from care_loops.services import take_in
from care_loops.services.take_in import Arrival
from edge_wearables.services.files import VendorFile, ingest_file
from tests.care_loops.api.world import World
from tests.edge_wearables.entrance import JOB, new_patient, pressure

pytestmark = pytest.mark.django_db
RESET = {"1970": "1970-01-01T00:05:00+00:00", "2000": "2000-01-01T00:05:00+00:00"}


def omron(year: str, pulse: object) -> VendorFile:
    head = "Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm)"
    return VendorFile(f"{head}\nJan 01 {year},00:05,210,125,{pulse}\n".encode(), "omron_csv", zone="Europe/Berlin")


def own(year: str, pulse: object) -> VendorFile:
    said = pressure(1, systolic=210, diastolic=125, pulse=pulse, taken_at=RESET[year])
    body = json.dumps([{name: value for name, value in said.items() if name != "seq"}])
    return VendorFile(body.encode(), "clinaiops/readings/v1", zone="Europe/Berlin")


@pytest.mark.parametrize("year", sorted(RESET))
@pytest.mark.parametrize("file", [omron, own], ids=["omron", "own"])
@pytest.mark.parametrize("pulse", [70, "E"], ids=["valid", "spoiled"])
def test_a_dangerous_reading_in_a_file_from_a_clock_that_was_reset_alarms(file, year, pulse):
    patient = new_patient()
    ingest_file(file(year, pulse), patient_id=patient.pk, by=JOB, now=timezone.now())
    alert, row = Alert.objects.get(patient=patient), BloodPressure.objects.get(patient=patient)
    assert (alert.kind, alert.unverified, alert.pages) == ("crisis", True, True)
    assert ("clock_uncertain" in row.flags, row.quarantined != "") == (True, True)


def test_history_that_is_imported_keeps_its_dates():
    world = World()
    taken = world.now.replace(year=1998)
    arrival = Arrival("test", "old", world.reading(210, 125, taken))
    take_in(world.patient.pk, [arrival], by=JOB, now=world.now, received_at=world.now, imported=True)
    row = BloodPressure.objects.get()
    assert (row.flags, row.quarantined, Alert.objects.filter(pages=True).exists()) == ([], "", False)
