"""Who withdrew what devices measure besides pressure: the device is told `no_consent`, and nothing of it is kept."""

from datetime import timedelta

import pytest
from django.utils import timezone

from care_loops.models import BloodPressure
from edge_wearables.models import RefusedReading
from tests.edge_wearables.entrance import a_sender, pressure
from tests.factories import Hospital

pytestmark = pytest.mark.django_db(transaction=True)


def sample(seq: int) -> dict[str, object]:
    at = (timezone.now() - timedelta(hours=1)).isoformat()
    return {"seq": seq, "kind": "steps", "starts_at": at, "ends_at": at, "value": 820, "unit": "{steps}"}


def test_the_device_is_told_no_consent_and_nothing_of_it_is_kept_while_a_pressure_is_taken(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    hospital = Hospital(now=timezone.now() - timedelta(hours=2))
    patient = hospital.patient("mary")
    sender = a_sender(patient)
    assert sender.taken(sample(1))["accepted"] == [1]
    before = BloodPressure.objects.filter(patient=patient).count()
    hospital.consents(patient, "raw_upload", given=False)
    answer = sender.taken(sample(2), pressure(3))
    assert answer["rejected"] == [{"seq": 2, "code": "no_consent"}]
    assert answer["accepted"] == [3]
    assert len(sender.samples()) == 1
    assert [(row.code, bytes(row.body)) for row in RefusedReading.objects.all()] == [("no_consent", b"")]
    assert BloodPressure.objects.filter(patient=patient).count() == before + 1
    hospital.consents(patient, "raw_upload", given=True, at=timezone.now() - timedelta(minutes=1))
    assert sender.taken(sample(4))["accepted"] == [4]
