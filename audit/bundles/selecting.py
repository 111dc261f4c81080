"""Which entries a bundle is of: seven kinds of selection, each said in the columns by which entries are searched.

The rules
 * Only the searched columns decide; nobody's payload is opened to select. Patients are their pseudonyms.
 * An object comes whole: a selection by patient, model or decision has every version of the objects it names, so that
   the chain of each can be followed from its first entry (`complete_objects`).
 * With every kind come the entries of the log itself (its genesis and its keys), those of the passkeys that signed what
   was selected, and those that say that a payload of the selection, or the key it was sealed under, was destroyed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from audit.domain import Purpose


class Report(StrEnum):
    """What a reader asks for. The manifest's filter names it, and the PDF is drawn accordingly."""

    EVERYTHING = "everything"
    DECISION_HISTORY = "decision_history"
    MODEL = "model"
    ACCESS = "access"
    DISCLOSURES = "disclosures"
    PERSON = "person"
    PERIOD = "period"
    DECISION = "decision"


KIND_OF = {
    Report.EVERYTHING: "everything",
    Report.DECISION_HISTORY: "patient",
    Report.ACCESS: "patient",
    Report.DISCLOSURES: "patient",
    Report.MODEL: "model",
    Report.PERSON: "person",
    Report.PERIOD: "period",
    Report.DECISION: "decision",
}
# 45 CFR 164.528(a)(1): care, operations (with quality review) and what the person asked for need no accounting.
ACCOUNTED = frozenset(Purpose) - {Purpose.TREATMENT, Purpose.OPERATIONS, Purpose.QUALITY, Purpose.PATIENT_REQUEST}
ACCESS_TYPES = ("access.read", "access.denied", "access.break_glass")
DISCLOSURE_TYPES = ("export.made", "export.disclosed", "export.handed_out")


@dataclass(frozen=True, slots=True)
class Selection:
    """What is chosen. Fields that the report does not use stay empty.

    `subjects` are pseudonyms of one patient (several after a merge); `refused_at` are texts of which one stands in the
    address of a refused request; `objects` are (type, id); `since` and `until` are times of the database's clock;
    `within` are positions, from the first up to but without the second.
    """

    report: Report
    subjects: tuple[str, ...] = ()
    refused_at: tuple[str, ...] = ()
    objects: tuple[tuple[str, str], ...] = ()
    actor: str = ""
    since: datetime | None = None
    until: datetime | None = None
    within: tuple[int, int] | None = None
    said: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> str:
        """The kind that the manifest names."""
        return KIND_OF[self.report]

    @property
    def filter(self) -> tuple[tuple[str, str], ...]:
        """What the manifest says of the choice; `said` is what only the caller knows."""
        own = {"report": self.report.value, **dict(self.said)}
        if self.subjects:
            own["subject"] = ",".join(self.subjects)
        return tuple(sorted(own.items()))

    @property
    def complete_objects(self) -> bool:
        """Whether every object chosen is here with all its versions."""
        return self.report in (Report.EVERYTHING, Report.DECISION_HISTORY, Report.MODEL, Report.DECISION)

    @property
    def purposes(self) -> frozenset[Purpose]:
        """The purposes to which the choice is narrowed; empty for no narrowing."""
        return ACCOUNTED if self.report is Report.DISCLOSURES else frozenset()


Sql = tuple[str, list[Any]]


def branches(selection: Selection) -> Iterator[Sql]:
    """The parts of the choice, each `SELECT position, entry_id FROM audit_entry ...` with its parameters."""
    match selection.report:
        case Report.EVERYTHING:
            yield "SELECT position, entry_id FROM audit_entry", []
        case Report.DECISION_HISTORY:
            yield from _patient(selection)
        case Report.ACCESS:
            yield _typed(selection, ACCESS_TYPES)
            if selection.refused_at:
                yield _refused(selection)
        case Report.DISCLOSURES:
            yield _typed(selection, DISCLOSURE_TYPES)
        case Report.MODEL | Report.DECISION:
            yield _objects(selection)
        case Report.PERSON:
            yield _PERSON, [selection.actor, selection.actor]
        case Report.PERIOD:
            yield _period(selection)


_PERSON = """
SELECT position, entry_id FROM audit_entry
WHERE (actor_kind = 'user' AND actor_id = %s) OR (object_type = 'account' AND object_id = %s)
"""
_THEIR_OBJECTS = """
SELECT e.position, e.entry_id FROM audit_entry e
JOIN (SELECT DISTINCT object_type, object_id FROM audit_entry WHERE subject = ANY(%s) AND object_version IS NOT NULL) o
USING (object_type, object_id)
"""
_OBJECTS = """
SELECT e.position, e.entry_id FROM audit_entry e
JOIN unnest(%s::text[], %s::text[]) o (object_type, object_id) USING (object_type, object_id)
"""
LOG_ITSELF = "SELECT position FROM audit_entry WHERE object_type = 'log'"
# Over `chosen`: what says that a payload of the choice, or the key of everything about somebody in it, was destroyed.
DESTROYED = """
SELECT s.position FROM audit_entry s
WHERE s.type = 'payload.shredded' AND s.object_type = 'payload' AND s.object_id IN (
    SELECT p.id::text FROM audit_payload p JOIN chosen c ON c.entry_id = p.entry_id)
UNION
SELECT s.position FROM audit_entry s
WHERE s.type = 'key.destroyed' AND s.object_type = 'data_key' AND s.subject IN (
    SELECT e.subject FROM audit_entry e JOIN chosen c ON c.entry_id = e.entry_id)
"""
# Over `chosen`: the entries that a passkey signed, and from their signers' ids the entries of those passkeys.
SIGNED = """
SELECT e.actor_id FROM audit_entry e JOIN chosen c ON c.entry_id = e.entry_id
WHERE position('"method":"webauthn"'::bytea IN e.leaf) > 0
"""
PASSKEYS = "SELECT position FROM audit_entry WHERE type = 'credential.enrolled' AND actor_id = ANY(%s)"
# Over the ids of signers and `chosen`: where the evidence of the acts of the choice stands, when it is not at the act.
MADE = """
SELECT s.position FROM audit_entry s
WHERE s.type = 'signature.made' AND s.actor_id = ANY(%s)
AND substring(convert_from(s.leaf, 'UTF8') FROM '"assertion_sha256":"([0-9a-f]{64})"') IN (
    SELECT substring(convert_from(e.leaf, 'UTF8') FROM '"assertion_sha256":"([0-9a-f]{64})"')
    FROM audit_entry e JOIN chosen c ON c.entry_id = e.entry_id)
"""
WHOLE = """
SELECT e.position FROM audit_entry e
JOIN (SELECT DISTINCT object_type, object_id FROM audit_entry WHERE position = ANY(%s) AND object_version IS NOT NULL) o
USING (object_type, object_id)
"""
# Over objects (type, id) and a size: how far each goes in the log of that size.
HEADS = """
SELECT o.object_type, o.object_id, n.object_version, n.leaf_hash
FROM unnest(%s::text[], %s::text[]) o (object_type, object_id)
CROSS JOIN LATERAL (
    SELECT e.object_version, e.leaf_hash FROM audit_entry e
    WHERE e.object_type = o.object_type AND e.object_id = o.object_id AND e.object_version IS NOT NULL
    AND e.position < %s ORDER BY e.position DESC LIMIT 1) n
"""
GONE = """
SELECT position, type, object_id, subject FROM audit_entry
WHERE type IN ('payload.shredded', 'key.destroyed') AND object_type IN ('payload', 'data_key') AND outcome = 'ok'
ORDER BY position
"""


def chosen(selection: Selection) -> Sql:
    """A query for the positions and ids of what was chosen, without what comes with every kind.

    Its text holds no data: everything is a parameter.
    """
    parts = list(branches(selection))
    return " UNION ".join(f"({sql})" for sql, _ in parts), [each for _, params in parts for each in params]


def _patient(selection: Selection) -> Iterator[Sql]:
    about = [list(selection.subjects)]
    yield "SELECT position, entry_id FROM audit_entry WHERE subject = ANY(%s)", about
    yield _THEIR_OBJECTS, about


def _typed(selection: Selection, types: tuple[str, ...]) -> Sql:
    return (
        "SELECT position, entry_id FROM audit_entry WHERE subject = ANY(%s) AND type = ANY(%s)",
        [list(selection.subjects), list(types)],
    )


def _refused(selection: Selection) -> Sql:
    return (
        "SELECT position, entry_id FROM audit_entry WHERE type = 'access.denied' AND object_id LIKE ANY(%s)",
        [[f"%{text}%" for text in selection.refused_at]],
    )


def _objects(selection: Selection) -> Sql:
    types, ids = zip(*selection.objects, strict=True) if selection.objects else ((), ())
    return _OBJECTS, [list(types), list(ids)]


def _period(selection: Selection) -> Sql:
    where, params = ["true"], list[Any]()
    if selection.since is not None:
        where.append("at >= %s")
        params.append(selection.since)
    if selection.until is not None:
        where.append("at < %s")
        params.append(selection.until)
    if selection.within is not None:
        where.append("position >= %s AND position < %s")
        params += selection.within
    return f"SELECT position, entry_id FROM audit_entry WHERE {' AND '.join(where)}", params  # noqa: S608  (constants)
