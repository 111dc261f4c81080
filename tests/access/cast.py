"""The hospital of the access matrix: one person of every role, and two patients with everything in their records.

Built once, by the legal road, and committed. `ours` is the patient whose team, account and carer are the people of the
matrix; `theirs` belongs to others. Both carry a word (`CANARIES`) that stands in no other text of the house.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import uuid4

from django.test import Client

from audit.bundles.selecting import Report
from audit.domain import Job, ObjectRef
from audit.models import Entry
from audit.services import sequence_until_empty
from audit.services.genesis import found_log
from audit.services.publishing import publish
from care_loops.domain.loops import DecisionKind
from care_loops.domain.record import SymptomKind
from care_loops.models import Alert, BloodPressure, Loop, Patient, SecondReview, Symptom
from care_loops.selectors.exports import ExportRequest
from care_loops.services import DecisionInput, NewSymptom, decide, deliver, record_symptom
from care_loops.services.autonomy import ask_level
from care_loops.services.break_glass import break_glass
from care_loops.services.exports import ask_for_export
from care_loops.services.joining import invite_to_record, join_by_invitation
from care_loops.services.reviews import draw_reviews, set_seed
from governance.autonomy import Level
from governance.channels import Channel
from governance.cover import Rung
from governance.domain import Amr, Presence, Role
from governance.findings import Severity
from governance.incidents import IncidentClass
from governance.models import Credential, SignedIn, User
from governance.services import acting_person
from governance.services.accounts import leave, revoke_role
from governance.services.contacts import add_contact
from governance.services.findings import Seen, raise_finding
from governance.services.incidents import Happened, report_incident
from governance.services.policies import propose_policy
from governance.services.roles import ask_for_role
from governance.services.rota import add_shift
from governance.services.signing import Act, Asked, begin_assertion
from governance.services.suspensions import throw_switch
from governance.services.tokens import (
    PATIENT_SCOPE,
    STAFF_SCOPE,
    issue_patient_token,
    issue_staff_token,
    phone_client,
)
from governance.services.ways_back import open_way_back
from governance.suspension import Ref, Scope
from models.registry.models import ModelVersion
from tests.edge_wearables.entrance import a_sender, pressure
from tests.factories import PASSWORD, Hospital, account, job
from tests.signing_in import key_of, signed_in, signing

CANARIES = {"ours": "zyqxours", "theirs": "zyqxtheirs"}
PHONE_ROLES = frozenset({Role.PATIENT, Role.CARER})
GLASS_REASON = "emergency_treatment"
SIDES = ("ours", "theirs")


@dataclass(frozen=True, slots=True)
class Who:
    """One who knocks: by a session, a token, a device's signature, or nothing; and whose record they are tied to."""

    name: str
    by: str = "session"  # nobody, session, token, device
    role: Role | None = None
    scope: str = ""
    side: str = "ours"
    one_factor: bool = False


@dataclass
class Cast:
    """Everybody, and everything they might ask for."""

    hospital: Hospital
    objects: dict[tuple[str, str], object] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    people: list[Who] = field(default_factory=list)
    users: dict[str, User] = field(default_factory=dict)
    patients: dict[str, Patient] = field(default_factory=dict)
    batch: bytes = b""

    @cached_property
    def client(self) -> Any:
        """The registration of a phone."""
        return phone_client(redirect_uris=("https://phone.example.org/back",))

    def object_id(self, kind: str, who: Who, whose: str) -> object:
        """The id of such an object: one's own, a foreign one, one that is not there, or no id at all."""
        if whose == "missing":
            return uuid4() if kind not in TEXT_KINDS else "nothing-of-that-name"
        if whose == "malformed":
            return "no-such-id" if kind not in TEXT_KINDS else "%00"
        side = who.side if whose == "own" else next(one for one in SIDES if one != who.side)
        return self.objects.get((kind, f"{who.name}:{whose}")) or self.objects[kind, side]

    # -- people --------------------------------------------------------------------------------------------------------

    def by_session(self, name: str, user: User, role: Role | None, **more: Any) -> None:
        """Somebody in a browser."""
        self.clients[name] = more.pop("client", None) or signed_in(user)
        self.users[name] = user
        self.people.append(Who(name, "session", role, **more))

    def by_token(self, name: str, user: User, role: Role | None, scope: str, **more: Any) -> None:
        """Somebody's application."""
        issue = issue_patient_token if scope == PATIENT_SCOPE else issue_staff_token
        self.headers[name] = {"Authorization": f"Bearer {issue(user, self.client, datetime.now(UTC))}"}
        self.users[name] = user
        self.people.append(Who(name, "token", role, scope, **more))


TEXT_KINDS = frozenset({"invitation", "way_back", "admin", "rest", "policy_kind"})


def built() -> Cast:
    """The hospital with everybody in it."""
    found_log(by=Job("test", "1"), now=datetime.now(UTC))
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    cast = Cast(Hospital(now=now))
    hospital = cast.hospital
    for name in ("second", "third", "departing", "roleless"):
        hospital.join(name, Role.CLINICIAN, now=now - timedelta(days=300))
    set_seed(by=job(), now=now)
    teams = {"ours": ("second", "clinician", "pharmacist"), "theirs": ("third", "other_clinician")}
    for side in SIDES:
        _record(cast, side, teams[side])
    _people(cast)
    _objects_of_the_site(cast)
    sequence_until_empty()
    publish()
    cast.objects |= {("version", side): ModelVersion.objects.order_by("pk").first().pk for side in SIDES}
    cast.objects |= {("entry", side): Entry.objects.order_by("position").last().entry_id for side in SIDES}
    return cast


def _record(cast: Cast, side: str, team: tuple[str, ...]) -> None:
    """A patient with a delivered change, an alert, a symptom, readings, a second review."""
    hospital, now, word = cast.hospital, cast.hospital.now, CANARIES[side]
    patient = hospital.patient(word, team=team)
    hospital.weeks(patient, *[(150, 92)] * 5)
    loop = hospital.close(patient)
    assert loop is not None
    chosen = DecisionInput(DecisionKind.APPROVE, "agrees_with_plan", f"{word} wrote this", loop.version)
    decide(loop.pk, chosen, by=hospital.acting(team[0]), now=now)
    deliver(loop.pk, by=job("relay"), now=now + timedelta(minutes=1))
    draw_reviews(by=job(), now=now + timedelta(minutes=2))
    text = f"{word} told us"
    felt = NewSymptom("test", f"felt-{side}", SymptomKind.CHEST_PAIN, "", text, now + timedelta(minutes=3))
    record_symptom(patient.pk, felt, by=hospital.own(patient), now=now + timedelta(minutes=3))
    cast.patients[side] = patient
    rows = {
        "patient": patient.pk,
        "loop": Loop.objects.get(patient=patient).pk,
        "alert": Alert.objects.filter(patient=patient).latest("raised_at").pk,
        "symptom": Symptom.objects.get(patient=patient).pk,
        "reading": BloodPressure.objects.filter(patient=patient).latest("taken_at").pk,
        "review": SecondReview.objects.get(decision__loop__patient=patient, drawn=True).pk,
    }
    cast.objects |= {(kind, side): pk for kind, pk in rows.items()}


def _people(cast: Cast) -> None:
    """A session and a token for every role, and those for whom a door is closed in another way."""
    hospital, now = cast.hospital, cast.hospital.now
    users = {Role.CLINICIAN: "clinician", Role.PHARMACIST: "pharmacist", Role.PATIENT: CANARIES["ours"]}
    users |= {Role.ADMINISTRATOR: "admin", Role.ML_ENGINEER: "engineer"}
    admin = hospital.acting("admin")
    invited = invite_to_record(cast.patients["ours"].pk, Role.CARER, email="c@example.org", by=admin, now=now)
    hospital.people["carer"] = join_by_invitation(invited.token, account("carer"), now=now)
    users[Role.CARER] = "carer"
    for role in sorted(set(Role) - set(users)):
        hospital.join(role.value, role, now=now)
        users[role] = role.value
    cast.people.append(Who("nobody", "nobody"))
    for role, name in sorted(users.items()):
        cast.by_session(role.value, hospital.people[name], role)
        cast.by_token(f"{role.value}'s app for staff", hospital.people[name], role, STAFF_SCOPE)
        cast.by_token(f"{role.value}'s app for patients", hospital.people[name], role, PATIENT_SCOPE)
    elsewhere = hospital.people["other_clinician"]
    cast.by_session("clinician elsewhere", elsewhere, Role.CLINICIAN, side="theirs")
    cast.by_token("clinician elsewhere's app", elsewhere, Role.CLINICIAN, STAFF_SCOPE, side="theirs")
    other = hospital.people[CANARIES["theirs"]]
    cast.by_session("patient elsewhere", other, Role.PATIENT, side="theirs")
    cast.by_token("patient elsewhere's app", other, Role.PATIENT, PATIENT_SCOPE, side="theirs")
    _closed_out(cast)


def _closed_out(cast: Cast) -> None:
    """One who left, one without a role any more, one with a password alone, and a device."""
    hospital, now = cast.hospital, cast.hospital.now
    leaver, roleless = hospital.people["departing"], hospital.people["roleless"]
    cast.by_session("who left", leaver, None)
    cast.by_token("who left's app", leaver, None, STAFF_SCOPE)
    cast.by_session("without a role", roleless, None)
    for who in cast.people:
        if who.name in ("who left", "who left's app"):
            cast.people[cast.people.index(who)] = Who(who.name, "nobody")
    leave(leaver.pk, by=hospital.acting("admin"), now=now)
    revoke_role(roleless.pk, Role.CLINICIAN, by=hospital.acting("admin"), now=now)
    single = hospital.join("single", Role.CLINICIAN, now=now)
    browser = Client()
    browser.post("/accounts/login/", {"login": single.username, "password": PASSWORD})
    cast.by_session("with one factor", single, Role.CLINICIAN, client=browser, one_factor=True)
    sender = a_sender(cast.patients["ours"])
    cast.batch, cast.headers["device"] = sender.message([pressure(1)])
    cast.people.append(Who("device", "device"))


def _objects_of_the_site(cast: Cast) -> None:
    """What belongs to people rather than to patients."""
    hospital, now = cast.hospital, cast.hospital.now
    waiting = hospital.join("waiting", Role.PHARMACIST, now=now)
    key_of(waiting)
    hospital.join("another_admin", Role.ADMINISTRATOR, now=now)
    asked = ask_for_role(waiting.pk, Role.CLINICIAN, reason="test", by=hospital.acting("another_admin"), now=now)
    cast.patients["apart"] = hospital.patient("apart", team=("third",))
    for side in SIDES:
        cast.objects["user", side] = waiting.pk
        cast.objects["waiting_credential", side] = Credential.objects.get(user=waiting).pk
        cast.objects["asked_role", side] = asked.pk
        cast.objects["challenge", side] = cast.objects["session", side] = cast.objects["own_credential", side] = uuid4()
        cast.objects["export", side] = uuid4()
        cast.objects |= {("admin", side): 1, ("rest", side): "nothing/here"}
        cast.objects |= {("any_record", side): cast.patients[side].pk, ("own_opening", side): uuid4()}
        hospital.consents(cast.patients[side], "research")
        cast.objects["consent_entry", side] = cast.patients[side].consents.latest("pk").entry
        by, patient = hospital.acting("admin"), cast.patients[side].pk
        cast.objects["invitation", side] = invite_to_record(patient, Role.CARER, email="c@e.org", by=by, now=now).token
    _overseen(cast)
    quiet = {"mode": "simulation", "patient_directed": False, "stopped": True, "daily_patient_quota": 5}
    author = hospital.acting("another_admin")
    asked_for = propose_policy("operating_mode", "hypertension", body=quiet, reason="test", by=author, now=now)
    for side in SIDES:
        cast.objects |= {("motion", side): asked_for.motion.pk, ("policy_kind", side): "operating_mode"}
    on, off = datetime.now(UTC), datetime.now(UTC) + timedelta(days=2)
    third = hospital.people["third"].pk
    shift = add_shift(Rung.ON_CALL, third, starts=on, ends=off, by=hospital.acting("admin"), now=on).pk
    cast.objects |= {(kind, side): shift for kind in ("shift", "any_shift") for side in SIDES}
    lost = hospital.join("lost", Role.PHARMACIST, now=now)
    token = open_way_back(lost.pk, reason="test", by=hospital.acting("admin"), now=datetime.now(UTC)).token
    cast.objects |= {("way_back", side): token for side in SIDES}
    _personal(cast)


def _personal(cast: Cast) -> None:
    """A session, a credential, a signature asked for and an export of each person, and somebody else's."""
    somebody = cast.hospital.people["third"]
    signed_in(somebody)
    theirs: dict[str, object] = _of_person(cast, somebody)
    made: dict[object, dict[str, object]] = {}  # once for each person, however they come
    theirs["export"] = _export(cast, somebody)
    theirs["own_opening"] = _opening(cast, "second")
    cast.objects |= {("opening", side): theirs["own_opening"] for side in SIDES}
    cast.objects |= {(kind, side): foreign for kind, foreign in theirs.items() for side in SIDES}
    opened = {name: _opening(cast, name) for name in ("clinician", "other_clinician")}
    for who in cast.people:
        if who.by not in ("session", "token") or who.name not in cast.users:
            continue
        user = cast.users[who.name]
        own = {} if who.one_factor else made.setdefault(user.pk, made.get(user.pk) or _of_person(cast, user))
        if who.role in (Role.CLINICIAN, Role.AUDITOR, Role.COMPLIANCE_OFFICER) and own and "export" not in own:
            own["export"] = _export(cast, cast.users[who.name], who)
        for name, opening in opened.items():
            if cast.hospital.people[name] == cast.users[who.name]:
                own["own_opening"] = opening
        for kind, foreign in theirs.items():
            cast.objects[kind, f"{who.name}:own"] = own.get(kind, foreign)
            cast.objects[kind, f"{who.name}:foreign"] = foreign


def _opening(cast: Cast, name: str) -> object:
    """A record of neither side that this clinician opened outside their care team."""
    now = datetime.now(UTC)
    here = Presence(session="a session", amr=(Amr.PASSKEY.value,), since=now)
    by = signing(acting_person(cast.hospital.people[name], now=now, presence=here))
    return break_glass(cast.patients["apart"].pk, reason_code=GLASS_REASON, text="test", by=by, now=now).pk


def _of_person(cast: Cast, user: User) -> dict[str, object]:
    by = acting_person(user, now=datetime.now(UTC))
    act = Asked(Act("decision.made", ObjectRef("loop", str(uuid4()))), {"test": "x"}, "test")
    address = f"{user.pk.hex}@example.org"
    return {
        "contact": add_contact(Channel.EMAIL, address, by=by, now=datetime.now(UTC)).pk,
        "session": SignedIn.objects.filter(user=user, ended_at__isnull=True).latest("began_at").pk,
        "own_credential": Credential.objects.filter(user=user).latest("enrolled_at").pk,
        "challenge": begin_assertion(act, user=by.person(), now=datetime.now(UTC)).pk,
    }


def _export(cast: Cast, user: User, who: Who | None = None) -> object:
    """An export that this person has asked for: of the whole record, or of a patient of theirs."""
    request = ExportRequest(report=Report.EVERYTHING)
    if who is None or who.role is Role.CLINICIAN:
        side = who.side if who else "theirs"
        request = ExportRequest(report=Report.DECISION_HISTORY, patient=cast.patients[side].pk)
    return ask_for_export(request, by=acting_person(user, now=cast.hospital.now), now=cast.hospital.now)


def _overseen(cast: Cast) -> None:
    """A suspension that stops nobody, a finding, an incident, a gate with one signature, the model that serves."""
    by, now = cast.hospital.acting("clinician"), cast.hospital.now
    seen = Seen("test", "process", "", Severity.MINOR, "a test", "document", "d-1")
    what = Happened("a test", "process", "", now, now, now, IncidentClass.NO_REPORT)
    version = ModelVersion.objects.get(active=True)
    gate = ask_level(version.pk, Level.SUGGEST, cohorts=["age_under_65"], actions=["stop"], by=by, now=now)
    made = {
        "suspension": throw_switch(Ref(Scope.COHORT, "nobody"), reason="a test", by=by, now=now).pk,
        "finding": raise_finding(seen, by=by, now=now).pk,
        "incident": report_incident(what, by=by, now=now).pk,
        "gate": gate.pk,
        "version": version.pk,
    }
    cast.objects |= {(kind, side): key for kind, key in made.items() for side in SIDES}
