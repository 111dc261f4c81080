"""The envelope of a message from a device: headers, compression, size, and the numbered readings inside.

Rules
 * Everything that is trusted later is in the signed head or in the body; a header outside the signature only says where
   to look (`Device-Key`).
 * A message is at most `MAX_BODY` bytes after decompression, and at most `MAX_READINGS` readings. A compression bomb is
   refused after `MAX_BODY` bytes, not after it has burst (SECURITY B16, F18).
 * Each entry has its own sequence number within the signed range; without one the message as a whole is refused.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from . import strict_json
from .domain import BatchBody, BatchHead, NotTrusted, NumberedEntry, TooLarge, Unreadable
from .formats import READERS, fields
from .sequences import MAX_SEQ
from .signatures import unpack

MAX_BODY = 1024 * 1024
MAX_READINGS = 1_000
HEADERS = ("Device-Id", "Device-Key", "Boot-Id", "First-Seq", "Last-Seq", "Sent-At", "Signature")
_KEY_ID = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"[1-9]\d{0,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the door read it: its headers by the names of `HEADERS`, its bytes (at most one over the limit)."""

    headers: Mapping[str, str]
    body: bytes
    encoding: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """The head of a message with the key it names and its signature. Nothing is verified yet."""

    head: BatchHead
    key_id: str
    signature: bytes


def read_head(headers: Mapping[str, str]) -> Signed:
    """The signed head. Raises `NotTrusted` when it is not signed at all, `Unreadable` when a header makes no sense."""
    missing = [name for name in HEADERS if not headers.get(name)]
    if missing:
        raise NotTrusted("unsigned", f"The message is not signed: {missing[0]} is missing.", missing=missing)
    if _KEY_ID.fullmatch(headers["Device-Key"]) is None:
        raise Unreadable("bad_header", "Device-Key is not a key's name.", field="Device-Key")
    first, last = (_number(headers[name], name) for name in ("First-Seq", "Last-Seq"))
    if last < first:
        raise Unreadable("bad_header", "Last-Seq is before First-Seq.", field="Last-Seq")
    head = BatchHead(
        device_id=_uuid(headers["Device-Id"], "Device-Id"),
        boot_id=_uuid(headers["Boot-Id"], "Boot-Id"),
        first_seq=first,
        last_seq=last,
        sent_at=_sent_at(headers["Sent-At"]),
        sent_at_text=headers["Sent-At"],
    )
    return Signed(head, headers["Device-Key"], unpack(headers["Signature"], size=64, name="Signature"))


def unpacked(message: Message) -> bytes:
    """The body after decompression: the bytes that are signed. Raises `TooLarge` or `Unreadable`."""
    if len(message.body) > MAX_BODY:
        raise TooLarge("body_too_large", f"A message has at most {MAX_BODY} bytes.", limit=MAX_BODY)
    if message.encoding in ("", "identity"):
        return message.body
    if message.encoding != "gzip":
        raise Unreadable("unknown_encoding", "The only encodings are identity and gzip.", field="Content-Encoding")
    stream = zlib.decompressobj(wbits=31)
    try:
        body = stream.decompress(message.body, MAX_BODY + 1)
    except zlib.error as err:
        raise Unreadable("not_gzip", "The body is not gzip.") from err
    if len(body) > MAX_BODY:
        raise TooLarge("body_too_large", f"A message has at most {MAX_BODY} bytes.", limit=MAX_BODY)
    if not stream.eof or stream.unused_data:
        raise Unreadable("not_gzip", "The compressed body is cut off or has something after it.")
    return body


def read_body(body: bytes, head: BatchHead) -> BatchBody:
    """The numbered readings of a message. Raises `Unreadable` or `TooLarge` for the message as a whole."""
    document = fields.only(strict_json.loads(body), {"format", "zone", "readings"}, name="the message")
    name = fields.needed(document, "format")
    if not isinstance(name, str) or name not in READERS:
        raise Unreadable("unknown_format", f"The format is not one of {', '.join(READERS)}.", field="format")
    zone = fields.zone(document["zone"], otherwise=None) if document.get("zone") is not None else None
    readings = fields.a_list(fields.needed(document, "readings"), name="readings")
    if not readings:
        raise Unreadable("no_readings", "The message has no readings.", field="readings")
    if len(readings) > MAX_READINGS:
        raise TooLarge("too_many_readings", f"A message has at most {MAX_READINGS} readings.", limit=MAX_READINGS)
    return BatchBody(name, zone, tuple(_entry(reading, head) for reading in readings))


def _entry(reading: object, head: BatchHead) -> NumberedEntry:
    found = fields.an_object(reading, name="an entry of readings")
    seq = found.get("seq")
    if isinstance(seq, bool) or not isinstance(seq, int) or not head.first_seq <= seq <= head.last_seq:
        raise Unreadable("bad_sequence", "A reading has no sequence number in the signed range.", field="seq")
    return NumberedEntry(seq, {name: value for name, value in found.items() if name != "seq"})


def _number(text: str, name: str) -> int:
    if _NUMBER.fullmatch(text) is None or int(text) > MAX_SEQ:
        raise Unreadable("bad_header", f"{name} is not a sequence number.", field=name)
    return int(text)


def _uuid(text: str, name: str) -> str:
    try:
        found = str(UUID(text))
    except ValueError:
        found = ""
    if found != text:
        raise Unreadable("bad_header", f"{name} is not a UUID in its plain form.", field=name)
    return found


def _sent_at(text: str) -> datetime:
    try:
        return fields.instant(text, name="Sent-At")
    except Unreadable as why:
        raise Unreadable("bad_header", why.detail, field="Sent-At") from why
