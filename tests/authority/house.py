"""The house of the bypasses: two patients of different teams, and one thing under way for every control.

Built once for a module, by the legal road, and committed: what stands is of earlier transactions, as at a site. `own`
is what the doer of a control may act on; `foreign` is of the same kind and is somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.test import Client

from care_loops.break_glass import glass_rules
from care_loops.domain.record import SymptomKind
from care_loops.models import Alert, BloodPressure, BreakGlass, Patient, Symptom
from care_loops.services import NewBoundary, NewBoundaryDrug, NewSymptom, link_carer, record_symptom
from care_loops.services.autonomy import ask_level
from care_loops.services.boundary_quorum import put_forward
from care_loops.services.break_glass import break_glass
from governance.autonomy import Level
from governance.channels import Channel
from governance.cover import Rung
from governance.domain import Amr, Presence, Role
from governance.findings import FindingState, Severity
from governance.models import Finding
from governance.services import Acting, acting_person
from governance.services.accounts import invite
from governance.services.contacts import add_contact
from governance.services.findings import Seen, check_or_close, own, raise_finding, record_action
from governance.services.policies import propose_policy
from governance.services.roles import ask_for_role
from governance.services.rota import add_shift
from governance.services.suspensions import ask_end, throw_switch
from governance.services.tokens import issue_patient_token, issue_staff_token, phone_client
from governance.suspension import Ref, Scope
from models.registry.models import ModelVersion
from tests.factories import AMLODIPINE, LISINOPRIL, PASSWORD, Hospital, account, job
from tests.signing_in import signed_in, signing

MODE = {"mode": "simulation", "patient_directed": False, "stopped": False, "daily_patient_quota": 5}
STAFF = {
    "auditor": Role.AUDITOR,
    "officer": Role.COMPLIANCE_OFFICER,
    "lead": Role.RESPONSIBLE_AI_LEAD,
    "outsider": Role.DATA_ENGINEER,
    "second_admin": Role.ADMINISTRATOR,
    "single": Role.CLINICIAN,
}


@dataclass
class House:
    """The site, what is under way in it, and browsers and tokens of its people."""

    hospital: Hospital
    own: dict[str, Any] = field(default_factory=dict)
    foreign: dict[str, Any] = field(default_factory=dict)
    browsers: dict[str, Client] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The moment at which everything is under way."""
        return self.hospital.now

    def acting(self, name: str, *, now: datetime | None = None) -> Acting:
        """Somebody of the house, whose hand signs what they are asked to sign."""
        return self.hospital.acting(name, now=now)

    def in_session(self, name: str) -> Acting:
        """Somebody in a session of theirs, in which a record can be opened in an emergency."""
        here = Presence(session=f"session of {name}", amr=(Amr.PASSKEY.value,), since=self.now)
        return signing(acting_person(self.hospital.people[name], now=self.now, presence=here))


@contextmanager
def undone() -> Iterator[None]:
    """Whatever happens here is taken back."""
    with may_hold_durable():
        yield
        transaction.set_rollback(True)


def may_hold_durable() -> transaction.Atomic:
    """A transaction in which what is durable may stand, as in Django's own tests."""
    atomic = transaction.atomic()
    atomic._from_testcase = True
    return atomic


def asked_at_commit() -> None:
    """Ask every constraint that a commit would ask."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def built() -> House:
    """The house, with something of every kind under way."""
    hospital = Hospital(now=datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10))
    for name, role in STAFF.items():
        hospital.join(name, role, now=hospital.now - timedelta(days=300))
    house = House(hospital)
    for side, team in ((house.own, ("clinician", "pharmacist")), (house.foreign, ("other_clinician",))):
        _record(house, side, team)
    _of_the_site(house)
    _ways_in(house)
    return house


def _record(house: House, side: dict[str, Any], team: tuple[str, ...]) -> None:
    """A patient with a proposal that waits, an alert, a symptom, readings, a boundary put forward, a carer."""
    hospital, now = house.hospital, house.now
    drugs = ((LISINOPRIL, "10"), (AMLODIPINE, "5"))
    patient: Patient = hospital.patient(f"of-{team[0]}", drugs=drugs, team=team)
    hospital.weeks(patient, *[(150, 92)] * 5)
    side["patient"], side["account"] = patient, patient.account
    side["loop"] = hospital.close(patient)
    felt = NewSymptom("test", f"felt-{team[0]}", SymptomKind.CHEST_PAIN, "", "", now)
    other = hospital.patient(f"another-of-{team[0]}", team=team)
    record_symptom(other.pk, felt, by=hospital.own(other), now=now)
    side["other_patient"] = other
    side["alert"] = Alert.objects.filter(patient=other).latest("raised_at")
    side["symptom"] = Symptom.objects.get(patient=other)
    side["reading"] = BloodPressure.objects.filter(patient=patient).latest("taken_at")
    link_carer(patient.pk, hospital.people["second_admin"], by=hospital.acting("admin"), now=now)
    two = NewBoundary(
        drugs=tuple(NewBoundaryDrug(drug, Decimal(most), allow_up=True) for drug, most in zip(
            (LISINOPRIL, AMLODIPINE), ("20", "10"), strict=True)),
        max_steps=2,
        min_interval_days=28,
        starts_at=now,
        expires_at=now + timedelta(days=100),
        review_everything=False,
    )  # fmt: skip
    side["two_drugs"] = two
    side["boundary_motion"] = put_forward(patient.pk, two, reason="two at once", by=hospital.acting(team[0]), now=now)


def _of_the_site(house: House) -> None:
    """A policy and a gate waiting for a second person, a switch whose end was asked, findings, a role asked for."""
    hospital, now, own_ = house.hospital, house.now, house.own
    admin = hospital.acting("admin")
    own_["motion"] = propose_policy("operating_mode", "hypertension", body=MODE, reason="x", by=admin, now=now).motion
    body = MODE | {"daily_patient_quota": 7}
    house.foreign["motion"] = propose_policy(
        "operating_mode", "diabetes", body=body, reason="x", by=admin, now=now
    ).motion
    serving, waiting = (ModelVersion.objects.filter(active=active).order_by("pk").first() for active in (True, False))
    own_["version"], house.foreign["version"] = waiting, serving
    ask = {"cohorts": ["age_under_65"], "actions": ["stop"], "by": hospital.acting("clinician"), "now": now}
    own_["gate"] = ask_level(serving.pk, Level.SUGGEST, **ask)
    house.foreign["gate"] = ask_level(serving.pk, Level.APPROVE_EACH, **ask | {"actions": ["step_up"]})
    for side, name in ((own_, "nobody"), (house.foreign, "others")):
        side["suspension"] = throw_switch(Ref(Scope.COHORT, name), reason="x", by=hospital.acting("clinician"), now=now)
        side["finding"] = _finding(house, name)
        side["asked_role"] = ask_for_role(
            hospital.people["outsider" if name == "nobody" else "engineer"].pk,
            Role.CLINICIAN, reason="x", by=hospital.acting("second_admin"), now=now,
        )  # fmt: skip
    ask_end(own_["suspension"].pk, reason="over", by=hospital.acting("lead"), now=now)
    on_call = hospital.people["clinician"].pk
    own_["shift"] = add_shift(Rung.ON_CALL, on_call, starts=now, ends=now + timedelta(days=1), by=admin, now=now)
    own_["invitation"] = invite("x@example.org", Role.CLINICIAN, by=admin, now=now)
    add_contact(Channel.EMAIL, "x@example.org", by=hospital.acting("clinician"), now=now)
    own_["opening"] = opened(house)


def opened(house: House) -> BreakGlass:
    """The doer's emergency look at the other team's patient."""
    why = {"reason_code": "emergency_treatment", "text": "unconscious"}
    return break_glass(house.foreign["other_patient"].pk, by=house.in_session("clinician"), now=house.now, **why)


def after_the_glass(house: House) -> datetime:
    """When that look is over."""
    return house.now + glass_rules().lasts


def _finding(house: House, name: str) -> Finding:
    """A critical finding, corrected by its owner and checked by one of the two."""
    hospital, now = house.hospital, house.now
    seen = Seen(name, "process", "", Severity.CRITICAL, "a test", "document", name)
    found = raise_finding(seen, by=hospital.acting("clinician"), now=now)
    own(found.pk, hospital.people["engineer"].pk, due_at=None, by=hospital.acting("officer"), now=now)
    record_action(found.pk, "done", by=hospital.acting("engineer"), now=now)
    checker = "auditor" if name == "nobody" else "officer"
    check_or_close(found.pk, FindingState.CHECKED, "seen", by=hospital.acting(checker), now=now)
    return found


def _ways_in(house: House) -> None:
    """Browsers of everybody whom a control needs, one with one factor, and tokens of applications."""
    people = house.hospital.people
    for name in (*STAFF, "clinician", "pharmacist", "admin", "engineer"):
        if name != "single":
            house.browsers[name] = signed_in(people[name])
    house.browsers["patient"] = signed_in(house.own["account"])
    single = house.browsers["single"] = Client()
    single.post("/accounts/login/", {"login": people["single"].username, "password": PASSWORD})
    client = phone_client(redirect_uris=("https://phone.example.org/back",))
    at = datetime.now(UTC)
    house.tokens["staff"] = issue_staff_token(people["clinician"], client, at)
    house.tokens["outsider"] = issue_staff_token(people["outsider"], client, at)
    house.tokens["phone of staff"] = issue_patient_token(people["clinician"], client, at)
    house.tokens["patient"] = issue_patient_token(house.own["account"], client, at)


__all__ = ["House", "account", "after_the_glass", "asked_at_commit", "built", "job", "opened", "undone"]
