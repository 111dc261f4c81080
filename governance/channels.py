"""How people are reached: the channels, what may be said over them, and when a message is tried again. Pure rules.

Rules
 * A message names nobody and no value: it says that something waits, how grave it is, and where to look. What waits is
   read behind sign-in (SECURITY 4: external effects carry identifiers only).
 * A message is tried a number of times, later each time, always under the same key; after that it has failed, by name.
 * An address belongs to a person once a code that went there came back from them in time.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files

from .domain import BadInput

_MARKS = frozenset({"checked", "from memory", "proposal"})
_EMAIL = re.compile(r"[^@\s<>\"]{1,64}@[A-Za-z0-9.-]{1,190}\.[A-Za-z]{2,24}")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")  # ITU-T E.164
_HTTPS = re.compile(
    r"https://(?P<host>[A-Za-z0-9.-]{1,253})(:443)?/[!-~]{0,1500}"
)  # no name, password or port of another
_WORDS_AT_MOST = 160  # one SMS of GSM 03.38


class Channel(StrEnum):
    """A way to reach somebody outside the pages."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"


class NoticeState(StrEnum):
    """What became of a message."""

    PLANNED = "planned"
    ACCEPTED = "accepted"  # the provider took it
    DELIVERED = "delivered"  # the provider says it arrived
    FAILED = "failed"


class NoticeKind(StrEnum):
    """What a message is about."""

    ALERT = "alert"
    UNCOVERED = "uncovered"
    ALARM = "alarm"
    TEST = "test"
    CODE = "code"
    REMINDER = "reminder"


SAYS = {
    NoticeKind.ALERT: "An alert ({grave}) waits for you, step {level} of its ladder.",
    NoticeKind.UNCOVERED: "An alert ({grave}) found nobody on its step of the ladder. Please look.",
    NoticeKind.ALARM: "Something needs your eyes now: {grave}.",
    NoticeKind.TEST: "This is a test of how you are reached. Nothing waits.",
    NoticeKind.CODE: "Your code is {grave}. Nobody will ask you for it.",
    NoticeKind.REMINDER: "There is something for you in your app.",
}


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """The numbers of reaching people: counts, seconds and hours as durations."""

    attempts: int
    retry_after: timedelta
    timeout_s: int
    test_counts: timedelta
    cover_ahead: timedelta
    code_digits: int
    code_lives: timedelta
    code_attempts: int


@cache
def channel_rules() -> ChannelRules:
    """The numbers as shipped. Raises ValueError for a row without a source or a mark."""
    rows = json.loads((files(__package__) / "data" / "channels.json").read_bytes())["rows"]
    for row in rows:
        if not row["source"] or row["mark"] not in _MARKS:
            raise ValueError(f"{row}: a row needs a source and a mark")
    value = {str(row["name"]): int(row["value"]) for row in rows}
    return ChannelRules(
        attempts=value["attempts"],
        retry_after=timedelta(seconds=value["retry_after_seconds"]),
        timeout_s=value["timeout_seconds"],
        test_counts=timedelta(hours=value["test_counts_hours"]),
        cover_ahead=timedelta(hours=value["cover_ahead_hours"]),
        code_digits=value["code_digits"],
        code_lives=timedelta(seconds=value["code_lives_seconds"]),
        code_attempts=value["code_attempts"],
    )


def words(kind: NoticeKind, *, grave: str = "", level: int = 0, place: str = "") -> str:
    """What goes out, in at most 160 characters; `place` is the address of the site's own page."""
    said = "ClinAIOps: " + SAYS[kind].format(grave=grave, level=level + 1)
    whole = f"{said} {place}".rstrip()
    return whole if len(whole) <= _WORDS_AT_MOST else said[:_WORDS_AT_MOST]


def next_try(tried: int, *, now: datetime, rules: ChannelRules) -> datetime | None:
    """When a message that failed `tried` times is tried again; None: it has failed for good."""
    return now + rules.retry_after * 2 ** (tried - 1) if tried < rules.attempts else None


def checked_address(channel: Channel, address: str, *, push_hosts: frozenset[str]) -> str:
    """The address in its one form. Raises BadInput naming what is wrong.

    A push address goes only to a host that the site has named: nobody makes this server call where they like.
    """
    said = address.strip()
    if channel is Channel.EMAIL and _EMAIL.fullmatch(said):
        return said
    if channel is Channel.SMS and _PHONE.fullmatch(said := re.sub(r"[\s()/.-]", "", said)):
        return said
    if channel is Channel.PUSH:
        parts = _HTTPS.fullmatch(said)
        if parts and parts["host"].lower() in push_hosts:
            return said
        raise BadInput("This push service is not one that this site uses.", field="address", problem="host")
    wanted = "an e-mail address" if channel is Channel.EMAIL else "a number with its country, like +4930123456"
    raise BadInput(f"Give {wanted}.", field="address", problem="form")
