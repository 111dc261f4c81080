"""How authority is shown: the mark of a key that two people compare."""

from __future__ import annotations

import base64
import hashlib


def fingerprint(public_key: str) -> str:
    """Sixteen letters in groups of four, from the SHA-256 of a public key: short enough to read out."""
    text = base64.b32encode(hashlib.sha256(public_key.encode()).digest()).decode()[:16]
    return " ".join(text[at : at + 4] for at in range(0, 16, 4))
