"""What is worked out from evidence before anything is proposed: windows, bars, the situation the rules look at."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from governance.tiers import TierPolicy

from ..averaging import AveragingRule, average, previous_window
from ..candidates import Rulebook
from ..danger import Context, DangerTable, bars, narrowed, scopes
from ..domain.alerts import Bar, Scope
from ..domain.evidence import Evidence
from ..domain.readings import WindowResult
from ..domain.record import ConditionKind
from ..domain.situation import Situation
from ..guardrails import Limits
from ..protocol import ProtocolTable

WINDOWS_LOOKED_AT = 5
SEARCH_DAYS = 35  # a monthly schedule: the first week of the month before may lie this far back (CLINICAL 1.1 A15)


@dataclass(frozen=True, slots=True)
class PathwayAges:
    """Whole years, from and below which the pathway is open, and up to which a pregnancy is to be thought of."""

    from_years: int
    below_years: int
    childbearing_to: int

    def holds(self, age_years: int) -> bool:
        """Whether the pathway is open at this age."""
        return self.from_years <= age_years < self.below_years


@dataclass(frozen=True, slots=True)
class Rules:
    """The tables in force, loaded once."""

    averaging: AveragingRule
    rulebook: Rulebook
    limits: Limits
    danger: DangerTable
    protocol: ProtocolTable
    ages: PathwayAges
    tiers: TierPolicy


@dataclass(frozen=True, slots=True)
class Seen:
    """What was worked out on the way to an outcome; kept whether or not a proposal comes of it."""

    evidence: Evidence
    rules: Rules
    windows: tuple[WindowResult, ...]
    standing: tuple[Bar, ...]
    situation: Situation


def look(evidence: Evidence, rules: Rules) -> Seen:
    """Windows, bars and situation of the evidence."""
    windows = windows_of(evidence, rules)
    context = Context(
        facts=evidence.facts,
        regimen=evidence.regimen,
        readings=evidence.readings,
        symptoms=evidence.symptoms,
        labs=evidence.labs,
        changes=evidence.changes,
    )
    newest = windows[0].average
    table = narrowed(rules.danger, evidence.alert_limits)
    standing = bars(context, now=evidence.as_of, table=table, average=newest)
    in_danger = Scope.UP_TITRATION in scopes(standing) or any(
        alert.locks or Scope.UP_TITRATION in alert.bars for alert in evidence.alerts
    )
    situation = Situation(
        as_of=evidence.as_of,
        facts=evidence.facts,
        regimen=evidence.regimen,
        labs=evidence.labs,
        past_changes=evidence.changes,
        symptoms=evidence.symptoms,
        pulse=windows[0].pulse,
        in_danger=in_danger,
        adherence=evidence.adherence,
        said_no=evidence.said_no,
    )
    return Seen(evidence=evidence, rules=rules, windows=windows, standing=standing, situation=situation)


def windows_of(evidence: Evidence, rules: Rules) -> tuple[WindowResult, ...]:
    """The closing window, and the earlier ones with an average, newest first, none overlapping.

    Who measures every week has one right before; only where there is none is it searched for further back.
    """
    zone = ZoneInfo(evidence.zone)
    fibrillation = ConditionKind.ATRIAL_FIBRILLATION in evidence.facts.conditions
    changed_at = max((c.effective_at for c in evidence.changes if c.effective_at <= evidence.as_of), default=None)

    def before(current: WindowResult, search_days: int) -> WindowResult | None:
        return previous_window(
            evidence.readings,
            rules.averaging,
            current=current,
            zone=zone,
            apart_days=rules.averaging.window_days or 0,
            search_days=search_days,
            last_change_at=changed_at,
            atrial_fibrillation=fibrillation,
        )

    newest = average(
        evidence.readings,
        rules.averaging,
        as_of=evidence.window_closed_at,
        zone=zone,
        last_change_at=changed_at,
        atrial_fibrillation=fibrillation,
    )
    found = [newest]
    while found[-1].average is not None and len(found) < WINDOWS_LOOKED_AT:
        earlier = before(found[-1], 0) or before(found[-1], SEARCH_DAYS)
        if earlier is None:
            break
        found.append(earlier)
    return tuple(found)
