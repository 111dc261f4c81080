"""The danger table in the words of a reference: one line a rule, for pages that are generated."""

from __future__ import annotations

from .table import DangerRule, DangerTable, Test

HEADINGS = ("rule", "kind", "for", "when", "severity", "pages", "locks", "bars", "asks", "source", "mark")


def reference_rows(table: DangerTable) -> tuple[tuple[str, ...], ...]:
    """One row a rule, under `HEADINGS`."""
    return tuple(_row(rule) for rule in table.rules)


def _row(rule: DangerRule) -> tuple[str, ...]:
    effects = rule.effects
    return (
        rule.rule,
        rule.kind.value,
        rule.population.value,
        _condition(rule),
        effects.severity.value,
        "yes" if effects.page else "no",
        "yes" if effects.lock else "no",
        ", ".join(sorted(effects.bars)),
        ", ".join(effects.asks),
        rule.source.citation,
        rule.source.mark.value,
    )


def _condition(rule: DangerRule) -> str:
    parts = [
        _words(rule.test),
        _words(rule.guard),
        f"any of {', '.join(rule.of)}" if rule.of else "",
        f"twice within {rule.within_days} days" if rule.within_days else "",
        "consecutive" if rule.consecutive else "",
        f"symptom: {', '.join(rule.symptoms)}" if rule.symptoms else "",
        f"drug: {', '.join(rule.drug_classes)}" if rule.drug_classes else "",
        "or regimen not fully known" if rule.unknown_drugs_count else "",
        "at rest" if rule.at_rest else "",
    ]
    return f"{rule.when.value}: " + "; ".join(part for part in parts if part)


def _words(test: Test | None) -> str:
    if test is None:
        return ""
    absent = " (or absent)" if test.when_absent else ""
    return f"{test.component} {test.compare} {test.value}{absent}"
