"""Many recommendations quickly, by the legal road: a patient who measured five weeks, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import count, product

from django.db import connection, connections

from care_loops.domain.record import Sex
from care_loops.domain.units import MmHg
from care_loops.models import Loop, Patient
from care_loops.services import NewPatient, close_window, enrol_patient, join_care_team, sign_target, take_in
from governance.models import User
from governance.services import acting_device
from tests.factories import LISINOPRIL, NOW, ZONE, Hospital, arrival_of, job

_numbers = count(1)


def the_site(*, now: datetime = NOW) -> Hospital:
    """A site at `now`; where one stands in this database already, that one."""
    found = {user.username: user for user in User.objects.all()}
    if "admin" not in found:
        return Hospital(now)
    standing = object.__new__(Hospital)
    standing.now, standing.people = now, found
    return standing


def patient_of(hospital: Hospital) -> Patient:
    """A patient of both clinicians, with a target and one drug."""
    early = hospital.now - timedelta(days=240)
    admin = hospital.acting("admin", now=early)
    name = f"quick{next(_numbers)}"
    new = NewPatient("campaign", name, name, "Test", date(1961, 5, 4), Sex.MALE, ZONE, synthetic=True)
    patient = enrol_patient(new, by=admin, now=early)
    for number, who in enumerate(("clinician", "other_clinician")):
        join_care_team(patient.pk, hospital.people[who].pk, responsible=number == 0, by=admin, now=early)
    by = hospital.acting("clinician", now=early)
    sign_target(patient.pk, systolic_below=MmHg.of(135), diastolic_below=MmHg.of(85), by=by, now=early)
    hospital.takes(patient, LISINOPRIL, "10", since=early + timedelta(days=40))
    return patient


def five_weeks_measured(hospital: Hospital) -> Patient:
    """A patient over target whose window is due and not closed."""
    patient = patient_of(hospital)
    midnight = hospital.now.replace(hour=0, minute=0)
    times = product(range(35, 0, -1), ((6, 0), (6, 2), (19, 0), (19, 2)))
    arrivals = [
        arrival_of(150, 92, at=midnight - timedelta(days=d) + timedelta(hours=h, minutes=m)) for d, (h, m) in times
    ]
    take_in(patient.pk, arrivals, by=acting_device("cuff-1"), now=hospital.now, received_at=hospital.now)
    return patient


def waiting_loop(hospital: Hospital) -> Loop:
    """A recommendation that waits for a clinician."""
    patient = five_weeks_measured(hospital)
    loop = close_window(patient.pk, by=job("close-windows"), now=hospital.now)
    assert loop is not None
    assert loop.state == "with_clinician", (loop.state, loop.withheld_reason)
    return loop


def at_once(workers: int, rounds: int, act: Callable[[int, int], object]) -> list[list[object]]:
    """Each worker does `act(round, worker)`, all of a round started at one barrier. Exceptions are answers too."""
    barrier = threading.Barrier(workers, timeout=60)
    answers: list[list[object]] = [[None] * workers for _ in range(rounds)]

    def work(worker: int) -> None:
        try:
            for number in range(rounds):
                connection.ensure_connection()
                barrier.wait()
                try:
                    answers[number][worker] = act(number, worker)
                except Exception as err:  # noqa: BLE001  what was answered is judged by the caller
                    answers[number][worker] = err
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
