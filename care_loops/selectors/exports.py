"""What somebody may export, turned into a selection of the record; and which exports there are.

Rules (SEC-06, GOV-08, SECURITY 2.3 A2, A21)
 * Each report has its permission. A clinician exports what concerns patients in whose care team they are; a patient,
   who looked at their record and to whom it was handed; an auditor and a compliance officer, everything.
 * Each role has the purposes it may export for; another is refused by name, on whichever road it is asked.
 * To select is not to read: a payload about a patient is shown to whom READ_RECORD is given for that patient, in that
   moment. So an auditor sees no patient's data, unless something else gives them that.
 * A payload about no patient is shown when its kind is known to show none. What is not known is withheld.
 * A record of people who never lived says so in its manifest, whatever was selected of it.
 * A patient or a decision that does not exist, and one that is not theirs, get the same words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from unicodedata import normalize
from uuid import UUID

from audit.bundles.selecting import Report, Selection
from audit.domain import Purpose
from audit.services import export_jobs
from audit.services.export_jobs import ExportState
from audit.services.export_reading import Summary, pseudonym
from governance.domain import BadInput, NotAllowed, NotFound, Permission, Relation, Role
from governance.permissions import TABLE, allows, check
from governance.selectors import anybody_named
from governance.services import Acting
from models.registry.selectors import version_named

from ..domain.evidence import Evidence
from ..freeze import thaw
from ..models import Loop, Patient
from .access import NOBODY, patient_for, patients_of, patients_open_to, relations_to
from .record import record_ids, whole

PERMISSION: dict[Report, Permission] = dict.fromkeys(Report, Permission.EXPORT_AUDIT) | {
    Report.ACCESS: Permission.EXPORT_ACCESS_REPORT,
    Report.DISCLOSURES: Permission.EXPORT_ACCESS_REPORT,
}
# What each role exports for, when nothing else is said.
PURPOSE: dict[Role, Purpose] = {
    Role.CLINICIAN: Purpose.TREATMENT,
    Role.PATIENT: Purpose.PATIENT_REQUEST,
    Role.AUDITOR: Purpose.AUDIT,
    Role.COMPLIANCE_OFFICER: Purpose.AUDIT,
}
# What each role may export for: no role of the record treats, and nobody breaks glass to take a file away.
PURPOSES: dict[Role, tuple[Purpose, ...]] = {
    Role.CLINICIAN: (
        Purpose.TREATMENT,
        Purpose.SAFETY,
        Purpose.PATIENT_REQUEST,
        Purpose.QUALITY,
        Purpose.LEGAL,
    ),
    Role.PATIENT: (Purpose.PATIENT_REQUEST,),
    Role.AUDITOR: (Purpose.AUDIT, Purpose.QUALITY, Purpose.LEGAL),
    Role.COMPLIANCE_OFFICER: (
        Purpose.AUDIT,
        Purpose.SAFETY,
        Purpose.PATIENT_REQUEST,
        Purpose.OPERATIONS,
        Purpose.QUALITY,
        Purpose.RESEARCH,
        Purpose.LEGAL,
    ),
}
_SHOWS_NO_PATIENT = """
access account approval batch command credential device export import invitation key log login logout model
operating_mode payload policy reading return review role session signature site staff suspension token
"""
SHOWS_NO_PATIENT = frozenset(_SHOWS_NO_PATIENT.split())
_SITE = frozenset({Relation.SITE})


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What is asked for. Exactly what the report needs is given; `since` and `until` bound a period, `until` beyond it.

    `purpose` None is the usual one of the role; `recipient` empty is the person who asks.
    """

    report: Report
    patient: UUID | None = None
    decision: UUID | None = None
    model: str = ""
    person: str = ""
    since: datetime | None = None
    until: datetime | None = None
    purpose: Purpose | None = None
    recipient: str = ""

    def identifiers(self) -> dict[str, str]:
        """What it asks for, as kept with the job."""
        said = {
            "patient": str(self.patient or ""),
            "decision": str(self.decision or ""),
            "model": self.model,
            "person": self.person,
            "since": self.since.isoformat() if self.since else "",
            "until": self.until.isoformat() if self.until else "",
        }
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class Granted:
    """A request that may be met: what to select, about whom, and whose payloads this person may see.

    `readable` maps pseudonyms to the patients behind them.
    """

    selection: Selection
    role: Role
    patient: Patient | None
    purpose: Purpose
    recipient: str
    readable: dict[str, str] = field(repr=False, default_factory=dict)

    def may_read(self, entry: Summary) -> bool:
        """Whether this person may see the payload of an entry."""
        if entry.subject is None:
            return entry.type.partition(".")[0] in SHOWS_NO_PATIENT
        return entry.subject in self.readable

    def patient_of(self, subject: str) -> str | None:
        """The patient behind a pseudonym, of those whose payloads are shown."""
        return self.readable.get(subject)


def grant(request: ExportRequest, *, by: Acting, now: datetime) -> Granted:
    """What this person may export of what they ask for. Raises NotAllowed, NotFound or BadInput."""
    _check_shape(request)
    permission = PERMISSION[request.report]
    patient: Patient | None = None
    if request.patient is not None:
        role, patient = _of_patient(request.patient, permission, by, now=now)
        selection = _about_patient(request.report, patient)
    elif request.decision is not None:
        role, loop = _of_loop(request.decision, permission, by, now=now)
        patient, selection = loop.patient, _decision(loop)
    else:
        role = check(permission, by.standing, _SITE)
        selection = _of_site(request)
    return Granted(
        selection=_of_synthetic(selection, patient),
        role=role,
        patient=patient,
        purpose=_purpose(request.purpose, role),
        recipient=normalize("NFC", request.recipient.strip() or by.standing.name),
        readable=readable_subjects(by, patient, now=now),
    )


def _purpose(asked: Purpose | None, role: Role) -> Purpose:
    if asked is None:
        return PURPOSE[role]
    if asked not in PURPOSES[role]:
        known = [purpose.value for purpose in PURPOSES[role]]
        who = role.value.replace("_", " ")
        raise BadInput(
            f"Nobody exports for {asked.value!r} as {who}. Choose one of: {', '.join(known)}.",
            field="purpose",
            known=known,
        )
    return asked


_NEEDS: dict[Report, tuple[str, ...]] = {
    Report.EVERYTHING: (),
    Report.DECISION_HISTORY: ("patient",),
    Report.ACCESS: ("patient",),
    Report.DISCLOSURES: ("patient",),
    Report.MODEL: ("model",),
    Report.PERSON: ("person",),
    Report.DECISION: ("decision",),
    Report.PERIOD: (),
}


def _check_shape(request: ExportRequest) -> None:
    given = {name for name in ("patient", "decision", "model", "person") if getattr(request, name)}
    bounded = request.since is not None or request.until is not None
    if given != set(_NEEDS[request.report]) or bounded != (request.report is Report.PERIOD):
        wanted = " and ".join(_NEEDS[request.report]) or (
            "from or to" if request.report is Report.PERIOD else "nothing"
        )
        raise BadInput(f"The report {request.report.value!r} is asked for with {wanted}.", field="report")
    for moment in (request.since, request.until):
        if moment is not None and moment.tzinfo is None:
            raise BadInput("A time needs its zone, as in 2026-03-01T00:00:00+01:00.", field="period")
    if request.since and request.until and request.since >= request.until:
        raise BadInput("The period ends before it begins.", field="period")
    if len(request.recipient) > 200:
        raise BadInput("The recipient is too long.", field="recipient")


# --- who may ----------------------------------------------------------------------------------------------------------


def _of_patient(patient_id: UUID, permission: Permission, by: Acting, *, now: datetime) -> tuple[Role, Patient]:
    if not allows(check, permission, by.standing, _SITE):
        patient = patient_for(by, patient_id, permission, now=now)
        return check(permission, by.standing, relations_to(by, patient, now=now)), patient
    found = Patient.objects.filter(pk=patient_id).first()
    if found is None:
        raise NotFound(NOBODY)
    return check(permission, by.standing, _SITE), whole(found)


def _of_loop(loop_id: UUID, permission: Permission, by: Acting, *, now: datetime) -> tuple[Role, Loop]:
    """The recommendation; who may ask for none at all is told so, whatever the identifier."""
    held = frozenset(Relation)
    check(permission, by.standing, held)
    loop = Loop.objects.select_related("patient").filter(pk=loop_id).first()
    if loop is None:
        raise NotFound(NOBODY)
    role, _ = _of_patient(loop.patient_id, permission, by, now=now)
    return role, loop


def readable_subjects(by: Acting, patient: Patient | None, *, now: datetime) -> dict[str, str]:
    """The patients whose record this person may read now, by pseudonym; all identifiers of a merged record."""
    near: Iterable[Patient] = (
        [patient] if patient is not None else (*patients_of(by, now=now), *patients_open_to(by, now=now))
    )
    found: dict[str, str] = {}
    for each in near:
        kept = whole(each)
        if allows(check, Permission.READ_RECORD, by.standing, relations_to(by, kept, now=now)):
            found |= {pseudonym(known): str(kept.pk) for known in record_ids(kept)}
    return found


# --- what is selected -------------------------------------------------------------------------------------------------


def _about_patient(report: Report, patient: Patient) -> Selection:
    known = [str(each) for each in record_ids(patient)]
    refused = tuple(known) if report is Report.ACCESS else ()
    return Selection(report, subjects=tuple(pseudonym(each) for each in known), refused_at=refused)


def _decision(loop: Loop) -> Selection:
    """The recommendation, who it is about, the signature under it, and the boundary, policies and model it rests on."""
    objects = [("recommendation", str(loop.pk)), ("patient", str(loop.patient_id))]
    refs: list[str] = []
    if decision := getattr(loop, "decision", None):
        objects.append(("signature", str(decision.signature_id)))
        refs += json.loads(decision.policies)
    if loop.boundary_id is not None:
        objects.append(("boundary", str(loop.patient_id)))
    evidence = thaw(loop.evidence, Evidence)
    refs += [ref for ref in (evidence.tier_policy, evidence.mode and evidence.mode.policy) if ref]
    objects += [("policy", ref.rpartition("@")[0]) for ref in refs]
    if loop.model_digest and (version := version_named(loop.model_digest)):
        objects.append(("model", str(version.pk)))
    return Selection(Report.DECISION, objects=tuple(sorted(set(objects))), said=(("decision", str(loop.pk)),))


def _of_site(request: ExportRequest) -> Selection:
    match request.report:
        case Report.MODEL:
            version = version_named(request.model)
            if version is None:
                raise NotFound(f"There is no model {request.model!r}. Write it as name@version, or give its digest.")
            name = f"{version.name}@{version.version}"
            return Selection(Report.MODEL, objects=(("model", str(version.pk)),), said=(("model", name),))
        case Report.PERSON:
            person = anybody_named(request.person)
            return Selection(Report.PERSON, actor=str(person.pk), said=(("person", person.username),))
        case Report.PERIOD:
            bounds = (("from", request.since), ("to", request.until))
            said = tuple((name, moment.astimezone(UTC).isoformat()) for name, moment in bounds if moment)
            return Selection(Report.PERIOD, since=request.since, until=request.until, said=said)
        case _:
            return Selection(Report.EVERYTHING)


def _of_synthetic(selection: Selection, patient: Patient | None) -> Selection:
    """Says so when nobody it is about ever lived: this patient, or every patient of the site."""
    about = Patient.objects.filter(pk=patient.pk) if patient else Patient.objects.all()
    if about.filter(synthetic=False).exists() or not about.exists():
        return selection
    return replace(selection, said=(*selection.said, ("synthetic", "yes")))


# --- which there are --------------------------------------------------------------------------------------------------


def own_export(export_id: UUID, *, by: Acting) -> ExportState:
    """An export that this person asked for. Somebody else's and none at all get the same words."""
    found = export_jobs.find(export_id)
    if found is None or found.asked_by != f"user:{by.person().pk}":
        raise NotFound(NOBODY)
    return found


def export_state(export_id: UUID, *, by: Acting) -> ExportState:
    """How far an export is: of one's own, or of anybody's for who may export the whole record."""
    if allows(check, Permission.EXPORT_AUDIT, by.standing, _SITE) and (found := export_jobs.find(export_id)):
        return found
    return own_export(export_id, by=by)


def list_exports(*, by: Acting, limit: int = 100) -> list[ExportState]:
    """The newest exports: everybody's for who may export the whole record, else this person's own."""
    everybody = allows(check, Permission.EXPORT_AUDIT, by.standing, _SITE)
    by.person()
    return export_jobs.newest(asked_by=None if everybody else by.actor, limit=limit)


def reports_for(*, by: Acting) -> tuple[Report, ...]:
    """The reports that this person's roles can ask for at all: what a page offers."""
    anywhere = frozenset(Relation)
    return tuple(report for report in Report if allows(check, PERMISSION[report], by.standing, anywhere))


def purposes_for(report: Report, *, by: Acting) -> tuple[Purpose, ...]:
    """The purposes for which any role of this person may ask for a report: what a page offers."""
    roles = {role for role in by.standing.roles if (PERMISSION[report], role) in TABLE}
    return tuple(purpose for purpose in Purpose if any(purpose in PURPOSES[role] for role in roles))


def reports_offered(*, by: Acting) -> tuple[Report, ...]:
    """The same, without those that are about the whole site for who may only export what concerns their patients."""
    return tuple(
        report
        for report in reports_for(by=by)
        if "patient" in _NEEDS[report]
        or "decision" in _NEEDS[report]
        or allows(check, PERMISSION[report], by.standing, _SITE)
    )


def needs_of(report: Report) -> tuple[str, ...]:
    """The fields a report is asked for with; a period has its bounds."""
    return _NEEDS[report] or (("since", "until") if report is Report.PERIOD else ())


__all__ = [
    "ExportRequest",
    "ExportState",
    "Granted",
    "NotAllowed",
    "export_state",
    "grant",
    "list_exports",
    "own_export",
    "readable_subjects",
]
