"""JSON as strictly as clinical numbers deserve (SECURITY 2.5 B1 to B4, B8, B9, B18).

The rules, in the order they are enforced
 * `application/json` in UTF-8, at most `MAX_BYTES`, no byte order mark, nothing after the value: `bad_json`,
   `too_large`.
 * NaN and Infinity are not JSON: `not_a_number`. A number keeps its digits (Decimal, never float) and is of a size that
   could be one: `out_of_range`.
 * A key stands once in an object: `duplicate_key`. Nesting is at most `MAX_DEPTH`: `too_deep`.
 * Text has no NUL and no lone surrogate: `bad_text`; it is brought to Unicode normal form C, in which the record keeps
   it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import IO, Any, NoReturn

from rest_framework.parsers import BaseParser

from governance.domain import BadInput

MAX_BYTES = 64 * 1024
MAX_DEPTH = 12
MAX_DIGITS = 40
MAX_EXPONENT = 30


class NotReadable(BadInput):
    """The body is not JSON that everybody would read the same way. The code says which rule it breaks."""

    def __init__(self, code: str, detail: str, *, status: int = 400) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status


class StrictJSONParser(BaseParser):
    """The only parser of the patient's and the clinician's API."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """The value in the body, or `NotReadable`."""
        return read_json(stream.read(MAX_BYTES + 1))


def read_json(body: bytes) -> Any:
    """The value that `body` spells, with numbers as int or Decimal; `NotReadable` names the rule broken."""
    if len(body) > MAX_BYTES:
        raise NotReadable("too_large", f"The body may have {MAX_BYTES} bytes.", status=413)
    try:
        text = body.decode("utf-8", "strict")
    except UnicodeDecodeError as err:
        raise NotReadable("bad_json", "The body is not UTF-8.") from err
    if text.startswith("\ufeff"):
        raise NotReadable("bad_json", "The body starts with a byte order mark.")
    try:
        value = _decoder.decode(text)
    except RecursionError as err:
        raise NotReadable("too_deep", f"Nesting may be {MAX_DEPTH} deep.") from err
    except json.JSONDecodeError as err:
        raise NotReadable("bad_json", f"The body is not JSON: line {err.lineno}, column {err.colno}.") from err
    return _sound(value, 1)


def _sound(value: Any, depth: int) -> Any:
    """The same value with sound text, or `NotReadable`."""
    if depth > MAX_DEPTH:
        raise NotReadable("too_deep", f"Nesting may be {MAX_DEPTH} deep.")
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_sound(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_text(key): _sound(item, depth + 1) for key, item in value.items()}
    return value


def _text(value: str) -> str:
    if "\x00" in value:
        raise NotReadable("bad_text", "Text may not hold NUL.")
    if any("\ud800" <= sign <= "\udfff" for sign in value):
        raise NotReadable("bad_text", "Text may not hold half a surrogate pair.")
    return unicodedata.normalize("NFC", value)


def _no_constant(name: str) -> NoReturn:
    raise NotReadable("not_a_number", f"{name} is not a number.")


def _decimal(text: str) -> Decimal:
    number = Decimal(text) if len(text) <= MAX_DIGITS else None
    if number is None or abs(number.adjusted()) > MAX_EXPONENT:
        raise NotReadable("out_of_range", "No measurement has a number of this size.")
    return number


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise NotReadable("out_of_range", "No measurement has a number of this size.")
    return int(text)


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise NotReadable("duplicate_key", "A name stands twice in one object.")
        found[key] = value
    return found


_decoder = json.JSONDecoder(
    object_pairs_hook=_once, parse_float=_decimal, parse_int=_integer, parse_constant=_no_constant
)
