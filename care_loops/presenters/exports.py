"""Exports as a person sees them: what was asked for, how far it is, what ended it, and how to check it elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from audit.bundles.selecting import Report
from audit.services.export_jobs import MAX_ATTEMPTS, ExportState
from audit.words import of, opened
from governance.presenters.record import ago, short, stamp
from governance.selectors import staff_names
from governance.services import Acting

STATES: Mapping[str, str] = {
    "asked": "Waiting for a worker",
    "running": "Being written",
    "done": "Ready",
    "failed": "Failed",
    "expired": "Expired: the file is gone",
}
ERRORS: Mapping[str, str] = {
    "gave_up": f"the worker was interrupted {MAX_ATTEMPTS} times; ask for it again, and tell the administrator",
    "nothing_signed": "no checkpoint was signed yet; ask for it again in a minute",
    "nothing_selected": "nothing in the record is what was asked for",
    "not_allowed": "whoever asked may not have it any more",
    "not_found": "what was asked for is not there, or is not open to who asked any more",
    "bad_input": "what was asked for cannot be read",
}
_BOUNDS = {"since": "from", "until": "to"}
_UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))


@dataclass(frozen=True, slots=True)
class ExportShown:
    """One export. `share` is how much of it is written, in percent, None while that cannot be told."""

    id: UUID
    report: str
    asked: str
    by: str
    when: str
    age: str
    purpose: str
    recipient: str
    state: str
    code: str
    error: str
    share: int | None
    progress: str
    size: str
    entries: int | None
    sha256: str
    expires: str
    mine: bool
    file: str
    unfinished: bool


def exports_shown(states: Iterable[ExportState], *, by: Acting, now: datetime) -> tuple[ExportShown, ...]:
    """Exports in words, as they were given."""
    found = list(states)
    names = staff_names({state.asked_by.partition(":")[2] for state in found})
    return tuple(_shown(state, names, by=by, now=now) for state in found)


def file_name(report: str, export_id: UUID, *, pdf: bool = False) -> str:
    """What the file is called when it is handed out."""
    return f"{report.replace('_', '-')}-{str(export_id)[:8]}.{'pdf' if pdf else 'zip'}"


def _shown(state: ExportState, names: Mapping[str, str], *, by: Acting, now: datetime) -> ExportShown:
    asker = state.asked_by.partition(":")[2]
    total, unfinished = state.total, state.state in ("asked", "running")
    return ExportShown(
        id=state.id,
        report=of("reports", state.report),
        asked=", ".join(
            f"{of('filters', _BOUNDS.get(name, name)).lower()} {value}" for name, value in state.asked.items()
        ),
        by=names.get(asker) or f"Account {short(asker)}",
        when=stamp(state.asked_at),
        age=ago(state.asked_at, now=now),
        purpose=of("purposes", state.purpose.value).capitalize(),
        recipient=state.recipient,
        state=STATES[state.state],
        code=state.state,
        error=ERRORS.get(state.error, opened(state.error)) if state.error else "",
        share=min(100, 100 * state.done // total) if total else None,
        progress=f"{state.done:,} of {total:,} entries" if total is not None else "not begun",
        size=_size(state.bytes),
        entries=state.entries,
        sha256=state.sha256,
        expires=stamp(state.expires_at) if state.expires_at and state.state == "done" else "",
        mine=by.user is not None and asker == str(by.user.pk),
        file=file_name(state.report, state.id),
        unfinished=unfinished,
    )


def _size(octets: int | None) -> str:
    if octets is None:
        return ""
    for unit, name in _UNITS:
        if octets >= unit:
            return f"{octets / unit:.1f} {name}"
    return f"{octets} bytes"


def report_choices(reports: Iterable[Report], *, chosen: Report | None) -> list[dict[str, object]]:
    """The reports that can be asked for, as a page offers them."""
    return [{"code": r.value, "words": of("reports", r.value), "here": r is chosen} for r in reports]
