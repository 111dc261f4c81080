"""An entry as it is hashed: the schema v1, the leaf bytes and the leaf hash (SECURITY 3.3).

The rules
 * leaf_data = "clinaiops/audit-entry/v1\\n" ‖ origin ‖ "\\n" ‖ canonical entry, at most 65,535 bytes. The origin keeps
   a leaf of one log from being spliced into another.
 * Unknown keys are refused, required keys may not be missing, an optional key that has nothing to say is absent.
 * Leaf bytes are final when the business transaction commits: no position inside, so that the hash can go into the
   receipt, the domain row and the next entry of the same object (`object.prev`).
 * The patient is HMAC-SHA256(tenant key, patient id); what was said or measured is a salted commitment:
   SHA-256("clinaiops/payload-commit/v1" ‖ 32 bytes of salt ‖ canonical payload). Where and how a payload is kept
   (`alg`, `dek_id`) may be said in the leaf by the schema, and is not: it may change while the leaf may not.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any
from uuid import UUID

from audit import canonical, merkle
from audit.domain import Actor, Device, Event, EventInvalid, Job, Limits, Model, Outcome, Person, Purpose
from audit.kinds import REGISTRY, UnknownKind, kind_named

CONTEXT = b"clinaiops/audit-entry/v1\n"
PAYLOAD_CONTEXT = b"clinaiops/payload-commit/v1"
SESSION_CONTEXT = b"clinaiops/session/v1"
MAX_LEAF = 65_535
SALT_SIZE = 32
_ORIGIN = re.compile(r"[!-*,-~]{1,200}")  # printable, no space, no "+": it is also a key name in signed notes


class EntryInvalid(ValueError):
    """Stored bytes are not an entry of the schema; `code` says which rule is broken."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Software:
    """What was running: the release and, in a container, the digest of its image."""

    release: str
    image_sha256: str | None = None


# --- from an event to an entry ----------------------------------------------------------------------------------------


def fresh_id(at: datetime) -> UUID:
    """A fresh UUID of version 7: the given time in milliseconds, then 74 random bits."""
    millis = int(at.timestamp() * 1000)
    value = millis << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return UUID(int=value)


def stamp(moment: datetime) -> str:
    """UTC to the microsecond at fixed width, `2026-11-22T06:42:00.123456Z`."""
    if moment.tzinfo is None:
        raise EventInvalid("time-without-zone")
    return f"{moment.astimezone(UTC).isoformat(timespec='microseconds')[:26]}Z"


@lru_cache(maxsize=4096)
def pseudonym(subject: str, *, tenant_key: bytes) -> str:
    """The patient as the log knows them: HMAC-SHA256 under the tenant's key, in hex."""
    return hmac.digest(tenant_key, subject.encode(), "sha256").hex()


def commitment(salt: bytes, plaintext: bytes) -> bytes:
    """The salted commitment to a payload's canonical bytes."""
    if len(salt) != SALT_SIZE:
        raise ValueError("a salt has 32 bytes")
    return sha256(PAYLOAD_CONTEXT + salt + plaintext).digest()


def build(
    event: Event,
    *,
    entry_id: UUID,
    at: datetime,
    prev: bytes | None,
    tenant_key: bytes,
    payload: tuple[UUID, bytes] | None,
    software: Software,
) -> dict[str, Any]:
    """The entry for `event`; `payload` is (reference, commitment). Raises EventInvalid or UnknownKind."""
    check_event(event)
    entry: dict[str, Any] = {
        "v": 1,
        "id": str(entry_id),
        "type": event.type,
        "occurred_at": stamp(event.occurred_at),
        "at": stamp(at),
        "actor": _actor(event.actor),
        "purpose": str(Purpose(event.purpose)),
        "object": {
            "type": event.object.type,
            "id": event.object.id,
            "version": event.object.version,
            "prev": prev.hex() if prev else None,
        },
        "outcome": str(Outcome(event.outcome)),
        "sw": _said({"release": software.release, "image_sha256": software.image_sha256}),
    }
    if event.subject is not None:
        entry["subject"] = pseudonym(event.subject, tenant_key=tenant_key)
    if payload is not None:
        entry["payload"] = {"commit": payload[1].hex(), "ref": str(payload[0])}
    entry.update(_optional(event))
    return entry


def check_event(event: Event) -> None:
    """Raise EventInvalid or UnknownKind when the event lacks what its type needs; an anonymous actor is no actor."""
    kind = kind_named(event.type)
    who = {Person: "id", Device: "id", Job: "name", Model: "id"}.get(type(event.actor))
    if who is None or not getattr(event.actor, who):
        raise EventInvalid("anonymous", event.type)
    missing = sorted(name for name in kind.needs if not getattr(event, name))
    missing += sorted(f"payload.{key}" for key in kind.payload_needs - set(event.payload or ()))
    if missing:
        raise EventInvalid("missing", f"{event.type} needs {', '.join(missing)}")
    version = event.object.version
    if version is not None and version < 1:
        raise EventInvalid("object-version", str(version))


def _actor(actor: Actor) -> dict[str, Any]:
    match actor:
        case Person():
            return _said(
                {
                    "kind": "user",
                    "id": actor.id,
                    "role": actor.role,
                    "org": actor.org,
                    "session": _hashed(actor.session) if actor.session else None,
                    "amr": list(actor.amr) or None,
                    "auth_time": stamp(actor.auth_time) if actor.auth_time else None,
                }
            )
        case Device():
            return _said({"kind": "device", "id": actor.id, "key_id": actor.key_id})
        case Job():
            return {"kind": "service", "id": actor.name, "session": _hashed(actor.run)}
        case Model():
            return {"kind": "model", "id": f"{actor.id}@{actor.version}"}


def _hashed(session: str) -> str:
    return sha256(SESSION_CONTEXT + session.encode()).hexdigest()


def _optional(event: Event) -> dict[str, Any]:
    change, model, esign, req = event.change, event.model, event.esign, event.req
    return _said(
        {
            "on_behalf_of": {"kind": "client", "id": event.on_behalf_of.client_id} if event.on_behalf_of else None,
            "break_glass_id": event.break_glass_id,
            "reason_code": event.reason_code,
            "change": _fields(change) if change else None,
            "model": _fields(model) if model else None,
            "limits": _limits(event.limits) if event.limits else None,
            "esign": _fields(esign) if esign else None,
            "req": (_fields(req) or None) if req else None,
            "cause": {"id": str(event.cause)} if event.cause else None,
        }
    )


def _limits(limits: Limits) -> dict[str, Any]:
    return {"caps": [_fields(cap) for cap in limits.caps], "reasons": list(limits.reasons)}


def _fields(value: Any) -> dict[str, Any]:
    said = _said({name: getattr(value, name) for name in value.__slots__})
    return {name: list(item) if isinstance(item, tuple) else item for name, item in said.items()}


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


# --- bytes and hash ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def check_origin(origin: str) -> str:
    """The origin, or EntryInvalid when it could not stand in a leaf and a signed note."""
    if _ORIGIN.fullmatch(origin) is None:
        raise EntryInvalid("origin", origin[:80])
    return origin


def leaf_data(entry: Mapping[str, Any], *, origin: str) -> bytes:
    """The exact bytes that are hashed and stored. Raises EntryInvalid or NotCanonical for what could not verify."""
    check_entry(entry)
    return leaf_of(canonical.spell(entry), origin=origin)


def frame(origin: str) -> bytes:
    """What stands before the entry in every leaf of this log."""
    return CONTEXT + origin.encode() + b"\n"


def leaf_of(encoded: bytes, *, origin: str) -> bytes:
    """Canonical entry bytes in the frame of this log."""
    data = frame(origin) + encoded
    if len(data) > MAX_LEAF:
        raise EntryInvalid("leaf-too-long", f"{len(data)} bytes")
    return data


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ leaf_data)."""
    return merkle.leaf_hash(data)


def read_leaf(data: bytes, *, origin: str) -> dict[str, Any]:
    """The entry in stored leaf bytes: frame, schema, one spelling. Raises EntryInvalid, UnknownKind or NotCanonical."""
    before = frame(origin)
    if len(data) > MAX_LEAF:
        raise EntryInvalid("leaf-too-long")
    if not data.startswith(before):
        raise EntryInvalid("foreign-leaf", "not of this log")
    encoded = data[len(before) :]
    entry = canonical.parse_fast(encoded)
    check_entry(entry)
    canonical.check_spelling(entry, encoded)
    return entry  # type: ignore[no-any-return]  # check_entry has just refused everything but a dict


def columns(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """What an entry says in the columns that are searched, in their order, times as written."""
    actor, place = entry["actor"], entry["object"]
    return (
        entry["type"],
        entry["at"],
        entry["occurred_at"],
        actor["kind"],
        actor["id"],
        place["type"],
        place["id"],
        place["version"],
        entry.get("subject"),
        entry["outcome"],
    )


def shred_in(entry: Mapping[str, Any]) -> tuple[str, str] | None:
    """What an entry says is shredded, as (object type, id): a payload, or a data key with all that it sealed."""
    kinds = {"payload.shredded": "payload", "key.destroyed": "data_key"}
    place = entry["object"]
    if entry["outcome"] == "ok" and kinds.get(entry["type"]) == place["type"]:
        return place["type"], place["id"]
    return None


# --- the schema -------------------------------------------------------------------------------------------------------

Check = Callable[[Any], bool]
_TIME = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX64 = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[a-z0-9_]{1,64}")
CODE = re.compile(r"[A-Za-z0-9_.:@/-]{1,128}")


def _pattern(pattern: re.Pattern[str]) -> Check:
    match = pattern.fullmatch
    return lambda value: type(value) is str and match(value) is not None


def _text(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= 1024


def _one_of(*words: str) -> Check:
    return lambda value: type(value) is str and value in words


def _list_of(item: Check) -> Check:
    return lambda value: type(value) is list and all(item(each) for each in value)


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _shape(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    every, must = {**required, **optional}, frozenset(required)
    get = every.get

    def fits(value: Any) -> bool:
        if type(value) is not dict or not must <= value.keys():
            return False
        return all((check := get(name)) is not None and check(item) for name, item in value.items())

    return fits


def _moment(value: Any) -> bool:
    if type(value) is not str or _TIME.fullmatch(value) is None:
        return False
    if value[8:10] < "29":
        return True
    try:
        datetime.fromisoformat(value[:10])
    except ValueError:
        return False
    return True


def _version(value: Any) -> bool:
    return value is None or (type(value) is int and 1 <= value < canonical.MAX_INT)


_hex, _uuid, _word, _code = _pattern(_HEX64), _pattern(_UUID), _pattern(_WORD), _pattern(CODE)
_CAP = _shape({"name": _code, "asked": _text, "given": _text, "unit": _text}, {})

REQUIRED: dict[str, Check] = {
    "v": lambda value: type(value) is int and value == 1,
    "id": _uuid,
    "type": lambda value: type(value) is str and value in REGISTRY,
    "occurred_at": _moment,
    "at": _moment,
    "actor": _shape(
        {"kind": _one_of("user", "device", "service", "model"), "id": _text},
        {"role": _code, "org": _text, "session": _hex, "amr": _list_of(_code), "auth_time": _moment, "key_id": _text},
    ),
    "purpose": _one_of(*Purpose),
    "object": _shape({"type": _word, "id": _text, "version": _version, "prev": _or_none(_hex)}, {}),
    "outcome": _one_of(*Outcome),
    "sw": _shape({"release": _text}, {"image_sha256": _hex}),
}
OPTIONAL: dict[str, Check] = {
    "on_behalf_of": _shape({"kind": _one_of("client"), "id": _text}, {}),
    "break_glass_id": _text,
    "subject": _hex,
    "reason_code": _code,
    "change": _shape({"fields": _list_of(_code)}, {"before": _hex, "after": _hex}),
    "payload": _shape({"commit": _hex, "ref": _uuid}, {"alg": _code, "dek_id": _text}),
    "model": _shape(
        {"id": _text, "version": _text},
        {"artifact_sha256": _hex, "config_sha256": _hex, "data_snapshot": _text, "policy_version": _text},
    ),
    "limits": _shape({"caps": _list_of(_CAP), "reasons": _list_of(_code)}, {}),
    "esign": _shape(
        {"meaning": _text, "record": _hex, "method": _code},
        {"assertion_sha256": _hex, "key_id": _text, "name_shown": _text},
    ),
    "req": _shape({}, {"id": _text, "idem": _text, "route": _text, "ip_prefix": _text, "trace": _text}),
    "cause": _shape({"id": _uuid}, {}),
}
_EVERY = {**REQUIRED, **OPTIONAL}
_MUST = frozenset(REQUIRED)


def check_entry(entry: Any) -> None:
    """Raise EntryInvalid, naming the key, when the entry is outside the schema."""
    if type(entry) is not dict:
        raise EntryInvalid("not-an-entry")
    for name, value in entry.items():
        check = _EVERY.get(name)
        if check is None:
            raise EntryInvalid("unknown-key", str(name)[:80])
        if not check(value):
            raise EntryInvalid("schema", f"{name} = {str(value)[:120]!r}")
    if not entry.keys() >= _MUST:
        raise EntryInvalid("missing-key", ", ".join(sorted(_MUST - entry.keys())))
    place = entry["object"]
    version, prev = place["version"], place["prev"]
    if (prev is None) != (version is None or version == 1):
        raise EntryInvalid("prev-and-version", f"version {version}, prev {prev}")
    missing = [need for need in kind_named(entry["type"]).needs if need not in entry]
    if missing:
        raise EntryInvalid("missing-key", f"{entry['type']} needs {', '.join(sorted(missing))}")


__all__ = ["EntryInvalid", "Software", "UnknownKind", "build", "check_entry", "leaf_data", "leaf_hash", "read_leaf"]
