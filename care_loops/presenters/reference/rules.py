"""Pages of the clinical tables: each row with its source and how far it was checked."""

from __future__ import annotations

from governance import tier_policy
from governance import tiers as tiering

from ... import contraindications as against
from ... import guardrails as limiting
from ... import lab_rules as labs
from ...danger import reference_rows as danger_rows
from ...danger.reference import HEADINGS
from ...domain.provenance import Cited
from ...pathways.hypertension import tables_readings, tables_therapy
from ...pathways.hypertension.tables_danger import danger_table
from ...pathways.hypertension.tables_drugs import formulary
from ...pathways.hypertension.tables_interchange import codebook
from .markdown import Page, marks_of, table

DATA = "care_loops/pathways/hypertension/data"
_CITED = ("row", "value", "unit", "mark", "source")


def _cited(row: Cited) -> tuple[str, ...]:
    return (row.row, row.value, row.unit, row.source.mark.value, row.source.citation)


def _sets(kinds: tuple[str, ...]) -> dict[str, list[tuple[str, ...]]]:
    """Rows of averaging and plausibility by the set they belong to, in the order of the files."""
    sets: dict[str, list[tuple[str, ...]]] = {}
    for kind, name, row in tables_readings.reference_rows():
        if kind in kinds:
            sets.setdefault(f"{kind}: {name}" if len(kinds) > 1 else name, []).append(_cited(row))
    return sets


def _page_of_sets(sets: dict[str, list[tuple[str, ...]]], *, name: str, title: str, about: str, files: str) -> Page:
    body = "\n".join(f"## {heading}\n\n{table((_CITED, *rows))}" for heading, rows in sets.items())
    marks = tuple(mark for rows in sets.values() for mark in marks_of((_CITED, *rows)))
    return Page(name=name, title=title, about=about, made_from=files, body=body, marks=marks)


def averaging() -> Page:
    """Each rule of averaging, value by value."""
    return _page_of_sets(
        _sets(("averaging",)),
        name="averaging",
        title="Rules of averaging",
        about="Which readings make an average, over which days, and how many are enough.",
        files=f"{DATA}/averaging_rules.json",
    )


def plausibility() -> Page:
    """What is held back as impossible, and the values by which devices say that they have none."""
    return _page_of_sets(
        _sets(("plausibility", "sentinels")),
        name="plausibility",
        title="Plausibility and sentinels",
        about="Which readings are held back, by name. Danger rules look at a reading before these do.",
        files=f"{DATA}/plausibility.json, sentinels.json",
    )


def danger() -> Page:
    """The danger rules, their windows of time, and who is told when nobody acknowledges."""
    known = danger_table()
    rows = (HEADINGS, *danger_rows(known))
    steps = tuple(
        (severity.value, str(step.after_minutes), step.role)
        for severity, ladder in known.escalation.items()
        for step in ladder
    )
    windows = (_CITED, *(_cited(row) for row in known.windows.rows))
    body = (
        f"## Rules\n\n{table(rows)}\n## Windows of time\n\n{table(windows)}\n"
        f"## Escalation\n\n{table((('severity', 'after minutes', 'reaches'), *steps))}"
    )
    return Page(
        name="danger",
        title="Danger rules",
        about="What is said at once, in the transaction that stores the evidence, without any model.",
        made_from=f"{DATA}/danger.json, danger_windows.json, escalation.json",
        body=body,
        marks=marks_of(rows) + marks_of(windows),
    )


def drug_steps() -> Page:
    """The ladders of dose."""
    return _simple(
        formulary().reference_rows(),
        name="drug_steps",
        title="Drug steps",
        about="Which drugs may be titrated, and in which steps of total daily dose.",
        files=f"{DATA}/drugs.json, drug_steps.json",
    )


def contraindications() -> Page:
    """Contraindications and interactions."""
    return _simple(
        against.reference_rows(tables_therapy.contraindications()),
        name="contraindications",
        title="Contraindications and interactions",
        about="What speaks against a change. A reduction or a stop is never spoken against.",
        files=f"{DATA}/contraindications.json, interactions.json",
    )


def lab_rules() -> Page:
    """Laboratory values that block, warn or ask for a recheck."""
    return _simple(
        labs.reference_rows(tables_therapy.lab_rules()),
        name="lab_rules",
        title="Laboratory rules",
        about="Which results block an increase, advise less, or are due.",
        files=f"{DATA}/lab_rules.json",
    )


def guardrails() -> Page:
    """The limits on intensification."""
    return _simple(
        limiting.reference_rows(tables_therapy.limits()),
        name="guardrails",
        title="Guardrails",
        about=(
            "How far an increase may go. A guardrail only brings it closer to nothing, says when it did, and never "
            "touches a reduction or a stop. How to add one: `docs/how_to_add_a_guardrail.md`."
        ),
        files=f"{DATA}/guardrails.json",
    )


def tiers() -> Page:
    """Who may act on a proposed change."""
    return _simple(
        tiering.reference_rows(tier_policy.shipped()),
        name="tiers",
        title="Tiers",
        about="What must hold for a change to go straight to the patient, and who acts when a row does not hold.",
        files="governance/data/tier_table.json",
    )


def codes() -> Page:
    """The codes by which observations are recognised."""
    return _simple(
        codebook().reference_rows(),
        name="codes",
        title="Codes of observations",
        about="Which codes are read, and as what. A code that is not here is left alone.",
        files=f"{DATA}/loinc.json`, `{DATA}/other_codes.json",
    )


def _simple(rows: tuple[tuple[str, ...], ...], *, name: str, title: str, about: str, files: str) -> Page:
    return Page(name=name, title=title, about=about, made_from=files, body=table(rows), marks=marks_of(rows))
