"""A small ward made by the legal road: accounts, policies, an approved predictor, patients with weeks of readings.

Everything goes through the services that people and devices use; nothing is set from outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from uuid import UUID
from zoneinfo import ZoneInfo

from care_loops.domain.readings import Method, Reading, Setting
from care_loops.domain.record import LabKind, Sex, SymptomKind
from care_loops.domain.units import Bpm, MmHg
from care_loops.models import Loop, Patient
from care_loops.pathways.hypertension.predictors import VERSION, digest_of
from care_loops.pathways.hypertension.tables_therapy import formulary
from care_loops.protocol import HOME_BP
from care_loops.services import (
    Arrival,
    NewIntake,
    NewLab,
    NewPatient,
    NewRegimenEntry,
    NewSymptom,
    TakenIn,
    close_window,
    enrol_patient,
    join_care_team,
    log_intake,
    record_lab,
    record_regimen_entry,
    record_symptom,
    sign_target,
    take_in,
)
from governance.domain import Role
from governance.models import User
from governance.services import Acting, acting_device, acting_job, acting_person, set_policy
from governance.services.accounts import NewAccount, accept_invitation, found_site, grant_role, invite
from models.cards import REQUIRED
from models.registry.services import activate, approve, register

BERLIN = "Europe/Berlin"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
PASSWORD = "a long enough password 7"
JOB = acting_job("ward", "tests")
CUFF = acting_device("cuff-1")
_numbers = count(1)


@dataclass
class Ward:
    """People and policies of a site in simulation, founded `weeks` before `now`."""

    now: datetime = NOW
    weeks: int = 16
    staff: dict[str, User] = field(default_factory=dict)

    @property
    def founded(self) -> datetime:
        """When the site began."""
        return self.now - timedelta(weeks=self.weeks)

    def by(self, username: str, *, at: datetime | None = None) -> Acting:
        """That member of staff, acting at a moment."""
        return acting_person(self.staff[username], now=at or self.now)

    def hire(self, username: str, given: str, family: str, role: Role) -> User:
        """Invite a person, who accepts."""
        invited = invite(f"{username}@example.org", role, by=self.by("root", at=self.founded), now=self.founded)
        account = NewAccount(username, given, family, PASSWORD, f"{username}@example.org")
        self.staff[username], _ = accept_invitation(invited.token, account, now=self.founded)
        return self.staff[username]


def open_ward(*, now: datetime = NOW, mode: str = "simulation", predictor: bool = True) -> Ward:
    """A site with an administrator, two clinicians, a pharmacist, its mode and its predictor."""
    ward = Ward(now=now)
    ward.staff["root"] = found_site(NewAccount("root", "Ada", "Admin", PASSWORD), now=ward.founded)
    ward.hire("rivera", "Lena", "Rivera", Role.CLINICIAN)
    ward.hire("okafor", "Chidi", "Okafor", Role.CLINICIAN)
    ward.hire("pham", "Minh", "Pham", Role.PHARMACIST)
    ward.hire("quinn", "Sam", "Quinn", Role.ML_ENGINEER)
    body = {"mode": mode, "patient_directed": False, "stopped": False, "daily_patient_quota": 0}
    set_policy(
        "operating_mode",
        "hypertension",
        body=body,
        reason="tests",
        effective_from=ward.founded,
        by=ward.by("root", at=ward.founded),
        now=ward.founded,
    )
    if predictor:
        _release(ward)
    return ward


def _release(ward: Ward) -> None:
    at = ward.founded
    grant_role(ward.staff["okafor"].pk, Role.RESPONSIBLE_AI_LEAD, by=ward.by("root", at=at), now=at)
    card = {section: f"{section} of the published protocol" for section in REQUIRED}
    author = ward.by("quinn", at=at)
    version = register(
        HOME_BP, VERSION, pathway="hypertension", digest=digest_of(HOME_BP), card=card, by=author, now=at
    )
    for name in ("rivera", "okafor"):
        approve(version, by=ward.by(name, at=at), now=at)
    activate(version, by=author, now=at)


def admit(
    ward: Ward,
    family: str = "Berg",
    given: str = "Anna",
    *,
    born: date | None = date(1964, 5, 3),
    sex: Sex = Sex.FEMALE,
    team: tuple[str, ...] = ("rivera", "pham"),
    target: tuple[int, int] | None = (135, 85),
) -> Patient:
    """Enrol a synthetic patient; the first of `team` is responsible and signs the target."""
    at = ward.founded
    new = NewPatient("ward", f"p{next(_numbers)}", given, family, born, sex, BERLIN, synthetic=True)
    patient = enrol_patient(new, by=ward.by("rivera", at=at), now=at)
    for place, name in enumerate(team):
        join_care_team(patient.pk, ward.staff[name].pk, responsible=place == 0, by=ward.by("root", at=at), now=at)
    if target is not None:
        sign_target(
            patient.pk,
            systolic_below=MmHg.of(target[0]),
            diastolic_below=MmHg.of(target[1]),
            by=ward.by(team[0], at=at),
            now=at,
        )
    return patient


def prescribed(patient: Patient, ingredient: str, dose: str, *, at: datetime) -> None:
    """A line of the regimen from outside, known by its code."""
    drug = formulary().drug(ingredient)
    assert drug is not None
    step = next(s for s in drug.steps if s.daily_dose.value == Decimal(dose))
    new = NewRegimenEntry(
        source_system="ward",
        source_id=f"m{next(_numbers)}",
        ingredient=ingredient,
        name=drug.name,
        drug_class=drug.drug_class,
        product=step.product,
        daily_dose_mg=Decimal(dose),
        step_index=drug.steps.index(step),
        stopped=False,
        starts_at=at,
        unknown_reason="",
        code_system="http://www.nlm.nih.gov/research/umls/rxnorm",
        code=step.product,
    )
    record_regimen_entry(patient.pk, new, by=JOB, now=at)


def reading(
    at: datetime,
    systolic: object,
    diastolic: object,
    *,
    pulse: object = 72,
    method: Method = Method.UPPER_ARM_CUFF,
) -> Reading:
    """A home reading."""
    return Reading(
        reading_id=f"w{next(_numbers)}",
        taken_at=at,
        zone=BERLIN,
        systolic=None if systolic is None else MmHg.of(str(systolic)),
        diastolic=None if diastolic is None else MmHg.of(str(diastolic)),
        pulse=None if pulse is None else Bpm.of(str(pulse)),
        method=method,
        setting=Setting.HOME,
        device_validated=method is Method.UPPER_ARM_CUFF,
    )


def measured(patient: Patient, *readings: Reading, at: datetime | None = None) -> TakenIn:
    """Readings arrive from a cuff, at `at` or as the last is taken."""
    received = at or max(r.taken_at for r in readings)
    arrivals = [
        Arrival("ward", r.reading_id, r, absent_reason="" if r.systolic and r.diastolic else "not_measured")
        for r in readings
    ]
    return take_in(patient.pk, arrivals, by=CUFF, now=received, received_at=received)


def week(patient: Patient, last: date, systolic: int, diastolic: int, *, swing: int = 3) -> None:
    """Seven days of two readings morning and evening, the last day `last`."""
    zone = ZoneInfo(BERLIN)
    taken = []
    for back in range(6, -1, -1):
        for hour in (7, 20):
            for minute in (0, 2):
                moment = datetime.combine(last - timedelta(days=back), time(hour, minute), tzinfo=zone)
                shift = (back * 7 + hour + minute) % (2 * swing + 1) - swing
                taken.append(reading(moment.astimezone(UTC), systolic + shift, diastolic + shift // 2))
    measured(patient, *taken)


def lab_result(patient: Patient, kind: LabKind, value: str, *, at: datetime) -> None:
    """A laboratory result."""
    new = NewLab("ward", f"l{next(_numbers)}", kind, Decimal(value), value, "as recorded", at)
    record_lab(patient.pk, new, by=JOB, now=at)


def felt(patient: Patient, kind: SymptomKind, *, at: datetime, blamed: str = "", text: str = "") -> UUID:
    """A symptom, as reported."""
    new = NewSymptom("ward", f"s{next(_numbers)}", kind, blamed, text, at)
    return record_symptom(patient.pk, new, by=JOB, now=at).row_id


def took(patient: Patient, ingredient: str, day: date, *, taken: bool = True) -> None:
    """A dose logged on the evening of its day."""
    at = datetime.combine(day, time(18), tzinfo=UTC)
    new = NewIntake("ward", f"i{next(_numbers)}", ingredient, day, taken, at if taken else None)
    log_intake(patient.pk, new, by=JOB, now=at)


def uncontrolled(ward: Ward, family: str = "Berg", given: str = "Anna", *, doses: int = 8, **more: object) -> Patient:
    """A patient on lisinopril and amlodipine, over target in two windows, results in date, `doses` days logged."""
    patient = admit(ward, family, given, **more)  # type: ignore[arg-type]
    now = ward.now
    for ingredient, dose in (("29046", "10"), ("17767", "5")):
        prescribed(patient, ingredient, dose, at=now - timedelta(days=100))
    for kind, value in (
        (LabKind.POTASSIUM, "4.3"),
        (LabKind.SODIUM, "140"),
        (LabKind.CREATININE, "78"),
        (LabKind.EGFR, "84"),
    ):
        lab_result(patient, kind, value, at=now - timedelta(days=12))
    today = now.astimezone(ZoneInfo(BERLIN)).date()
    for weeks_ago in (4, 0):
        week(patient, today - timedelta(days=1 + 7 * weeks_ago), 148 - weeks_ago, 90)
    for back in range(doses, 0, -1):
        for ingredient in ("29046", "17767"):
            took(patient, ingredient, today - timedelta(days=back), taken=back % 13 != 0)
    return patient


def proposed(ward: Ward, patient: Patient) -> Loop:
    """The loop that closing the window gives now."""
    loop = close_window(patient.pk, by=JOB, now=ward.now)
    assert loop is not None
    return loop
