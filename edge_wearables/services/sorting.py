"""The entries of a batch sorted before anything is written: new or known, readable or not, whose, and dated how.

Rules
 * Known with the same content is a duplicate. Known with other content is equivocal: kept, held back, looked at for
   danger (SECURITY F14). The digest is over the entry as it came, in one spelling.
 * A number too far ahead is held back as `sequence_jump` and does not move the mark (SECURITY B29).
 * A reading of nobody is refused by name and kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from care_loops.domain.readings import Flag, Implausible, Method, Reading, Setting
from care_loops.services.take_in import Arrival, Sample

from ..domain import SAMPLE_UNITS, Bad, BatchBody, BatchHead, Measured, NumberedEntry, Outcome, Sampled
from ..formats import read_one
from ..models import Device, Received
from ..policies import CLOCK_TOLERANCE, Dating, Tenure, dating, holder, method_of
from ..sequences import Mark

EQUIVOCAL, JUMP, NOBODYS = "equivocal", "sequence_jump", "not_assigned_then"


@dataclass(frozen=True, slots=True)
class Context:
    """What sorting needs to know besides the entries."""

    device: Device
    head: BatchHead
    received_at: datetime
    wrong_clock: bool
    mark: Mark
    tenures: tuple[Tenure, ...]
    before: Mapping[int, Received]


@dataclass(slots=True)
class Sorted:
    """One entry on its way: its answer so far, and what goes inward under which patient."""

    entry: NumberedEntry
    digest: str
    outcome: Outcome
    code: str = ""
    detail: str = ""
    patient_id: UUID | None = None
    arrival: Arrival | None = None
    sample: Sample | None = None
    is_first: bool = True
    reading_id: UUID | None = None

    def hold(self, code: str, detail: str, *, outcome: Outcome = Outcome.QUARANTINED) -> None:
        """Answer with a reason."""
        self.outcome, self.code, self.detail = outcome, code, detail


def sort_entries(body: BatchBody, context: Context) -> list[Sorted]:
    """Every entry with its first answer, in the order it came."""
    seen: dict[int, str] = {seq: row.content_sha256 for seq, row in context.before.items()}
    zone = body.zone or context.device.zone or None
    sorted_entries = []
    for entry in body.entries:
        digest = content_digest(body.format, entry)
        item = Sorted(entry, digest, Outcome.ACCEPTED, is_first=entry.seq not in seen)
        if seen.setdefault(entry.seq, digest) == digest and not item.is_first:
            item.hold("", "", outcome=Outcome.DUPLICATE)
        else:
            _read(item, read_one(body.format, entry.content, zone=zone), context)
        sorted_entries.append(item)
    return sorted_entries


def content_digest(format_name: str, entry: NumberedEntry) -> str:
    """SHA-256 over the entry in one spelling: sorted keys, numbers as they were written."""
    spelled = json.dumps(entry.content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(f"{format_name}\n{entry.seq}\n{spelled}".encode()).hexdigest()


def _read(item: Sorted, read: Measured | Sampled | Bad, context: Context) -> None:
    equivocal = not item.is_first
    if isinstance(read, Bad):
        item.hold(read.code, read.detail, outcome=Outcome.REJECTED)
        return
    at = read.taken_at if isinstance(read, Measured) else read.starts_at
    dated = dating(
        taken_at=at,
        sent_at=context.head.sent_at,
        received_at=context.received_at,
        wrong_clock=context.wrong_clock,
    )
    item.patient_id = holder(context.tenures, context.received_at if dated.held else at)
    if item.patient_id is None:
        item.hold(NOBODYS, "The device was nobody's at that time.", outcome=Outcome.REJECTED)
        return
    if equivocal:
        item.hold(EQUIVOCAL, "Other content came under this sequence number before.")
    elif context.mark.jumps(item.entry.seq):
        item.hold(JUMP, "The sequence number is too far ahead.")
    elif dated.held:
        item.hold("clock_uncertain" if context.wrong_clock else "future", "The time cannot be believed.")
    if isinstance(read, Measured):
        item.arrival = _arrival(item, read, dated, context)
    elif item.outcome is Outcome.ACCEPTED and read.ends_at <= context.received_at + CLOCK_TOLERANCE:
        item.sample = _sample(item, read, context)
    elif item.outcome is Outcome.ACCEPTED:
        item.hold("future", "The sample ends in the future.")


def _arrival(item: Sorted, read: Measured, dated: Dating, context: Context) -> Arrival:
    device = context.device
    method, validated = method_of(Method(device.method), device_validated=device.validated, said=read.method)
    held = Implausible.EQUIVOCAL if item.code in (EQUIVOCAL, JUMP) else dated.held
    flags: tuple[Flag, ...] = tuple(dict.fromkeys((*read.flags, *dated.flags)))
    source_id = _source_id(item, context)
    reading = Reading(
        reading_id=source_id,
        taken_at=read.taken_at,
        zone=read.zone,
        systolic=read.systolic,
        diastolic=read.diastolic,
        pulse=read.pulse,
        method=method,
        setting=read.setting or Setting(device.setting),
        device_validated=validated,
        status=read.status,
        position=read.position,
        flags=flags,
        device_id=str(device.pk),
        session=read.session,
        quarantined=held,
    )
    return Arrival(_source_system(context), source_id, reading, absent_reason=read.absent_reason)


def _sample(item: Sorted, read: Sampled, context: Context) -> Sample:
    return Sample(
        source_system=_source_system(context),
        source_id=_source_id(item, context),
        kind=read.kind.value,
        value=read.value,
        unit=SAMPLE_UNITS[read.kind],
        starts_at=read.starts_at,
        ends_at=read.ends_at,
        device=str(context.device.pk),
    )


def _source_system(context: Context) -> str:
    return f"device:{context.device.pk}"


def _source_id(item: Sorted, context: Context) -> str:
    return f"{context.head.boot_id}:{item.entry.seq}"


__all__ = ["Context", "Sorted", "content_digest", "sort_entries"]
