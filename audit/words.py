"""Plain words for the codes of the record, from the table beside this module.

The rules
 * A drawing is a function of bundle and release, and the pages of the record say the same words: none are looked up
   elsewhere.
 * The clinical words are those of the pages (care_loops/presenters/vocabulary.py); a test compares them, because this
   package may not import that one.
 * A code without words is opened (underscores to blanks), never dropped; the code itself always stands with the entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def table() -> Mapping[str, Mapping[str, str]]:
    """The sets of words, by name."""
    found: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "words.json").read_text(encoding="utf-8"))
    return found


def opened(code: str) -> str:
    """A code we have no words for, readable."""
    return code.replace("_", " ").replace(".", " ").strip()


@lru_cache(maxsize=1024)
def kind(name: str) -> str:
    """What happened, as a headline."""
    words = table()["kinds"].get(name) or opened(name)
    return words[:1].upper() + words[1:]


@lru_cache(maxsize=4096)
def code(name: str) -> str:
    """A coded reason or state."""
    return table()["codes"].get(name) or opened(name)


@lru_cache(maxsize=1024)
def field(name: str) -> str:
    """The label of a field of a payload."""
    return table()["fields"].get(name) or opened(name)


def of(family: str, name: str) -> str:
    """The words for `name` in a set: purposes, outcomes, actors, methods, reports, left_out, filters."""
    return table()[family].get(name) or opened(name)


def left_out(why: str) -> str:
    """Why something is not in a bundle; of what was detached, in which archive it lies."""
    reason, _, archive = why.partition(":")
    return f"{of('left_out', reason)}{f' ({archive})' if archive else ''}"


def known(name: str) -> bool:
    """Whether there are words for a code that its letters do not say."""
    return name in table()["codes"]
