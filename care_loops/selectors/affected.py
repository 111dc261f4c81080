"""Whom an incident touches: patients, decisions and models in one query, and adverse events per 100 patient-months.

Rules (REGULATORY 2.3 Art. 72, 73; PEERS extra candidates)
 * What an incident names, over its time: the recommendations that rested on it, each with its decision, if any.
 * A patient-month is 365.25/12 days; each closed window of a model is seven days of one patient under it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Q

from governance.models import Incident
from governance.selectors.sight import Wider, looking_wider
from governance.suspension import Scope

from ..domain.evidence import Evidence
from ..domain.loops import Origin
from ..freeze import thaw
from ..models import AdverseEvent, KnownDevice, Loop

MONTH_DAYS = Decimal("30.4375")
WINDOW_DAYS = 7


@dataclass(frozen=True, slots=True)
class Touched:
    """One recommendation that rested on what an incident names."""

    patient_id: UUID
    loop_id: UUID
    opened_at: datetime
    state: str
    model: str
    decision: str
    decided_at: datetime | None
    decided_by: str


@looking_wider(Wider.OVERSIGHT)
def affected(incident: Incident) -> list[Touched]:
    """Every recommendation of its time that rested on what it names, newest first. One query."""
    rows = Loop.objects.filter(
        _resting_on(incident.subject, incident.name),
        opened_at__gte=incident.happened_from,
        opened_at__lte=incident.happened_until,
    ).select_related("decision")
    if incident.subject == Scope.DEVICE_TYPE:
        rows = rows.filter(pk__in=_measured_by(incident.name, [*rows]))
    return [_touched(row) for row in rows.order_by("-opened_at", "pk")]


def _resting_on(subject: str, name: str) -> Q:
    match subject:
        case Scope.PATHWAY:
            return Q(pathway=name)
        case Scope.MODEL:
            bare, _, version = name.rpartition("@")
            return Q(model_name=bare, model_version=version) if bare else Q(model_name=name)
        case Scope.BOUNDARY:
            return Q(boundary_id=name)
        case Scope.COHORT:
            return Q(cohort=name)
        case _:
            return Q()


def _measured_by(device_type: str, rows: list[Loop]) -> list[UUID]:
    devices = set(KnownDevice.objects.filter(device_type=device_type).values_list("device", flat=True))
    return [row.pk for row in rows if devices & {r.device_id for r in thaw(row.evidence, Evidence).readings}]


def _touched(row: Loop) -> Touched:
    decision = getattr(row, "decision", None)
    return Touched(
        patient_id=row.patient_id,
        loop_id=row.pk,
        opened_at=row.opened_at,
        state=row.state,
        model=f"{row.model_name}@{row.model_version}" if row.model_name else "",
        decision=decision.kind if decision else "",
        decided_at=decision.decided_at if decision else None,
        decided_by=str(decision.decided_by_id) if decision else "",
    )


@dataclass(frozen=True, slots=True)
class Rate:
    """Adverse events of one pathway and model at one site; `per_100` is None without patient-time."""

    pathway: str
    model: str
    site: str
    events: int
    by_kind: tuple[tuple[str, int], ...]
    patient_months: Decimal
    per_100: Decimal | None


@looking_wider(Wider.OVERSIGHT)
def adverse_rates(*, since: datetime, until: datetime) -> list[Rate]:
    """Events per 100 patient-months, by pathway, model and site."""
    events = AdverseEvent.objects.filter(onset_at__gte=since, onset_at__lt=until)
    counted: dict[tuple[str, str, str], Counter[str]] = {}
    for pathway, name, version, site, kind in events.values_list(
        "pathway", "model_name", "model_version", "site", "kind"
    ):
        counted.setdefault((pathway, _model(name, version), site), Counter())[kind] += 1
    windows = Loop.objects.filter(origin=Origin.PROPOSAL.value, opened_at__gte=since, opened_at__lt=until)
    under = Counter(
        (pathway, _model(name, version))
        for pathway, name, version in windows.values_list("pathway", "model_name", "model_version")
    )
    sites = {site for _, _, site in counted} or {""}
    for pathway, model in under:
        for site in sites:
            counted.setdefault((pathway, model, site), Counter())
    found = []
    for (pathway, model, site), kinds in sorted(counted.items()):
        months = (Decimal(under[(pathway, model)] * WINDOW_DAYS) / MONTH_DAYS).quantize(Decimal("0.1"))
        total = sum(kinds.values())
        rate = (Decimal(total) * 100 / months).quantize(Decimal("0.1")) if months else None
        found.append(Rate(pathway, model, site, total, tuple(sorted(kinds.items())), months, rate))
    return found


def _model(name: str, version: str) -> str:
    return f"{name}@{version}" if name else "no model"
