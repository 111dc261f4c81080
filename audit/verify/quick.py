"""Lines that need no JSON reader: the shapes of `spelling` as one regular expression each (README 2, 3, 7).

* What matches is the one spelling of a value of that shape: members in order, printable ASCII without escapes, numbers
  below 10^15. The slow way would accept it too, with the same fields.
* What does not match is not refused here: it is read the slow way, which alone says what is wrong with it.
* Linear: wherever an expression could go two ways, the next character decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

from audit.verify.spelling import CHECKS, PATTERNS, SHAPES, Wrong, parse

_STRINGS = {name: re.sub(r"\((?!\?)", "(?:", pattern) for name, pattern in PATTERNS.items()}
_STRINGS["text"] = r"[ !#-\[\]-~]{1,1024}"
_BODY = r'((?:[ !#-\[\]-~]*\\"){0,200}[ !#-\[\]-~]*)'
_PAYLOAD = re.compile(rf'\{{"body":"{_BODY}","entry":"({PATTERNS["uuid"]})","salt":"({PATTERNS["hash"]})"}}')
_SHAPES = SHAPES | {"entry": SHAPES["entry"].replace(" esign?:esign", "")}  # what is signed is looked at as a whole
FIELDS = "at id object.id object.prev object.type object.version payload.commit payload.ref subject type"


def expression(check: str, wanted: Sequence[str] = (), path: str = "") -> str:
    """The expression for what `spelling` checks by that name; a group for each member whose path is wanted."""
    group = "(" if path in wanted else "(?:"
    if check == "one":
        return "1"
    if check == "version":
        return f"(?:{group}[1-9][0-9]{{0,14}})|null)"
    if check.endswith("!"):
        return f"(?:{expression(check[:-1], wanted, path)}|null)"
    if check.endswith("[]"):
        return rf"\[(?:{expression(check[:-2])}(?:,(?!\])|(?=\])))*\]"
    if check not in _SHAPES:
        return f'"{group}{_STRINGS.get(check, check.removeprefix("="))})"'
    parts = sorted(part.split(":", 1) for part in _SHAPES[check].split())
    first = next((name for name, _ in parts if not name.endswith("?")), None)
    members, before, behind = "", "", "," if first else r'(?:,(?=")|(?=\}))'
    for name, each in parts:
        before, behind = ("", "") if name == first else (before, behind)
        value = expression(each, wanted, f"{path}.{name}".strip(".?"))
        member = f'{before}"{name.rstrip("?")}":{value}{behind}'
        members += f"(?:{member})?" if name.endswith("?") else member
        before = "," if not behind else ""
    return rf"\{{{members}\}}"


_ENTRY = re.compile(expression("entry", FIELDS.split()))  # over Latin-1: what is not ASCII matches nothing


class Entry(NamedTuple):
    """What is asked of every entry, in the order of its spelling; `all` of it when it was read the slow way."""

    at: str
    id: str
    name: str  # of the object, as `prev`, `thing` (its type) and `version`
    prev: str | None
    thing: str
    version: Any
    commit: str | None
    ref: str | None
    subject: str | None
    type: str
    all: Mapping[str, Any]


def entry(encoded: bytes) -> Entry:
    """An entry; one that is signed, or is about keys, comes with all of it. Raises Wrong (V4)."""
    found = _ENTRY.fullmatch(encoded.decode("latin-1"))
    if found and not found[10].startswith(("log.", "credential.", "payload.", "key.")):
        return Entry._make((*found.groups(), {}))
    value = parse(encoded, "V4", "entry-spelling")
    if not CHECKS["entry"](value):
        name = value.get("id") if isinstance(value, dict) else None
        raise Wrong("V4", "entry-schema", "not the members of an entry", entry=name)
    fields = (reduce(lambda each, key: each and each.get(key), path.split("."), value) for path in FIELDS.split())
    return Entry._make((*fields, value))


def payload(line: bytes) -> dict[str, str] | None:
    """A line of `payloads.jsonl` whose body has no escapes but those of some quotation marks, else None."""
    if found := _PAYLOAD.fullmatch(line.decode("latin-1")):
        body, name, salt = found.groups()
        return {"body": body.replace('\\"', '"'), "entry": name, "salt": salt}
    return None
