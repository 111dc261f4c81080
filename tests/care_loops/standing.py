"""A site built once for a module of tests: each test acts inside a savepoint that is rolled back after it.

Deferred constraints would speak at a commit that never comes: `commits()` asks them at once, and a test that wants to
see a refusal asks inside `refused()`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import override_settings

from audit.services import RelayReport, relay
from care_loops.services import handlers
from tests.factories import Hospital, job

QUICK = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # how slowly passwords are hashed is not what is tested


@pytest.fixture(scope="module")
def site(django_db_setup, django_db_blocker) -> Iterator[Hospital]:
    """The site of this module, in a transaction that never commits."""
    with django_db_blocker.unblock(), override_settings(PASSWORD_HASHERS=QUICK), transaction.atomic():
        yield Hospital()
        transaction.set_rollback(True)


@pytest.fixture
def hospital(site) -> Iterator[Hospital]:
    """The site as it was built, whatever the test before did."""
    with transaction.atomic():
        mine = copy.copy(site)
        mine.people = dict(site.people)
        yield mine
        transaction.set_rollback(True)


def commits() -> None:
    """Ask every constraint that would be asked at commit."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


@contextmanager
def refused(words: str) -> Iterator[None]:
    """What is done here is refused by the database, now or at commit, in these words; nothing of it stays."""
    with pytest.raises(DatabaseError, match=words), transaction.atomic():  # noqa: PT012 - now, or at commit
        yield
        commits()


def sql(statement: str, *values: object) -> list[tuple]:
    """A statement as the application's own role."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def pass_on(now: datetime) -> RelayReport:
    """What waits in the outbox is delivered at `now`."""
    return relay(handlers(by=job("relay"), clock=lambda: now))
