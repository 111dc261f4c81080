"""Whether every signed row still says what was signed: gone over one by one, each that does not named (11.70).

Rules (SECURITY 3.4; 21 CFR 11.70; DESIGN 8)
 * A change after signing voids the signature, whoever made it and by whatever way: the row is drawn again in the form
   in which it was signed and compared, field by field, with what its signer's evidence commits to.
 * A signature copied to another record is found thrice: its evidence names another act, object or person; it serves two
   rows; or the entry of the row in the log, which nobody rewrites unseen, carries another signature.
 * A signature taken off a row is found by the row's entry, which says that it was signed.
 * What was shredded under its legal basis cannot be compared any more, and is counted as that, not as good.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any
from uuid import UUID

from audit import canonical
from audit.entries import stamp
from audit.models import ObjectVersion
from audit.selectors import payload_of
from audit.services.searching import stored_entry
from audit.services.self_check import OBJECT

from ..models import Signature, SignatureEvidence
from .standing import Standing, standing_of

PAGE = 200
UNREADABLE = "unreadable"
SIGNATURES = "signatures"  # the object of the entries that say what came of going over them
ON_SIGNING = "on_signing"
TIMES = frozenset({"starts_at", "expires_at", "effective_from", "as_of", "began_at"})
NUMBERS = frozenset({"systolic_below", "diastolic_below", "max_daily_dose_mg"})  # written as their writer wrote them


Used = tuple[UUID, bool]


class Fault(StrEnum):
    """Why a signature does not stand for its row."""

    CONTENT = "content_changed"
    RECORD = "another_record"
    TWICE = "signed_twice"
    ENTRY = "another_entry"
    REMOVED = "signature_removed"
    BROKEN = "signature_broken"


@dataclass(frozen=True, slots=True)
class SignedRow:
    """A row that is signed, as it stands: which act its signature is of, by whom, and what it says in the form signed.

    `object_version` None is not compared. `elsewhere` are members of the content that stand in no row. `content` is
    drawn when it is compared: a row that cannot be read is named as such. `carried` is a
    row that came of what is signed (a policy of its motion) and has the same signature; its entry is that of the act.
    """

    kind: str
    row: str
    signature: Signature | None
    entry: UUID
    signer: UUID | None
    types: tuple[str, ...]
    object_type: str
    object_id: str
    object_version: int | None
    content: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    elsewhere: tuple[str, ...] = ()
    carried: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A row whose signature does not stand: which, why, and which fields differ."""

    kind: str
    row: str
    entry: UUID
    fault: Fault
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of going over the signed rows. `before` were signed by a session, when nothing else was asked for."""

    rows: int
    holds: int
    shredded: int
    before: int
    kinds: Mapping[str, int]
    found: tuple[Finding, ...]


def check_rows(rows: Iterable[SignedRow]) -> Checked:
    """Go over the rows, one after the other. Nothing is repaired."""
    found, counted, kinds, used = list[Finding](), dict.fromkeys(Standing, 0), dict[str, int](), dict[Used, SignedRow]()
    for row in rows:
        kinds[row.kind] = kinds.get(row.kind, 0) + 1
        standing, faults = _look(row, used)
        found += faults
        if not faults:
            counted[standing] += 1
    return Checked(
        rows=sum(kinds.values()),
        holds=counted[Standing.HOLDS],
        shredded=counted[Standing.SHREDDED],
        before=counted[Standing.SESSION],
        kinds=kinds,
        found=tuple(found),
    )


def _look(row: SignedRow, used: dict[Used, SignedRow]) -> tuple[Standing, list[Finding]]:
    """How the signature of one row stands, and what is wrong with it."""
    stored = stored_entry(row.entry)
    said = (stored.entry or {}) if stored is not None else None  # None: it was detached, with its period
    if row.signature is None:
        gone = said is not None and "esign" in said
        return Standing.SESSION, [_finding(row, Fault.REMOVED)] if gone else []
    faults: list[Finding] = []
    if (other := used.setdefault((row.signature.pk, row.carried), row)) is not row:
        faults.append(_finding(row, Fault.TWICE, f"{other.kind} {other.row}"))
    if said is not None and (wrong := _other_entry(row.signature, said)):
        faults.append(_finding(row, Fault.ENTRY, *wrong))
    standing = standing_of(row.signature, None)
    if standing is Standing.VOID:
        return standing, [*faults, _finding(row, Fault.BROKEN)]
    if standing is not Standing.SESSION and (wrong := _other_record(row)):
        faults.append(_finding(row, Fault.RECORD, *wrong))
    elif standing is Standing.HOLDS and (wrong := _changed(row)):
        faults.append(_finding(row, Fault.CONTENT, *wrong))
    return standing, faults


def _finding(row: SignedRow, fault: Fault, *fields: str) -> Finding:
    return Finding(row.kind, row.row, row.entry, fault, tuple(fields))


def _other_entry(signature: Signature, said: Mapping[str, Any]) -> list[str]:
    """What the entry of the row says differently from the signature on the row."""
    esign = said.get("esign", {})
    pairs = {
        "record": (esign.get("record"), signature.record_digest),
        "meaning": (esign.get("meaning"), signature.meaning),
        "name_shown": (esign.get("name_shown", signature.name_shown), signature.name_shown),
        "method": (esign.get("method"), signature.method),
        "signer": (said.get("actor", {}).get("id"), str(signature.signer_id)),
        "signed_at": (said.get("occurred_at"), stamp(signature.signed_at)),
    }
    return [name for name, (logged, kept) in pairs.items() if logged != kept]


def _other_record(row: SignedRow) -> list[str]:
    """In what the record that was signed names another act, object or person than the row."""
    evidence = SignatureEvidence.objects.get(signature=row.signature)
    said = json.loads(bytes(evidence.record))
    pairs = {
        "act": said["type"] in row.types,
        "object": (said["object"]["type"], said["object"]["id"]) == (row.object_type, row.object_id),
        "version": row.object_version in (None, said["object"]["version"]),
        "signer": said["account"] == str(row.signer),
    }
    return [name for name, same in pairs.items() if not same]


def _changed(row: SignedRow) -> list[str]:
    """The fields in which the row says something else than was signed, which its evidence commits to."""
    kept = payload_of(row.signature.entry) if row.signature is not None else None
    signed = plain(kept["content"]) if isinstance(kept, Mapping) else {}
    try:
        drawn = row.content() if callable(row.content) else row.content
        now = plain(json.loads(canonical.dumps(dict(drawn), profile=canonical.PAYLOAD)))
    except (ValueError, KeyError, TypeError, ArithmeticError):  # it cannot even be read any more
        return [UNREADABLE]
    names = (signed.keys() | now.keys()) - set(row.elsewhere)
    return sorted(name for name in names if signed.get(name, ...) != now.get(name, ...))


def plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """Content in one spelling: times in UTC, numbers without needless zeros, drugs in the order of their codes."""
    return {name: _plain(name, value) for name, value in content.items()}


def _plain(name: str, value: Any) -> Any:
    match value:
        case dict():
            inner = "max_daily_dose_mg" if name == "limits" else ""
            return {key: _plain(inner or key, each) for key, each in value.items()}
        case list():
            return sorted((_plain(name, each) for each in value), key=str) if name == "drugs" else value
        case str() if name in TIMES and value != ON_SIGNING:
            return _in_utc(value)
        case str() if name in NUMBERS:
            return _number(value)
        case _:
            return value


def _in_utc(text: str) -> str:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat()
    except ValueError:
        return text


def _number(text: str) -> str:
    try:
        return format(Decimal(text).normalize(), "f")
    except InvalidOperation:
        return text


def signature_of(signature_id: UUID | None) -> Signature | None:
    """The signature of a row, asked for by itself: a join would pass over a row from which it was taken."""
    return Signature.objects.filter(pk=signature_id).first() if signature_id is not None else None


def signed_row(
    row: Any,
    kind: str,
    *,
    types: tuple[str, ...],
    of: tuple[str, object],
    version: int | None,
    signer: UUID | None,
    content: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
    elsewhere: tuple[str, ...] = (),
) -> SignedRow:
    """A row of a table with columns `signature` and `entry`; `of` is the type and the number of the object signed."""
    return SignedRow(
        kind=kind,
        row=str(row.pk),
        signature=signature_of(row.signature_id),
        entry=row.entry,
        signer=signer,
        types=types,
        object_type=of[0],
        object_id=str(of[1]),
        object_version=version,
        content=content,
        elsewhere=elsewhere,
    )


@dataclass(frozen=True, slots=True)
class SignaturesChecked:
    """What the last check found, and when it was recorded."""

    entry_id: UUID
    at: datetime
    rows: int
    found: int


def last_signatures_checked() -> SignaturesChecked | None:
    """The newest result; None before the first."""
    named = ObjectVersion.objects.filter(object_type=OBJECT, object_id=SIGNATURES)
    newest = named.order_by("-version").values_list("entry_id", flat=True).first()
    said = payload_of(newest) if newest else None
    if newest is None or not isinstance(said, Mapping):
        return None
    at = datetime.fromtimestamp((newest.int >> 80) / 1000, tz=UTC)  # an entry's id begins with its milliseconds
    return SignaturesChecked(newest, at, int(said["rows"]), int(said["faults"]))
