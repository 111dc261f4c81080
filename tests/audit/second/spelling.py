"""Reading JSON that has one spelling, and nothing else (audit/README.md section 2).

Not a parser with a comparison behind it: a machine over the tokens of the one spelling, which cannot read another. It
keeps its own stack, so that depth costs memory and never the interpreter's stack.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from typing import Any

_PLAIN = r'[^"\\\x00-\x1f]*'
_ESCAPE = r'\\(?:["\\bfnrt]|u00(?:0[0-7bef]|1[0-9a-f]))'
_TOKEN = re.compile(rf'"{_PLAIN}(?:{_ESCAPE}{_PLAIN})*"|-?[1-9][0-9]{{0,15}}|0|true|false|null|[{{}}\[\],:]')
_SHORT = {'"': '"', "\\": "\\", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}
_CLOSED_BY = {"{": "}", "[": "]"}
DEEPEST = 500


class Misspelled(ValueError):
    """The bytes are not the one spelling of any value."""


class _Tokens:
    """The tokens of a text, one after another, with nothing between."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def take(self) -> str:
        """The next token; refused where none stands."""
        found = _TOKEN.match(self.text, self.at)
        if found is None:
            raise Misspelled(f"no token at {self.at}")
        self.at = found.end()
        return found.group()

    def expect(self, token: str) -> None:
        """The next token is this one."""
        if self.take() != token:
            raise Misspelled(f"not {token}")

    def key(self, token: str, after: str | None) -> str:
        """A key, greater than the one before it, and its colon."""
        if not token.startswith('"'):
            raise Misspelled("not a key")
        key = _string(token)
        if after is not None and key <= after:
            raise Misspelled("keys out of order")
        self.expect(":")
        return key


def _string(token: str) -> str:
    inner = token[1:-1]
    if "\\" in inner:
        inner = re.sub(r"\\(?:u(....)|(.))", lambda m: chr(int(m[1], 16)) if m[1] else _SHORT[m[2]], inner)
    return inner


def _scalar(token: str) -> Any:
    if token.startswith('"'):
        return _string(token)
    if token in _WORDS:
        return _WORDS[token]
    if token in ",:]}":
        raise Misspelled("no value")
    number = int(token)
    if abs(number) >= 2**53:
        raise Misspelled("a number too large")
    return number


def read(data: bytes) -> Any:
    """The value these bytes are the one spelling of.

    :raises Misspelled: they are not
    """
    try:
        tokens = _Tokens(data.decode("utf-8"))
    except UnicodeDecodeError as wrong:
        raise Misspelled(str(wrong)) from wrong
    if not unicodedata.is_normalized("NFC", tokens.text):
        raise Misspelled("not in normal form C")
    boxes: list[Any] = []
    keys: list[str] = []
    token = tokens.take()
    while True:
        value, token = _begin(tokens, boxes, keys, token)
        if token:
            continue
        while boxes and not token:
            value, token = _put(tokens, boxes, keys, value)
        if not token:
            break
    if tokens.at != len(tokens.text):
        raise Misspelled("something behind the value")
    return value


def _begin(tokens: _Tokens, boxes: list[Any], keys: list[str], token: str) -> tuple[Any, str]:
    """A whole value, or a box that was opened and the token its first value begins with."""
    if token not in _CLOSED_BY:
        return _scalar(token), ""
    box: Any = {} if token == "{" else []
    inner = tokens.take()
    if inner == _CLOSED_BY[token]:
        return box, ""
    boxes.append(box)
    if len(boxes) > DEEPEST:
        raise Misspelled("too deep")
    if token == "[":
        return None, inner
    keys.append(tokens.key(inner, None))
    return None, tokens.take()


def _put(tokens: _Tokens, boxes: list[Any], keys: list[str], value: Any) -> tuple[Any, str]:
    """The value goes into the innermost box: then that box is the whole value, or another value begins in it."""
    box = boxes[-1]
    of_keys = isinstance(box, dict)
    if of_keys:
        box[keys[-1]] = value
    else:
        box.append(value)
    token = tokens.take()
    if token == ",":
        token = tokens.take()
        if of_keys:
            keys[-1] = tokens.key(token, keys[-1])
            token = tokens.take()
        return None, token
    if token != ("}" if of_keys else "]"):
        raise Misspelled("a box that does not end")
    boxes.pop()
    if of_keys:
        keys.pop()
    return box, ""


def from_b64(text: Any, length: int | None = None) -> bytes:
    """Standard base64 in its one spelling, of so many bytes.

    :raises ValueError: it is not
    """
    if not isinstance(text, str):
        raise ValueError("not base64")
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as wrong:
        raise ValueError("not base64") from wrong
    if base64.b64encode(data).decode() != text or length not in (None, len(data)):
        raise ValueError("another spelling or length")
    return data


def to_url(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
