"""What the database shows of patients' rows to this connection: nothing, one person's, or everything.

Rules (SECURITY 1.2, 2.3 A6; DESIGN 7)
 * A connection of the web server begins blind. Commands and workers say at their start that they act as the system.
 * A request sees nothing until a person is known, and then what the database itself ties to that person. What was seen
   before is put back at its end.
 * Where an act or a page of the whole site looks wider it says so by `looking_wider`, from the closed list `Wider`.
 * This is a net against a forgotten filter. It holds nobody who runs SQL as the application: that role may set it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from enum import StrEnum
from functools import wraps
from typing import ParamSpec, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from psycopg.pq import TransactionStatus

SETTING = "clinaiops.sees"
NOTHING, EVERYTHING = "", "everything"
P = ParamSpec("P")
R = TypeVar("R")


class Wider(StrEnum):
    """Where a request looks beyond the records of whoever makes it, and why it has to."""

    DEVICES = "devices"  # a device is no person: its signature says whose reading it is
    SOURCES = "sources"  # an identifier at its source is taken once in the whole house
    QUOTA = "quota"  # what goes to patients in a day is counted over all of them
    TIES = "ties"  # who is tied to a record is said by people who are not yet, or never
    GLASS = "glass"  # a record is opened, and an opening reviewed, by people outside its care team
    HELD_BACK = "held_back"  # what nobody's record took is shown to who mends it
    OVERSIGHT = "oversight"  # figures over the whole site, and incidents, by pseudonym
    RECORD = "record"  # auditors search and export the record of everybody


_sees: ContextVar[str | None] = ContextVar("sees", default=None)


def sees_now() -> str:
    """What this connection was last told that it sees."""
    told = _sees.get()
    return begins_with() if told is None else told


def begins_with() -> str:
    """What a new connection of this process sees."""
    return EVERYTHING if f"{SETTING}={EVERYTHING}" in settings.DATABASES["default"]["OPTIONS"]["options"] else NOTHING


@contextmanager
def seeing(sees: str) -> Iterator[None]:
    """While inside, the connection sees this; then what it saw before. One that is lost begins anew."""
    before = sees_now()
    try:
        _tell(sees)
        yield
    finally:
        try:
            _tell(before)
        except (OperationalError, InterfaceError):
            connection.close()


def seeing_nothing() -> AbstractContextManager[None]:
    """A request, before anybody is known."""
    return seeing(NOTHING)


def sees_as(person: UUID) -> None:
    """From here to the end of the request, what the database ties to this person."""
    if sees_now() != EVERYTHING:
        _tell(str(person))


def looking_wider(place: Wider) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The act sees every row while it runs. Outside its transaction, so that the checks at its end see them too."""

    def over(act: Callable[P, R]) -> Callable[P, R]:
        @wraps(act)
        def wider(*args: P.args, **kwargs: P.kwargs) -> R:
            with seeing(EVERYTHING):
                return act(*args, **kwargs)

        wider.wider = place  # type: ignore[attr-defined]
        return wider

    return over


def _tell(sees: str) -> None:
    """A transaction that has failed rolls back, and with it what was told inside it."""
    if sees == sees_now():
        return
    _sees.set(sees)
    raw = connection.connection
    failed = raw is not None and raw.info.transaction_status == TransactionStatus.INERROR
    if failed or connection.needs_rollback:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, false)", [SETTING, sees])
