"""What a patient agrees to, word for word, in versions; and the receipt of it: pure, over `data/consent_texts.json`.

Rules (GDPR art. 7; Kantara Consent Receipt 1.1, whose field names are used)
 * A text has a version and a digest. What was agreed to is the text that was shown: a consent names both.
 * A text that changes gets a new version; a consent to the one before does not speak of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

MARKS = frozenset({"checked", "from memory", "proposal"})


@dataclass(frozen=True, slots=True)
class ConsentText:
    """One text in one version."""

    scope: str
    version: str
    language: str
    text: str
    withdrawal: str

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the words, scope and version before them."""
        said = f"{self.scope}\n{self.version}\n{self.language}\n{self.text}\n{self.withdrawal}"
        return hashlib.sha256(said.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Given:
    """One consent as it was given or withdrawn. `version` and `digest` are empty where nothing was shown."""

    receipt_id: str
    scope: str
    given: bool
    at: datetime
    by: str
    version: str
    digest: str


@cache
def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files(__package__) / "data" / "consent_texts.json").read_bytes())
    for row in found["texts"]:
        if not row["source"] or row["mark"] not in MARKS:
            raise ValueError(f"{row}: a row needs a source and a mark")
    return found


@cache
def texts() -> Mapping[tuple[str, str], ConsentText]:
    """Every text there ever was, by scope and version."""
    kept = (
        ConsentText(row["scope"], row["version"], row["language"], row["text"], row["withdrawal"])
        for row in _document()["texts"]
    )
    return {(text.scope, text.version): text for text in kept}


def text_now(scope: str) -> ConsentText:
    """The newest text of a scope."""
    return max((text for text in texts().values() if text.scope == scope), key=lambda text: int(text.version))


def to_whom() -> str:
    """To whom it is given."""
    return str(_document()["to"])


def receipt(said: Given) -> dict[str, Any]:
    """What the person keeps: Kantara's names where there is one, and the words themselves."""
    text = texts().get((said.scope, said.version))
    return {
        "version": "KI-CR-v1.1.0",
        "consentReceiptID": said.receipt_id,
        "consentTimestamp": int(said.at.timestamp()),
        "at": said.at.isoformat(),
        "collectionMethod": "own account, signed in",
        "language": text.language if text else "",
        "piiPrincipalId": said.by,
        "piiControllers": [{"piiController": to_whom()}],
        "given": said.given,
        "services": [
            {
                "service": "care",
                "purposes": [
                    {
                        "purpose": said.scope,
                        "consentType": "EXPLICIT" if said.given else "WITHDRAWN",
                        "primaryPurpose": said.scope == "care",
                        "termination": text.withdrawal if text else "",
                        "thirdPartyDisclosure": False,
                    }
                ],
            }
        ],
        "sensitive": True,
        "spiCat": ["Health"],
        "text": text.text if text else "",
        "textVersion": said.version,
        "textSha256": said.digest,
    }
