"""Probes as their one person meets them, and how often they are noticed.

Rules (CLINICAL 4.3)
 * A probe exists for the person it was placed for, and for nobody else: not for a colleague, a tool, an export.
 * What a page is given is made in memory from the probe; it has no row, so nothing that counts care can count it.
 * How often probes are noticed is told by role, where enough people answered; to each person of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from governance.domain import Role
from governance.services import Acting

from ..domain.evidence import Outcome
from ..domain.loops import LoopState, Origin
from ..freeze import thaw
from ..models import Loop, Patient, Probe, ProbeAnswer, ProbePerson, ProbeRule
from ..oversight.rules import OversightRules
from ..oversight.statistics import Share, wilson
from .worklist import ItemKind, PatientLine, Risk, WorkItem, Worklist

PATHWAY = "hypertension"


@dataclass(frozen=True, slots=True)
class Noticed:
    """Of one role: how many people answered probes, how often they noticed; None where too few did."""

    role: str
    people: int
    share: Share | None


def probe_rule_now() -> ProbeRule | None:
    """The rule begun last."""
    return ProbeRule.objects.order_by("-begun_at", "-entry").first()


def probe_for(by: Acting, probe_id: UUID) -> Probe | None:
    """The probe of that number, when it was placed for this person, who is still a clinician; None otherwise."""
    if by.user is None or Role.CLINICIAN not in by.standing.roles:
        return None
    found = Probe.objects.select_related("about", "answer__signature").filter(pk=probe_id, person=by.user)
    return found.first()


def person_for(by: Acting, person_id: UUID) -> Probe | None:
    """The probe about this person who does not exist, when it was placed for who asks."""
    if by.user is None or Role.CLINICIAN not in by.standing.roles:
        return None
    return Probe.objects.select_related("about").filter(about=person_id, person=by.user).first()


def waiting_probes(by: Acting, *, now: datetime) -> list[Probe]:
    """The probes this person has not decided and whose time is not over."""
    if by.user is None or Role.CLINICIAN not in by.standing.roles:
        return []
    open_now = Probe.objects.filter(person=by.user, answer__isnull=True, opened_at__lte=now, expires_at__gt=now)
    return list(open_now.select_related("about").order_by("opened_at"))


def patient_of(about: ProbePerson) -> Patient:
    """As the pages want somebody to be, in memory: it has no row and is never saved."""
    patient = Patient(
        id=about.pk, sex=about.sex, zone=about.zone, synthetic=Patient.objects.filter(synthetic=True).exists()
    )
    patient.identity = {
        "given_name": about.given_name,
        "family_name": about.family_name,
        "born_on": about.born_on.isoformat(),
        "source_id": None,
    }
    return patient


def loop_of(probe: Probe) -> Loop:
    """As the pages want a recommendation to be, in memory: it has no row and is never saved."""
    return Loop(
        id=probe.pk,
        patient=patient_of(probe.about),
        pathway=PATHWAY,
        origin=Origin.PROPOSAL.value,
        window_key="",
        opened_at=probe.opened_at,
        due_at=probe.due_at,
        expires_at=probe.expires_at,
        evidence="{}",
        evidence_digest=probe.digest,
        outcome=probe.outcome,
        tier=thaw(probe.outcome, Outcome).tier,
        change_kind=thaw(probe.outcome, Outcome).change.kind.value,
        model_name=probe.model_name,
        model_version=probe.model_version,
        state=LoopState.WITH_CLINICIAN.value,
        version=2,
    )


def with_probes(found: Worklist, by: Acting, *, now: datetime) -> Worklist:
    """The worklist of a page with this person's probes among the rest; tools are given the list without."""
    items, patients = list(found.items), list(found.patients)
    for probe in waiting_probes(by, now=now):
        loop = loop_of(probe)
        risk = Risk.TODAY if loop.due_at <= now else Risk.DECIDE
        items.append(WorkItem(ItemKind.RECOMMENDATION, risk, loop.patient, loop.opened_at, loop.due_at, loop=loop))
        patients.append(PatientLine(loop.patient, probe.opened_at))
    ordered = sorted(items, key=lambda item: (item.risk, item.due_at or item.at, str(item.patient.pk)))
    named = sorted(patients, key=lambda line: (line.patient.family_name.casefold(), line.patient.given_name.casefold()))
    return Worklist(items=tuple(ordered), patients=tuple(named))


def noticed_by_role(since: datetime, until: datetime, rules: OversightRules) -> tuple[Noticed, ...]:
    """How often probes answered in that time were noticed, by the role under which they were answered."""
    rows = list(ProbeAnswer.objects.filter(answered_at__gte=since, answered_at__lt=until))
    found = []
    for role in sorted({row.role for row in rows}):
        held = [row for row in rows if row.role == role]
        people = len({row.person_id for row in held})
        share = wilson(sum(row.noticed for row in held), len(held), z=rules.z)
        found.append(Noticed(role, people, share if people >= rules.least_deciders else None))
    return tuple(found)


def own_noticed(by: Acting, since: datetime, until: datetime, rules: OversightRules) -> Share:
    """How often this person noticed."""
    rows = ProbeAnswer.objects.filter(person=by.person(), answered_at__gte=since, answered_at__lt=until)
    answers = list(rows.values_list("noticed", flat=True))
    return wilson(sum(answers), len(answers), z=rules.z)
