"""A patient's own alert limits: the danger table, alarming earlier for one person (HTN-06).

Rules
 * A limit can only narrow: of the site's number and the signed one, the one that alarms earlier holds. What would alarm
   later is refused when it is signed, and has no effect if it is met all the same.
 * One signed number may stand for several rows: a low diastolic is a page or a card, by the systolic beside it.
 * A rule that speaks by a signed limit names that limit in its finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum

from ..domain.record import AlertLimit, AlertLimits
from .table import DangerRule, DangerTable, Test


class LimitName(StrEnum):
    """What can be narrowed for one patient. Pressures in mmHg, heart rates per minute."""

    CRISIS_SYSTOLIC = "crisis_systolic"
    CRISIS_DIASTOLIC = "crisis_diastolic"
    LOW_SYSTOLIC = "low_systolic"
    LOW_DIASTOLIC = "low_diastolic"
    SLOW_PULSE = "slow_pulse"
    FAST_PULSE = "fast_pulse"


#: The rows of the danger table whose boundary each limit is.
ROWS_OF: Mapping[LimitName, tuple[str, ...]] = {
    LimitName.CRISIS_SYSTOLIC: ("C1.systolic",),
    LimitName.CRISIS_DIASTOLIC: ("C1.diastolic",),
    LimitName.LOW_SYSTOLIC: ("C7.systolic",),
    LimitName.LOW_DIASTOLIC: ("C7.diastolic", "C7.diastolic_alone"),
    LimitName.SLOW_PULSE: ("C12.slow",),
    LimitName.FAST_PULSE: ("C12.fast",),
}


def as_rows(signed: Mapping[LimitName, Decimal]) -> tuple[AlertLimit, ...]:
    """Signed limits as boundaries of rows, in the order of `LimitName`."""
    return tuple(AlertLimit(row, signed[name]) for name in LimitName if name in signed for row in ROWS_OF[name])


def site_limit(name: LimitName, table: DangerTable) -> Test:
    """The site's own boundary of a limit."""
    return next(rule.boundary for rule in table.rules if rule.rule == ROWS_OF[name][0])


def loosened(signed: Mapping[LimitName, Decimal], table: DangerTable) -> tuple[LimitName, ...]:
    """The limits that would alarm later than the site's: none of them may be signed."""
    return tuple(name for name in LimitName if name in signed and _is_later(signed[name], site_limit(name, table)))


def crossed(signed: Mapping[LimitName, Decimal], table: DangerTable) -> tuple[LimitName, ...]:
    """The low limits that reach the high one of the same measure: between them there would be no pressure at all."""
    pairs = (
        (LimitName.LOW_SYSTOLIC, LimitName.CRISIS_SYSTOLIC),
        (LimitName.LOW_DIASTOLIC, LimitName.CRISIS_DIASTOLIC),
        (LimitName.SLOW_PULSE, LimitName.FAST_PULSE),
    )

    def in_force(name: LimitName) -> Decimal:
        return signed.get(name, site_limit(name, table).value)

    return tuple(low for low, high in pairs if in_force(low) >= in_force(high))


def narrowed(table: DangerTable, own: Iterable[AlertLimits]) -> DangerTable:
    """The table for one person: each boundary the earliest of the site's and those signed for them."""
    rules = {rule.rule: rule for rule in table.rules}
    for limits in own:
        for limit in limits.limits:
            rule = rules.get(limit.rule)
            if rule is not None and _is_earlier(limit.value, rule):
                test = replace(rule.boundary, value=limit.value)
                rules[limit.rule] = replace(rule, test=test, signed_limit=limits.ref)
    return replace(table, rules=tuple(rules.values())) if rules else table


def _is_later(value: Decimal, site: Test) -> bool:
    return value > site.value if site.compare.startswith(">") else value < site.value


def _is_earlier(value: Decimal, rule: DangerRule) -> bool:
    return rule.test is not None and value != rule.test.value and not _is_later(value, rule.test)
