"""The entries of a batch sorted before anything is written: new or known, readable or not, whose, and dated how.

Rules
 * Known with the same content is a duplicate. Known with other content is equivocal: kept, held back, looked at for
   danger (SECURITY F14). The digest is over the entry as it came, in one spelling.
 * A number too far ahead is held back as `sequence_jump` and does not move the mark (SECURITY B29).
 * A reading of nobody is refused by name and kept.
 * What is refused, and a sample that is held back, goes inward as parts: danger rules look at it (N4).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from care_loops.domain.clocks import CLOCK_TOLERANCE, could_be
from care_loops.domain.parts import PartsRead
from care_loops.domain.readings import Flag, Implausible, Method, Reading, Setting
from care_loops.services.refused_parts import RefusedArrival, name_of
from care_loops.services.samples import Sample, refused_sample
from care_loops.services.take_in import Arrival

from ..domain import SAMPLE_UNITS, Bad, BatchBody, BatchHead, Measured, NumberedEntry, Outcome, Sampled
from ..formats import read_one
from ..models import Device, Received
from ..policies import Dating, Tenure, dating, holder, method_of
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
    refused: RefusedArrival | None = None
    whose: UUID | None = None  # of whom `refused` is looked at for danger
    is_unkept: bool = False
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
        _refuse(item, read.parts, context)
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
        ahead = not context.wrong_clock and at > context.received_at
        item.hold("future" if ahead else "clock_uncertain", "The time cannot be believed.")
    if isinstance(read, Measured):
        item.arrival = _arrival(item, read, dated, context)
        _refuse(item, read.beside, context)
    elif item.outcome is Outcome.ACCEPTED and read.ends_at <= context.received_at + CLOCK_TOLERANCE:
        item.sample = _sample(item, read, context)
    else:
        if item.outcome is Outcome.ACCEPTED:
            item.hold("future", "The sample ends in the future.")
        _hold_back(item, _sample(item, read, context))


def _hold_back(item: Sorted, sample: Sample) -> None:
    """A sample that is not stored: its heart rate is looked at all the same."""
    why = Implausible.EQUIVOCAL if item.code in (EQUIVOCAL, JUMP) else Implausible.FUTURE
    item.refused = refused_sample(sample, why=why, time_is_known=why is Implausible.EQUIVOCAL)
    item.whose = item.patient_id


def _refuse(item: Sorted, parts: PartsRead, context: Context) -> None:
    """What could be read of a refused reading goes to whoever had the device then; without a time, who has it now."""
    if context.wrong_clock:
        parts = replace(parts, taken_at=None)
    parts, whose = whose_parts(parts, context.tenures, received_at=context.received_at)
    item.refused = refused_of(item.entry.content, parts, _source_id(item, context), context.device)
    item.whose = whose if parts.measured or parts.besides else None


def whose_parts(
    parts: PartsRead, tenures: tuple[Tenure, ...], *, received_at: datetime
) -> tuple[PartsRead, UUID | None]:
    """The parts, with a time that can be believed or with none, and who had the device then, else who has it now."""
    if parts.taken_at is not None and could_be(parts.taken_at, received_at=received_at):
        return parts, holder(tenures, parts.taken_at)
    return replace(parts, taken_at=None), holder(tenures, received_at)


def refused_of(content: object, parts: PartsRead, source_id: str, device: Device) -> RefusedArrival:
    """The parts of a reading that a device sent under `source_id`, with what is known of the device."""
    method, validated = method_of(Method(device.method), device_validated=device.validated, said=parts.method)
    return RefusedArrival(
        source_system=f"device:{device.pk}",
        source_id=name_of(source_id, json.dumps(content, sort_keys=True, default=str).encode()),
        parts=parts,
        method=Method.CUFFLESS if parts.besides else method,
        setting=Setting(device.setting),
        device_validated=validated and not parts.besides,
        device=str(device.pk),
        zone=device.zone,
    )


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
