"""The letters of a report: embedded faces, their widths, and what becomes of a character they cannot draw.

The rules
 * Every face is embedded (DejaVu Sans, its bold and its mono, free licence, shipped with a library this project locks):
   a report looks the same wherever it is opened, and names keep their diacritics.
 * Nothing is lost silently: control characters, marks of direction, invisible characters, scripts written from right to
   left, what the faces lack and what lies beyond 16 bits (which readers copy in different ways) stand as their number
   in brackets, `[U+202E]` (SECURITY B9, B12). Free text is otherwise drawn literally: there is no markup in a report.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reportlab.pdfbase.ttfonts import TTFont

TEXT, BOLD, MONO = "ReportSans", "ReportSans-Bold", "ReportMono"
_FILES = {TEXT: "DejaVuSans.ttf", BOLD: "DejaVuSans-Bold.ttf", MONO: "DejaVuSansMono.ttf"}
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "PDF", "PDI", "FSI"})


class FontsMissing(Exception):
    """The faces are not installed. A fault of the installation."""


@lru_cache(maxsize=1)
def _folder() -> Path:
    found = find_spec("matplotlib")  # located, never imported: only its fonts are wanted
    if found is None or not found.submodule_search_locations:
        raise FontsMissing("matplotlib, whose fonts are embedded, is not installed")
    return Path(found.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"


@lru_cache(maxsize=3)
def loaded(name: str) -> TTFont:
    """The face, parsed once per process."""
    return TTFont(name, str(_folder() / _FILES[name]), asciiReadable=True, shapable=False)


class _Widths(dict[str, int]):
    """Width of a character in thousandths of the size, looked up once."""

    def __init__(self, face: Any) -> None:
        super().__init__()
        self._known, self._default = face.charWidths, face.defaultWidth

    def __missing__(self, char: str) -> int:
        wide: int = round(self._known.get(ord(char), self._default))
        self[char] = wide
        return wide


@lru_cache(maxsize=3)
def widths(name: str) -> _Widths:
    """Widths of the face's characters."""
    return _Widths(loaded(name).face)


def width(text: str, name: str, size: float) -> float:
    """How wide `text` is, in points."""
    return sum(map(widths(name).__getitem__, text)) * size / 1000


class _Visible(dict[int, str | int]):
    """What stands for a character in a face: itself, or its number in brackets."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._faces = tuple(loaded(each).face.charToGlyph for each in ((MONO,) if name == MONO else (TEXT, BOLD)))

    def __missing__(self, code: int) -> str | int:
        char = chr(code)
        if code == 0xA0:
            shown: str | int = " "
        else:
            drawable = code <= 0xFFFF and all(code in face for face in self._faces)
            unseen = unicodedata.category(char) in _UNSEEN or unicodedata.bidirectional(char) in _RIGHT_TO_LEFT
            shown = f"[U+{code:04X}]" if unseen or not drawable else code
        self[code] = shown
        return shown


@lru_cache(maxsize=3)
def _table(name: str) -> _Visible:
    return _Visible(name)


def visible(text: str, name: str = TEXT) -> str:
    """The text as it is drawn in a face (text and bold have the same letters). A line feed stays."""
    if text.isascii() and text.isprintable():
        return text
    table = _table(name)
    return "\n".join(line.translate(table) for line in text.split("\n"))


def wrap(text: str, name: str, size: float, room: float) -> list[str]:
    """The lines of visible `text` no wider than `room` points; words break only where they alone are too wide."""
    known = widths(name)
    limit = room * 1000 / size
    if "\n" not in text and sum(map(known.__getitem__, text)) <= limit:
        return [text]
    lines: list[str] = []
    parts = text.split("\n")
    for part in parts[:-1]:
        lines.extend(_wrapped(part + " ↵", known, limit))
    lines.extend(_wrapped(parts[-1], known, limit))
    return lines


def _wrapped(text: str, known: _Widths, limit: float) -> list[str]:
    lines: list[str] = []
    line, used, blank = "", 0, known[" "]
    for word in text.split(" "):
        wide = sum(map(known.__getitem__, word))
        if line and used + blank + wide <= limit:
            line, used = f"{line} {word}", used + blank + wide
            continue
        if line:
            lines.append(line)
        if wide > limit:
            *full, line = _broken(word, known, limit)
            lines.extend(full)
            used = sum(map(known.__getitem__, line))
        else:
            line, used = word, wide
    lines.append(line)
    return lines


def _broken(word: str, known: _Widths, limit: float) -> list[str]:
    pieces: list[str] = []
    start, used = 0, 0
    for at, char in enumerate(word):
        wide = known[char]
        if used + wide > limit and at > start:
            pieces.append(word[start:at])
            start, used = at, 0
        used += wide
    return [*pieces, word[start:]]


def clip(text: str, name: str, size: float, room: float) -> str:
    """The text, or its beginning and an ellipsis: only where the whole stands elsewhere in the report."""
    if width(text, name, size) <= room:
        return text
    known, limit, used = widths(name), room * 1000 / size - widths(name)["…"], 0
    for at, char in enumerate(text):
        used += known[char]
        if used > limit:
            return text[:at].rstrip() + "…"
    return text
