"""Who there is: staff and patients of the synthetic hospital, read from `data/hospital.json`.

A case is one situation of CLINICAL 1.3 to 1.9, named in its row. The first eight show most of it between them, so that
a small hospital shows it too; more patients than cases are the cases again under other names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from governance.domain import Role

DATA = Path(__file__).parents[1] / "data" / "hospital.json"


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of staff."""

    username: str
    given: str
    family: str
    role: Role


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happens on one day of the play (0 is the first), at a local time. `what` depends on `do`."""

    day: int
    at: time
    do: str
    what: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OrderedLimits:
    """A boundary to be signed: days are counted back from the first day of the play."""

    most_mg: str
    max_steps: int
    signed_days_ago: int
    lasts_days: int


@dataclass(frozen=True, slots=True)
class Case:
    """One patient: the record at the start, the course of pressure, what happens, and how people will act."""

    number: int
    key: str
    situation: str
    given: str
    family: str
    age: int
    sex: str
    zone: str
    target: tuple[int, int] | None
    systolic: int
    diastolic: int
    pulse: int
    drugs: tuple[tuple[str, str], ...]
    other_drugs: tuple[tuple[str, str, str, str], ...]
    unknown_drug: str
    conditions: tuple[str, ...]
    labs: Mapping[str, str]
    device: str
    flags: tuple[str, ...]
    readings_a_session: int
    adherence: float
    missed: float
    boundary: OrderedLimits | None
    human_only: bool
    recheck: bool
    clinician: str
    answer: str
    alert: str
    happenings: tuple[Happening, ...]

    @property
    def username(self) -> str:
        """How the patient signs in."""
        return f"patient{self.number + 1:02d}"


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The data file."""
    found: dict[str, Any] = json.loads(DATA.read_text("utf-8"))
    return found


def staff() -> tuple[Staff, ...]:
    """Everybody who works there."""
    return tuple(Staff(s["username"], s["given"], s["family"], Role(s["role"])) for s in document()["staff"])


def cases(count: int | None = None) -> tuple[Case, ...]:
    """The first `count` patients; all cases once by default."""
    rows = document()["cases"]
    return tuple(_numbered(rows, n) for n in range(len(rows) if count is None else count))


def _numbered(rows: list[dict[str, Any]], number: int) -> Case:
    again, index = divmod(number, len(rows))
    case = _case(rows[index], number)
    if not again:
        return case
    return replace(case, key=f"{case.key}_{again + 1}", family=f"{case.family} {_roman(again + 1)}")


def _roman(number: int) -> str:
    return {2: "II", 3: "III", 4: "IV", 5: "V"}.get(number, str(number))


def _case(row: Mapping[str, Any], number: int) -> Case:
    shape, site = document()["shape"], document()["site"]
    target = row.get("target", [135, 85])
    return Case(
        number=number,
        key=row["key"],
        situation=row["situation"],
        given=row["given"],
        family=row["family"],
        age=row["age"],
        sex=row["sex"],
        zone=row.get("zone", site["zone"]),
        target=(target[0], target[1]) if target else None,
        systolic=row["systolic"],
        diastolic=row["diastolic"],
        pulse=row.get("pulse", shape["pulse"]),
        drugs=tuple((drug, dose) for drug, dose in row["drugs"]),
        other_drugs=tuple((a, b, c, d) for a, b, c, d in row.get("other_drugs", [])),
        unknown_drug=row.get("unknown_drug", ""),
        conditions=tuple(row.get("conditions", [])),
        labs=document()["labs"] | row.get("labs", {}),
        device=row.get("device", "cuff"),
        flags=tuple(row.get("flags", [])),
        readings_a_session=row.get("readings_a_session", 2),
        adherence=row.get("adherence", shape["adherence"]),
        missed=row.get("missed", shape["missed"]),
        boundary=_limits(row.get("boundary")),
        human_only=row.get("human_only", False),
        recheck=row.get("recheck", True),
        clinician=row.get("clinician", "approve"),
        answer=row.get("answer", "accept"),
        alert=row.get("alert", "dispose"),
        happenings=tuple(_happenings(row.get("events", []))),
    )


def _limits(row: Mapping[str, Any] | None) -> OrderedLimits | None:
    if row is None:
        return None
    return OrderedLimits(
        row["most"], row.get("max_steps", 3), row.get("signed_days_ago", 20), row.get("lasts_days", 150)
    )


def _happenings(rows: list[dict[str, Any]]) -> Iterator[Happening]:
    for row in rows:
        what = {name: value for name, value in row.items() if name not in {"day", "at", "do"}}
        yield Happening(row["day"], time.fromisoformat(row["at"]), row["do"], what)
