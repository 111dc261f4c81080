"""The data types of FHIR R4 that are read here, each checked as it is read.

The rules
 * What is absent is `None` or empty; what is there and wrong is `Refused` by name. Nothing is put in its place (N2).
 * A time needs its offset. A `dateTime` with a time and no offset is read in the zone handed in, or refused
   (`time_without_zone`). A date alone is a day whose hour nobody knows: its first instant, marked `day_only`. A month
   or a year alone is no time (`partial_date`).
 * A unit is read by its code, or without one by its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from ..terminology import UCUM, Codebook, code_system
from .documents import Json

TOO_LARGE = Decimal(100_000)  # the record keeps five digits before the point
PLACES = Decimal("0.0001")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_PARTIAL = re.compile(r"\d{4}(-\d{2})?")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?")


class Refused(Exception):
    """This resource cannot be taken in; `reason` is the name under which it is kept and counted."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True, order=True)
class When:
    """An instant, the zone in which it was written, and whether only its day is known."""

    at: datetime
    zone: str = "UTC"
    day_only: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """What reading needs besides the resource. `zone` is for times that do not say theirs."""

    book: Codebook
    zone: ZoneInfo | None = None


def child(node: object, key: str) -> Json:
    """The object under `key`, empty where there is none."""
    value = node.get(key) if isinstance(node, dict) else None
    return value if isinstance(value, dict) else {}


def children(node: object, key: str) -> Iterator[Json]:
    """The objects of the list under `key`."""
    value = node.get(key) if isinstance(node, dict) else None
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())


def text(node: object, key: str, *, limit: int = 300) -> str:
    """The text under `key`, empty where there is none; what a database cannot hold is left out of it."""
    value = node.get(key) if isinstance(node, dict) else None
    return clean(value, limit=limit) if isinstance(value, str) else ""


def clean(value: str, *, limit: int) -> str:
    """Text that can be stored: no NUL, no half of a surrogate pair, no more than `limit` characters."""
    return "".join(c for c in value if c != "\x00" and not "\ud800" <= c <= "\udfff").strip()[:limit]


def codings(concept: object) -> tuple[tuple[str, str], ...]:
    """(system, code) of a CodeableConcept, those that have a code. A system goes by its own name."""
    pairs = (
        (code_system(text(c, "system", limit=200)), text(c, "code", limit=60)) for c in children(concept, "coding")
    )
    return tuple((system, code) for system, code in pairs if code)


def first_code(concept: object) -> str:
    """The first code of any system, or empty."""
    return next((code for _, code in codings(concept)), "")


def display_of(concept: object) -> str:
    """What people call it: the text, or the first display."""
    return text(concept, "text") or next((d for c in children(concept, "coding") if (d := text(c, "display"))), "")


def when(value: object, context: Context) -> When:
    """A `dateTime` or `instant`. Raises `Refused` for what is no time."""
    if not isinstance(value, str):
        raise Refused("bad_time", repr(value)[:80])
    value = value.strip()
    if _PARTIAL.fullmatch(value):
        raise Refused("partial_date", value)
    try:
        if _DATE.fullmatch(value):
            zone = context.zone or ZoneInfo("UTC")
            return When(_sane(datetime.fromisoformat(value).replace(tzinfo=zone)), zone.key, day_only=True)
        if not _INSTANT.fullmatch(value):
            raise Refused("bad_time", value[:80])
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            if context.zone is None:
                raise Refused("time_without_zone", value)
            return When(_sane(moment.replace(tzinfo=context.zone)), context.zone.key)
        return When(_sane(moment), zone_of(moment.utcoffset() or timedelta()))
    except (ValueError, OverflowError) as err:
        raise Refused("bad_time", value[:80]) from err


def when_or_none(value: object, context: Context) -> When | None:
    """A time that may be missing or unreadable without harm: it only adds to what is said elsewhere."""
    try:
        return when(value, context)
    except Refused:
        return None


def _sane(moment: datetime) -> datetime:
    """The instant in UTC; years at the edge of the calendar overflow and are no time."""
    return moment.astimezone(UTC)


def zone_of(offset: timedelta) -> str:
    """The IANA zone of a fixed offset. IANA has whole hours only; a half hour goes to the hour nearer to Greenwich: the
    instant is exact, the local day may be off by that half hour."""
    hours = int(offset / timedelta(hours=1))
    if hours == 0 or not -12 <= hours <= 14:
        return "UTC"
    return f"Etc/GMT{-hours:+d}"  # IANA counts these westward


@dataclass(frozen=True, slots=True)
class Amount:
    """A number in our unit, or why there is none.

    `absent` names an absence the sender stated or left open; `unreadable` names something sent that is no number of a
    known unit. `exact` is false for "more than" and for a value sent together with a reason for its absence.
    """

    value: Decimal | None = None
    absent: str = ""
    unreadable: str = ""
    exact: bool = True
    sent_value: str = ""
    sent_unit: str = ""


def amount(holder: Json, *, of: str, context: Context, code: str = "") -> Amount:
    """`valueQuantity` or `dataAbsentReason` of an Observation or a component, in our unit for `of`."""
    reason = clean(first_code(child(holder, "dataAbsentReason")), limit=60)
    quantity = holder.get("valueQuantity")
    if quantity is None:
        if any(key.startswith("value") for key in holder):
            return Amount(unreadable="not_a_quantity")
        return Amount(absent=reason or "not_sent")
    if not isinstance(quantity, dict):
        return Amount(unreadable="not_a_quantity")
    read = quantity_of(quantity, of=of, context=context, code=code)
    if reason and read.value is not None:
        return Amount(value=read.value, exact=False, sent_value=read.sent_value, sent_unit=read.sent_unit)
    return Amount(absent=reason or "not_sent") if read.absent else read


def quantity_of(quantity: Json, *, of: str, context: Context, code: str = "") -> Amount:
    """A Quantity in our unit for `of`."""
    number: Any = quantity.get("value")
    if number is None:
        return Amount(absent="not_sent")
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        return Amount(unreadable="not_a_number")
    factor, written = factor_of(quantity, of=of, context=context, code=code)
    if factor is None:
        return Amount(unreadable="unknown_unit" if written else "no_unit")
    if not -TOO_LARGE < number < TOO_LARGE or abs(value := Decimal(number) * factor) >= TOO_LARGE:
        return Amount(unreadable="number_too_large")
    return Amount(
        value=value.quantize(PLACES, rounding=ROUND_HALF_UP),
        exact="comparator" not in quantity,
        sent_value=str(number)[:40],
        sent_unit=written[:40],
    )


def factor_of(quantity: Json, *, of: str, context: Context, code: str) -> tuple[Decimal | None, str]:
    """What the unit is worth, and how it was written. A UCUM code is the last word; else the text may serve."""
    unit_code, unit = text(quantity, "code"), text(quantity, "unit")
    if unit_code and (code_system(text(quantity, "system")) == UCUM or not unit):
        return context.book.factor(of, unit_code, code=code), unit_code
    factor = context.book.factor(of, unit_code, code=code) if unit_code else None
    return (factor, unit_code) if factor is not None else (context.book.factor(of, unit, code=code), unit)


def reference(node: object, key: str) -> str:
    """A reference as it is looked up: the URL or `Type/id` without version; a logical one as `Type?identifier=s|v`."""
    target = child(node, key)
    written = text(target, "reference", limit=2000)
    if written:
        return written.split("/_history/")[0]
    identifier = child(target, "identifier")
    if value := text(identifier, "value", limit=200):
        kind = text(target, "type") or "Patient"
        return f"{kind}?identifier={text(identifier, 'system', limit=200)}|{value}"
    return ""


def reference_keys(written: str) -> tuple[str, ...]:
    """The keys under which a reference may be known: as written, and its last two parts."""
    parts = written.rstrip("/").split("/")
    short = "/".join(parts[-2:]) if len(parts) >= 2 and "?" not in written else written
    return (written, short) if short != written else (written,)
