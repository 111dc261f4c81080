"""What a proposed policy would have changed, in words and as a drawing: from where to where, and how many."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

from ..domain.refusals import Withheld
from ..services.what_if import WhatIf
from .vocabulary import TIERS, WITHHELD

ANOTHER = " *"


@dataclass(frozen=True, slots=True)
class Move:
    """So many went there, and would have gone here."""

    before: str
    after: str
    count: int


@dataclass(frozen=True, slots=True)
class WhatIfShown:
    """The answer as a page shows it."""

    sentence: str
    moves: tuple[Move, ...]
    drawing: str
    listed: tuple[tuple[str, str, str, str, str], ...]
    cut: bool
    not_compared: int


def sentence(found: WhatIf) -> str:
    """The answer in one sentence."""
    past = "past recommendation" if found.compared == 1 else "past recommendations"
    said = f"Under this policy {found.changed} of {found.compared} {past} would have gone elsewhere."
    if found.not_compared:
        said += f" {found.not_compared} more no longer come out as they were kept, and are not compared."
    return said


def place_words(place: str) -> str:
    """A place in words: who acts, or why nothing is proposed."""
    another = place.endswith(ANOTHER)
    bare = place.removesuffix(ANOTHER)
    _, _, reason = bare.partition("withheld:")
    words = WITHHELD[Withheld(reason)] if reason else TIERS[bare]
    said = f"nothing: {words}" if reason else words
    return f"{said}, with another change" if another else said


def what_if_shown(found: WhatIf) -> WhatIfShown:
    """Words and drawing of an answer."""
    moves = tuple(Move(place_words(b), place_words(a), count) for b, a, count in found.moves)
    listed = tuple(
        (
            str(each.loop_id),
            f"{each.opened_at:%d %b %Y}",
            place_words(each.before),
            place_words(each.after),
            ", ".join(row.replace("_", " ") for row in each.rows),
        )
        for each in found.elsewhere
    )
    cut = found.changed > len(found.elsewhere)
    return WhatIfShown(sentence(found), moves, drawing(found, moves), listed, cut, found.not_compared)


INK, FAINT, STAYS, GOES = "#1d2a35", "#5a6872", "#d5e7ee", "#0b5c7a"
WIDTH, ROW, TOP = 460, 46, 58


def drawing(found: WhatIf, moves: tuple[Move, ...]) -> str:
    """One bar for all that were compared, its dark part those that would have gone elsewhere; below a bar per move."""
    height = TOP + ROW * max(1, len(moves)) + 8
    whole = max(found.compared, 1)
    share = WIDTH * found.changed / whole
    name = escape(sentence(found), {'"': "&quot;"})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
        f' aria-label="{name}" class="drawing" width="{WIDTH}" height="{height}">',
        _text(0, 14, f"{found.compared} compared, {found.changed} elsewhere", weight="600"),
        f'<rect x="0" y="22" width="{WIDTH}" height="16" fill="{STAYS}" stroke="{FAINT}"/>',
        f'<rect x="0" y="22" width="{share:.1f}" height="16" fill="{GOES}"/>',
    ]
    most = max((move.count for move in moves), default=1)
    for place, move in enumerate(moves):
        top = TOP + ROW * place
        parts += [
            _text(0, top + 12, f"{move.before} → {move.after}"),
            f'<rect x="0" y="{top + 18}" width="{(WIDTH - 60) * move.count / most:.1f}" height="12" fill="{GOES}"/>',
            _text((WIDTH - 60) * move.count / most + 8, top + 29, str(move.count), weight="600"),
        ]
    if not moves:
        parts.append(_text(0, TOP + 14, "Nothing would have gone elsewhere.", fill=FAINT))
    return "".join([*parts, "</svg>"])


def _text(x: float, y: float, said: str, *, fill: str = INK, weight: str = "400") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="system-ui, sans-serif" font-size="12" fill="{fill}"'
        f' font-weight="{weight}">{escape(said)}</text>'
    )
