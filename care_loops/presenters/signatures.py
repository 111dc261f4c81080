"""A signature as people read it: printed name, UTC time, meaning, how, and whether it holds (11.50, 11.70)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from governance.models import Signature
from governance.services.standing import Standing, standing_of

from ..models import Patient
from . import words
from .changes import change_shown

HOW = {
    "webauthn": "by a passkey of their own, over the record as shown",
    "password_totp": "by password and code: attested by this application",
    "session": "while signed in: attested by this application, before signatures were asked for",
}
STANDS = {
    Standing.HOLDS: "",
    Standing.SESSION: "",
    Standing.SHREDDED: "What was signed was destroyed under its legal basis",
    Standing.VOID: "Void: the record is not what was signed",
}


@dataclass(frozen=True, slots=True)
class SignatureShown:
    """One signature. `problem` is empty when it holds."""

    name: str
    when: str
    meaning: str
    how: str
    problem: str
    void: bool


def signature_shown(signature: Signature, content: Mapping[str, Any] | None = None) -> SignatureShown:
    """A signature beside its record; `content` is what the rows say today, None where only the record is looked at."""
    standing = standing_of(signature, content)
    return SignatureShown(
        name=signature.name_shown,
        when=f"{signature.signed_at.astimezone(UTC):%-d %b %Y, %H:%M:%S} UTC",
        meaning=signature.meaning,
        how=HOW.get(signature.method, signature.method),
        problem=STANDS[standing],
        void=standing is Standing.VOID,
    )


def decision_in_words(content: Mapping[str, Any], patient: Patient) -> list[tuple[str, str]]:
    """The record of a decision that waits for its signature, for its signer: whom, what, why; from the record alone."""
    proposed, prescribed = (change_shown(json.loads(content[name])) for name in ("proposed", "prescribed"))
    lines = [("Patient", patient.shown_name), ("Record", str(content["patient"]))]
    if proposed is not None:
        lines.append(("Proposed", f"{proposed.sentence}."))
    if prescribed is not None:
        parts = (prescribed.sentence, prescribed.stop, prescribed.taper, prescribed.note)
        lines.append(("Prescribed", " ".join(f"{part.rstrip('.')}." for part in parts if part)))
    lines.append(("Decision", words.decision(content["decision"]).capitalize()))
    if content["reason"]:
        lines.append(("Reason", words.reason(content["reason"]).capitalize()))
    return lines
