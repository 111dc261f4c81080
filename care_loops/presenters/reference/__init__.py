"""The reference: pages generated from the code, where the code is the truth. `manage.py reference_docs` writes them.

Rules
 * A page holds nothing that stands only there: change the table it is made from, and generate again.
 * The same code gives the same bytes, on any machine: no clock, no database, no order of a set.
 * Each page says what it is made from. `make check` fails when a page in `docs/reference/` is not what the code says.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import house, rules
from .markdown import Page, table


def pages(commands: Mapping[str, str]) -> tuple[Page, ...]:
    """Every page, the index last. `commands`: name and help of each command of ours, which the door asks for."""
    made = (
        house.transitions(),
        rules.averaging(),
        rules.plausibility(),
        rules.danger(),
        rules.drug_steps(),
        rules.contraindications(),
        rules.lab_rules(),
        rules.guardrails(),
        rules.tiers(),
        rules.codes(),
        house.permissions(),
        house.audit_events(),
        house.addresses(),
        house.commands(commands),
    )
    return (*made, _index(made))


def _index(made: tuple[Page, ...]) -> Page:
    head = ("page", "what it holds", "rows with a source", "checked", "from memory", "proposal")
    rows = (
        (f"[{page.title}]({page.name}.md)", page.about, *(str(count) if count else "" for count in page.counts()))
        for page in made
    )
    body = (
        "Where a row has a clinical source, its mark says how far it was compared with that source: *checked* against "
        "the text, *from memory* of it, or a *proposal* of ours that waits for a clinician's signature.\n\n"
        + table((head, *rows))
    )
    return Page(
        name="README",
        title="Reference",
        about="Every table of rules in the house, as the code has it.",
        made_from="care_loops/presenters/reference/",
        body=body,
    )
