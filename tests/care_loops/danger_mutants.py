"""Every way in which one cell of the danger table could be wrong: the mutants that `test_danger_rules` must notice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from decimal import Decimal

from care_loops.danger import DangerRule, DangerTable, Test, When
from care_loops.domain.record import LabKind

_OTHER = {">=": ">", ">": ">=", "<": "<=", "<=": "<"}


def mutants(table: DangerTable) -> Iterator[tuple[str, str, DangerTable]]:
    """Each with a name and the kind of alert it is about.

    A row lost, a boundary moved or made strict, a condition lost or added, an effect flipped, a window moved.
    """
    for place, rule in enumerate(table.rules):
        yield f"{rule.rule} lost", rule.kind, _with(table, place, None)
        for what, changed in _of_rule(rule):
            yield f"{rule.rule} {what}", rule.kind, _with(table, place, changed)
    for field in fields(table.windows):
        if field.name != "rows":
            value: Decimal = getattr(table.windows, field.name)
            for name, moved in (("longer", value + 1), ("shorter", value - 1)):
                windows = replace(table.windows, **{field.name: moved})
                yield f"{field.name} {name}", "", replace(table, windows=windows)


def _with(table: DangerTable, place: int, rule: DangerRule | None) -> DangerTable:
    rules = [*table.rules[:place], *([] if rule is None else [rule]), *table.rules[place + 1 :]]
    return replace(table, rules=tuple(rules))


def _of_rule(rule: DangerRule) -> Iterator[tuple[str, DangerRule]]:
    for cell in ("test", "guard"):
        test: Test | None = getattr(rule, cell)
        if test is not None:
            for what, changed in _of_test(test):
                yield f"{cell} {what}", replace(rule, **{cell: changed})
            if rule.when is When.READING and (test.when_absent or rule.guard is None):
                # Of two conditions on one component that say no to its absence, either alone says it.
                other = replace(test, when_absent=not test.when_absent)
                yield f"{cell} other when absent", replace(rule, **{cell: other})
    for cell in ("of", "symptoms", "drug_classes"):
        words = getattr(rule, cell)
        for word in words if len(words) > 1 else ():
            yield f"{cell} without {word}", replace(rule, **{cell: tuple(w for w in words if w != word)})
    if rule.within_days:
        yield "more days", replace(rule, within_days=rule.within_days + 1)
    if rule.within_days > 1:
        yield "fewer days", replace(rule, within_days=rule.within_days - 1)
    if rule.guard is not None:
        yield "unguarded", replace(rule, guard=None)
    effects = rule.effects
    for scope in effects.bars:
        yield f"no bar on {scope}", replace(rule, effects=replace(effects, bars=effects.bars - {scope}))
    for flag in ("page", "lock", "same_day_item"):
        flipped = replace(effects, **{flag: not getattr(effects, flag)})
        yield f"{flag} flipped", replace(rule, effects=flipped)
    for flag in ("at_rest", "consecutive", "unknown_drugs_count"):
        if getattr(rule, flag):
            yield f"not {flag}", replace(rule, **{flag: False})


def _of_test(test: Test) -> Iterator[tuple[str, Test]]:
    step = Decimal("0.01") if test.component is LabKind.POTASSIUM else Decimal("0.5")
    yield "higher", replace(test, value=test.value + step)
    yield "lower", replace(test, value=test.value - step)
    yield "strict or not", replace(test, compare=_OTHER[test.compare])
