"""Values to canonical JSON text and back: how evidence is frozen, thawed for a replay, and packed into the record.

Rules
 * Keys are sorted, decimals are strings, instants are ISO 8601 with offset: one value has one spelling.
 * Thawing is strict: a field too few or of the wrong type is an error, never a default.
 * Packed, a frozen text is deflated base64 in pieces: the record keeps it to the byte, whatever letters are in it, at a
   tenth of its length. Unpacking stops at `MAX_UNPACKED`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Sequence
from typing import TypeVar

import msgspec

Value = TypeVar("Value")
PIECE = 60_000  # characters: a string of a payload has at most 64 KiB
MAX_UNPACKED = 32 * 1024 * 1024  # bytes


class NotPacked(ValueError):
    """What should be a packed text is not one, or is too long."""


_encoder = msgspec.json.Encoder(order="sorted", decimal_format="string")


def freeze(value: object) -> str:
    """The one JSON text of a frozen dataclass."""
    return _encoder.encode(value).decode()


def digest(frozen: str) -> str:
    """SHA-256 (hex) of a frozen text."""
    return hashlib.sha256(frozen.encode()).hexdigest()


def pack(frozen: str) -> list[str]:
    """A frozen text as pieces for a payload."""
    whole = base64.b64encode(zlib.compress(frozen.encode(), 6)).decode()
    return [whole[at : at + PIECE] for at in range(0, len(whole), PIECE)]


def unpack(pieces: Sequence[object]) -> str:
    """The text of such pieces, to the byte. Raises `NotPacked`."""
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(base64.b64decode("".join(map(str, pieces)), validate=True), MAX_UNPACKED)
        text = data.decode()
    except (binascii.Error, zlib.error, ValueError) as err:
        raise NotPacked(type(err).__name__) from err
    if not unpacking.eof or unpacking.unused_data:
        raise NotPacked("unfinished, or too long")
    return text


def thaw(frozen: str, kind: type[Value]) -> Value:
    """The value of a frozen text. Raises `msgspec.ValidationError` when it is not one."""
    return msgspec.json.decode(frozen, type=kind)
