"""Objects built by the legal road: every person was invited, every limit signed, every reading taken in (STYLE 17).

`Hospital` is a site in simulation with its people. No test sets a state.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.domain.readings import Method, Position, Reading, Setting
from care_loops.domain.record import LabKind, Sex
from care_loops.domain.units import Bpm, MmHg
from care_loops.models import Loop, Patient
from care_loops.pathways.hypertension.tables_therapy import formulary
from care_loops.services import (
    Answer,
    Arrival,
    DecisionInput,
    NewBoundary,
    NewBoundaryDrug,
    NewIntake,
    NewLab,
    NewPatient,
    NewRegimenEntry,
    TakenIn,
    close_window,
    decide,
    deliver,
    enrol_patient,
    expire_loops,
    give_consent,
    join_care_team,
    link_account,
    log_intake,
    record_lab,
    record_regimen_entry,
    respond,
    sign_boundary,
    sign_target,
    take_in,
)
from care_loops.services.autonomy import let_it_go_as_far
from care_loops.services.predictors import put_to_work, register_protocols
from governance.autonomy import Level
from governance.domain import Role
from governance.models import User
from governance.services import Acting, acting_device, acting_job, acting_person
from governance.services.accounts import NewAccount, accept_invitation, found_site, invite
from governance.services.roles import answer_role, ask_for_role
from models.registry.models import ModelVersion
from tests.policies import put_in_force
from tests.signing_in import signing

NOW = datetime(2026, 3, 30, 10, 0, tzinfo=UTC)  # the Monday after summer time began in Europe
ZONE = "Europe/Berlin"
LISINOPRIL, AMLODIPINE, HCTZ, BISOPROLOL = "29046", "17767", "5487", "19484"
PASSWORD = "correct-horse-battery-9"
_numbers = itertools.count(1)


def hospital_now() -> Hospital:
    """A site as it stands at this moment."""
    return Hospital(now=datetime.now(UTC).replace(microsecond=0))


def job(name: str = "test") -> Acting:
    """A job, as the worker would act."""
    return acting_job(name, f"run-{next(_numbers)}")


@dataclass
class Hospital:
    """A site in simulation: administrator, two clinicians, pharmacist, engineer; HOME BP approved and serving."""

    now: datetime = NOW
    people: dict[str, User] = field(default_factory=dict)

    def __post_init__(self) -> None:
        long_ago = self.now - timedelta(days=400)
        self.people["admin"] = found_site(account("admin"), now=long_ago)
        self.join("clinician", Role.CLINICIAN, now=long_ago)
        self.join("other_clinician", Role.CLINICIAN, now=long_ago)
        self.join("pharmacist", Role.PHARMACIST, now=long_ago)
        self.join("engineer", Role.ML_ENGINEER, now=long_ago)
        self.mode(now=long_ago)
        versions = register_protocols(by=self.acting("engineer", now=long_ago), now=long_ago)
        approvers = [self.acting(name, now=long_ago) for name in ("clinician", "pharmacist")]
        put_to_work(versions[0], approvers=approvers, by=self.acting("clinician", now=long_ago), now=long_ago)
        self.earns(Level.WITHIN_BOUNDARY, version=versions[0], now=self.now - timedelta(days=90))

    def earns(self, level: Level, *, version: ModelVersion | None = None, now: datetime | None = None) -> None:
        """A clinician and a pharmacist sign how far the model that serves may go, for every cohort and action."""
        at = now or self.now
        signers = self.acting("clinician", now=at), self.acting("pharmacist", now=at)
        let_it_go_as_far(version or ModelVersion.objects.get(active=True), level, signers=signers, now=at)

    def join(self, name: str, role: Role, *, now: datetime) -> User:
        """Invite somebody to a staff role, who accepts."""
        invited = invite(f"{name}@site.example", role, by=self.acting("admin", now=now), now=now)
        self.people[name], _ = accept_invitation(invited.token, account(name), now=now)
        return self.people[name]

    def also(self, name: str, role: Role) -> None:
        """Give somebody one more role: the administrator asks, another one grants it."""
        if "other_admin" not in self.people:
            self.join("other_admin", Role.ADMINISTRATOR, now=self.now)
        asked = ask_for_role(self.people[name].pk, role, reason="test", by=self.acting("admin"), now=self.now)
        answer_role(asked.pk, grant=True, by=self.acting("other_admin"), now=self.now)

    def acting(self, name: str, *, now: datetime | None = None) -> Acting:
        """A person of the site, acting at `now`, who signs what they are asked to sign."""
        return signing(acting_person(self.people[name], now=now or self.now))

    def mode(
        self,
        *,
        patient_directed: bool = False,
        stopped: bool = False,
        mode: str = "simulation",
        quota: int = 20,
        now: datetime | None = None,
    ) -> None:
        """Set the operating mode of the pathway."""
        body = {
            "mode": mode,
            "patient_directed": patient_directed,
            "stopped": stopped,
            "daily_patient_quota": quota,
        }
        at = now or self.now
        by, approvers = (
            self.acting("admin", now=at),
            [self.acting(name, now=at) for name in ("clinician", "pharmacist")],
        )
        put_in_force("operating_mode", "hypertension", body=body, by=by, approvers=approvers, now=at)

    def patient(
        self,
        name: str | None = None,
        *,
        born_on: date | None = date(1961, 5, 4),
        sex: Sex = Sex.MALE,
        target: tuple[int, int] | None = (135, 85),
        drugs: tuple[tuple[str, str], ...] = ((LISINOPRIL, "10"),),
        labs: bool = True,
        taken: int = 7,
        team: tuple[str, ...] = ("clinician",),
        listed: bool = True,
    ) -> Patient:
        """A patient with account, care team and target, a regimen known for 200 days, labs before and after, doses.

        Without `drugs` it is on record that none are taken; with `listed` false, nothing is.
        """
        name = name or f"patient{next(_numbers)}"
        early = self.now - timedelta(days=240)
        admin = self.acting("admin", now=early)
        new = NewPatient("test", name, name.title(), "Test", born_on, sex, ZONE, synthetic=True)
        patient = enrol_patient(replace(new, takes_no_medicines=listed and not drugs), by=admin, now=early)
        invited = invite(f"{name}@home.example", Role.PATIENT, by=admin, now=early, patient_ref=patient.pk)
        self.people[name], _ = accept_invitation(invited.token, account(name), now=early)
        link_account(patient.pk, self.people[name], by=admin, now=early)
        for number, member in enumerate(team):
            join_care_team(patient.pk, self.people[member].pk, responsible=number == 0, by=admin, now=early)
        if target is not None:
            systolic, diastolic = MmHg.of(target[0]), MmHg.of(target[1])
            clinician = self.acting(team[0], now=early)
            sign_target(patient.pk, systolic_below=systolic, diastolic_below=diastolic, by=clinician, now=early)
        for ingredient, dose in drugs:
            self.takes(patient, ingredient, dose, since=early + timedelta(days=40))
        for days_ago in (230, 30) if labs else ():
            at = self.now - timedelta(days=days_ago)
            self.lab(patient, LabKind.POTASSIUM, "4.2", at=at)
            self.lab(patient, LabKind.SODIUM, "140", at=at)
            self.lab(patient, LabKind.CREATININE, "80", at=at)
            self.lab(patient, LabKind.EGFR, "85", at=at)
        self.doses(patient, [ingredient for ingredient, _ in drugs], days=taken)
        patient.refresh_from_db()
        return patient

    def takes(self, patient: Patient, ingredient: str, dose: str, *, since: datetime) -> None:
        """A line of the regimen from outside."""
        drug = formulary().drug(ingredient)
        step = next(s for s in drug.steps if s.daily_dose.value == Decimal(dose))
        line = NewRegimenEntry(
            source_system="test",
            source_id=f"line-{next(_numbers)}",
            ingredient=ingredient,
            name=drug.name,
            drug_class=drug.drug_class,
            product=step.product,
            daily_dose_mg=Decimal(dose),
            step_index=drug.steps.index(step),
            stopped=False,
            starts_at=since,
            unknown_reason="",
            code_system="http://www.nlm.nih.gov/research/umls/rxnorm",
            code=step.product,
        )
        record_regimen_entry(patient.pk, line, by=job("import"), now=since)

    def lab(self, patient: Patient, kind: LabKind, value: str, *, at: datetime) -> None:
        """A laboratory result, received when it was taken."""
        new = NewLab("test", f"lab-{next(_numbers)}", kind, Decimal(value), value, "", at)
        record_lab(patient.pk, new, by=job("import"), now=at)

    def doses(self, patient: Patient, ingredients: list[str], *, days: int, until: datetime | None = None) -> None:
        """Doses of the last seven local days: taken on the first `days` of them, skipped on the rest."""
        today = (until or self.now).astimezone(ZoneInfo(patient.zone)).date()
        for ingredient, back in itertools.product(ingredients, range(7, 0, -1)):
            due = today - timedelta(days=back)
            taken = 7 - back < days
            at = datetime.combine(due, time(8), ZoneInfo(patient.zone))
            new = NewIntake("test", f"dose-{next(_numbers)}", ingredient, due, taken, at if taken else None)
            log_intake(patient.pk, new, by=job("phone"), now=at)

    def measures(
        self,
        patient: Patient,
        systolic: object,
        diastolic: object,
        *,
        at: datetime | None = None,
        pulse: object = 70,
        received_at: datetime | None = None,
        **more: object,
    ) -> TakenIn:
        """One reading by a validated upper-arm cuff at home, received when it was taken unless said otherwise."""
        at = at or self.now
        arrival = arrival_of(systolic, diastolic, at=at, pulse=pulse, **more)
        seen = received_at or at
        return take_in(patient.pk, [arrival], by=acting_device("cuff-1"), now=seen, received_at=seen)

    def week(self, patient: Patient, systolic: int, diastolic: int, *, weeks_ago: int = 0) -> None:
        """Seven full days of two readings each morning and evening, ending the day before `now` less `weeks_ago`."""
        arrivals = []
        zone = ZoneInfo(patient.zone)
        today = self.now.astimezone(zone).date() - timedelta(weeks=weeks_ago)
        for back, hour, minute in itertools.product(range(7, 0, -1), (7, 20), (0, 2)):
            at = datetime.combine(today - timedelta(days=back), time(hour, minute), zone)
            arrivals.append(arrival_of(systolic, diastolic, at=at))
        last = arrivals[-1].reading.taken_at
        take_in(patient.pk, arrivals, by=acting_device("cuff-1"), now=last, received_at=last)

    def weeks(self, patient: Patient, *means: tuple[int, int]) -> None:
        """Weeks of readings, the newest last."""
        for ago, (systolic, diastolic) in zip(range(len(means) - 1, -1, -1), means, strict=True):
            self.week(patient, systolic, diastolic, weeks_ago=ago)

    def boundary(
        self,
        patient: Patient,
        *,
        most: str = "40",
        ingredient: str = LISINOPRIL,
        max_steps: int = 3,
        min_interval_days: int = 28,
        review_everything: bool = False,
        signed_at: datetime | None = None,
        lasts: timedelta = timedelta(days=120),
    ) -> None:
        """A boundary signed 60 days ago, and the patient's consent to automated advice."""
        at = signed_at or self.now - timedelta(days=60)
        new = NewBoundary(
            drugs=(NewBoundaryDrug(ingredient, Decimal(most), allow_up=True),),
            max_steps=max_steps,
            min_interval_days=min_interval_days,
            starts_at=at,
            expires_at=at + lasts,
            review_everything=review_everything,
        )
        sign_boundary(patient.pk, new, by=self.acting("clinician", now=at), now=at)
        self.consents(patient, "automated_advice", at=at)

    def consents(self, patient: Patient, scope: str, *, given: bool = True, at: datetime | None = None) -> None:
        """The patient agrees or withdraws."""
        when = at or self.now
        own = acting_person(patient.account, now=when)
        give_consent(patient.pk, scope, given=given, by=own, now=when)

    def close(self, patient: Patient, *, now: datetime | None = None) -> Loop | None:
        """Close the patient's window."""
        return close_window(patient.pk, by=job("close-windows"), now=now or self.now)

    def own(self, patient: Patient, *, now: datetime | None = None) -> Acting:
        """The patient, acting."""
        return acting_person(patient.account, now=now or self.now)

    def approve(self, loop: Loop, *, now: datetime | None = None) -> None:
        """The clinician approves what was proposed."""
        when = now or self.now + timedelta(minutes=5)
        chosen = DecisionInput(DecisionKind.APPROVE, "agrees_with_plan", "", loop.version)
        decide(loop.pk, chosen, by=self.acting("clinician", now=when), now=when)

    def loop_at(self, state: LoopState) -> Loop:
        """A recommendation in `state`, with the history of one that got there."""
        loop = self._routed(patient_directed=state is LoopState.WITH_PATIENT)
        after = self.now + timedelta(hours=1)
        match state:
            case LoopState.WITH_CLINICIAN | LoopState.WITH_PATIENT:
                pass
            case LoopState.EXPIRED:
                expire_loops(by=job("expire"), now=loop.expires_at)
            case LoopState.REJECTED | LoopState.MODIFIED:
                kind = DecisionKind.REJECT if state is LoopState.REJECTED else DecisionKind.MODIFY
                key = None if kind is DecisionKind.REJECT else f"stop:{LISINOPRIL}"
                chosen = DecisionInput(kind, "patient_preference", "", loop.version, key)
                decide(loop.pk, chosen, by=self.acting("clinician"), now=self.now)
            case LoopState.APPROVED | LoopState.DELIVERED | LoopState.ACCEPTED | LoopState.DECLINED | LoopState.DONE:
                self.approve(loop)
                if state is not LoopState.APPROVED:
                    deliver(loop.pk, by=job("relay"), now=after)
                if state in (LoopState.ACCEPTED, LoopState.DONE):
                    respond(loop.pk, Answer.ACCEPT, reason_code="", by=self.own(loop.patient), now=after)
                if state is LoopState.DECLINED:
                    respond(loop.pk, Answer.DECLINE, reason_code="rather_not", by=self.own(loop.patient), now=after)
                if state is LoopState.DONE:
                    day = after.astimezone(ZoneInfo(ZONE)).date()
                    dose = NewIntake("test", f"dose-{next(_numbers)}", LISINOPRIL, day, taken=True, taken_at=after)
                    log_intake(loop.patient_id, dose, by=self.own(loop.patient), now=after)
            case _:
                raise AssertionError(f"no road to {state} here")
        loop.refresh_from_db()
        assert loop.state == state.value, (loop.state, loop.withheld_reason)
        return loop

    def _routed(self, *, patient_directed: bool) -> Loop:
        patient = self.patient()
        if patient_directed:
            self.mode(patient_directed=True)
            self.boundary(patient)
        self.weeks(patient, *[(150, 92)] * 5)
        loop = self.close(patient)
        assert loop is not None
        return loop


def account(name: str) -> NewAccount:
    """An account as its owner would fill it in."""
    return NewAccount(
        username=name, given_name=name.title(), family_name="Example", password=PASSWORD, email=f"{name}@example.org"
    )


def arrival_of(
    systolic: object,
    diastolic: object,
    *,
    at: datetime,
    pulse: object = 70,
    source_id: str | None = None,
    method: Method = Method.UPPER_ARM_CUFF,
    position: Position = Position.SEATED,
    **more: object,
) -> Arrival:
    """A reading as it arrives from a home cuff; None for a component that is absent."""
    reading = Reading(
        reading_id="",
        taken_at=at,
        zone=ZONE,
        systolic=None if systolic is None else MmHg.of(systolic),
        diastolic=None if diastolic is None else MmHg.of(diastolic),
        pulse=None if pulse is None else Bpm.of(pulse),
        method=method,
        setting=Setting.HOME,
        device_validated=method is Method.UPPER_ARM_CUFF,
        position=position,
        device_id="cuff-1",
        **more,
    )
    return Arrival("test-cuff", source_id or f"reading-{next(_numbers)}", reading)


__all__ = ["NOW", "PASSWORD", "UUID", "Hospital", "account", "arrival_of", "job"]
