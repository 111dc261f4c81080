"""Danger rules that look at readings: crisis, low, amber, orthostatic, heart rate (CLINICAL 1.3 C1 to C12).

Rules
 * Per component: one that is absent or a sentinel does not silence the other.
 * A repeat is another cuff reading at least the repeat gap away; at least one of the two must be undisturbed. What is
   held back (implausible, swapped, a sentinel, a time to come) neither confirms another nor is confirmed by it; it is
   passed over in a row of readings. Alone it says all that the table says of one reading (N4).
 * A late reading can complete a pair from either side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from ..domain.readings import Implausible, Position, Reading
from ..domain.record import SymptomReport
from .evidence import (
    Context,
    Hit,
    applies,
    is_cuffless,
    is_disturbed,
    is_held_back,
    is_void,
    is_weak,
    values_of,
    when_taken,
)
from .table import Component, DangerRule, DangerTable, When


def reading_hits(reading: Reading, context: Context, table: DangerTable, received_at: datetime) -> Iterator[Hit]:
    """Everything the rules say of one reading beside what is known."""
    if is_void(reading):
        return
    matched = matching(reading, context, table)
    at = when_taken(reading, received_at)
    unworn, weak = is_cuffless(reading), is_weak(reading, table)
    partly = reading.quarantined is Implausible.PARTLY_READ
    for rule in table.of(When.READING):
        if rule.rule in matched:
            yield Hit(rule, (reading.reading_id,), at, single=True, cuffless=unworn, weak=weak, partly=partly)
    for symptom in context.symptoms:
        yield from with_symptom(reading, symptom, context, table, received_at, matched=matched)
    yield from _repeats(reading, matched, context, table, received_at)
    yield from orthostatic(reading, context, table, received_at)


def matching(reading: Reading, context: Context, table: DangerTable) -> frozenset[str]:
    """The one-reading rules that a reading meets, by row."""
    values = values_of(reading, table)
    return frozenset(r.rule for r in table.of(When.READING) if applies(r, context) and _meets(r, reading, values))


def pulse_beyond(value: Decimal, table: DangerTable) -> bool:
    """Whether any rule of one reading would speak of this heart rate for anybody: what is not need not be asked."""
    tests = [rule.boundary for rule in table.of(When.READING)]
    tests += [rule.test for rule in table.of(When.READING_WITH_SYMPTOM) if rule.test is not None]
    return any(test.component is Component.PULSE and test.holds(value) for test in tests)


def with_symptom(
    reading: Reading,
    symptom: SymptomReport,
    context: Context,
    table: DangerTable,
    received_at: datetime,
    *,
    matched: frozenset[str] | None = None,
) -> Iterator[Hit]:
    """What the rules say of a reading and a symptom near each other, whichever came first (C2, C8, C12)."""
    taken, told = when_taken(reading, received_at), when_taken(symptom, received_at)
    if is_void(reading) or abs(taken - told) > timedelta(hours=float(table.windows.symptom_hours)):
        return
    rows = matching(reading, context, table) if matched is None else matched
    values = values_of(reading, table)
    for rule in table.of(When.READING_WITH_SYMPTOM):
        if symptom.kind not in rule.symptoms or not applies(rule, context):
            continue
        if (rule.test is not None and _meets(rule, reading, values)) or rows & set(rule.of):
            yield Hit(
                rule,
                (reading.reading_id, symptom.symptom_id),
                max(taken, told),
                single=is_held_back(reading, table),  # what is felt makes it graver, and no truer
                cuffless=is_cuffless(reading),
                weak=is_weak(reading, table),
            )


def _meets(rule: DangerRule, reading: Reading, values: Mapping[Component, Decimal]) -> bool:
    if rule.at_rest and is_disturbed(reading):
        return False
    tests = [rule.boundary] if rule.guard is None else [rule.boundary, rule.guard]
    return all(t.holds(values.get(Component(str(t.component)))) for t in tests)


# Two readings


def _repeats(
    reading: Reading, matched: frozenset[str], context: Context, table: DangerTable, received_at: datetime
) -> Iterator[Hit]:
    """Two readings in a danger range (C3, C4, C7). What is cuffless or held back neither repeats nor is repeated."""
    rules = [r for r in table.of(When.READING_REPEATED) if matched & set(r.of) and applies(r, context)]
    if not rules or is_cuffless(reading) or is_held_back(reading, table):
        return
    others = _cuff_readings_apart(reading, context.readings, table)
    neighbours = _neighbours(reading, others)
    for rule in rules:
        for other in neighbours if rule.consecutive else others:
            near = abs(other.taken_at - reading.taken_at) <= timedelta(days=rule.within_days)
            sound = not (is_weak(other, table) and is_weak(reading, table))
            if near and sound and matching(other, context, table) & set(rule.of):
                at = max(when_taken(reading, received_at), when_taken(other, received_at))
                yield Hit(rule, (other.reading_id, reading.reading_id), at)


def _cuff_readings_apart(reading: Reading, others: Sequence[Reading], table: DangerTable) -> list[Reading]:
    gap = timedelta(seconds=float(table.windows.repeat_gap_seconds))
    return [
        other
        for other in others
        if other.reading_id != reading.reading_id
        and not is_void(other)
        and not is_cuffless(other)
        and not is_held_back(other, table)
        and abs(other.taken_at - reading.taken_at) >= gap
    ]


def _neighbours(reading: Reading, others: Sequence[Reading]) -> list[Reading]:
    """The readings just before and just after in time; of several at one instant, all."""
    before = max((o.taken_at for o in others if o.taken_at < reading.taken_at), default=None)
    after = min((o.taken_at for o in others if o.taken_at > reading.taken_at), default=None)
    return [o for o in others if o.taken_at in (before, after)]


# Lying or seated, then standing


def orthostatic(reading: Reading, context: Context, table: DangerTable, received_at: datetime) -> Iterator[Hit]:
    """A fall on standing (C10, C11), and one that was felt, in the pairs of which `reading` is one."""
    for resting, standing in _postures(reading, context.readings, table):
        pair = (resting.reading_id, standing.reading_id)
        at = max(when_taken(resting, received_at), when_taken(standing, received_at))
        fallen = [r for r in table.of(When.ORTHOSTATIC) if applies(r, context) and _falls(r, resting, standing, table)]
        doubtful = is_weak(resting, table) or is_weak(standing, table)
        unworn = is_cuffless(resting) or is_cuffless(standing)
        for rule in fallen:
            yield Hit(rule, pair, at, cuffless=unworn, weak=doubtful)
        for rule in table.of(When.ORTHOSTATIC_WITH_SYMPTOM):
            if not {r.rule for r in fallen} & set(rule.of) or not applies(rule, context):
                continue
            for symptom in felt_near(at, rule, context, table, received_at):
                told = max(at, when_taken(symptom, received_at))
                yield Hit(rule, (*pair, symptom.symptom_id), told, cuffless=unworn, weak=doubtful)


def felt_near(
    at: datetime, rule: DangerRule, context: Context, table: DangerTable, received_at: datetime
) -> list[SymptomReport]:
    """Symptoms of the rule within the symptom window around `at`."""
    window = timedelta(hours=float(table.windows.symptom_hours))
    told = [s for s in context.symptoms if s.kind in rule.symptoms]
    return [s for s in told if abs(when_taken(s, received_at) - at) <= window]


def _falls(rule: DangerRule, resting: Reading, standing: Reading, table: DangerTable) -> bool:
    component = Component(str(rule.boundary.component))
    before, after = (values_of(one, table).get(component) for one in (resting, standing))
    return before is not None and after is not None and rule.boundary.holds(before - after)


def _postures(reading: Reading, others: Sequence[Reading], table: DangerTable) -> Iterator[tuple[Reading, Reading]]:
    """Neighbouring pairs of a resting and a standing reading of which `reading` is one."""
    shortest = timedelta(seconds=float(table.windows.standing_after_seconds))
    longest = timedelta(seconds=float(table.windows.standing_within_seconds))
    at_rest = (Position.SEATED, Position.LYING)
    if reading.position not in (*at_rest, Position.STANDING):
        return
    known = [o for o in others if o.reading_id != reading.reading_id and not is_void(o)]
    postured = [o for o in known if o.position in (*at_rest, Position.STANDING)]
    for one, other in _orders(reading, postured):
        stood_up = one.position in at_rest and other.position is Position.STANDING
        if stood_up and shortest <= other.taken_at - one.taken_at <= longest:
            yield one, other


def _orders(reading: Reading, others: Sequence[Reading]) -> Iterator[tuple[Reading, Reading]]:
    for other in others:
        yield (other, reading) if other.taken_at <= reading.taken_at else (reading, other)
