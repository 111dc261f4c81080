"""Builders of readings, symptoms, labs and patients for tests of the pure rules, and the way to the real data sets."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from care_loops.domain.readings import Method, Reading, Setting
from care_loops.domain.record import (
    DrugClass,
    DrugTaken,
    Lab,
    LabKind,
    PastChange,
    PatientFacts,
    Pregnancy,
    Regimen,
    Sex,
    SymptomKind,
    SymptomReport,
)
from care_loops.domain.units import Bpm, Milligrams, MmHg

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
_numbers = count(1)

PLAIN_FACTS = PatientFacts(age_years=55, sex=Sex.FEMALE, pregnancy=Pregnancy.NOT_PREGNANT, conditions=(), allergies=())
NO_DRUGS = Regimen(drugs=(), unknown=())


def data_set(name: str) -> Path:
    """A real data set by name. Without any data the test skips and names the set; a set missing among others fails."""
    root = Path(os.environ.get("CLINAIOPS_DATA", Path(__file__).resolve().parents[2] / "../shared/data"))
    if not root.is_dir():
        pytest.skip(f"data set {name} is not here (CLINAIOPS_DATA)")
    assert (root / name).is_dir(), f"{root} lacks the set {name}"
    return root / name


def reading(
    systolic: object = 130,
    diastolic: object = 80,
    *,
    at: datetime = NOW,
    pulse: object = None,
    zone: str = "Europe/Berlin",
    **more: object,
) -> Reading:
    """A home reading by a validated upper-arm cuff."""
    made = Reading(
        reading_id=f"r{next(_numbers):06d}",
        taken_at=at,
        zone=zone,
        systolic=None if systolic is None else MmHg(Decimal(str(systolic))),
        diastolic=None if diastolic is None else MmHg(Decimal(str(diastolic))),
        pulse=None if pulse is None else Bpm(Decimal(str(pulse))),
        method=Method.UPPER_ARM_CUFF,
        setting=Setting.HOME,
        device_validated=True,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def symptom(kind: SymptomKind, *, at: datetime = NOW) -> SymptomReport:
    return SymptomReport(symptom_id=f"s{next(_numbers):06d}", kind=kind, reported_at=at)


def lab(kind: LabKind, value: object, *, at: datetime = NOW) -> Lab:
    return Lab(lab_id=f"l{next(_numbers):06d}", kind=kind, value=Decimal(str(value)), taken_at=at)


def taking(*classes: DrugClass, unknown: tuple[str, ...] = ()) -> Regimen:
    """A regimen with one drug of each class."""
    drugs = tuple(
        DrugTaken(
            ingredient=f"in-{one}", name=one.value, drug_class=one, daily_dose=Milligrams(Decimal(10)), since=None
        )
        for one in classes
    )
    return Regimen(drugs=drugs, unknown=unknown)


def changed(drug_class: DrugClass, *, at: datetime, steps: int = 1) -> PastChange:
    return PastChange(ingredient=f"in-{drug_class}", drug_class=drug_class, effective_at=at, steps=steps)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def days(number: float) -> timedelta:
    return timedelta(days=number)
