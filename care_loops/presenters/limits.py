"""A patient's alert limits in words: what is signed, and which of them an alert spoke by.

Rules
 * The site's own number stands beside each, so that nobody has to know it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..danger import LimitName, site_limit
from ..danger.personal import ROWS_OF
from ..models import Alert, AlertLimits
from ..pathways.hypertension.tables_danger import danger_table
from ..selectors.danger import limit_values, limits_at
from . import times, words


def site_words(name: LimitName) -> str:
    """Where the site alarms: `180 or more`."""
    site = site_limit(name, danger_table())
    return words.beyond(site.compare, _plain(site.value))


def limits_shown(history: Sequence[AlertLimits], *, zone: str, now: datetime) -> tuple[tuple[str, str], ...]:
    """The limits in force, a line each, and by whom they were signed; nothing where the site's own hold."""
    lines: list[tuple[str, str]] = []
    for row in limits_at(history, now):
        signed = limit_values(row)
        lines += [(words.limit(name)[0], _line(name, value)) for name, value in signed.items()]
        if signed:
            lines.append(("Signed", f"{row.signed_by.printed_name}, {times.clock(row.signed_at, zone)}"))
    return tuple(lines)


def spoke_by(alert: Alert, history: Iterable[AlertLimits]) -> tuple[str, ...]:
    """The limits signed for this patient by which an alert spoke last."""
    found = [event.at for event in alert.events.all() if event.kind in ("raised", "coalesced", "upgraded")]
    rows = limits_at(history, max(found, default=alert.raised_at))
    return tuple(
        f"{words.limit(name)[0]} {_line(name, value)}, signed by {row.signed_by.printed_name}"
        for row in rows
        for name, value in limit_values(row).items()
        if set(ROWS_OF[name]) & set(alert.rules)
    )


def signed(row: AlertLimits) -> dict[str, Any]:
    """A signed version, for tools."""
    return {
        "id": str(row.pk),
        "version": row.version,
        "limits": {name.value: _plain(value) for name, value in limit_values(row).items()},
        "signed_by": row.signed_by.printed_name,
        "signed_at": row.signed_at.isoformat(),
        "signature": str(row.signature_id),
    }


def _line(name: LimitName, value: Decimal) -> str:
    said = words.beyond(site_limit(name, danger_table()).compare, _plain(value))
    return f"{said} {words.limit(name)[1]} (site: {site_words(name)})"


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")
