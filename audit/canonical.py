"""One spelling for every record: the JSON Canonicalization Scheme (RFC 8785) inside a narrow profile.

The rules (SECURITY 3.3)
 * Keys of entries match `[a-z0-9_]{1,64}`, so that sorting by code point is sorting by UTF-16 unit; payload keys are
   printable ASCII for the same reason.
 * No floats, NaN or infinities: decimals are strings. Integers are below 2^53 in size. Booleans and null are allowed.
 * Strings are in Unicode normal form C, without lone surrogates, at most 4 KiB in UTF-8 (payloads: 64 KiB).
 * Nesting is at most 6 deep (payloads: 16). Inside this profile the standard library's `json.dumps` is RFC 8785.
 * Reading is strict: no byte order mark, duplicate key, trailing bytes or other spelling of the same value.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, NoReturn

MAX_INT = 2**53


class NotCanonical(ValueError):
    """The value or the bytes are outside the profile; `code` says which rule."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Profile:
    """Limits within which two honest encoders cannot differ. Sizes in bytes of UTF-8."""

    key: re.Pattern[str]
    max_string: int
    max_depth: int
    max_bytes: int


ENTRY = Profile(key=re.compile(r"[a-z0-9_]{1,64}"), max_string=4096, max_depth=6, max_bytes=65_535)
PAYLOAD = Profile(key=re.compile(r"[ -~]{1,128}"), max_string=65_536, max_depth=16, max_bytes=4 * 1024 * 1024)

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def dumps(value: Any, *, profile: Profile = ENTRY) -> bytes:
    """The one spelling of `value` in UTF-8; raises NotCanonical when the value is outside the profile."""
    check(value, profile=profile)
    encoded = spell(value)
    if len(encoded) > profile.max_bytes:
        raise NotCanonical("too-long", f"{len(encoded)} bytes")
    return encoded


def loads(data: bytes, *, profile: Profile = ENTRY) -> Any:
    """The value spelled by `data`; raises NotCanonical unless `data` is the one spelling of it."""
    value = parse_strict(data, max_bytes=profile.max_bytes)
    check(value, profile=profile)
    check_spelling(value, data)
    return value


def parse_strict(data: bytes, *, max_bytes: int) -> Any:
    """Parse JSON, refusing what readers differ on: BOM, bad UTF-8, duplicate keys, floats, NaN, trailing bytes."""
    if len(data) > max_bytes:
        raise NotCanonical("too-long", f"{len(data)} bytes")
    try:
        text = data.decode("utf-8", "strict")
    except UnicodeDecodeError as err:
        raise NotCanonical("not-utf8") from err
    if text.startswith("\ufeff"):
        raise NotCanonical("byte-order-mark")
    try:
        return _decoder.decode(text)
    except NotCanonical:
        raise
    except (ValueError, RecursionError) as err:
        raise NotCanonical("not-json", type(err).__name__) from err


def parse_fast(data: bytes) -> Any:
    """Parse without looking for duplicate keys: only for a reader that compares the spelling afterwards."""
    try:
        return _plain_decoder.decode(data.decode("utf-8", "strict"))
    except UnicodeDecodeError as err:
        raise NotCanonical("not-utf8") from err
    except NotCanonical:
        raise
    except (ValueError, RecursionError) as err:
        raise NotCanonical("not-json", type(err).__name__) from err


def check_spelling(value: Any, data: bytes) -> None:
    """Raise NotCanonical unless `data` is the one spelling of `value`, whose types the caller has checked.

    Duplicate keys, white space, escapes and other spellings all differ from it; a byte order mark does not parse.
    """
    if spell(value) != data:
        raise NotCanonical("other-spelling")


def spell(value: Any) -> bytes:
    """The one spelling of a value whose types and sizes the caller has checked; text is checked here."""
    text: str = _encode(value)
    try:
        data = text.encode()
    except UnicodeEncodeError as err:
        raise NotCanonical("lone-surrogate") from err
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        raise NotCanonical("not-nfc")
    return data


def check(value: Any, *, profile: Profile = ENTRY) -> None:
    """Raise NotCanonical when `value` is outside the profile."""
    _check(value, profile, 1)


def _check(value: Any, profile: Profile, depth: int) -> None:
    if isinstance(value, str):
        _check_string(value, profile)
    elif isinstance(value, dict | list | tuple):
        _check_inside(value, profile, depth)
    elif value is None or isinstance(value, bool):
        return
    elif not isinstance(value, int):
        raise NotCanonical("float" if isinstance(value, float) else "type", type(value).__name__)
    elif not -MAX_INT < value < MAX_INT:
        raise NotCanonical("integer-too-large")


def _check_inside(value: Any, profile: Profile, depth: int) -> None:
    if depth > profile.max_depth:
        raise NotCanonical("too-deep")
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or profile.key.fullmatch(key) is None:
                raise NotCanonical("key", repr(key)[:80])
        value = value.values()
    for item in value:
        _check(item, profile, depth + 1)


def _check_string(value: str, profile: Profile) -> None:
    if value.isascii():
        if len(value) > profile.max_string:
            raise NotCanonical("string-too-long")
        return
    try:
        size = len(value.encode())
    except UnicodeEncodeError as err:
        raise NotCanonical("lone-surrogate") from err
    if size > profile.max_string:
        raise NotCanonical("string-too-long")
    if not unicodedata.is_normalized("NFC", value):
        raise NotCanonical("not-nfc")


def _no_float(text: str) -> NoReturn:
    raise NotCanonical("float", text[:40])


def _bounded_int(text: str) -> int:
    if len(text) > 17:
        raise NotCanonical("integer-too-large")
    return int(text)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotCanonical("duplicate-key")
    return found


_decoder = json.JSONDecoder(
    object_pairs_hook=_no_duplicates, parse_float=_no_float, parse_constant=_no_float, parse_int=_bounded_int
)
_plain_decoder = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float)
