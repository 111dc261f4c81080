"""The log's first words: its name, the key its checkpoints are signed with, the key of receipts and manifests, and the
certificate of its reports.

A site whose log began before it had these, or that made one anew, names it in an entry of its own, so that what is
signed with it can be held against the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit import notes
from audit.domain import Event, Job, ObjectRef, Purpose
from audit.selectors import holds, next_version, payload_of
from audit.services import certificates, keys, signing
from audit.services.recording import ObjectVersionTaken, append


class SuccessorRefused(Exception):
    """A refusal: no log begins here as the successor of another; `code` says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Lost:
    """A log that ended with a gap: its last signed note as it was witnessed, the key that signed it, and how many of
    its entries are still there. `incident` is where people wrote down what happened.
    """

    note: bytes
    key: notes.VerifierKey
    entries_left: int
    incident: str


def found_successor(lost: Lost, *, by: Job, now: datetime, using: str = DEFAULT_DB_ALIAS) -> notes.TreeHead:
    """Begin this log as the successor of one that is shorter than witnessed; the head that the old one had.

    Raises SuccessorRefused: log-begun, note, same-origin, no-gap, incident.
    """
    if holds("audit_pending", using=using):
        raise SuccessorRefused("log-begun", "this record has entries already: a log begins once")
    try:
        head = notes.open_checkpoint(lost.note, origin=lost.key.name, keys=(lost.key,))
    except notes.NoteInvalid as err:
        raise SuccessorRefused("note", f"the old log's checkpoint is of no use: {err}") from err
    if head.origin == keys.origin():
        raise SuccessorRefused("same-origin", "a new log has a new name: set AUDIT_ORIGIN, in a new state folder")
    if not 0 <= lost.entries_left < head.size:
        raise SuccessorRefused("no-gap", f"{lost.entries_left} of {head.size} entries left is no gap: restore instead")
    if not lost.incident.strip() or len(lost.incident) > 500:
        raise SuccessorRefused("incident", "say where the incident is written down")
    before = {
        "origin": head.origin,
        "size": head.size,
        "root": head.root.hex(),
        "note": lost.note.decode(),
        "gap": {"start": lost.entries_left, "stop": head.size},
        "incident": lost.incident.strip(),
    }
    if not found_log(by=by, now=now, succeeds=before, using=using):
        raise SuccessorRefused("log-begun", "somebody else has just begun this log")
    return head


def found_log(
    *, by: Job, now: datetime, succeeds: Mapping[str, object] | None = None, using: str = DEFAULT_DB_ALIAS
) -> bool:
    """Record the log's name and verifier keys, once in its life; whether this call did it.

    `succeeds` is what a successor says of the log before it (`found_successor`).
    """
    origin = keys.origin()
    if next_version("log", origin, using=using) > 1:
        name_statement_key(by=by, now=now, using=using)
        name_report_certificate(by=by, now=now, using=using)
        return False
    event = Event(
        type="log.genesis",
        occurred_at=now,
        actor=by,
        object=ObjectRef("log", origin, 1),
        purpose=Purpose.AUDIT,
        payload={
            "origin": origin,
            "vkey": str(signing.first_key()),
            "statement_vkey": str(keys.statement_vkey()),
            "report_certificate_sha256": certificates.fingerprint(certificates.report_certificate(now=now)),
            **({"succeeds": dict(succeeds)} if succeeds else {}),
        },
    )
    try:
        with transaction.atomic(using=using):
            append(event, using=using)
    except ObjectVersionTaken:
        return False
    return True


def name_statement_key(*, by: Job, now: datetime, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Record the public half of the statement key unless the log names it already; whether this call did it."""
    return _name({"use": "statement", "vkey": str(keys.statement_vkey())}, "vkey", by=by, now=now, using=using)


def name_report_certificate(*, by: Job, now: datetime, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Record the certificate that signs reports unless the log names it already; whether this call did it."""
    digest = certificates.fingerprint(certificates.report_certificate(now=now))
    said = {"use": "report", "certificate_sha256": digest}
    return _name(said, "certificate_sha256", by=by, now=now, using=using)


def _name(said: Mapping[str, str], member: str, *, by: Job, now: datetime, using: str) -> bool:
    """Record a public key of ours, known by `member`, unless an entry of the log has it already."""
    origin = keys.origin()
    version = next_version("log", origin, using=using)
    if version == 1 or said[member] in _named(origin, said["use"], member, using):
        return False
    event = Event(
        type="key.created",
        occurred_at=now,
        actor=by,
        object=ObjectRef("log", origin, version),
        purpose=Purpose.AUDIT,
        payload=dict(said),
    )
    try:
        with transaction.atomic(using=using):
            append(event, using=using)
    except ObjectVersionTaken:
        return False
    return True


def _named(origin: str, use: str, member: str, using: str) -> set[object]:
    """The keys of that use that the log's own entries name."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT entry_id FROM audit_objectversion WHERE object_type = 'log' AND object_id = %s", [origin]
        )
        said = [payload_of(entry_id, using=using) for (entry_id,) in cursor.fetchall()]
    kept = [payload for payload in said if isinstance(payload, Mapping)]
    return {payload.get(f"{use}_{member}") for payload in kept} | {
        payload.get(member) for payload in kept if payload.get("use") == use
    }
