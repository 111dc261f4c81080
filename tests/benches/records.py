"""What the benchmarks of the record share: a database of their own, and a decision with its event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any
from uuid import uuid4

from django.test.utils import override_settings

from audit.domain import Esign, Event, ObjectRef, Person
from audit.services.keys import tenant_key
from tests.audit.builders import NOON
from tests.real_database import create_copy, drop_copy, using_database

PATIENTS = tuple(f"patient-{n}" for n in range(20))
CLINICIAN = Person("17", "clinician", session="a-session", amr=("pwd", "otp"), auth_time=NOON)
CHANGE = json.dumps({"kind": "increase", "ingredient": "29046", "from_mg": "10", "to_mg": "20", "times": ["08:00"]})
_numbers = count()


@contextmanager
def own_database() -> Iterator[str]:
    """A fresh copy of the migrated database; its name."""
    name = create_copy()
    try:
        signed_here = override_settings(AUDIT_SIGNER="tests.signers.forgetful", AUDIT_WITNESS_POLICY="")
        with using_database(name), signed_here:
            tenant_key()
            yield name
    finally:
        drop_copy(name)


def decided(loop: str, version: int = 1) -> Event:
    """A clinician approves: signed, with what was shown as its payload."""
    shown: dict[str, Any] = {
        "recommendation": loop, "version": 2, "decision": "approve", "evidence_sha256": "ab" * 32,
        "model_sha256": "cd" * 32, "proposed": CHANGE, "prescribed": CHANGE, "reason": "agrees_with_plan",
        "free_text": "Tolerates the present dose well.",
    }  # fmt: skip
    return Event(
        type="recommendation.approved",
        occurred_at=NOON,
        actor=CLINICIAN,
        object=ObjectRef("recommendation", loop, version),
        subject=PATIENTS[next(_numbers) % len(PATIENTS)],
        reason_code="agrees_with_plan",
        payload=shown,
        esign=Esign(meaning="prescribes the change as proposed", record="ef" * 32, method="webauthn"),
    )


def decision_row(entry: object) -> list[Any]:
    """Values of a decision's row, in the order of COLUMNS."""
    words = ["approve", NOON, 2, CHANGE, CHANGE, "agrees_with_plan", "Tolerates the present dose well.", 42, "[]"]
    return [*words, entry, *(uuid4() for _ in range(4))]


COLUMNS = (
    "kind, decided_at, seen_version, original_change, final_change, reason_code, free_text, seconds_to_decide,"
    " policies, entry, id, loop_id, signature_id, decided_by_id"
)
