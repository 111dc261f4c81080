"""What the decision table must say, and the check that an implementation of it says so: its code, and its reader."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

from governance import tier_policy, tiers
from tests.governance.test_tiers import FACTS, LINES, MODE, ORDER, POLICY, case

DATA = Path(tiers.__file__).parent / "data" / "tier_table.json"
# What may not stand in the file, and what it is put in place of.
WRONG = (
    ('"table": "tier_table"', '"table": "tables"'),
    ('"version": "2026-11-22"', '"version": ""'),
    ('"mark": "proposal"', '"mark": "maybe"'),
    ('"citation": "', '"citation": "", "was": "'),
    ('"id": "no_stop"', '"id": "no_start"'),
    ('"fact": "consents"', '"fact": "agrees"'),
    ('"fact": "consents"', '"fact": "can_decline"'),
    ('"test": "is_true", "limit": null', '"test": "at_least", "limit": null'),
    ('"test": "is_true", "limit": null', '"test": "is_true", "limit": "1"'),
    ('"else_tier": "withheld"', '"else_tier": "patient_may_act"'),
)
# A limit of the table with values that are stricter, as strict and laxer: a floor, a ceiling, and one above.
NARROWED = {"adherence": ("90", "80", "79"), "age_to_79": ("74", "79", "80"), "order_unexpired": ("1", "0", "-1")}


def made(module: ModuleType, usual: Any) -> Any:
    """The same value in the classes of another module."""
    if usual is None:
        return None
    kind = getattr(module, type(usual).__name__)
    if isinstance(usual, str):
        return kind(usual.value)
    if dataclasses.is_dataclass(usual):
        given = {one.name: getattr(usual, one.name) for one in dataclasses.fields(usual)}
        return kind(**{name: _inner(module, value) for name, value in given.items()})
    return usual


def _inner(module: ModuleType, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_inner(module, one) for one in value)
    ours = type(value).__module__ == tiers.__name__
    return made(module, value) if ours else value


def disagreements(module: ModuleType = tiers) -> list[str]:
    """Where an implementation of the rule says something else than the cases do."""
    return [*_cases(module), *_unknown(module), *_kept_out(module), *_in_words(module)]


def _assigned(module: ModuleType, facts: Any, order: Any, mode: Any) -> tuple[str, str]:
    answer = module.assign(made(module, facts), made(module, order), made(module, POLICY), made(module, mode))
    return answer.tier.value, " ".join(answer.reasons)


def _cases(module: ModuleType) -> Iterator[str]:
    for differences, tier, reasons in LINES:
        if (said := _assigned(module, *case(differences))) != (tier, reasons):
            yield f"{differences}: {said}"
    order = list(module.Tier)
    for one in order:
        for other in order:
            if one.at_least(other) is not order[max(order.index(one), order.index(other))]:
                yield f"{one} at least {other}"


def _unknown(module: ModuleType) -> Iterator[str]:
    """A fact that is not known holds no row that asks it; without an order every row about one fails."""
    for usual, name in ((FACTS, "facts"), (ORDER, "boundary")):
        for one in dataclasses.fields(usual):
            facts, order = FACTS, ORDER
            changed = dataclasses.replace(usual, **{one.name: None})
            facts, order = (changed, order) if usual is FACTS else (facts, changed)
            asked = (name, one.name)
            due = [r.row_id for r in POLICY.rows if asked in _names(r)]
            if _assigned(module, facts, order, MODE)[1] != " ".join(due):
                yield f"{name}.{one.name} not known"
    due = [row.row_id for row in POLICY.rows if any(subject == "boundary" for subject, _ in _names(row))]
    if _assigned(module, FACTS, None, MODE)[1] != " ".join(due):
        yield "no order"
    if module.PathwayMode(module.OperatingMode.LIVE).patient_directed:
        yield "on unless set"


def _names(row: tiers.TierRow) -> list[tuple[str, str]]:
    return [(fact.subject.value, fact.name) for fact in (row.fact, row.other) if fact is not None]


def _kept_out(module: ModuleType) -> Iterator[str]:
    """Facts that do not exist and rows that make no sense cannot be written."""
    row = {one.name: getattr(POLICY.rows[0], one.name) for one in dataclasses.fields(POLICY.rows[0])}
    fact = module.FactName(module.Subject.FACTS, "age_years")
    usual = row | {"fact": fact, "test": module.Question.AT_LEAST, "limit": Decimal(1), "other": None}
    usual |= {"else_tier": module.Tier.WITHHELD}
    yes = usual | {"test": module.Question.IS_TRUE, "limit": None}
    for good in (usual, usual | {"limit": None, "other": fact}, yes, usual | {"limit": Decimal(0)}):
        if _raises(lambda good=good: module.TierRow(**good)):
            yield f"refused: {good}"
    for bad in (
        usual | {"limit": None}, usual | {"other": fact}, yes | {"limit": Decimal(1)}, yes | {"other": fact},
        yes | {"limit": Decimal(1), "other": fact}, usual | {"else_tier": module.Tier.PATIENT_MAY_ACT},
        yes | {"limit": Decimal(0)},
    ):  # fmt: skip
        if not _raises(lambda bad=bad: module.TierRow(**bad)):
            yield f"taken: {bad}"
    for subject, name in ((module.Subject.BOUNDARY, "on"), (module.Subject.MODE, "age_years")):
        if not _raises(lambda of=subject, called=name: module.FactName(of, called)):
            yield f"named: {subject}.{name}"


def _in_words(module: ModuleType) -> Iterator[str]:
    if module.reference_rows(made(module, POLICY)) != WORDS:
        yield "the reference"


WORDS = tiers.reference_rows(POLICY)


def disagreements_of_reader(module: ModuleType = tier_policy) -> list[str]:
    """Where a reader of the file takes what it may not, or narrows what it may not."""
    data = DATA.read_bytes()
    found = [] if module.parse(data) == POLICY else ["the table as shipped"]
    for old, new in WRONG:
        assert old.encode() in data, old
        wrong = data.replace(old.encode(), new.encode(), 1)
        found += [] if _raises(lambda wrong=wrong: module.parse(wrong)) else [f"read: {new}"]
    shorter = data.replace(b'"fact": "consents"', b'"fact": "can_decline"', 1)
    found += [] if _raises(lambda: module.parse(shorter)) else ["a fact that no row asks"]
    for row_id, (stricter, same, laxer) in NARROWED.items():
        for value in (same, laxer):
            tried = {row_id: value}
            found += [] if _raises(lambda tried=tried: module.narrowed(POLICY, tried)) else [f"{row_id} {value}"]
        if _raises(lambda one=row_id, to=stricter: module.narrowed(POLICY, {one: to})):
            found.append(f"{row_id} {stricter} refused")
            continue
        after = module.narrowed(POLICY, {row_id: stricter})
        moved = {row.row_id: row.limit for row in after.rows if row not in POLICY.rows}
        found += [] if moved == {row_id: Decimal(stricter)} and len(after.rows) == len(POLICY.rows) else [row_id]
    for row_id in ("no_stop", "nothing"):  # one that has no number, and one that is not there
        tried = {row_id: "1"}
        found += [] if _raises(lambda tried=tried: module.narrowed(POLICY, tried)) else [f"{row_id} narrowed"]
    return found


def _raises(act: Callable[[], object]) -> bool:
    try:
        act()
    except ValueError:
        return True
    return False
