"""The content of an entry of the record as a person reads it, line by line, and exactly as it was kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from audit.words import code, field

from ..selectors.record_content import Content

DEEPEST = 6


@dataclass(frozen=True, slots=True)
class ContentShown:
    """What a page shows of it: lines of label and words, the exact text, or why neither."""

    entry_id: UUID
    lines: tuple[tuple[str, str], ...]
    exact: str
    withheld: str
    shredded: bool
    nothing: bool


def content_shown(content: Content) -> ContentShown:
    """The content in words."""
    body = content.body
    return ContentShown(
        entry_id=content.entry_id,
        lines=tuple(_lines(body)) if body is not None else (),
        exact=json.dumps(body, indent=2, ensure_ascii=False, sort_keys=True) if body is not None else "",
        withheld=content.withheld,
        shredded=content.shredded,
        nothing=body is None and not content.withheld and not content.shredded,
    )


def _lines(body: Mapping[str, Any], before: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    for name, kept in body.items():
        label, value = f"{before}{field(name)}", _frozen(kept)
        if isinstance(value, Mapping) and depth < DEEPEST:
            yield from _lines(value, f"{label}: ", depth + 1)
        elif isinstance(value, str):
            yield label, code(value) if value else "nothing"
        elif value is None or value == []:
            yield label, "nothing"
        elif isinstance(value, list) and all(isinstance(each, str) for each in value):
            yield label, ", ".join(code(each) for each in value)
        elif isinstance(value, bool):
            yield label, "yes" if value else "no"
        else:
            yield label, json.dumps(value, ensure_ascii=False, sort_keys=True)


def _frozen(value: Any) -> Any:
    """What was kept as text of JSON, opened; anything else as it is."""
    if not isinstance(value, str) or value[:1] not in {"{", "["}:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
