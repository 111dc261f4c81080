"""Two drawings of the record, as SVG made here: how it has grown and how far it is covered, and the path of a proof.

Rules
 * Presentation attributes only, nothing loaded (the content policy is strict). Colour never says anything alone.
 * The facts of each drawing stand beside it in a table or a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from xml.sax.saxutils import escape

from audit.services.proving import Proof

INK, FAINT, RULE = "#1d2a35", "#5a6872", "#dfe5e9"
LINE, AREA, SIGNED, COVERED = "#0b5c7a", "#d5e7ee", "#6b4d9c", "#2c7a4b"
_FONT = 'font-family="system-ui, sans-serif" font-size="12"'
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 236, 12, 12, 30, 30


def growth_svg(points: Sequence[tuple[datetime, int]], *, signed: int, covered: int) -> str:
    """The log's size over time as a line, with a bar below: what is cosigned, what is signed, what is neither."""
    entries = max([size for _, size in points], default=0)
    first, last = (points[0][0], points[-1][0]) if points else (None, None)
    parts = [_open(WIDTH, HEIGHT, f"The record grew to {entries:,} entries; {signed:,} signed, {covered:,} cosigned")]
    if first is not None and last is not None and entries:
        span = max((last - first).total_seconds(), 1.0)
        floor, room = HEIGHT - BOTTOM - 34, HEIGHT - BOTTOM - 34 - TOP
        marks = [
            (LEFT + (WIDTH - LEFT - RIGHT) * (at - first).total_seconds() / span, floor - room * size / entries)
            for at, size in points
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in marks)
        parts += [
            f'<polygon points="{LEFT},{floor} {line} {WIDTH - RIGHT},{floor}" fill="{AREA}"/>',
            f'<polyline points="{line}" fill="none" stroke="{LINE}" stroke-width="2"/>',
            f'<line x1="{LEFT}" y1="{floor}" x2="{WIDTH - RIGHT}" y2="{floor}" stroke="{RULE}"/>',
            _text(LEFT, 14, f"{entries:,} entries", weight="600"),
            _text(LEFT, floor + 14, f"{first:%d %b %Y %H:%M}", fill=FAINT),
            _text(WIDTH - RIGHT, floor + 14, f"{last:%d %b %Y %H:%M} UTC", fill=FAINT, anchor="end"),
            *_bar(entries, signed, covered),
        ]
    return "".join([*parts, "</svg>"])


def _bar(entries: int, signed: int, covered: int) -> list[str]:
    """Cosigned solid, signed hatched by strokes, the rest empty, over the whole width."""
    top, room = HEIGHT - BOTTOM - 6, WIDTH - LEFT - RIGHT
    whole = [f'<rect x="{LEFT}" y="{top}" width="{room}" height="12" fill="#fff" stroke="{FAINT}"/>']
    to_signed, to_covered = room * min(signed, entries) / entries, room * min(covered, entries) / entries
    whole.append(f'<rect x="{LEFT}" y="{top + 4}" width="{to_signed:.1f}" height="4" fill="{SIGNED}"/>')
    whole.append(f'<rect x="{LEFT}" y="{top}" width="{to_covered:.1f}" height="12" fill="{COVERED}"/>')
    said = "Full bar: cosigned by the witnesses. Thin bar: signed by the log. Empty: neither yet."
    whole.append(_text(LEFT, HEIGHT - 8, said, fill=FAINT))
    return whole


ROW, NODE = 34, 9


def path_svg(proof: Proof) -> str:
    """The way from the entry up to the signed root: at each level the hash beside, left or right of the path."""
    levels = len(proof.steps)
    width, height = 420, ROW * (levels + 1) + 56
    middle = width / 2
    said = f"{levels} steps lead from entry {proof.position:,} to the root over {proof.size:,} entries"
    parts = [_open(width, height, said)]
    base = height - 26
    for number, step in enumerate(proof.steps):
        low, high = base - ROW * number, base - ROW * (number + 1)
        side = middle - 90 if step.on_the_left else middle + 90
        parts += [
            f'<line x1="{middle}" y1="{low}" x2="{middle}" y2="{high}" stroke="{LINE}" stroke-width="2"/>',
            f'<line x1="{side}" y1="{low}" x2="{middle}" y2="{high}" stroke="{FAINT}"/>',
            f'<rect x="{side - NODE / 2}" y="{low - NODE / 2}" width="{NODE}" height="{NODE}" fill="{FAINT}"/>',
            _text(
                side - 10 if step.on_the_left else side + 10,
                low + 4,
                f"{step.beside.hex()[:8]}…",
                fill=FAINT,
                anchor="end" if step.on_the_left else "start",
            ),
        ]
    for number in range(levels + 1):
        ends = number in (0, levels)
        colour = (COVERED if proof.holds else "#a11b12") if ends else LINE
        parts.append(f'<circle cx="{middle}" cy="{base - ROW * number}" r="{6 if ends else 4}" fill="{colour}"/>')
    verdict = "signed root" if proof.holds else "does not lead to the signed root"
    parts.append(_text(middle, base - ROW * levels - 14, verdict, anchor="middle", weight="600"))
    parts.append(_text(middle, base + 20, f"entry {proof.position:,}", anchor="middle", weight="600"))
    return "".join([*parts, "</svg>"])


def _open(width: int, height: int, title: str) -> str:
    name = escape(title, {'"': "&quot;"})
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{name}"'
        f' class="drawing" width="{width}" height="{height}">'
    )


def _text(x: float, y: float, said: str, *, fill: str = INK, anchor: str = "start", weight: str = "400") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" {_FONT} fill="{fill}" font-weight="{weight}" text-anchor="{anchor}">'
        f"{escape(said)}</text>"
    )
