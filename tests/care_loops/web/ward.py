"""Patients as the pages' tests want them, by name, on the site that `tests.factories` builds by the legal road."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import count
from uuid import UUID
from zoneinfo import ZoneInfo

from care_loops.domain.record import LabKind, Sex, SymptomKind
from care_loops.domain.units import MmHg
from care_loops.models import Loop, Patient
from care_loops.services import (
    Arrival,
    NewIntake,
    NewPatient,
    NewSymptom,
    TakenIn,
    enrol_patient,
    join_care_team,
    log_intake,
    record_symptom,
    sign_target,
    take_in,
)
from governance.services import acting_device
from tests.factories import AMLODIPINE, LISINOPRIL, ZONE, Hospital, arrival_of, hospital_now, job

_numbers = count(1)


def admit(
    site: Hospital,
    family: str = "Berg",
    given: str = "Anna",
    *,
    born: date | None = date(1964, 5, 3),
    sex: Sex = Sex.FEMALE,
    team: tuple[str, ...] = ("clinician", "pharmacist"),
    target: tuple[int, int] | None = (135, 85),
    listed: bool = True,
) -> Patient:
    """Enrol a synthetic patient by name; the first of `team` is responsible and signs the target. It is on record that
    no medicines were taken then, unless `listed` is false."""
    at = site.now - timedelta(days=120)
    admin = site.acting("admin", now=at)
    new = NewPatient(
        "ward", f"p{next(_numbers)}", given, family, born, sex, ZONE, synthetic=True, takes_no_medicines=listed
    )
    patient = enrol_patient(new, by=admin, now=at)
    for place, name in enumerate(team):
        join_care_team(patient.pk, site.people[name].pk, responsible=place == 0, by=admin, now=at)
    if target is not None:
        systolic, diastolic = (MmHg.of(number) for number in target)
        signer = site.acting(team[0], now=at)
        sign_target(patient.pk, systolic_below=systolic, diastolic_below=diastolic, by=signer, now=at)
    return patient


def reading(at: datetime, systolic: object, diastolic: object, **more: object) -> Arrival:
    """A home reading on its way; a component that is None was not measured."""
    arrival = arrival_of(systolic, diastolic, at=at, **more)  # type: ignore[arg-type]
    whole = systolic is not None and diastolic is not None
    return arrival if whole else replace(arrival, absent_reason="not_measured")


def measured(patient: Patient, *readings: Arrival, at: datetime | None = None) -> TakenIn:
    """Readings arrive from a cuff, at `at` or as the last is taken."""
    received = at or max(arrival.reading.taken_at for arrival in readings)
    return take_in(patient.pk, readings, by=acting_device("cuff-1"), now=received, received_at=received)


def felt(patient: Patient, kind: SymptomKind, *, at: datetime, blamed: str = "", text: str = "") -> UUID:
    """A symptom, as reported."""
    new = NewSymptom("ward", f"s{next(_numbers)}", kind, blamed, text, at)
    return record_symptom(patient.pk, new, by=job(), now=at).row_id


def took(patient: Patient, ingredient: str, day: date, *, taken: bool = True) -> None:
    """A dose logged on the evening of its day."""
    at = datetime.combine(day, time(18), tzinfo=ZoneInfo(ZONE))
    new = NewIntake("ward", f"i{next(_numbers)}", ingredient, day, taken, at if taken else None)
    log_intake(patient.pk, new, by=job(), now=at)


def uncontrolled(
    site: Hospital, family: str = "Berg", given: str = "Anna", *, doses: int = 8, **more: object
) -> Patient:
    """A patient on lisinopril and amlodipine, over target in two windows, results in date, `doses` days logged."""
    patient = admit(site, family, given, **more)  # type: ignore[arg-type]
    for ingredient, dose in ((LISINOPRIL, "10"), (AMLODIPINE, "5")):
        site.takes(patient, ingredient, dose, since=site.now - timedelta(days=100))
    for kind, value in (
        (LabKind.POTASSIUM, "4.3"),
        (LabKind.SODIUM, "140"),
        (LabKind.CREATININE, "78"),
        (LabKind.EGFR, "84"),
    ):
        site.lab(patient, kind, value, at=site.now - timedelta(days=12))
    for weeks_ago, systolic in ((4, 144), (0, 148)):
        site.week(patient, systolic, 90, weeks_ago=weeks_ago)
    today = site.now.astimezone(ZoneInfo(ZONE)).date()
    for back in range(doses, 0, -1):
        for ingredient in (LISINOPRIL, AMLODIPINE):
            took(patient, ingredient, today - timedelta(days=back), taken=back % 13 != 0)
    return patient


def with_advice() -> Hospital:
    """A site as of now with one patient, for whom a recommendation waits."""
    ward = hospital_now()
    proposed(ward, uncontrolled(ward))
    return ward


def proposed(site: Hospital, patient: Patient) -> Loop:
    """The loop that closing the window gives now."""
    loop = site.close(patient)
    assert loop is not None
    return loop
