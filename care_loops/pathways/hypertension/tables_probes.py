"""The library of probes as shipped: each case with why it is wrong, the source of that, and its mark."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from ...domain.changes import Change, ChangeKind
from ...domain.readings import Average
from ...domain.record import DrugClass, Sex
from ...domain.units import Milligrams, MmHg
from ...oversight.probes import Case, Drug, Library
from .tables_oversight import MARKS


@cache
def probe_library() -> Library:
    """The library in force. Raises ValueError for a case without reason, source or mark, or a wrong share."""
    return parse((files(__package__) / "data" / "probes.json").read_bytes())


def parse(data: bytes) -> Library:
    """The library from the bytes of its file."""
    said = json.loads(data)
    for row in (said["gap"], *said["cases"]):
        if row["mark"] not in MARKS:
            raise ValueError(f"{row}: a row needs a mark")
    cases = tuple(_case(row) for row in said["cases"])
    return Library(said["version"], int(said["gap"]["least"]), int(said["gap"]["most"]), cases)


def _case(row: dict[str, Any]) -> Case:
    systolic, diastolic = row["average"]
    given, family = row["names"]
    return Case(
        name=row["name"],
        sex=Sex(row["sex"]),
        age=int(row["age"]),
        names=(given, family),
        drugs=tuple(Drug(name, dose) for name, dose in row["drugs"]),
        conditions=tuple(row["conditions"]),
        labs=tuple((name, value) for name, value in row["labs"]),
        notes=tuple(row["notes"]),
        average=Average(MmHg.of(systolic), MmHg.of(diastolic)),
        readings=int(row["readings"]),
        proposed=_change(row["proposed"]),
        others=tuple(_change(each) for each in row["others"]),
        wrong=row["wrong"],
        source=row["citation"],
        mark=row["mark"],
    )


def _change(said: Sequence[str | None]) -> Change:
    kind, ingredient, drug, of_class, old, new = said
    what = ChangeKind(str(kind))
    return Change(
        kind=what,
        ingredient=ingredient,
        drug=drug,
        drug_class=DrugClass(str(of_class)),
        old_daily_dose=Milligrams.of(old) if old else None,
        new_daily_dose=Milligrams.of(new) if new else None,
        steps=1 if what.intensifies else -1,
    )
