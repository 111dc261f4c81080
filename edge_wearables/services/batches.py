"""A message from a device becomes readings of the record: the entrance of DESIGN 3, step 1.

Rules
 * Nothing is read before the signature holds. What is refused is recorded and kept, and the answer names why. What can
   be read of it is looked at for danger; what nobody we know has signed is not, and pages nobody (N4).
 * One transaction: mark locked, entries sorted, readings taken in with their danger rules, answer stored. The answer is
   given only after it has committed, so what a device is told is kept (SECURITY F16, N4).
 * The same message again gets the same bytes again and stores nothing, also at the same moment from two sides and after
   a restart: the database alone decides (SECURITY F13, A18).
 * A lost race with another writer is tried again here; after three times the device is told to come back.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from django.db import IntegrityError, OperationalError, transaction

from audit.domain import Appended
from audit.services import ObjectVersionTaken
from audit.services.receipts import receipt_for
from audit.services.recording import collecting
from care_loops.services.refused_parts import look_at_refused
from care_loops.services.samples import take_in_samples, wants_raw_data
from care_loops.services.take_in import (
    ArrivalOutcome,
    BatchProof,
    TakenIn,
    take_in,
)
from governance.domain import Refusal
from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting, acting_device

from ..domain import BatchBody, Outcome
from ..envelope import Message, Signed, read_body, read_head, unpacked
from ..models import Batch, BootMark, DeviceKey, Received, RefusedReading
from ..policies import clock_is_wrong
from ..selectors import key_for, received_before, stored_batch, tenures
from ..sequences import Mark
from ..signatures import message_bytes, verify
from .exertion import tag_exertion
from .refused_messages import look_at_message
from .refusing import keep_message, keep_readings
from .sorting import EQUIVOCAL, JUMP, Context, Sorted, sort_entries

TRIES = 3
GAPS_TOLD = 100
NO_CONSENT = "no_consent"
log = logging.getLogger(__name__)


class Busy(Refusal):
    """Too many writers at once. The device keeps its readings and comes back."""

    code = "try_again"
    status = 503


@dataclass(frozen=True, slots=True)
class Answer:
    """The stored answer to a message, byte for byte. `replayed` when the message had been taken in before."""

    body: bytes
    replayed: bool


@dataclass(frozen=True, slots=True)
class _Trusted:
    """A message whose signature held."""

    signed: Signed
    key: DeviceKey
    body: bytes
    body_sha256: str


@looking_wider(Wider.DEVICES)
def receive(message: Message, *, now: datetime) -> Answer:
    """Take in a signed batch. Raises `NotTrusted`, `Unreadable`, `TooLarge` or `Busy`; all but the last are kept."""
    key: DeviceKey | None = None
    trusted: _Trusted | None = None
    try:
        signed = read_head(message.headers)
        body = unpacked(message)
        key_named = key_for(signed)
        digest = hashlib.sha256(body)
        verify(bytes(key_named.public_key), signed.signature, message_bytes(signed.head, digest.digest()))
        key = key_named
        trusted = _Trusted(signed, key, body, digest.hexdigest())
        stored = _stored(trusted)
        return stored or _with_retries(trusted, read_body(body, signed.head), now=now)
    except Busy:
        raise
    except Refusal as why:
        seen = trusted
        keep_message(why, message, key=key, look=lambda: _look(seen, now=now), now=now)
        raise


def _look(trusted: _Trusted | None, *, now: datetime) -> None:
    """Look at a message that is refused as a whole; what nobody we know has signed pages nobody."""
    if trusted is not None:
        look_at_message(trusted.body, trusted.key, trusted.signed.head, now=now)


def _stored(trusted: _Trusted) -> Answer | None:
    head = trusted.signed.head
    batch = stored_batch(
        trusted.key.device_id,
        boot_id=head.boot_id,
        first_seq=head.first_seq,
        last_seq=head.last_seq,
        body_sha256=trusted.body_sha256,
    )
    return Answer(bytes(batch.response), replayed=True) if batch is not None else None


def _with_retries(trusted: _Trusted, body: BatchBody, *, now: datetime) -> Answer:
    for _ in range(TRIES):
        try:
            with transaction.atomic():
                return _take(trusted, body, now=now)
        except (OperationalError, IntegrityError, ObjectVersionTaken) as lost:
            log.warning("batch of device %s lost a race: %s", trusted.key.device_id, type(lost).__name__)
    raise Busy("Too much is being written at once. Send the same message again.", retry_after_seconds=5)


def _take(trusted: _Trusted, body: BatchBody, *, now: datetime) -> Answer:
    head, device = trusted.signed.head, trusted.key.device
    row = _locked_mark(device.pk, head.boot_id)
    if (stored := _stored(trusted)) is not None:  # another request was first while this one waited for the lock
        return stored
    mark = Mark(row.high_water, tuple((low, high) for low, high in row.gaps))
    items = sort_entries(
        body,
        Context(
            device=device,
            head=head,
            received_at=now,
            wrong_clock=clock_is_wrong(sent_at=head.sent_at, received_at=now, key_since=trusted.key.since),
            mark=mark,
            tenures=tenures(device.pk),
            before=received_before(device.pk, boot_id=head.boot_id, seqs=[e.seq for e in body.entries]),
        ),
    )
    by = acting_device(str(device.pk), key_id=trusted.key.key_id)
    with collecting() as written:
        taken = _inward(items, trusted, by=by, now=now)
    mark = mark.taking(item.entry.seq for item in items if item.code != JUMP)
    BootMark.objects.filter(pk=row.pk).update(high_water=mark.high_water, gaps=[list(gap) for gap in mark.gaps])
    promised = {done.entry_id: done for _, done in written}
    return _keep(items, taken, promised, mark, trusted, body, by=by, now=now)


def _locked_mark(device_id: UUID, boot_id: str) -> BootMark:
    BootMark.objects.bulk_create(
        [BootMark(device_id=device_id, boot_id=boot_id, high_water=0, gaps=[])], ignore_conflicts=True
    )
    return BootMark.objects.select_for_update().get(device_id=device_id, boot_id=boot_id)


def _inward(items: Sequence[Sorted], trusted: _Trusted, *, by: Acting, now: datetime) -> list[TakenIn]:
    """One call inward for each patient, in a fixed order so that two devices cannot wait for each other."""
    head = trusted.signed.head
    proof = BatchProof(
        device_id=head.device_id,
        boot_id=head.boot_id,
        first_seq=head.first_seq,
        last_seq=head.last_seq,
        body_sha256=trusted.body_sha256,
        signature_key_id=trusted.key.key_id,
    )
    taken = []
    people = {whose for item in items for whose in (item.patient_id, item.whose) if whose}
    for patient_id in sorted(people):
        own = [item for item in items if item.patient_id == patient_id]
        samples = [item.sample for item in own if item.sample is not None]
        refused = [item for item in items if item.whose == patient_id and item.refused is not None]
        if samples:
            take_in_samples(patient_id, samples, by=by, now=now, received_at=now)
        if (samples or _besides(refused)) and not wants_raw_data(patient_id, now=now):
            _hold_samples(own, _besides(refused))
        for arriving in _without_repeats([item for item in own if item.arrival is not None]):
            arrivals = tag_exertion(patient_id, [item.arrival for item in arriving if item.arrival is not None])
            done = take_in(patient_id, arrivals, by=by, now=now, received_at=now, batch=proof)
            taken.append(done)
            for item, result in zip(arriving, done.results, strict=True):
                item.reading_id = result.reading_id
                if result.outcome is ArrivalOutcome.DUPLICATE:
                    item.hold("", "", outcome=Outcome.DUPLICATE)
                elif result.outcome is ArrivalOutcome.CONFLICT:
                    item.hold(EQUIVOCAL, "Other content came under this sequence number before.")
                elif result.outcome is ArrivalOutcome.QUARANTINED and item.outcome is Outcome.ACCEPTED:
                    item.hold(result.code, "The values are not those of a measurement.")
        parts = [item.refused for item in refused if item.refused is not None and item.refused.parts.measured]
        if parts:
            look_at_refused(patient_id, parts, by=by, now=now, received_at=now)
    return taken


def _besides(refused: Sequence[Sorted]) -> list[Sorted]:
    """What is no blood pressure among what was refused or held back."""
    return [item for item in refused if item.refused is not None and item.refused.parts.besides]


def _hold_samples(items: Sequence[Sorted], refused: Sequence[Sorted]) -> None:
    """The patient withdrew: nothing of this is stored, not even as refused. The device is told so."""
    for item in items:
        if item.sample is not None and item.outcome is Outcome.ACCEPTED:
            item.hold(NO_CONSENT, "The patient does not agree to this any more.", outcome=Outcome.REJECTED)
            item.is_unkept = True
    for item in refused:
        item.is_unkept = True


def _without_repeats(items: list[Sorted]) -> list[list[Sorted]]:
    """The items in as few rounds as keep each sequence number to one item a round: mostly one."""
    rounds: list[list[Sorted]] = []
    count: Counter[int] = Counter()
    for item in items:
        turn = count[item.entry.seq]
        count[item.entry.seq] += 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(item)
    return rounds


def _keep(
    items: Sequence[Sorted],
    taken: Sequence[TakenIn],
    promised: Mapping[UUID, Appended],
    mark: Mark,
    trusted: _Trusted,
    body: BatchBody,
    *,
    by: Acting,
    now: datetime,
) -> Answer:
    """Store what was refused, the numbers taken and the answer itself."""
    head, batch_id = trusted.signed.head, uuid4()
    for seq in [item.entry.seq for item in items if item.code == EQUIVOCAL]:
        log.error("device %s sent two readings under number %s", head.device_id, seq)
    held = [item for item in items if item.outcome in (Outcome.REJECTED, Outcome.QUARANTINED)]
    noted = keep_readings([_refused(item, trusted, now=now) for item in held], by=by, batch_id=batch_id, now=now)
    entries = [done.entry_id for done in taken if done.entry_id is not None]
    answer = _answer(items, mark, trusted, promised[entries[0]] if entries else None)
    batch = Batch.objects.create(
        id=batch_id,
        device=trusted.key.device,
        key=trusted.key,
        boot_id=head.boot_id,
        first_seq=head.first_seq,
        last_seq=head.last_seq,
        body_sha256=trusted.body_sha256,
        format=body.format,
        sent_at=head.sent_at,
        received_at=now,
        signature=trusted.signed.signature,
        response=answer,
        entries=entries,
        entry=entries[0] if entries else noted,
    )
    Received.objects.bulk_create(
        Received(
            device=trusted.key.device,
            boot_id=head.boot_id,
            seq=item.entry.seq,
            content_sha256=item.digest,
            outcome=item.outcome.value,
            code=item.code[:40],
            reading=item.reading_id,
            batch=batch,
        )
        for item in items
        if item.is_first
    )
    return Answer(answer, replayed=False)


def _refused(item: Sorted, trusted: _Trusted, *, now: datetime) -> RefusedReading:
    said = json.dumps(item.entry.content, sort_keys=True, ensure_ascii=False, default=str).encode("utf-8", "replace")
    kept = b"" if item.is_unkept else said[:8192]
    return RefusedReading(
        device=trusted.key.device,
        patient_id=item.patient_id,
        claimed_device=trusted.signed.head.device_id,
        boot_id=trusted.signed.head.boot_id,
        seq=item.entry.seq,
        outcome=item.outcome.value,
        code=item.code[:40],
        detail=item.detail[:300],
        body=kept,
        body_size=len(said),
        body_sha256=hashlib.sha256(said).hexdigest(),
        received_at=now,
    )


def _answer(items: Sequence[Sorted], mark: Mark, trusted: _Trusted, first: Appended | None) -> bytes:
    def seqs(outcome: Outcome) -> list[int]:
        return sorted({item.entry.seq for item in items if item.outcome is outcome})

    def named(outcome: Outcome) -> list[dict[str, object]]:
        found = {(item.entry.seq, item.code) for item in items if item.outcome is outcome}
        return [{"seq": seq, "code": code} for seq, code in sorted(found)]

    receipt = None
    if first is not None:
        receipt = {"entry_id": str(first.entry_id), "leaf_hash": first.leaf_hash.hex()}
        receipt["note"] = receipt_for(first).decode()
    body = {
        "device_id": trusted.signed.head.device_id,
        "boot_id": trusted.signed.head.boot_id,
        "accepted": seqs(Outcome.ACCEPTED),
        "duplicate": seqs(Outcome.DUPLICATE),
        "rejected": named(Outcome.REJECTED),
        "quarantined": named(Outcome.QUARANTINED),
        "high_water": mark.high_water,
        "missing_ranges": [list(gap) for gap in mark.gaps[:GAPS_TOLD]],
        "receipt": receipt,
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
