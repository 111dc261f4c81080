"""How an act of this app is written into the record: one line at each place where something happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import models

from audit.domain import Appended, Cap, Esign, Event, Limits, ModelRef, ObjectRef, Outcome, Purpose
from audit.services import append
from governance.services import Acting


def note(
    kind: str,
    *,
    of: tuple[str, object, int | None],
    by: Acting,
    now: datetime,
    patient_id: UUID | None = None,
    payload: Mapping[str, Any] | None = None,
    reason: str | None = None,
    esign: Esign | None = None,
    model: ModelRef | None = None,
    limits: tuple[Cap, ...] = (),
    rows: Sequence[models.Model] = (),
    cause: UUID | None = None,
    purpose: Purpose = Purpose.TREATMENT,
    break_glass: UUID | None = None,
) -> Appended:
    """Append the event `kind` about `of` = (type, id, version) and its `rows`, in the caller's transaction."""
    object_type, object_id, version = of
    return append(
        rows=rows,
        event=Event(
            type=kind,
            occurred_at=now,
            actor=by.actor,
            on_behalf_of=by.on_behalf_of,
            object=ObjectRef(type=object_type, id=str(object_id), version=version),
            purpose=purpose,
            subject=str(patient_id) if patient_id else None,
            outcome=Outcome.OK,
            reason_code=reason,
            payload=dict(payload) if payload is not None else None,
            esign=esign,
            model=model,
            limits=Limits(caps=limits) if limits else None,
            cause=cause,
            break_glass_id=str(break_glass) if break_glass else None,
        ),
    )


def text(value: Decimal | None) -> str | None:
    """A decimal as the record writes it: plain digits, no exponent; None stays None."""
    return None if value is None else format(value, "f")
