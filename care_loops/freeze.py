"""Values to canonical JSON text and back: how evidence is frozen, and thawed for a replay.

Rules
 * Keys are sorted, decimals are strings, instants are ISO 8601 with offset: one value has one spelling.
 * Thawing is strict: a field too few or of the wrong type is an error, never a default.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

Value = TypeVar("Value")
_encoder = msgspec.json.Encoder(order="sorted", decimal_format="string")


def freeze(value: object) -> str:
    """The one JSON text of a frozen dataclass."""
    return _encoder.encode(value).decode()


def digest(frozen: str) -> str:
    """SHA-256 (hex) of a frozen text."""
    return hashlib.sha256(frozen.encode()).hexdigest()


def thaw(frozen: str, kind: type[Value]) -> Value:
    """The value of a frozen text. Raises `msgspec.ValidationError` when it is not one."""
    return msgspec.json.decode(frozen, type=kind)
