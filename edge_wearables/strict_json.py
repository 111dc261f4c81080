"""JSON as the entrance reads it: strictly, once, and within bounds (SECURITY B2 to B4, B9, B18, F18).

Rules
 * UTF-8 without a byte order mark, one value, nothing after it. No NaN, no Infinity, no key twice in one object.
 * Fractions become `Decimal`, never a float. Numbers have at most 40 characters, integers at most 18 digits.
 * At most `MAX_DEPTH` levels and `MAX_NODES` values; text at most `MAX_TEXT` characters, without NUL, other control
   characters or lone surrogates.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from .domain import Unreadable

MAX_DEPTH = 24
MAX_NODES = 200_000
MAX_TEXT = 4096
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def loads(body: bytes) -> Any:
    """The value in `body`. Raises `Unreadable` with a code naming what is wrong."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as err:
        raise Unreadable("not_utf8", "The body is not UTF-8.") from err
    if text.startswith("\ufeff"):
        raise Unreadable("byte_order_mark", "The body starts with a byte order mark.")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_fraction, parse_int=_integer
        )
    except json.JSONDecodeError as err:
        raise Unreadable("not_json", f"The body is not JSON: {err.msg} at character {err.pos}.") from err
    except RecursionError as err:
        raise Unreadable("too_deep", f"The body has more than {MAX_DEPTH} levels.") from err
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) != len(pairs):
        raise Unreadable("duplicate_key", "An object has the same key twice.")
    return built


def _constant(name: str) -> Any:
    raise Unreadable("not_finite", f"{name} is not a number.")


def _fraction(text: str) -> Decimal:
    if len(text) > 40:
        raise Unreadable("number_too_long", "A number has more than 40 characters.")
    try:
        return Decimal(text)
    except InvalidOperation as err:
        raise Unreadable("not_finite", "A number is outside every range.") from err


def _integer(text: str) -> int:
    if len(text) > 19:
        raise Unreadable("number_too_long", "An integer has more than 18 digits.")
    return int(text)


def _check(value: Any) -> None:
    """Walk without recursion, so that depth cannot exhaust us."""
    nodes, waiting = 0, [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        nodes += 1
        if depth > MAX_DEPTH:
            raise Unreadable("too_deep", f"The body has more than {MAX_DEPTH} levels.")
        if nodes > MAX_NODES:
            raise Unreadable("too_many_values", f"The body has more than {MAX_NODES} values.")
        if isinstance(item, dict):
            for key in item:
                _check_text(key)
            waiting.extend((inner, depth + 1) for inner in item.values())
        elif isinstance(item, list):
            waiting.extend((inner, depth + 1) for inner in item)
        elif isinstance(item, str):
            _check_text(item)


def _check_text(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise Unreadable("text_too_long", f"A text has more than {MAX_TEXT} characters.")
    if _CONTROL.search(text):
        raise Unreadable("bad_text", "A text has a control character or a lone surrogate.")
