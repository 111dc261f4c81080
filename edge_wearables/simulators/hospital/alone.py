"""Either the play or the house: simulated weeks and the clock on the wall never act on one database together.

The rules
 * The play holds an advisory lock of the database alone; `serve` holds it together with others like it. It is held on
   a connection of its own, and the database frees it when its holder dies.
 * A play that was begun and not ended owns its site also while nobody plays: what stands there is weeks old, and the
   clock of a served house would let it expire.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from governance.domain import Refusal

from .founding import is_unfinished

LOCK: Final = 0x636C696E_706C6179  # "clinplay"
UNFINISHED = (
    "A demonstration was begun here and not played to its end: run `make demo`, which goes on where it stopped and "
    "serves afterwards. To begin another, remove this home (CLINAIOPS_HOME) first."
)
BEING_PLAYED = "A demonstration is being played here. Wait until it has ended; `make demo` serves the site by itself."


class NotAlone(Refusal):
    """The site is served, or played by another process."""

    code = "demonstration_is_not_alone"


@contextmanager
def played_alone() -> Iterator[None]:
    """Nobody serves this database, and nobody else plays in it, until this is left. Raises `NotAlone`."""
    line = _line()
    try:
        if not _locked(line, "pg_try_advisory_lock"):
            served = _locked(line, "pg_try_advisory_lock_shared")
            raise NotAlone(
                "This site is being served: its clock would act on the weeks that are played. End `manage.py serve` "
                "first (Ctrl-C where it runs), then run `make demo` again."
                if served
                else "Another process plays this demonstration already. Wait until it has ended."
            )
        yield
    finally:
        line.close()


class Serving:
    """What a served house holds. It is asked again and again, because a database that restarted has forgotten it."""

    def __init__(self) -> None:
        self._line: BaseDatabaseWrapper | None = None

    def refusal(self) -> str | None:
        """Why nothing may be served here now, as a sentence; None when it may, or while no database answers."""
        try:
            if self._line is not None and self._line.is_usable():
                return None
            self.release()
            line = _line()
            if not _locked(line, "pg_try_advisory_lock_shared"):
                line.close()
                return BEING_PLAYED
            self._line = line
            if is_unfinished():
                self.release()
                return UNFINISHED
        except (DatabaseError, InterfaceError):
            self.release()
        finally:
            connections[DEFAULT_DB_ALIAS].close()
        return None

    def release(self) -> None:
        """Let go of it."""
        line, self._line = self._line, None
        if line is not None:
            line.close()


def _line() -> BaseDatabaseWrapper:
    """A connection of its own: what another one commits, loses or closes does not touch the lock."""
    return connections[DEFAULT_DB_ALIAS].copy()


def _locked(line: BaseDatabaseWrapper, function: str) -> bool:
    with line.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [LOCK])
        return bool(cursor.fetchone()[0])
