"""Vendor formats, each a pure function from a document to readings or to the name of what is wrong with it.

Rules
 * A format is chosen by name, never sniffed: what looks like another format is refused.
 * In a batch one numbered entry is one document; in a file one document may hold many readings.
 * Numbers in JSON are read by `strict_json`; nothing here reads a clock, a setting or the network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from care_loops.domain.parts import PartsRead

from .. import strict_json
from ..domain import Bad, Item, Unreadable
from . import fhir, fields, omron_csv, open_mhealth, own, self_measured

Reader = Callable[..., Item]
READERS: dict[str, Reader] = {
    own.NAME: own.read,
    fhir.NAME: fhir.read,
    self_measured.NAME: self_measured.read,
    open_mhealth.NAME: open_mhealth.read,
}
PARTS: dict[str, Callable[[Any], PartsRead]] = {
    own.NAME: own.parts,
    fhir.NAME: fhir.parts,
    self_measured.NAME: fhir.parts,
    open_mhealth.NAME: open_mhealth.parts,
}
FILES = (*READERS, omron_csv.NAME)


def read_one(name: str, content: dict[str, Any], *, zone: str | None) -> Item:
    """One entry of a batch. Our own fields stand in the entry itself, other formats under `document`. Never raises."""
    reader = READERS[name]
    try:
        if name == own.NAME:
            return reader(content, zone=zone)
        if content.keys() != {"document"}:
            raise Unreadable("unknown_field", "An entry of this format has seq and document, nothing else.")
        return reader(content["document"], zone=zone)
    except Unreadable as why:
        return Bad(why.code, why.detail, parts=parts_of(name, content))


def parts_of(name: str, content: dict[str, Any]) -> PartsRead:
    """What can be read of one entry of a batch that is refused. Never raises; of an unknown format, nothing."""
    if name not in PARTS:
        return PartsRead()
    return PARTS[name](content if name == own.NAME else content.get("document"))


def read_file(name: str, content: bytes, *, zone: str | None) -> tuple[Item, ...]:
    """Every reading of a file. Raises `Unreadable` when the file as a whole cannot be read."""
    if name not in FILES:
        raise Unreadable("unknown_format", f"The format is not one of {', '.join(FILES)}.")
    if zone is not None:
        zone = fields.zone(zone, otherwise=None)
    if name == omron_csv.NAME:
        return omron_csv.read_all(content, zone=zone)
    documents = _documents(name, content)
    return tuple(_read(name, document, zone) for document in documents)


def _documents(name: str, content: bytes) -> list[Any]:
    """The documents of a JSON file: one, a list, a Bundle, or one a line."""
    try:
        whole = strict_json.loads(content)
    except Unreadable as why:
        lines = [line for line in content.splitlines() if line.strip()]
        if why.code != "not_json" or len(lines) < 2:
            raise
        whole = [strict_json.loads(line) for line in lines]
    if name in (fhir.NAME, self_measured.NAME):
        return fhir.observations(whole)
    if name == own.NAME and isinstance(whole, dict) and "readings" in whole:
        return fields.a_list(whole["readings"], name="readings")
    return whole if isinstance(whole, list) else [whole]


def _read(name: str, document: Any, zone: str | None) -> Item:
    reader, parts = READERS[name], PARTS[name]
    try:
        if reader is own.read and isinstance(document, dict):
            document = {name: value for name, value in document.items() if name != "seq"}
        return reader(document, zone=zone)
    except Unreadable as why:
        return Bad(why.code, why.detail, text=str(document)[:500], parts=parts(document))


__all__ = ["FILES", "READERS", "parts_of", "read_file", "read_one"]
