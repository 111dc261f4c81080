"""The record in plain words: its state, one line of a search, one entry with all it says.

Rules
 * Members of staff are named; patients and carers are not: an account that never held a staff role is shown by the
   beginning of its identifier, a patient by their pseudonym (SECURITY 2.3 A21).
 * Words first, the code beside. Times are UTC and say so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.urls import NoReverseMatch, reverse

from audit.domain import Outcome
from audit.services.searching import Gone, Line
from audit.words import code, field, kind, of, opened

from ..domain import Permission, Role
from ..permissions import TABLE

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_FAR = timedelta(minutes=2)
_SHORT = 12
_TABS: tuple[tuple[str, str, tuple[Permission, ...]], ...] = (
    ("record", "State", (Permission.VERIFY_RECORD,)),
    ("record-search", "Search", (Permission.SEARCH_RECORD,)),
    ("record-exports", "Exports", (Permission.EXPORT_AUDIT, Permission.EXPORT_ACCESS_REPORT)),
    ("second-reviews", "Second reviews", (Permission.SECOND_REVIEW, Permission.VERIFY_RECORD)),
    ("record-verify", "How to verify", (Permission.VERIFY_RECORD, Permission.EXPORT_AUDIT)),
)
IN_ITS_ARCHIVE = "In its archive"
_THINGS = {"patient": "record", "list": "list", "route": "address", "log": "the record itself", "self_check": "check"}


def tabs(roles: Iterable[Role], *, here: str) -> list[dict[str, object]]:
    """The pages of the record that these roles open, `here` marked."""
    held = list(roles)
    found: list[dict[str, object]] = []
    for name, shown, permissions in _TABS:
        if any((permission, role) in TABLE for permission in permissions for role in held):
            try:
                found.append({"href": reverse(name), "words": shown, "here": name == here})
            except NoReverseMatch:
                continue
    return found


def stamp(at: datetime) -> str:
    """22 Nov 2026, 14:05:03 UTC."""
    moment = at.astimezone(UTC)
    return f"{moment.day} {moment:%b %Y, %H:%M:%S} UTC"


def ago(at: datetime, *, now: datetime) -> str:
    """How long ago: `12 minutes ago`, `just now`."""
    gap = now - at
    if gap < _MINUTE:
        return "just now" if gap > -_MINUTE else "ahead of our clock"
    for unit, name, most in ((_MINUTE, "minute", _HOUR * 2), (_HOUR, "hour", _DAY * 2)):
        if gap < most:
            return f"{gap // unit} {name}{'' if gap // unit == 1 else 's'} ago"
    return f"{gap.days} days ago"


def short(identifier: str) -> str:
    """An identifier as far as one reads it; whole ones stand on the entry's page."""
    return identifier if len(identifier) <= _SHORT + 4 else f"{identifier[:_SHORT]}…"


def who(actor_kind: str, actor_id: str, names: Mapping[str, str]) -> str:
    """Who acted."""
    match actor_kind:
        case "user":
            return names.get(actor_id) or f"A patient or carer (account {short(actor_id)})"
        case "device":
            return f"Device {short(actor_id)}"
        case "service":
            return f"Program “{opened(actor_id).replace('-', ' ')}”"
        case _:
            return f"Model {actor_id}"


def thing(object_type: str, object_id: str) -> str:
    """What was acted on."""
    words = _THINGS.get(object_type, opened(object_type))
    return words if object_type == "log" else f"{words} {short(object_id)}"


@dataclass(frozen=True, slots=True)
class LineShown:
    """One row of results."""

    entry_id: UUID
    position: int | None
    what: str
    code: str
    who: str
    thing: str
    about: str
    when: str
    recorded: str
    outcome: str
    ended_well: bool
    detached: bool


def line_shown(line: Line, names: Mapping[str, str]) -> LineShown:
    """A line of the record as a sentence in pieces; when it was recorded is said where that differs."""
    apart = abs(line.at - line.occurred_at) > _FAR
    return LineShown(
        entry_id=line.entry_id,
        position=line.position,
        what=kind(line.type),
        code=line.type,
        who=IN_ITS_ARCHIVE if line.detached else who(line.actor_kind, line.actor_id, names),
        thing=thing(line.object_type, line.object_id) if line.object_type else IN_ITS_ARCHIVE,
        about=line.subject[:_SHORT] if line.subject else "",
        when=stamp(line.occurred_at),
        recorded=stamp(line.at) if apart else "",
        outcome=of("outcomes", line.outcome),
        ended_well=line.outcome == Outcome.OK.value,
        detached=line.detached,
    )


@dataclass(frozen=True, slots=True)
class SegmentShown:
    """A part of the record that was moved into an archive."""

    number: int
    first: int
    last: int
    since: str
    until: str
    archive: str
    sha256: str
    sealed_by: UUID


def segment_shown(gone: Gone) -> SegmentShown:
    """A detached segment: which period, which positions, which archive."""
    return SegmentShown(
        number=gone.number,
        first=gone.start,
        last=gone.stop - 1,
        since=stamp(gone.since),
        until=stamp(gone.until),
        archive=gone.archive,
        sha256=gone.archive_sha256,
        sealed_by=gone.sealed_by,
    )


# --- one entry --------------------------------------------------------------------------------------------------------

Row = tuple[str, str, str]
"""A label, what it says in words, and the code or identifier beside it (empty when the words are it)."""


def entry_rows(entry: Mapping[str, Any], names: Mapping[str, str]) -> list[Row]:
    """Every field of an entry but its signature and its payload, in words."""
    actor, place = entry["actor"], entry["object"]
    rows: list[Row] = [
        ("What happened", kind(entry["type"]), entry["type"]),
        ("How it ended", of("outcomes", entry["outcome"]), entry["outcome"]),
        ("Who", who(actor["kind"], actor["id"], names), actor["id"]),
        *_actor_rows(actor),
        ("On what", thing(place["type"], place["id"]), f"{place['type']} {place['id']}"),
        ("Its version", str(place["version"] or "looked at, not changed"), ""),
        ("Happened", _moment(entry["occurred_at"]), entry["occurred_at"]),
        ("Recorded", _moment(entry["at"]), entry["at"]),
        ("Purpose", of("purposes", entry["purpose"]).capitalize(), entry["purpose"]),
    ]
    if "subject" in entry:
        rows.append(("About", "a patient, by pseudonym", entry["subject"]))
    if "reason_code" in entry:
        rows.append(("Why", code(entry["reason_code"]).capitalize(), entry["reason_code"]))
    rows += [(field(name).capitalize(), said, "") for name, said in _rest(entry)]
    rows.append(("Software", entry["sw"]["release"], entry["sw"].get("image_sha256", "")))
    rows.append(("Entry", "", entry["id"]))
    return rows


def _actor_rows(actor: Mapping[str, Any]) -> list[Row]:
    rows: list[Row] = []
    if "role" in actor:
        rows.append(("Under the role", opened(actor["role"]).capitalize(), ""))
    if "amr" in actor:
        rows.append(("Recognised by", ", ".join(_AMR.get(each, each) for each in actor["amr"]), ""))
    if "auth_time" in actor:
        rows.append(("Signed in", _moment(actor["auth_time"]), ""))
    if "session" in actor:
        rows.append(("Session", "", actor["session"]))
    if "key_id" in actor:
        rows.append(("Key of the device", "", actor["key_id"]))
    return rows


_AMR = {
    "pwd": "password",
    "webauthn": "passkey",
    "otp": "one-time code",
    "recovery_code": "recovery code",
    "invitation": "invitation link",
}
_ELSEWHERE = "v id type occurred_at at actor purpose object outcome sw subject reason_code payload esign"
_SAID_ELSEWHERE = frozenset(_ELSEWHERE.split())


def _rest(entry: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What only some entries say, member by member."""
    for name in sorted(entry.keys() - _SAID_ELSEWHERE):
        value = entry[name]
        if not isinstance(value, Mapping):
            yield name, str(value)
            continue
        for member, said in value.items():
            text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, sort_keys=True)
            yield f"{name}: {opened(member)}", text


def _moment(text: str) -> str:
    return stamp(datetime.fromisoformat(text))


def signature_rows(entry: Mapping[str, Any], names: Mapping[str, str]) -> list[Row]:
    """The signature as it must be shown (21 CFR 11.50): name, date and time, meaning; and how it was made."""
    esign = entry.get("esign")
    if esign is None:
        return []
    name = esign.get("name_shown") or who(entry["actor"]["kind"], entry["actor"]["id"], names)
    rows = [
        ("Signed by", name, ""),
        ("Date and time", _moment(entry["occurred_at"]), ""),
        ("Meaning", code(esign["meaning"]).capitalize(), esign["meaning"]),
        ("How", of("methods", esign["method"]).capitalize(), esign["method"]),
        ("Record signed", "", esign["record"]),
    ]
    if "assertion_sha256" in esign:
        rows.append(("Proof of the signature", "", esign["assertion_sha256"]))
    return rows


def attested_only(entry: Mapping[str, Any]) -> bool:
    """Whether the signature rests on the application's word, not on a key of the person's own."""
    return "esign" in entry and entry["esign"]["method"] != "webauthn"
