"""What a patient agrees to, as their page and their phone show it, and the receipt of one word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ..consent_texts import ConsentText, Given, receipt, text_now
from ..models import Consent

TITLES: Mapping[str, str] = {
    "care": "Treatment with this record",
    "automated_advice": "Advice straight from the system",
    "research": "Research",
    "raw_upload": "Everything my devices measure",
    "human_only_care": "Care by people only",
}


@dataclass(frozen=True, slots=True)
class ConsentShown:
    """One scope: its text of now, the newest word on it, and the receipt of that."""

    scope: str
    title: str
    text: ConsentText
    given: bool
    said_at: datetime | None
    receipt: UUID | None
    older_text: bool


def consents_shown(found: Mapping[str, Consent]) -> list[ConsentShown]:
    """Every scope; never agreed to is not agreed."""
    return [_shown(scope, found.get(scope)) for scope in Consent.SCOPES]


def _shown(scope: str, row: Consent | None) -> ConsentShown:
    text = text_now(scope)
    return ConsentShown(
        scope=scope,
        title=TITLES[scope],
        text=text,
        given=row.given if row else False,
        said_at=row.at if row else None,
        receipt=row.entry if row else None,
        older_text=bool(row and row.given and row.text_version != text.version),
    )


def receipt_of(row: Consent) -> dict[str, Any]:
    """The receipt of one word."""
    return receipt(
        Given(
            receipt_id=str(row.entry),
            scope=row.scope,
            given=row.given,
            at=row.at,
            by=str(row.by_id),
            version=row.text_version,
            digest=row.text_sha256,
        )
    )
