"""A signed message that is refused as a whole: its readings are looked at for danger one by one (N4).

Rules
 * Only of a message whose signature held: whoever is foreign could page anybody.
 * What is no strict JSON is read as far as anything can be made out of it; nothing of it becomes a reading.
 * The message stays refused, and what can be read of it that is dangerous is held back. Sent again it is seen once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from uuid import UUID

from care_loops.domain.parts import NOTHING_READ, PartsRead, json_said
from care_loops.services.refused_parts import RefusedArrival, look_at_refused
from governance.services import acting_device

from ..domain import BatchHead
from ..formats import PARTS, parts_of
from ..models import DeviceKey
from ..policies import clock_is_wrong
from ..selectors import tenures
from .sorting import refused_of, whose_parts

MOST = 2_000  # readings that are looked at in one message


def look_at_message(body: bytes, key: DeviceKey, head: BatchHead, *, now: datetime) -> None:
    """Raise what is dangerous in a refused message of a device we know, in the caller's transaction."""
    device, held = key.device, tenures(key.device_id)
    wrong = clock_is_wrong(sent_at=head.sent_at, received_at=now, key_since=key.since)
    of: dict[UUID, dict[str, RefusedArrival]] = {}
    for entry, found in islice(_entries(body), MOST):
        parts, whose = whose_parts(replace(found, taken_at=None) if wrong else found, held, received_at=now)
        if whose is not None:
            one = refused_of(entry, parts, f"{head.boot_id}:{str(entry.get('seq'))[:20]}", device)
            of.setdefault(whose, {})[one.source_id] = one
    by = acting_device(str(device.pk), key_id=key.key_id)
    for patient_id in sorted(of):
        look_at_refused(patient_id, list(of[patient_id].values()), by=by, now=now, received_at=now)


def _entries(body: bytes) -> Iterator[tuple[dict[str, object], PartsRead]]:
    """Everything in a body that may be a reading, with what can be read of it."""
    for document in json_said(body):
        whole = document if isinstance(document, dict) else {}
        listed = whole.get("readings")
        for entry in listed if isinstance(listed, list) else [listed]:
            if isinstance(entry, dict) and (parts := _parts(whole.get("format"), entry)).measured:
                yield entry, parts


def _parts(name: object, entry: dict[str, object]) -> PartsRead:
    """By the format that is named; where none is known, by the first one that can read anything of it."""
    formats = [name] if isinstance(name, str) and name in PARTS else list(PARTS)
    content = {key: value for key, value in entry.items() if key != "seq"}
    return next((parts for each in formats if (parts := parts_of(each, content)).measured), NOTHING_READ)
