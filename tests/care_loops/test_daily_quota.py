"""The daily quota of changes straight to patients holds when windows close at the same moment (CLINICAL 1.9 row 8)."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from django.db import connection

from care_loops.models import Step
from care_loops.services import close_window
from tests.factories import Hospital, job

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def test_of_windows_that_close_together_only_as_many_go_to_patients_as_the_quota_leaves():
    site = Hospital()
    site.mode(patient_directed=True, quota=1)
    patients = [site.patient() for _ in range(4)]
    for patient in patients:
        site.boundary(patient)
        site.weeks(patient, *[(150, 92)] * 5)
    barrier = Barrier(len(patients))

    def close(patient_id):
        try:
            barrier.wait()
            close_window(patient_id, by=job(), now=site.now)
        finally:
            connection.close()

    threads = [Thread(target=close, args=(patient.pk,)) for patient in patients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    went = list(Step.objects.filter(seq=2).values_list("state", flat=True))
    assert sorted(went) == ["with_clinician"] * 3 + ["with_patient"]
