"""What an entry and the other objects must look like, as tables of predicates (audit/README.md sections 3, 7, 8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from .spelling import from_b64

Check = Callable[[Any], bool]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def matching(pattern: str) -> Check:
    """A string that matches as a whole, ASCII."""
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def among(*words: str) -> Check:
    """One of these strings."""
    return lambda value: isinstance(value, str) and value in words


def many(check: Check) -> Check:
    """A list of such."""
    return lambda value: isinstance(value, list) and all(check(one) for one in value)


def maybe(check: Check) -> Check:
    """Such, or null."""
    return lambda value: value is None or check(value)


def whole(least: int) -> Check:
    """An integer from `least`."""
    return lambda value: type(value) is int and value >= least


def made_of(must: dict[str, Check], may: dict[str, Check] | None = None) -> Check:
    """An object with exactly the members of `must`, and any of `may`."""
    known = must | (may or {})

    def check(value: Any) -> bool:
        return (
            isinstance(value, dict)
            and must.keys() <= value.keys() <= known.keys()
            and all(known[name](inner) for name, inner in value.items())
        )

    return check


def microseconds(text: str) -> int:
    """POSIX microseconds of a time in the format's one form.

    :raises ValueError: it is not in that form, or there is no such time
    """
    if not _TIME(text):
        raise ValueError("not a time")
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


_TIME = matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def is_time(value: Any) -> bool:
    """A time that the calendar has."""
    try:
        microseconds(value)
    except ValueError:
        return False
    return True


def b64_of(length: int | None = None) -> Check:
    """Standard base64 of so many bytes."""

    def check(value: Any) -> bool:
        try:
            from_b64(value, length)
        except ValueError:
            return False
        return True

    return check


def text(value: Any) -> bool:
    """1 to 1,024 characters."""
    return isinstance(value, str) and 1 <= len(value) <= 1024


def string(value: Any) -> bool:
    """Any string."""
    return isinstance(value, str)


CODE = matching(r"[A-Za-z0-9_.:@/-]{1,128}")
HASH = matching(r"[0-9a-f]{64}")
UUID = matching(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
KINDS = among("user", "device", "service", "model")

ENTRY = made_of(
    {
        "v": lambda value: type(value) is int and value == 1,
        "id": UUID,
        "type": matching(r"[a-z_]{1,64}\.[a-z_]{1,64}"),
        "occurred_at": is_time,
        "at": is_time,
        "actor": made_of(
            {"kind": KINDS, "id": text},
            {"role": CODE, "org": text, "session": HASH, "amr": many(CODE), "auth_time": is_time, "key_id": text},
        ),
        "purpose": among(
            *[
                "treatment",
                "safety",
                "patient_request",
                "operations",
                "quality",
                "research",
                "audit",
                "legal",
                "break_glass",
            ],
        ),
        "object": made_of(
            {"type": matching(r"[a-z0-9_]{1,64}"), "id": text, "version": maybe(whole(1)), "prev": maybe(HASH)},
        ),
        "outcome": among("ok", "denied", "error"),
        "sw": made_of({"release": text}, {"image_sha256": HASH}),
    },
    {
        "on_behalf_of": made_of({"kind": among("client"), "id": text}),
        "subject": HASH,
        "payload": made_of({"commit": HASH, "ref": UUID}, {"alg": CODE, "dek_id": text}),
        "esign": made_of(
            {"meaning": text, "record": HASH, "method": CODE},
            {"assertion_sha256": HASH, "key_id": text, "name_shown": text},
        ),
        "change": made_of({"fields": many(CODE)}, {"before": HASH, "after": HASH}),
        "model": made_of(
            {"id": text, "version": text},
            {"artifact_sha256": HASH, "config_sha256": HASH, "data_snapshot": text, "policy_version": text},
        ),
        "limits": made_of(
            {
                "caps": many(made_of({"name": CODE, "asked": text, "given": text, "unit": text})),
                "reasons": many(CODE),
            },
        ),
        "req": made_of({}, {"id": text, "idem": text, "route": text, "ip_prefix": text, "trace": text}),
        "cause": made_of({"id": UUID}),
        "reason_code": CODE,
        "break_glass_id": text,
    },
)


def is_entry(value: Any) -> bool:
    """An entry, whose `prev` is null exactly where its version is null or 1."""
    return ENTRY(value) and (value["object"]["prev"] is None) == (value["object"]["version"] in (None, 1))


MANIFEST = made_of(
    {
        "v": lambda value: type(value) is int and value == 1,
        "format": string,
        "origin": string,
        "kind": among("everything", "patient", "model", "person", "period", "decision"),
        "filter": lambda value: isinstance(value, dict) and all(isinstance(inner, str) for inner in value.values()),
        "made_at": is_time,
        "made_by": made_of({"kind": string, "id": string}, {"role": string}),
        "size": whole(0),
        "root": HASH,
        "entries": whole(0),
        "payloads": made_of({"included": whole(0), "withheld": whole(0), "shredded": whole(0)}),
        "batches": whole(0),
        "left_out": many(made_of({"what": string, "why": string, "n": whole(0)})),
        "complete_objects": lambda value: isinstance(value, bool),
        "files": many(made_of({"name": string, "bytes": whole(0), "sha256": HASH})),
    },
)

CHECKPOINT = made_of({"note": string, "size": whole(0)}, {"timestamp": b64_of()})
REST = made_of({"start": whole(0), "end": whole(0), "hash": HASH})
HEAD = made_of({"entry": UUID, "leaf": HASH, "version": whole(0)})
PAYLOAD = made_of({"body": string, "entry": UUID, "salt": HASH})
BATCH = made_of({"entry": UUID, "rows": many(b64_of())})
ASSERTION = made_of(
    {
        "entry": UUID,
        "record": string,
        "content": maybe(string),
        "content_salt": maybe(HASH),
        "nonce": b64_of(),
        "client_data": b64_of(),
        "authenticator_data": b64_of(),
        "signature": b64_of(),
        "public_key": b64_of(),
        "credential_id": b64_of(),
    },
)
RECORD = made_of(
    {
        "v": lambda value: type(value) is int and value == 1,
        "type": string,
        "object": made_of({"type": string, "id": text, "version": maybe(whole(1))}),
        "subject": maybe(HASH),
        "meaning": text,
        "name_shown": text,
        "account": text,
        "content": HASH,
    },
)
