"""What a witness remembers: the last checkpoint it cosigned for each log, in one SQLite file.

The rules (C2SP tlog-witness, add-checkpoint)
 * The comparison with the last checkpoint and its replacement are one step: BEGIN IMMEDIATE ... COMMIT. Otherwise a
   smaller tree checked earlier could be stored after a larger one, and the log be rolled back.
 * Nothing is answered before the commit has reached the disk: rollback journal, synchronous EXTRA. The state is a file.
 * A trigger refuses a smaller size, another root at the same size, and deletion, whatever program writes.
 * A well-signed checkpoint that is not consistent is kept: it is evidence against the log. At most 100 of each log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

EVIDENCE_KEPT = 100
BUSY_S = 5.0
_SCHEMA = (
    "CREATE TABLE identity (vkey TEXT NOT NULL)",
    """CREATE TABLE latest (origin TEXT PRIMARY KEY, size INTEGER NOT NULL CHECK (size >= 0),
    root BLOB NOT NULL CHECK (length(root) = 32), note BLOB NOT NULL, at INTEGER NOT NULL)""",
    "CREATE TABLE evidence (at INTEGER NOT NULL, origin TEXT NOT NULL, code TEXT NOT NULL, request BLOB NOT NULL)",
    """CREATE TRIGGER latest_grows BEFORE UPDATE ON latest
    WHEN NEW.origin <> OLD.origin OR NEW.size < OLD.size OR (NEW.size = OLD.size AND NEW.root <> OLD.root)
    BEGIN SELECT RAISE(ABORT, 'a log never shrinks'); END""",
    "CREATE TRIGGER latest_stays BEFORE DELETE ON latest BEGIN SELECT RAISE(ABORT, 'a log is never forgotten'); END",
)
_PUT = """
INSERT INTO latest (origin, size, root, note, at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note, at = excluded.at
"""


@dataclass(frozen=True, slots=True)
class Latest:
    """The last checkpoint cosigned: size, root, the note with our cosignature, and the POSIX second of it."""

    size: int
    root: bytes
    note: bytes
    at: int


class Store:
    """The state of a witness. One connection a call, so that it may be used from any thread and any process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self, vkey: str) -> None:
        """Make the file, with the name of the key whose state it is. Raises sqlite3.Error when there is one."""
        with self._writing() as connection:
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute("INSERT INTO identity VALUES (?)", (vkey,))

    def vkey(self) -> str | None:
        """The key whose state this is; None where no state was ever made."""
        if not self._path.exists():
            return None
        with self._reading() as connection:
            made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'identity'").fetchone()
            row = connection.execute("SELECT vkey FROM identity").fetchone() if made else None
        return str(row[0]) if row else None

    def last(self, origin: str) -> Latest | None:
        """The last checkpoint cosigned for this log, if any."""
        with self._reading() as connection:
            return _last(connection, origin)

    def replace(self, origin: str, decide: Callable[[Latest | None], Latest]) -> Latest:
        """Put what `decide` makes of the last checkpoint in its place, in one step. What it raises changes nothing."""
        with self._writing() as connection:
            new = decide(_last(connection, origin))
            connection.execute(_PUT, (origin, new.size, new.root, new.note, new.at))
        return new

    def keep_evidence(self, *, at: int, origin: str, code: str, request: bytes) -> None:
        """Keep a request that the log signed and should not have, unless there are enough of them."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO evidence SELECT ?, ?, ?, ? WHERE (SELECT count(*) FROM evidence WHERE origin = ?) < ?",
                (at, origin, code, request, origin, EVIDENCE_KEPT),
            )

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA synchronous = EXTRA")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def _last(connection: sqlite3.Connection, origin: str) -> Latest | None:
    row = connection.execute("SELECT size, root, note, at FROM latest WHERE origin = ?", (origin,)).fetchone()
    return Latest(*row) if row else None
