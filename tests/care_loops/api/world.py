"""A small site made on the legal road: an administrator, two clinicians, a patient with a phone, a carer, a stranger.

The clock is the real one, because a phone's request reads it; history is written with the times it happened at.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from django.test import Client

from audit.models import Pending
from care_loops.domain.changes import ChangeKind
from care_loops.domain.evidence import candidate_key
from care_loops.domain.loops import LoopState
from care_loops.domain.readings import Method, Position, Reading, Setting
from care_loops.domain.record import DrugClass, Sex
from care_loops.domain.units import MmHg
from care_loops.models import Loop, Patient
from care_loops.pathways.hypertension.predictors import VERSION, card_of, digest_of
from care_loops.protocol import HOME_BP
from care_loops.services import (
    NewBoundary,
    NewBoundaryDrug,
    NewIntake,
    NewPatient,
    NewRegimenEntry,
    OrderInput,
    admit,
    close_window,
    give_consent,
    log_intake,
    order_candidates,
    record_regimen_entry,
    sign_boundary,
    sign_target,
    take_in,
    write_order,
)
from care_loops.services.autonomy import let_it_go_as_far
from care_loops.services.joining import invite_to_record, join_by_invitation
from care_loops.services.respond import deliver
from care_loops.services.take_in import Arrival
from governance.autonomy import Level
from governance.domain import Role
from governance.models import User
from governance.services import acting_job
from governance.services.tokens import issue_patient_token, issue_staff_token, phone_client
from models.registry.services import activate, approve, register
from tests.governance.people import account, acting, founded, staff
from tests.policies import put_in_force
from tests.signing_in import signing_key

AMLODIPINE = "17767"
ZONE = "Europe/Berlin"
JOB = acting_job("test", "1")


@dataclass
class Phone:
    """A person's application: sends JSON with a bearer token."""

    token: str
    web: Client = field(default_factory=Client)
    signer: User | None = None

    def get(self, path: str, **headers: str) -> Any:
        """GET under /api/v1/."""
        return self.web.get(f"/api/v1/{path}", headers=self._headers(headers))

    def post(self, path: str, body: object = None, *, key: str | None = None, raw: bytes | None = None) -> Any:
        """POST JSON under /api/v1/, with an Idempotency-Key where one is given; signed, where its person signs."""
        answer = self._post(path, json.dumps({} if body is None else body).encode() if raw is None else raw, key)
        if self.signer is None or raw is not None or answer.status_code != 401:
            return answer
        if "options" not in answer.json():  # nothing of theirs may sign yet
            signing_key(self.signer)
            answer = self._post(path, json.dumps(body).encode(), key)
        return self._post(path, json.dumps(body | {"signature": self.signature(answer.json())}).encode(), key)

    def signature(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What its person's passkey answers."""
        key = signing_key(self.signer)
        return {"signing": asked["signing"], "credential": key.get(asked["options"])}

    def _post(self, path: str, sent: bytes, key: str | None) -> Any:
        headers = self._headers({"Idempotency-Key": key} if key else {})
        return self.web.post(f"/api/v1/{path}", data=sent, content_type="application/json", headers=headers)

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return ({"Authorization": f"Bearer {self.token}"} if self.token else {}) | more


class World:
    """The site, its people, and Mary's record."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.then = self.now - timedelta(days=130)
        self.admin = founded(self.then)
        self.clinician = staff(Role.CLINICIAN, by=self.admin, at=self.then)
        self.patient = self.enrolled("Mary")
        self.mary = self.joined(self.patient.pk, Role.PATIENT)

    def enrolled(self, name: str) -> Patient:
        """A patient of the clinician."""
        new = NewPatient(
            source_system="test",
            source_id=str(uuid4()),
            given_name=name,
            family_name="Example",
            born_on=(self.then - timedelta(days=55 * 365)).date(),
            sex=Sex.MALE,
            zone=ZONE,
            synthetic=True,
        )
        return admit(new, self.clinician.pk, by=acting(self.clinician, self.then), now=self.then)

    def joined(self, patient_id: UUID, role: Role) -> User:
        """A person who accepted an invitation to this record."""
        by = acting(self.clinician, self.then)
        invited = invite_to_record(patient_id, role, email="x@example.org", by=by, now=self.then)
        return join_by_invitation(invited.token, account(), now=self.then)

    @cached_property
    def client(self) -> Any:
        """The phone's registration."""
        return phone_client(redirect_uris=("https://phone.example.org/back",))

    def phone(self, user: User) -> Phone:
        """This person's phone."""
        return Phone(issue_patient_token(user, self.client, datetime.now(UTC)))

    def tool(self, user: User) -> Phone:
        """A member of staff's tool."""
        return Phone(issue_staff_token(user, self.client, datetime.now(UTC)), signer=user)

    @cached_property
    def marys(self) -> Phone:
        """Mary's phone."""
        return self.phone(self.mary)

    def phone_again(self) -> Phone:
        """Mary's phone for another thread: the same token, a connection of its own."""
        return Phone(self.marys.token)

    def stranger(self) -> tuple[Patient, User]:
        """Another patient with an account."""
        patient = self.enrolled("Peter")
        return patient, self.joined(patient.pk, Role.PATIENT)

    # -- what the record holds -------------------------------------------------------------------------------------

    def takes_amlodipine(self) -> None:
        """5 mg a day for four months."""
        entry = NewRegimenEntry(
            source_system="test",
            source_id=str(uuid4()),
            ingredient=AMLODIPINE,
            name="amlodipine",
            drug_class=DrugClass.DHP_CCB,
            product="",
            daily_dose_mg=Decimal(5),
            step_index=1,
            stopped=False,
            starts_at=self.then,
            unknown_reason="",
            code_system="http://www.nlm.nih.gov/research/umls/rxnorm",
            code="197361",
        )
        record_regimen_entry(self.patient.pk, entry, by=JOB, now=self.then)

    def measured(self, systolic: int, diastolic: int, *, days: int) -> None:
        """Two readings every morning and evening of the last `days` days."""
        arrivals = []
        zone = ZoneInfo(ZONE)
        today = self.now.astimezone(zone).date()
        for ago in range(1, days + 1):
            for hour, minute in ((7, 0), (7, 2), (19, 0), (19, 2)):
                day = today - timedelta(days=ago)
                taken = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                arrivals.append(Arrival("test", f"{taken.isoformat()}", self.reading(systolic, diastolic, taken)))
        take_in(self.patient.pk, arrivals, by=JOB, now=self.now, received_at=self.now, imported=True)

    def reading(self, systolic: int, diastolic: int, at: datetime) -> Reading:
        """A home reading by a validated upper-arm cuff."""
        return Reading(
            reading_id=at.isoformat(),
            taken_at=at,
            zone=ZONE,
            systolic=MmHg.of(systolic),
            diastolic=MmHg.of(diastolic),
            pulse=None,
            method=Method.UPPER_ARM_CUFF,
            setting=Setting.HOME,
            device_validated=True,
            position=Position.SEATED,
        )

    def ready_for_proposals(self, *, direct: bool) -> None:
        """Everything a proposal rests on; with `direct`, a boundary within which small steps go to the patient."""
        author = staff(Role.DATA_SCIENTIST, by=self.admin, at=self.then)
        version = register(
            HOME_BP,
            VERSION,
            pathway="hypertension",
            digest=digest_of(HOME_BP),
            card=card_of(HOME_BP),
            by=acting(author, self.then),
            now=self.then,
        )
        for _ in range(2):
            approver = staff(Role.RESPONSIBLE_AI_LEAD, by=self.admin, at=self.then)
            approve(version, by=acting(approver, self.then), now=self.then)
        activate(version, by=acting(approver, self.then), now=self.then)
        signers = [staff(role, by=self.admin, at=self.then) for role in (Role.CLINICIAN, Role.PHARMACIST)]
        first, second = (acting(signer, self.then) for signer in signers)
        let_it_go_as_far(version, Level.WITHIN_BOUNDARY, signers=(first, second), now=self.then)
        mode = {"mode": "simulation", "patient_directed": direct, "stopped": False, "daily_patient_quota": 100}
        put_in_force("operating_mode", "hypertension", body=mode, by=acting(self.admin, self.then), now=self.then)
        by = acting(self.clinician, self.then)
        sign_target(self.patient.pk, systolic_below=MmHg.of(135), diastolic_below=MmHg.of(85), by=by, now=self.then)
        give_consent(self.patient.pk, "automated_advice", given=True, by=acting(self.mary, self.then), now=self.then)
        self.takes_amlodipine()
        if direct:
            boundary = NewBoundary(
                drugs=(NewBoundaryDrug(AMLODIPINE, Decimal(10), allow_up=True),),
                max_steps=3,
                min_interval_days=28,
                starts_at=self.then,
                expires_at=self.then + timedelta(days=180),
                review_everything=False,
            )
            sign_boundary(self.patient.pk, boundary, by=by, now=self.then)
        self.measured(146, 91, days=42)
        for ago in range(1, 9):
            at = self.now - timedelta(days=ago)
            due = at.astimezone(ZoneInfo(ZONE)).date()
            new = NewIntake("test", str(uuid4()), AMLODIPINE, due, taken=True, taken_at=at, daily_dose_mg=Decimal(5))
            log_intake(self.patient.pk, new, by=JOB, now=self.now)

    def proposed(self, *, direct: bool) -> Loop:
        """A proposal, with the patient or with the clinician."""
        self.ready_for_proposals(direct=direct)
        loop = close_window(self.patient.pk, by=JOB, now=self.now)
        assert loop is not None
        expected = LoopState.WITH_PATIENT if direct else LoopState.WITH_CLINICIAN
        assert loop.state == expected.value, (loop.state, loop.withheld_reason, loop.outcome[:3000])
        return loop

    def ordered(self) -> Loop:
        """A change the clinician wrote for Mary, not delivered yet."""
        self.takes_amlodipine()
        order = OrderInput(self.step_up_key(), "agrees_with_plan", "")
        return write_order(self.patient.pk, order, by=acting(self.clinician, self.now), now=self.now)

    def step_up_key(self) -> str:
        """How the step up of amlodipine is named among what may be ordered."""
        for candidate in order_candidates(self.patient, now=self.now):
            change = candidate.change
            if change.kind is ChangeKind.STEP_UP and change.ingredient == AMLODIPINE:
                return candidate_key(change)
        raise AssertionError("no step up of amlodipine can be ordered")

    def delivered(self) -> Loop:
        """The same, put before Mary."""
        loop = deliver(self.ordered().pk, by=JOB, now=self.now)
        assert loop is not None
        return loop


def for_the_clinician() -> tuple[World, Loop]:
    """The site with a proposal that waits for Mary's clinician."""
    world = World()
    return world, world.proposed(direct=False)


def for_the_patient() -> tuple[World, Loop]:
    """The site with a proposal that is put before Mary."""
    world = World()
    return world, world.proposed(direct=True)


def entries(kind: str | None = None) -> list[dict[str, Any]]:
    """The entries of the record so far, oldest first, of one type or of all."""
    leaves = (bytes(leaf) for leaf in Pending.objects.order_by("id").values_list("leaf", flat=True))
    found = [json.loads(leaf.split(b"\n", 2)[2]) for leaf in leaves]
    return [entry for entry in found if kind in (None, entry["type"])]
