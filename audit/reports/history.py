"""What happened, act by act: when, what, who, why, under which model and policy, what was said, who signed.

The rules
 * Every field of an entry stands in its block, in words where there are words; identifiers and digests in small type at
   its end (21 CFR 11.10(b): complete and readable).
 * A signature shows printed name, date and time, and meaning, and how it was made (21 CFR 11.50, 11.70). What the
   application attests by itself is called that.
 * What this reader may not see, and what was destroyed, is said where it would stand.
 * A block that does not fit goes on over the page and says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from audit import words
from audit.reports.acts import Act, clock, day, moment, reading
from audit.reports.fonts import BOLD, MONO, TEXT, visible, width, wrap
from audit.reports.sheets import ALARM, BOTTOM, BRAND, INK, LEFT, QUIET, RIGHT, RULE, TINT, TOP, Book
from audit.reports.survey import Survey

X = LEFT + 96
ROOM = RIGHT - X
_LABEL, _HALF, _GAP = 100.0, (RIGHT - X) / 2, 8.0
_FROZEN = frozenset({"change", "proposed", "prescribed", "original_change", "final_change"})
_SHOWN = frozenset({"v", "payload", "esign", "limits"})
Run = tuple[float, str, str, float, str]  # x, text, face, size, colour


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a block: its height, what stands on it, and its ground."""

    high: float
    runs: tuple[Run, ...]
    fill: str = ""


def draw_act(book: Book, act: Act, found: Survey) -> None:
    """The block of one act at the present place."""
    rows = [*_head(act, found), *_why(act), *_content(act, found), *_signature(act), *_particulars(act, found)]
    high = sum(row.high for row in rows) + 16
    if book.y - min(high, 170) < BOTTOM:
        book.turn()
    if book.y < TOP - 1:
        book.line([(LEFT, book.y - 4), (RIGHT, book.y - 4)], RULE)
    book.y -= 7
    for row in rows:
        if book.y - row.high < BOTTOM:
            book.turn()
            book.y -= 10
            book.text(LEFT, book.y, f"No. {act.position:,}, continued", TEXT, 7, QUIET)
            book.y += 4
        book.y -= row.high
        if row.fill:
            book.box(X - 5, book.y - 2.6, ROOM + 5, row.high + 0.2, row.fill)
        for x, text, face, size, colour in row.runs:
            book.text(x, book.y, text, face, size, colour)
    book.y -= 9


# -- what, when, who --------------------------------------------------------------------------------------------------


def _head(act: Act, found: Survey) -> Iterator[Row]:
    entry = act.entry
    outcome = entry["outcome"]
    headline = words.kind(act.kind)
    tag = "" if outcome == "ok" else words.of("outcomes", outcome).upper()
    runs: list[Run] = [(LEFT, day(entry["occurred_at"]), BOLD, 8, INK), (X, headline, BOLD, 9.5, INK)]
    number = f"No. {act.position:,}"
    runs.append((RIGHT - width(number, TEXT, 7.5), number, TEXT, 7.5, QUIET))
    if tag:
        runs.append((X + width(headline, BOLD, 9.5) + 8, tag, BOLD, 8, ALARM))
    yield Row(12, tuple(runs))
    lines = wrap(visible(_who(act, found)), TEXT, 8, ROOM)
    yield Row(11.5, ((LEFT, clock(entry["occurred_at"]), TEXT, 8, QUIET), (X, lines[0], TEXT, 8, INK)))
    yield from (Row(10.5, ((X, line, TEXT, 8, INK),)) for line in lines[1:])


def _who(act: Act, found: Survey) -> str:
    entry, actor = act.entry, act.entry["actor"]
    said = [found.name(actor)]
    if "role" in actor:
        said.append(words.opened(actor["role"]))
    if "org" in actor:
        said.append(f"of {actor['org']}")
    if "on_behalf_of" in entry:
        said.append(f"through {entry['on_behalf_of']['id']}")
    return ", ".join(said) + f" · for {words.of('purposes', entry['purpose'])}"


def _why(act: Act) -> Iterator[Row]:
    entry = act.entry
    if "reason_code" in entry:
        yield from _labelled("Why", words.code(entry["reason_code"]))
    if "break_glass_id" in entry:
        yield from _labelled("Emergency access", entry["break_glass_id"])
    if "model" in entry:
        model = entry["model"]
        yield from _labelled("Model", f"{words.code(model['id'])} ({model['id']}), version {model['version']}")
        if "policy_version" in model:
            yield from _labelled("Policy", model["policy_version"])
    if "limits" in entry:
        limits = entry["limits"]
        for cap in limits["caps"]:
            said = (
                f"{words.code(cap['name'])} ({cap['name']}): asked {cap['asked']}, given {cap['given']} {cap['unit']}"
            )
            yield from _labelled("Limit applied", said)
        if limits["reasons"]:
            yield from _labelled(
                "Limits, because", "; ".join(f"{words.code(reason)} ({reason})" for reason in limits["reasons"])
            )


def _labelled(label: str, said: str) -> Iterator[Row]:
    lines = wrap(visible(said), TEXT, 8, ROOM - _LABEL)
    yield Row(11, ((X, label, TEXT, 8, QUIET), (X + _LABEL, lines[0], TEXT, 8, INK)))
    yield from (Row(10.5, ((X + _LABEL, line, TEXT, 8, INK),)) for line in lines[1:])


# -- what was said ----------------------------------------------------------------------------------------------------


def _content(act: Act, found: Survey) -> Iterator[Row]:
    if act.said is None:
        if "payload" in act.entry:
            gone = act.entry["payload"]["ref"] in found.shredded
            said = "destroyed for good, by an act in this record" if gone else "not shown to this reader"
            yield from _labelled("Content", f"{said}; its commitment stands below")
        return
    pending: tuple[str, str] | None = None
    for name, said in flat(act.said):
        label = name[:1].upper() + name[1:]
        short = width(label, TEXT, 8) <= _LABEL - 4 and width(said, TEXT, 8) <= _HALF - _LABEL - _GAP
        if short and "\n" not in said and pending is not None:
            yield Row(11, (*_pair(X, pending), *_pair(X + _HALF, (label, said))))
            pending = None
            continue
        if pending is not None:
            yield Row(11, _pair(X, pending))
            pending = None
        if short and "\n" not in said:
            pending = (label, said)
        else:
            yield from _long(label, said)
    if pending is not None:
        yield Row(11, _pair(X, pending))
    yield from _readings(act)


def _pair(x: float, pair: tuple[str, str]) -> tuple[Run, ...]:
    return ((x, pair[0], TEXT, 8, QUIET), (x + _LABEL, pair[1], TEXT, 8, INK))


def _long(label: str, said: str) -> Iterator[Row]:
    wide = width(label, TEXT, 8) > _LABEL - 4
    digest = len(said) == 64 and said.isalnum()
    face, size = (MONO, 6.6) if digest else (TEXT, 8.0)
    lines = wrap(said, face, size, ROOM - _LABEL)
    if wide:
        yield from (Row(10.5, ((X, line, TEXT, 8, QUIET),)) for line in wrap(label, TEXT, 8, ROOM))
    for number, line in enumerate(lines):
        head: tuple[Run, ...] = ((X, label, TEXT, 8, QUIET),) if number == 0 and not wide else ()
        yield Row(10.5, (*head, (X + _LABEL, line, face, size, INK)))


def flat(said: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Every field of a payload as (label, visible text): a small value inside it on one line, a larger by its parts."""
    for name, kept in said.items():
        value = _thawed(kept) if name in _FROZEN and isinstance(kept, str) else kept
        label = f"{above}{words.field(name)}"
        if isinstance(value, Mapping) and any(_deep(name, each) for name, each in value.items()):
            yield from flat(value, "" if name == "record" else f"{label}: ")
        elif isinstance(value, list | tuple) and any(isinstance(each, Mapping) for each in value):
            for number, each in enumerate(value, start=1):
                yield visible(f"{label} {number}"), visible(_plain(each))
        else:
            yield visible(label), visible(_plain(value))


def _deep(name: str, value: Any) -> bool:
    return isinstance(value, Mapping) or (name in _FROZEN and isinstance(value, str) and _thawed(value) is not value)


def _thawed(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, Mapping) else text


def _plain(value: Any) -> str:
    match value:
        case None:
            return "none"
        case True:
            return "yes"
        case False:
            return "no"
        case list() | tuple():
            return ", ".join(_plain(each) for each in value) or "none"
        case Mapping():
            parts = (
                f"{words.field(str(name))} {_plain(inside)}" for name, inside in value.items() if inside is not None
            )
            return " · ".join(parts) or "none"
        case str() if words.known(value):
            return f"{words.code(value)} ({value})"
        case _:
            return str(value) or "(empty)"


def _readings(act: Act) -> Iterator[Row]:
    if not act.rows:
        return
    yield Row(11.5, ((X, f"Readings, as stored ({len(act.rows):,}):", TEXT, 8, QUIET),))
    for number, row in enumerate(act.rows, start=1):
        said = reading(row)
        text = _measured(said) if said else row.hex()
        lines = wrap(visible(f"{number}. {text}"), TEXT, 6.5, ROOM)
        yield from (Row(8.5, ((X, line, TEXT, 6.5, INK),)) for line in lines)


def _measured(said: Mapping[str, Any]) -> str:
    """When and how much first, then every field that says something."""
    first = [str(said[name]) for name in ("taken_at",) if said.get(name)]
    if said.get("systolic") and said.get("diastolic"):
        first.append(f"{_short(said['systolic'])}/{_short(said['diastolic'])} mmHg")
    done = {"taken_at", "systolic", "diastolic"} if len(first) == 2 else set()
    rest = [f"{words.field(name)} {_plain(value)}" for name, value in said.items() if name not in done and value]
    return " · ".join([*first, *rest])


def _short(number: Any) -> str:
    text = str(number)
    return text.rstrip("0").rstrip(".") if "." in text else text


# -- signature and particulars ----------------------------------------------------------------------------------------


def manifestation(act: Act) -> tuple[str, str, str, str]:
    """Printed name, date and time, meaning, method: 21 CFR 11.50(a) and how far the signature carries."""
    esign = act.entry["esign"]
    name = esign.get("name_shown", "no printed name was kept")
    method = words.of("methods", esign["method"])
    if act.evidence is not None:
        method += "; its assertion travels with this report"
    return name, moment(act.entry["occurred_at"]), esign["meaning"], method


def _signature(act: Act) -> Iterator[Row]:
    if "esign" not in act.entry:
        return
    name, when, meaning, method = manifestation(act)
    yield Row(4, ())
    shown = [
        *((line, BOLD, 8.5, INK) for line in wrap(visible(f"Signed by {name}"), BOLD, 8.5, ROOM - 6)),
        *((line, TEXT, 8, INK) for line in wrap(visible(f"on {when}, meaning: “{meaning}”"), TEXT, 8, ROOM - 6)),
        *((line, TEXT, 7.5, QUIET) for line in wrap(visible(f"How: {method}"), TEXT, 7.5, ROOM - 6)),
    ]
    for line, face, size, colour in shown:
        yield Row(12, ((X, line, face, size, BRAND if face == BOLD else colour),), TINT)
    yield Row(3, ())


def _particulars(act: Act, found: Survey) -> Iterator[Row]:
    lines = particulars(act, found, size=5.6, room=ROOM)
    yield Row(9.5, ((X, lines[0], MONO, 5.6, QUIET),))
    yield from (Row(7.2, ((X, line, MONO, 5.6, QUIET),)) for line in lines[1:])


def particulars(
    act: Act,
    found: Survey,
    *,
    also: Mapping[str, Any] = MappingProxyType({}),
    size: float = 5.2,
    room: float = RIGHT - LEFT,
) -> list[str]:
    """Every field that is not said elsewhere, by its own name, in lines of small type."""
    entry = act.entry
    said = [f"no. {act.position}", f"leaf {act.leaf.hex()}"]
    one = len(found.subjects) == 1
    for name in sorted(entry.keys() - _SHOWN):
        if name == "subject" and one:
            said.append("subject: the patient of this report")
        else:
            said.extend(_named(name, entry[name]))
    for name in ("payload", "esign"):
        if name in entry:
            said.extend(_named(name, entry[name]))
    said.extend(f"{label} {value}" for label, value in flat(also))
    return wrap(visible(" · ".join(said), MONO), MONO, size, room)


def _named(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in sorted(value):
            yield from _named(f"{name}.{inner}", value[inner])
    elif isinstance(value, list):
        yield f"{name} {','.join(str(each) for each in value) or 'none'}"
    else:
        yield f"{name} {'none' if value is None else value}"
