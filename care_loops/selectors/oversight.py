"""What oversight is measured from: decisions on proposals, what was opened before them, second readings, alerts.

Rules (CLINICAL 4.2, 4.3)
 * Whole weeks that have ended, so that a figure does not grow by one decision while it is looked at.
 * A team is the set of clinicians in the care team of the patient in that moment. An order of a clinician's own answers
   no proposal and is not counted.
 * One selector: pages and the command read the same figures.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from governance.domain import Role
from governance.models import RoleHeld
from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting

from ..domain.alerts import AlertSeverity
from ..domain.loops import Origin
from ..models import Alert, CareTeamMember, Decision, FirstAnswer, Look, SecondReading
from ..oversight.measures import Decided, Figures, Group, Load, by_group, figures
from ..oversight.rules import OversightRules
from ..oversight.statistics import Kappa, Share, kappa
from ..pathways.hypertension.tables_oversight import oversight_rules
from .first import Drawn, drawn_in
from .probes import Noticed, noticed_by_role, own_noticed

_INTERRUPTIVE = (AlertSeverity.CRITICAL.value, AlertSeverity.URGENT.value)
NOBODY, EVERYBODY = "no care team", "all clinicians"


@dataclass(frozen=True, slots=True)
class Period:
    """Whole weeks: from a Monday to before a Monday (UTC)."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Oversight:
    """What the page and the command show."""

    period: Period
    rules: OversightRules
    groups: tuple[Group, ...]
    second: Kappa | None
    first: Drawn
    noticed: tuple[Noticed, ...]
    loads: tuple[Load, ...]


@dataclass(frozen=True, slots=True)
class Own:
    """A person's own figures."""

    period: Period
    rules: OversightRules
    figures: Figures
    noticed: Share


def period(*, now: datetime, weeks: int) -> Period:
    """The last `weeks` weeks that have ended."""
    today = now.astimezone(UTC).date()
    monday = today - timedelta(days=today.weekday())
    until = datetime.combine(monday, time(), UTC)
    return Period(until - timedelta(weeks=weeks), until)


@looking_wider(Wider.OVERSIGHT)
def oversight(*, now: datetime) -> Oversight:
    """The figures by model and by team, the second readings, and how many alerts interrupt."""
    rules = oversight_rules()
    looked_at = period(now=now, weeks=rules.weeks)
    rows = decided_rows(looked_at)
    return Oversight(
        period=looked_at,
        rules=rules,
        groups=by_group(rows, rules),
        second=second_readings(looked_at, rules),
        first=drawn_in(looked_at.since, looked_at.until),
        noticed=noticed_by_role(looked_at.since, looked_at.until, rules),
        loads=loads(looked_at, rules),
    )


@looking_wider(Wider.OVERSIGHT)
def own_figures(by: Acting, *, now: datetime) -> Own:
    """What this person decided themself, up to now, and nobody else's; the chart is by week."""
    rules = oversight_rules()
    whole = period(now=now, weeks=rules.weeks)
    looked_at = Period(whole.since, now)
    rows = decided_rows(looked_at, person=by.person().pk)
    noticed = own_noticed(by, looked_at.since, looked_at.until, rules)
    return Own(looked_at, rules, figures(rows, rules, least=1), noticed)


def decided_rows(looked_at: Period, *, person: UUID | None = None) -> tuple[Decided, ...]:
    """Decisions on proposals, oldest first; of one person where one is named."""
    found = Decision.objects.filter(
        loop__origin=Origin.PROPOSAL.value, decided_at__gte=looked_at.since, decided_at__lt=looked_at.until
    )
    if person is not None:
        found = found.filter(decided_by=person)
    rows = list(found.select_related("loop").defer("loop__evidence", "loop__outcome").order_by("decided_at", "pk"))
    answers = {
        (answer.loop_id, answer.person_id): answer.amounts_to
        for answer in FirstAnswer.objects.filter(loop__in=[row.loop_id for row in rows])
    }
    opened, teams = _looks(rows), _Teams(row.loop.patient_id for row in rows)
    return tuple(
        Decided(
            name=str(row.pk),
            decider=str(row.decided_by_id),
            model=f"{row.loop.model_name} {row.loop.model_version}".strip() or "no model",
            team=", ".join(teams.of(row.loop.patient_id, row.decided_at)) or NOBODY,
            week=_monday(row.decided_at),
            kind=row.kind,
            reason=row.reason_code,
            waited=float(row.seconds_to_decide),
            read=_since(opened[row.pk].get(Look.PROPOSAL), row.decided_at),
            evidence=bool(opened[row.pk].keys() & {Look.RECORD, Look.TREND}),
            first=answers.get((row.loop_id, row.decided_by_id), ""),
        )
        for row in rows
    )


def _monday(at: datetime) -> date:
    day = at.astimezone(UTC).date()
    return day - timedelta(days=day.weekday())


def _since(opened: datetime | None, decided: datetime) -> float | None:
    return None if opened is None else max(0.0, (decided - opened).total_seconds())


def _looks(rows: list[Decision]) -> dict[UUID, dict[str, datetime]]:
    """By decision: when its own decider first opened what, before they decided."""
    by_loop = {row.loop_id: row for row in rows}
    found: dict[UUID, dict[str, datetime]] = {row.pk: {} for row in rows}
    for look in Look.objects.filter(loop__in=by_loop).order_by("at", "pk"):
        row = by_loop[look.loop_id]
        if look.person_id == row.decided_by_id and look.at <= row.decided_at:
            found[row.pk].setdefault(look.what, look.at)
    return found


class _Teams:
    """Which clinicians were in a patient's care team at a time."""

    def __init__(self, patients: Iterable[UUID]) -> None:
        self._members: dict[UUID, list[CareTeamMember]] = defaultdict(list)
        clinicians = RoleHeld.objects.filter(role=Role.CLINICIAN.value).values("user")
        listed = CareTeamMember.objects.filter(patient__in=set(patients), user__in=clinicians)
        for member in listed.select_related("user"):
            self._members[member.patient_id].append(member)

    def of(self, patient: UUID, at: datetime) -> tuple[str, ...]:
        """The names of its clinicians: the team has no other name."""
        held = {
            member.user.printed_name
            for member in self._members[patient]
            if member.since <= at and (member.until is None or member.until > at)
        }
        return tuple(sorted(held))


def second_readings(looked_at: Period, rules: OversightRules) -> Kappa | None:
    """Agreement of first decisions and blind second readings; None where too few people decided or read."""
    found = SecondReading.objects.filter(read_at__gte=looked_at.since, read_at__lt=looked_at.until)
    rows = list(found.select_related("review__decision"))
    for people in ({row.decided_by_id for row in rows}, {row.reader_id for row in rows}):
        if rows and len(people) < rules.least_deciders:
            return None
    return kappa([(row.review.decision.kind, row.kind) for row in rows], z=rules.z)


def loads(looked_at: Period, rules: OversightRules) -> tuple[Load, ...]:
    """Interruptive alerts for each clinician-day: of all clinicians, and of teams where no small one is left beside."""
    found = Alert.objects.filter(
        severity__in=_INTERRUPTIVE, pages=True, raised_at__gte=looked_at.since, raised_at__lt=looked_at.until
    )
    raised = list(found.values_list("patient_id", "raised_at"))
    teams = _Teams(patient for patient, _ in raised)
    counted = Counter(teams.of(patient, at) for patient, at in raised)
    people = {name for team in counted for name in team}
    days = (looked_at.until - looked_at.since).days
    if len(people) < rules.least_deciders:
        return ()
    whole = Load(EVERYBODY, len(people), len(raised), len(people) * days)
    large = [team for team in sorted(counted) if len(team) >= rules.least_deciders]
    left = {name for team in counted if team not in large for name in team}
    if 0 < len(left) < rules.least_deciders:
        return (whole,)
    return (whole, *(Load(", ".join(team), len(team), counted[team], len(team) * days) for team in large))
