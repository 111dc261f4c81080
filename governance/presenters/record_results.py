"""What a search has found, one sentence a row, and where the next page begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.http import QueryDict

from audit.selectors import record_state
from audit.services.searching import Line, Wanted, search

from ..forms import SearchForm
from ..selectors import staff_id_named, staff_names
from .record import LineShown, SegmentShown, line_shown, segment_shown


@dataclass(frozen=True, slots=True)
class Results:
    """A page of results. `older` and `first` are queries; `pending` entries could not be looked through yet, nor those
    of the segments `unsearched`, which lie in archives.
    """

    lines: tuple[LineShown, ...]
    older: str
    first: str
    pending: int
    unsearched: tuple[SegmentShown, ...]


def actor_of(form: SearchForm) -> str | None:
    """Who `who` names, as an identifier; empty for nobody asked. None, with the field marked, when it names no one."""
    said = str(form.cleaned_data["who"]).strip()
    if not said:
        return ""
    if (found := staff_id_named(said)) is not None:
        return found
    if _is_id(said) or any(mark in said for mark in "-@:"):
        return said
    form.add_error("who", f"Nobody on the staff signs in as “{said}”, and it is no identifier.")
    return None


def _is_id(said: str) -> bool:
    try:
        UUID(said)
    except ValueError:
        return False
    return True


def results(wanted: Wanted, *, below: int | None, sent: QueryDict) -> Results:
    """Look, and say what was found."""
    found = search(wanted, below=below)
    names = names_in(found.lines)
    first = sent.copy()
    first.pop("below", None)
    older = first.copy()
    if found.below is not None:
        older["below"] = str(found.below)
    return Results(
        lines=tuple(line_shown(line, names) for line in found.lines),
        older=older.urlencode() if found.below is not None else "",
        first=first.urlencode() if below is not None else "",
        pending=record_state().pending,
        unsearched=tuple(segment_shown(gone) for gone in found.unsearched),
    )


def names_in(lines: Iterable[Line]) -> dict[str, str]:
    """The members of staff among those who acted."""
    return staff_names({line.actor_id for line in lines if line.actor_kind == "user"})
