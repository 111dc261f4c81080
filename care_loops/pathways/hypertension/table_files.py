"""How a clinical table is read from its file and checked row by row.

Rules
 * A table has a name, a version and rows; each row has a citation and a mark, or the table does not load.
 * The digest is SHA-256 over the bytes of the file: what a recommendation keeps of the tables in force.
 * Numbers are written as text and read as `Decimal`; none passes through binary floating point.
 * A file that is wrong is a bug: it raises `BadTable` and nothing starts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files

from ...domain.provenance import Mark, Source, TableRef

Row = Mapping[str, object]
Rows = tuple[Row, ...]


class BadTable(ValueError):
    """A table that cannot be trusted: no citation, no mark, no version, a word outside its vocabulary."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as read: which bytes, the note for its readers, and the rows."""

    ref: TableRef
    note: str
    rows: tuple[Row, ...]


def parse_table(name: str, data: bytes) -> Table:
    """Read one table from bytes and check what all tables must have. Raises `BadTable`."""
    document = json.loads(data, parse_float=_no_floats)
    if document.get("table") != name or not document.get("version") or not document.get("note"):
        raise BadTable(f"{name}: a table says its name, its version and what it is")
    rows = document.get("rows")
    if not isinstance(rows, list) or not rows:
        raise BadTable(f"{name}: no rows")
    for number, row in enumerate(rows, start=1):
        if not row.get("citation") or row.get("mark") not in set(Mark):
            raise BadTable(f"{name}, row {number}: a row needs a citation and a mark")
    digest = hashlib.sha256(data).hexdigest()
    return Table(ref=TableRef(name, str(document["version"]), digest), note=str(document["note"]), rows=tuple(rows))


def _no_floats(text: str) -> object:
    raise BadTable(f"{text}: write numbers as text")


@cache
def read_table(name: str) -> Table:
    """Read `data/<name>.json` of this pathway."""
    return parse_table(name, (files(__package__) / "data" / f"{name}.json").read_bytes())


def source_of(row: Row) -> Source:
    """Citation and mark of a row."""
    return Source(citation=str(row["citation"]), mark=Mark(str(row["mark"])))


def decimal_of(row: Row, key: str) -> Decimal:
    """A number of a row, which is written as text."""
    value = row[key]
    if not isinstance(value, str):
        raise BadTable(f"{key}: write numbers as text, not {value!r}")
    return Decimal(value)


def count_of(row: Row, key: str) -> int:
    """A whole number of a row."""
    value = row[key]
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadTable(f"{key}: a whole number is needed, not {value!r}")
    return value


def words_of(row: Row, key: str) -> tuple[str, ...]:
    """A list of words of a row."""
    value = row[key]
    if not isinstance(value, list):
        raise BadTable(f"{key}: a list is needed, not {value!r}")
    return tuple(str(word) for word in value)
