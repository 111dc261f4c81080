"""Fields that take one JSON type and no other, and say by name what is wrong (SECURITY 2.5 B1, B2, B3, B8).

Rules
 * Nothing is converted: `"120"` is not a number (`string_for_number`), `1` is not true, `120` is not text
   (`wrong_type`).
 * A name the serializer does not know is refused (`unknown_field`); a missing one is `missing`, a null `null`.
 * A time is RFC 3339 with its offset: without one `missing_time_zone`, later than the clock allows `in_future`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from rest_framework import serializers

CLOCK_MAY_RUN_AHEAD = timedelta(minutes=5)  # SECURITY 2.2 F15
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SOURCE_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_NOT_A_NUMBER = frozenset({"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u0085\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class StrictSerializer(serializers.Serializer[Any]):
    """An object whose names are all known."""

    def to_internal_value(self, data: Any) -> Any:
        """Refuse what is not an object and every name that is not a field."""
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({"": ["An object is needed here."]}, code="wrong_type")
        unknown = [str(name) for name in data if name not in self.fields or self.fields[name].read_only]
        if unknown:
            raise serializers.ValidationError({min(unknown)[:60]: ["There is no such field."]}, code="unknown_field")
        return super().to_internal_value(data)


class OneType:
    """The mark of a field that says, in `described`, which JSON Schema it takes: the API's description asks it."""


class StrictNumber(OneType, serializers.Field[Decimal, Any, Any, Any]):
    """A finite number within bounds, kept with all its digits."""

    default_error_messages = {
        "string_for_number": "A number is needed, not text.",
        "not_a_number": "This is not a number.",
        "wrong_type": "A number is needed.",
        "out_of_range": "The number must lie between {least} and {most}.",
        "too_precise": "At most {places} digits after the point.",
    }

    def __init__(self, *, least: str, most: str, places: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.least, self.most, self.places = Decimal(least), Decimal(most), places

    def described(self) -> dict[str, Any]:
        """As JSON Schema has it."""
        return {"type": "number", "minimum": float(self.least), "maximum": float(self.most)}

    def to_internal_value(self, data: Any) -> Decimal:
        """A JSON number as Decimal."""
        if isinstance(data, str):
            self.fail("not_a_number" if data.strip().lower() in _NOT_A_NUMBER else "string_for_number")
        if isinstance(data, bool) or not isinstance(data, int | Decimal):
            self.fail("wrong_type")
        number = Decimal(data)
        if not number.is_finite():
            self.fail("not_a_number")
        if not self.least <= number <= self.most:
            self.fail("out_of_range", least=self.least, most=self.most)
        if number != number.quantize(Decimal(1).scaleb(-self.places)):
            self.fail("too_precise", places=self.places)
        return number

    def to_representation(self, value: Decimal) -> str:
        """Decimals leave as text, so that no reader rounds them."""
        return str(value)


class StrictInteger(serializers.IntegerField):
    """A whole number; its bounds are those of the field."""

    default_error_messages = {
        "string_for_number": "A number is needed, not text.",
        "wrong_type": "A whole number is needed.",
    }

    def to_internal_value(self, data: Any) -> int:
        """A JSON integer."""
        if isinstance(data, str):
            self.fail("string_for_number")
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("wrong_type")
        return data


class StrictText(serializers.CharField):
    """Text, trimmed unless told not to, without control signs or signs that turn the direction of reading."""

    default_error_messages = {"wrong_type": "Text is needed.", "bad_text": "The text holds control signs."}

    def to_internal_value(self, data: Any) -> str:
        """A JSON string."""
        if not isinstance(data, str):
            self.fail("wrong_type")
        text = data.strip() if self.trim_whitespace else data
        if _CONTROL.search(text):
            self.fail("bad_text")
        return text


class StrictBoolean(OneType, serializers.Field[bool, Any, Any, Any]):
    """true or false, and no word or number for them."""

    default_error_messages = {"wrong_type": "true or false is needed."}

    def described(self) -> dict[str, Any]:
        """As JSON Schema has it."""
        return {"type": "boolean"}

    def to_internal_value(self, data: Any) -> bool:
        """A JSON boolean."""
        if not isinstance(data, bool):
            self.fail("wrong_type")
        return data

    def to_representation(self, value: bool) -> bool:
        """As it is."""
        return value


class StrictChoice(serializers.ChoiceField):
    """One word of a closed set. `unknown` is the code for a word outside it."""

    default_error_messages = {"wrong_type": "A word is needed."}

    def __init__(self, words: type[StrEnum] | tuple[str, ...], *, unknown: str = "unknown_word", **kwargs: Any) -> None:
        listed = words if isinstance(words, tuple) else tuple(word.value for word in words)
        super().__init__(choices=[(word, word) for word in listed], **kwargs)
        self.error_messages[unknown] = "Not a word of the set: {known}."
        self.unknown, self.listed = unknown, listed

    def to_internal_value(self, data: Any) -> str:
        """A word of the set."""
        if not isinstance(data, str):
            self.fail("wrong_type")
        if data not in self.listed:
            self.fail(self.unknown, known=", ".join(self.listed))
        return data


class StrictTime(OneType, serializers.Field[datetime, Any, Any, Any]):
    """An instant with its offset, not later than the clock of the door (`context["now"]`) allows."""

    default_error_messages = {
        "wrong_type": "A time is needed, as text.",
        "bad_time": "A time looks like 2026-03-29T07:05:00+02:00.",
        "missing_time_zone": "The time must say its offset from UTC, for example +01:00.",
        "in_future": "This time has not come yet.",
        "out_of_range": "This time is too long ago.",
    }

    def __init__(self, *, may_be_future: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.may_be_future = may_be_future

    def described(self) -> dict[str, Any]:
        """As JSON Schema has it."""
        return {"type": "string", "format": "date-time"}

    def to_internal_value(self, data: Any) -> datetime:
        """An RFC 3339 time."""
        if not isinstance(data, str):
            self.fail("wrong_type")
        if not _RFC_3339.fullmatch(data):
            self.fail("bad_time")
        try:
            time = datetime.fromisoformat(data)
            if time.tzinfo is None:
                self.fail("missing_time_zone")
            if time < EARLIEST:
                self.fail("out_of_range")
            time.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail("bad_time")
        if not self.may_be_future and time > self.context["now"] + CLOCK_MAY_RUN_AHEAD:
            self.fail("in_future")
        return time

    def to_representation(self, value: datetime) -> str:
        """RFC 3339."""
        return value.isoformat()


class StrictDate(OneType, serializers.Field[date, Any, Any, Any]):
    """A calendar day."""

    default_error_messages = {
        "wrong_type": "A day is needed, as text.",
        "bad_date": "A day looks like 2026-03-29.",
        "in_future": "This day has not come yet.",
        "out_of_range": "This day is too long ago.",
    }

    def described(self) -> dict[str, Any]:
        """As JSON Schema has it."""
        return {"type": "string", "format": "date"}

    def to_internal_value(self, data: Any) -> date:
        """An ISO day; tomorrow is allowed, because it has begun somewhere."""
        if not isinstance(data, str):
            self.fail("wrong_type")
        if not _DATE.fullmatch(data):
            self.fail("bad_date")
        try:
            day = date.fromisoformat(data)
        except ValueError:
            self.fail("bad_date")
        if day < EARLIEST.date():
            self.fail("out_of_range")
        if day > (self.context["now"] + timedelta(days=1)).date():
            self.fail("in_future")
        return day

    def to_representation(self, value: date) -> str:
        """ISO."""
        return value.isoformat()


class SourceId(StrictText):
    """The sender's own name for what it sends: the same name with the same content is stored once."""

    default_error_messages = {"bad_source_id": "1 to 100 letters, digits and any of - _ . : are needed."}

    def to_internal_value(self, data: Any) -> str:
        """A name for the thing sent."""
        text = super().to_internal_value(data)
        if not _SOURCE_ID.fullmatch(text):
            self.fail("bad_source_id")
        return text
