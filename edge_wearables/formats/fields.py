"""How one field of a document is read, for every format: number, unit, instant, zone, word (SECURITY B1 to B9).

Rules
 * A number is a JSON number: text, true and null are refused by name. Values keep four decimals, as they are stored.
 * mmHg is kept and kPa converts; any other unit of pressure is refused by name.
 * An instant has an offset. A zone is an IANA name; it is never guessed from an offset.
 * A local time that does not exist (clocks went forward) is refused; one that exists twice is the earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from care_loops.domain.units import Bpm, MmHg

from ..domain import Unreadable

TOO_LARGE = Decimal(100_000)  # what the tables can hold; sentinels are named further in, not here
YEARS = range(1900, 2300)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00)", re.ASCII)
_T = TypeVar("_T")
_Word = TypeVar("_Word", bound=StrEnum)


def attempt(read: Callable[[], _T]) -> _T | None:
    """What `read` gives, or `None` where it cannot be read: for the parts of a reading that is refused."""
    try:
        return read()
    except Unreadable:
        return None


def only(document: object, known: Collection[str], *, name: str = "the reading") -> dict[str, Any]:
    """The document as an object without unknown keys."""
    found = an_object(document, name=name)
    unknown = sorted(found.keys() - set(known))
    if unknown:
        raise Unreadable(
            "unknown_field", f"{name} has a field that is not known: {unknown[0][:60]!r}.", field=unknown[0][:60]
        )
    return found


def an_object(document: object, *, name: str = "the reading") -> dict[str, Any]:
    """The document as an object."""
    if not isinstance(document, dict):
        raise Unreadable("not_an_object", f"{name} is not an object.")
    return document


def a_list(value: object, *, name: str) -> list[Any]:
    """The value as a list."""
    if not isinstance(value, list):
        raise Unreadable("not_a_list", f"{name} is not a list.", field=name)
    return value


def needed(document: dict[str, Any], name: str) -> Any:
    """The value of a field that must be there and must not be null."""
    if document.get(name) is None:
        raise Unreadable("missing_field", f"{name} is missing.", field=name)
    return document[name]


def text(value: object, *, name: str, longest: int = 200) -> str:
    """Text of at most `longest` characters, not empty."""
    if not isinstance(value, str):
        raise Unreadable("wrong_type", f"{name} is not text.", field=name)
    if not value.strip() or len(value) > longest:
        raise Unreadable("bad_text", f"{name} is empty or longer than {longest} characters.", field=name)
    return value


def word(value: object, kind: type[_Word], *, name: str) -> _Word:
    """One of the words of a closed set."""
    if not isinstance(value, str) or value not in {member.value for member in kind}:
        raise Unreadable("unknown_value", f"{name} is not one of the known words.", field=name)
    return kind(value)


def words(values: Iterable[object], kind: type[_Word], *, name: str) -> tuple[_Word, ...]:
    """Words of a closed set, each once, in the order sent."""
    return tuple(dict.fromkeys(word(value, kind, name=name) for value in values))


def number(value: object, *, name: str) -> Decimal:
    """A finite number with four decimals. Text, true and false are refused by name."""
    if value is None:
        raise Unreadable("missing_field", f"{name} is missing.", field=name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Unreadable("not_a_number", f"{name} is not a number.", field=name)
    found = Decimal(value)
    if not found.is_finite():
        raise Unreadable("not_finite", f"{name} is not a finite number.", field=name)
    if abs(found) >= TOO_LARGE:
        raise Unreadable("number_too_large", f"{name} is larger than anything that is measured.", field=name)
    return found.quantize(Decimal("0.0001")) + 0  # the sum turns -0 into 0


def pressure(value: object, *, unit: object, name: str) -> MmHg:
    """A pressure in mmHg from mmHg or kPa."""
    found = number(value, name=name)
    if unit in ("mmHg", "mm[Hg]"):
        return MmHg(found)
    if unit == "kPa":
        converted = MmHg.from_kpa(Decimal(value)) if isinstance(value, int | Decimal) else MmHg(found)
        return MmHg(number(converted.value, name=name))
    raise Unreadable("unknown_unit", f"The unit of {name} is not mmHg or kPa.", field=name)


def pulse(value: object, *, unit: object, name: str) -> Bpm:
    """A heart rate in beats a minute."""
    if unit not in ("/min", "{beats}/min", "beats/min", "bpm"):
        raise Unreadable("unknown_unit", f"The unit of {name} is not beats a minute.", field=name)
    return Bpm(number(value, name=name))


def instant(value: object, *, name: str) -> datetime:
    """An RFC 3339 instant with an offset."""
    if not isinstance(value, str):
        raise Unreadable("wrong_type", f"{name} is not a time.", field=name)
    if _INSTANT.fullmatch(value) is None:
        bare = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?", value, re.ASCII)
        code = "time_without_offset" if bare else "bad_time"
        raise Unreadable(code, f"{name} is not an instant with its offset, as 2026-11-22T07:30:00+01:00.", field=name)
    try:
        found = datetime.fromisoformat(value)
        in_utc = found.astimezone(UTC)
    except (ValueError, OverflowError) as err:
        raise Unreadable("bad_time", f"{name} is not a time that exists.", field=name) from err
    if in_utc.year not in YEARS:
        raise Unreadable("bad_time", f"{name} lies in the year {in_utc.year}.", field=name)
    return found


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def zone(value: object, *, otherwise: str | None) -> str:
    """The IANA zone said, else `otherwise` (the device's or the command's), else refused: never guessed."""
    if value is None and otherwise is None:
        raise Unreadable("missing_zone", "No time zone is given, and none is known for this device.", field="zone")
    found = otherwise if value is None else value
    if not isinstance(found, str) or found not in _zones():
        raise Unreadable("unknown_zone", "The time zone is not an IANA name such as Europe/Berlin.", field="zone")
    return found


def local_time(naive: datetime, *, zone_name: str, name: str) -> datetime:
    """The instant at which the clock on the wall of that zone showed `naive`."""
    if naive.year not in YEARS:
        raise Unreadable("bad_time", f"{name} lies in the year {naive.year}.", field=name)
    there = naive.replace(tzinfo=ZoneInfo(zone_name))
    if there.astimezone(UTC).astimezone(there.tzinfo).replace(tzinfo=None) != naive:
        raise Unreadable("time_does_not_exist", f"{name} does not exist: the clocks went forward.", field=name)
    return there


def short_interval(starts_at: datetime, ends_at: datetime, *, name: str) -> datetime:
    """The start of an interval of at most ten minutes: longer is not one measurement."""
    if ends_at < starts_at:
        raise Unreadable("ends_before_start", f"{name} ends before it starts.", field=name)
    if ends_at - starts_at > timedelta(minutes=10):
        raise Unreadable("time_too_coarse", f"{name} is longer than one measurement.", field=name)
    return starts_at
