"""What the play came to, as DESIGN 8 lays down its keys; every number is counted from the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from audit.services import publish, sequence_until_empty
from audit.services.verifying import verify_log
from care_loops.selectors.figures import loop_figures

from ...selectors import outcomes

DECISION_WORDS = {"approve": "approved", "modify": "modified", "reject": "rejected"}


def figures() -> dict[str, Any]:
    """Number what is pending and have it signed, verify the whole record, count."""
    sequence_until_empty()
    publish()
    report, pending = verify_log()
    loops = loop_figures()
    return {
        "patients": loops.patients,
        "readings": outcomes(),
        "windows": {"averaged": loops.windows_averaged, "insufficient": loops.windows_insufficient},
        "proposals": {"by_tier": loops.proposals_by_tier, "withheld": loops.withheld},
        "decisions": {DECISION_WORDS[kind]: count for kind, count in loops.decisions.items()},
        "alerts": {kind: asdict(found) for kind, found in loops.alerts.items()},
        "audit_entries": report.entries,
        "verified": report.verified and not pending and not report.unsigned,
    }


def in_words(found: Mapping[str, Any]) -> str:
    """The same for people."""
    readings, windows, proposals = found["readings"], found["windows"], found["proposals"]
    rows = [
        ("Patients", str(found["patients"])),
        ("Readings", _named(readings)),
        ("Windows", _named(windows)),
        ("Proposals", _named(proposals["by_tier"])),
        ("Withheld", _named(proposals["withheld"])),
        ("Decisions", _named(found["decisions"])),
        ("Alerts", _named({kind: said["n"] for kind, said in found["alerts"].items()})),
        ("Record", f"{found['audit_entries']} entries, {'verified' if found['verified'] else 'NOT VERIFIED'}"),
    ]
    return "\n".join(f"{name:10} {said}" for name, said in rows)


def _named(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()) or "none"
