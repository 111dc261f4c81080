"""What a phone may send: each thing with its fields, none of them guessed.

Rules
 * Every thing carries the sender's own `source_id`; sent twice it is stored once, with other content it is a conflict.
 * Pressure says its unit, how and where it was measured, and whether the device is a validated one (CLINICAL 0.2). The
   bounds here are what a number could physically be; plausibility is judged after the danger rules, in the service.
 * A dose taken says when; a dose not taken says no time.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from rest_framework import serializers

from ..domain.readings import Flag, Method, Position, Setting
from ..domain.record import SymptomKind
from ..models import Consent
from .strict import (
    SourceId,
    StrictBoolean,
    StrictChoice,
    StrictDate,
    StrictNumber,
    StrictSerializer,
    StrictText,
    StrictTime,
)

REASONS = (
    "feels_well",
    "worried_about_side_effects",
    "had_side_effects_before",
    "prefers_to_wait",
    "too_many_medicines",
    "cost_or_supply",
    "wants_to_talk",
    "other",
)
UNITS = ("mmHg", "kPa")
_ZONES = frozenset(available_timezones())
_FLAGS = tuple(flag.value for flag in (Flag.MOTION, Flag.POST_EXERCISE, Flag.IRREGULAR_PULSE))


class Zone(StrictText):
    """An IANA time zone."""

    default_error_messages = {"unknown_time_zone": "This is not an IANA time zone, such as Europe/Berlin."}

    def to_internal_value(self, data: Any) -> str:
        """A zone we know."""
        zone = super().to_internal_value(data)
        if zone not in _ZONES:
            self.fail("unknown_time_zone")
        return zone


class Ingredient(StrictText):
    """A drug by its RxNorm ingredient code."""

    default_error_messages = {"unknown_drug": "A drug is named by its RxNorm ingredient code, digits only."}

    def to_internal_value(self, data: Any) -> str:
        """Digits, at most twenty."""
        code = super().to_internal_value(data)
        if not (code.isascii() and code.isdigit() and len(code) <= 20):
            self.fail("unknown_drug")
        return code


class ReadingIn(StrictSerializer):
    """One measurement of blood pressure."""

    source_id = SourceId()
    taken_at = StrictTime()
    zone = Zone(required=False, help_text="where the person was; otherwise the zone on record")
    unit = StrictChoice(UNITS, unknown="unknown_unit", help_text="unit of both pressures")
    systolic = StrictNumber(least="-1", most="10000", places=4)
    diastolic = StrictNumber(least="-1", most="10000", places=4)
    pulse = StrictNumber(
        least="-1", most="10000", places=4, required=False, allow_null=True, help_text="beats per minute"
    )
    method = StrictChoice(Method)
    setting = StrictChoice(Setting)
    position = StrictChoice(Position)
    device_validated = StrictBoolean(help_text="whether the monitor is on the site's list of validated devices")
    device = StrictText(required=False, max_length=80, allow_blank=True)
    session = StrictText(required=False, max_length=80, allow_blank=True)
    flags = serializers.ListField(child=StrictChoice(_FLAGS), required=False, max_length=5)


class SymptomIn(StrictSerializer):
    """What somebody feels, and the drug they blame, if any."""

    source_id = SourceId()
    kind = StrictChoice(SymptomKind)
    felt_at = StrictTime()
    suspected_ingredient = Ingredient(required=False, allow_null=True)
    text = StrictText(required=False, allow_blank=True, max_length=2000)


class IntakeIn(StrictSerializer):
    """A dose taken, or one that was not."""

    source_id = SourceId()
    ingredient = Ingredient()
    due_on = StrictDate()
    taken = StrictBoolean()
    taken_at = StrictTime(required=False, allow_null=True)
    daily_dose_mg = StrictNumber(least="0.001", most="100000", places=3, required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A time goes with a dose taken, and with no other."""
        if attrs["taken"] != (attrs.get("taken_at") is not None):
            words = "Say when the dose was taken." if attrs["taken"] else "A dose not taken has no time."
            raise serializers.ValidationError({"taken_at": [serializers.ErrorDetail(words, code="taken_at_mismatch")]})
        return attrs


class ConsentIn(StrictSerializer):
    """Agreeing to one thing, or withdrawing."""

    scope = StrictChoice(Consent.SCOPES)
    given = StrictBoolean()
    text_version = StrictText(required=False, max_length=20, help_text="of the text that was shown")


class AnswerIn(StrictSerializer):
    """What goes with an answer to a proposal: why, as a code of the list, if the patient likes."""

    reason = StrictChoice(REASONS, required=False)


class QueryCount(StrictText):
    """A count in an address: 1 to `most`."""

    default_error_messages = {"wrong_type": "A whole number is needed.", "out_of_range": "1 to {most}."}

    def __init__(self, *, most: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.most = most

    def to_internal_value(self, data: Any) -> int:  # type: ignore[override]
        """Digits."""
        text = super().to_internal_value(data)
        if not (text.isascii() and text.isdigit()):
            self.fail("wrong_type")
        if len(text) > 4 or not 1 <= int(text) <= self.most:
            self.fail("out_of_range", most=self.most)
        return int(text)


class WhoseRecord(StrictSerializer):
    """`?patient=`: whose record a carer means; a patient has only one."""

    patient = serializers.UUIDField(required=False)


class DayQuery(WhoseRecord):
    """Which day; otherwise today where the patient is at home."""

    date = StrictDate(required=False)


class HistoryQuery(WhoseRecord):
    """Days before which day, and how many."""

    before = StrictDate(required=False)
    days = QueryCount(most=62, required=False)


class ReadingsQuery(WhoseRecord):
    """Readings before which time, and how many."""

    before = StrictTime(required=False)
    limit = QueryCount(most=200, required=False)


class IntakesQuery(WhoseRecord):
    """Doses for days before which day, and how many."""

    before = StrictDate(required=False)
    limit = QueryCount(most=200, required=False)
