"""Patients come into the play: enrolled with account, care team, record, limits, and a device with a key of its own.

Every step asks first whether it was done, so that admitting twice changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from care_loops.domain.readings import Method, Setting
from care_loops.domain.record import ConditionKind, DrugClass, LabKind, Sex
from care_loops.domain.units import MmHg
from care_loops.models import Patient
from care_loops.pathways.hypertension.tables_therapy import formulary
from care_loops.services import (
    NewBoundary,
    NewBoundaryDrug,
    NewCondition,
    NewLab,
    NewPatient,
    NewRegimenEntry,
    enrol_patient,
    give_consent,
    join_care_team,
    record_condition,
    record_lab,
    record_no_medicines,
    record_regimen_entry,
    sign_boundary,
    sign_target,
)
from care_loops.services.joining import invite_to_record, join_by_invitation
from governance.domain import Refusal, Role
from governance.services import Acting, acting_job, acting_person

from ...domain import DeviceKind
from ...runtime import Identity
from ...selectors import device_of
from ...services import NewDevice, add_device, assign_device, issue_code
from ...signatures import enrolment_bytes, pack, public_of, sign, unpack
from .cases import Case, document
from .door import SimulatedDoor
from .founding import Site, account, email_of

SOURCE = "demonstration"
ENROL = "/api/v1/devices/enrol"
LONG_AGO = timedelta(days=200)
SNOMED, RXNORM = "http://snomed.info/sct", "http://www.nlm.nih.gov/research/umls/rxnorm"
DEVICES = {
    "cuff": (DeviceKind.BLOOD_PRESSURE_CUFF, "Simulated upper-arm cuff", Method.UPPER_ARM_CUFF, True),
    "watch": (DeviceKind.CUFFLESS, "Simulated watch", Method.CUFFLESS, False),
}


class DiskLost(Refusal):
    """What the devices of a half-played play had on their disks is gone."""

    code = "device_disks_are_gone"


@dataclass(frozen=True, slots=True)
class Admitted:
    """A patient of the play: the case, the record, the device, and the clinician responsible."""

    case: Case
    patient: Patient
    identity: Identity
    clinician: str
    disk: Path

    def own(self, *, now: datetime) -> Acting:
        """The patient, acting."""
        if self.patient.account is None:
            raise LookupError(f"{self.case.key} has no account")
        return acting_person(self.patient.account, now=now)


def admit(case: Case, site: Site, disks: Path, *, found: Patient | None = None) -> Admitted:
    """Bring one case in, 200 days before the play; `found` is a record that was imported and keeps what it says."""
    early = site.starts_at - LONG_AGO
    admin = site.acting(site.one(Role.ADMINISTRATOR), now=early)
    clinician = site.clinicians[case.number % len(site.clinicians)]
    patient = found or enrol_patient(_new(case, site.starts_at.date()), by=admin, now=early)
    since = max(early, patient.enrolled_at)
    _give_account(case, patient, by=admin, now=since)
    for member in (clinician, site.one(Role.PHARMACIST)):
        join_care_team(patient.pk, site.people[member].pk, responsible=member == clinician, by=admin, now=since)
    if found is None:
        _record(case, patient, site, now=early)
    patient.refresh_from_db()
    identity = _device(case, patient, disks, now=max(since, site.starts_at - timedelta(days=1)))
    admitted = Admitted(case, patient, identity, clinician, disks / f"{case.key}.sqlite3")
    _limits(admitted, site, now=since)
    return admitted


def _new(case: Case, today: date) -> NewPatient:
    born = today - timedelta(days=round(case.age * 365.2425) + 20 + case.number * 37 % 320)
    return NewPatient(SOURCE, case.key, case.given, case.family, born, Sex(case.sex), case.zone, synthetic=True)


def _give_account(case: Case, patient: Patient, *, by: Acting, now: datetime) -> None:
    if patient.account_id is None:
        new = account(case.username, case.given, case.family)
        invited = invite_to_record(patient.pk, Role.PATIENT, email=email_of(case.username), by=by, now=now)
        join_by_invitation(invited.token, new, now=now)


def _record(case: Case, patient: Patient, site: Site, *, now: datetime) -> None:
    """What other systems say of the patient: drugs, conditions, results."""
    by = acting_job("demonstration-import", case.key)
    for ingredient, dose in case.drugs:
        record_regimen_entry(patient.pk, _line(case, ingredient, Decimal(dose), now), by=by, now=now)
    for ingredient, name, drug_class, dose in case.other_drugs:
        other = _entry(case, name, now, ingredient=ingredient, drug_class=DrugClass(drug_class), dose=Decimal(dose))
        record_regimen_entry(patient.pk, other, by=by, now=now)
    if case.unknown_drug:
        unknown = _entry(case, case.unknown_drug, now, unknown="unknown_code")
        record_regimen_entry(patient.pk, unknown, by=by, now=now)
    if not case.drugs and not case.other_drugs and not case.unknown_drug:
        record_no_medicines(patient.pk, by=by, now=now)
    for name in case.conditions:
        record_condition(patient.pk, _condition(case, name, site.starts_at), by=by, now=site.starts_at)
    for name, taken in (("before", now - timedelta(days=10)), ("newest", site.starts_at - timedelta(days=20))):
        for kind, value in case.labs.items():
            lab = NewLab(SOURCE, f"{case.key}-{kind}-{name}", LabKind(kind), Decimal(value), value, "", taken)
            record_lab(patient.pk, lab, by=by, now=max(taken, now))


def _line(case: Case, ingredient: str, dose: Decimal, now: datetime) -> NewRegimenEntry:
    drug = formulary().drug(ingredient)
    if drug is None:
        raise LookupError(f"{ingredient} is not in the formulary")
    step = next(s for s in drug.steps if s.daily_dose.value == dose)
    return _entry(
        case,
        drug.name,
        now,
        ingredient=ingredient,
        drug_class=drug.drug_class,
        dose=dose,
        product=step.product,
        step_index=drug.steps.index(step),
    )


def _entry(
    case: Case,
    name: str,
    now: datetime,
    *,
    ingredient: str = "",
    drug_class: DrugClass | None = None,
    dose: Decimal | None = None,
    product: str = "",
    step_index: int | None = None,
    unknown: str = "",
) -> NewRegimenEntry:
    return NewRegimenEntry(
        source_system=SOURCE,
        source_id=f"{case.key}-{name}"[:200],
        ingredient=ingredient,
        name=name,
        drug_class=drug_class,
        product=product,
        daily_dose_mg=dose,
        step_index=step_index,
        stopped=False,
        starts_at=now,
        unknown_reason=unknown,
        code_system="" if unknown else RXNORM,
        code="" if unknown else product or ingredient,
    )


def _condition(case: Case, name: str, starts_at: datetime) -> NewCondition:
    row: dict[str, Any] = document()["conditions"][name]
    ended = starts_at + timedelta(days=row["ended_days_in"]) if "ended_days_in" in row else None
    onset = starts_at - (timedelta(days=300) if ended or "kind" in row else timedelta(days=70))
    return NewCondition(
        source_system=SOURCE,
        source_id=f"{case.key}-{name}",
        kind=ConditionKind(row["kind"]) if "kind" in row else None,
        code_system=SNOMED,
        code=row["code"],
        display=row["display"],
        pregnancy=row.get("pregnancy", False),
        onset_at=onset,
        abated_at=ended,
        active=ended is None,
    )


def _limits(admitted: Admitted, site: Site, *, now: datetime) -> None:
    """What the clinician signs and the patient agrees to."""
    case, patient = admitted.case, admitted.patient
    if case.target is not None and not patient.targets.exists():
        upper, lower = (MmHg.of(value) for value in case.target)
        by = site.acting(admitted.clinician, now=now)
        sign_target(patient.pk, systolic_below=upper, diastolic_below=lower, by=by, now=now)
    if case.boundary is not None and not patient.boundaries.exists():
        at = site.starts_at - timedelta(days=case.boundary.signed_days_ago)
        drugs = tuple(
            NewBoundaryDrug(ingredient, Decimal(case.boundary.most_mg), allow_up=True) for ingredient, _ in case.drugs
        )
        new = NewBoundary(
            drugs=drugs,
            max_steps=case.boundary.max_steps,
            min_interval_days=28,
            starts_at=at,
            expires_at=at + timedelta(days=case.boundary.lasts_days),
            review_everything=False,
        )
        sign_boundary(patient.pk, new, by=site.acting(admitted.clinician, now=at), now=at)
        give_consent(patient.pk, "automated_advice", given=True, by=admitted.own(now=at), now=at)
    if case.human_only and not patient.consents.exists():
        at = site.starts_at + timedelta(days=20)
        give_consent(patient.pk, "human_only_care", given=True, by=admitted.own(now=at), now=at)


def _device(case: Case, patient: Patient, disks: Path, *, now: datetime) -> Identity:
    """The patient's device, enrolled with a key that only its folder has."""
    key_file = disks / f"{case.key}.key.json"
    by = acting_job("demonstration-devices", case.key)
    known = device_of(patient.pk)
    if known is None:
        kind, model, method, validated = DEVICES[case.device]
        new = NewDevice(kind, model, method, Setting.HOME, validated=validated, zone=patient.zone)
        known = add_device(new, by=by, now=now)
        assign_device(known.pk, patient.pk, by=by, now=now)
    if key_file.exists():
        said = json.loads(key_file.read_text("utf-8"))
        private, code = unpack(said["private_key"], size=32, name="private_key"), said["code"]
    elif known.keys.exists():
        raise DiskLost(f"The devices' disks are not in {disks}. Remove the home of this demonstration and start again.")
    else:
        private, code = Ed25519PrivateKey.generate().private_bytes_raw(), issue_code(known.pk, by=by, now=now)
        key_file.touch(mode=0o600)
        key_file.write_text(json.dumps({"private_key": pack(private), "code": code}), "utf-8")
    _claim(code.replace("-", ""), private, case, now=now)
    return Identity(str(known.pk), private, patient.zone)


def _claim(code: str, private: bytes, case: Case, *, now: datetime) -> None:
    public = public_of(private)
    claim = {"code": code, "public_key": pack(public), "proof": pack(sign(private, enrolment_bytes(code, public)))}
    reply = SimulatedDoor(lambda: now, address=address_of(case)).post(
        ENROL, headers={}, body=json.dumps(claim).encode()
    )
    if reply.status != 200:
        raise LookupError(f"the device of {case.key} was refused: {reply.status} {reply.body[:200]!r}")


def address_of(case: Case) -> str:
    """The address of the patient's home (TEST-NET-1 and -2, RFC 5737)."""
    return f"{'192.0.2' if case.number < 250 else '198.51.100'}.{1 + case.number % 250}"
