"""G8: a decision with its proof, in one commit, beside one bare insert and commit of the same row.

What ours does more: it opens a transaction, appends the signed event (sealed payload with its key, leaf, version of
the object), and the database asks at commit whether the row's entry exists. What the other is: the same columns,
indexes and connection, one INSERT that commits itself. Shown beside: the same INSERT inside BEGIN and COMMIT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

from django.db import connection, models, transaction

from audit.selectors import payload_of
from audit.services import append, sequence_until_empty
from audit.services.publishing import publish
from config.grants import connect_as_owner
from tests.audit.builders import first_bad
from tests.benches.measuring import Clock, Goal, Means, median_seconds
from tests.benches.records import COLUMNS, decided, decision_row, own_database

NAME = "G8"
TIMES = 25
INSERT = f"INSERT INTO {{}} ({COLUMNS}) VALUES ({', '.join(['%s'] * 14)})"
NAMES = COLUMNS.replace(",", "").split()
INTO_OURS, INTO_BARE = INSERT.format("bench_decided"), INSERT.format("bench_bare")
TABLES = """
CREATE TABLE bench_bare (LIKE care_loops_decision INCLUDING ALL);
CREATE TABLE bench_decided (LIKE care_loops_decision INCLUDING ALL);
CREATE CONSTRAINT TRIGGER bench_decided_entry AFTER INSERT OR UPDATE OF entry ON bench_decided
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_entry_exists('entry')
"""


class Decided(models.Model):
    """The columns of a decision over the benchmark's own table, references as plain identifiers."""

    id = models.UUIDField(primary_key=True)
    kind = models.CharField(max_length=10)
    decided_at = models.DateTimeField()
    seen_version, seconds_to_decide = models.PositiveIntegerField(), models.PositiveIntegerField()
    original_change, final_change, policies = models.TextField(), models.TextField(), models.TextField()
    reason_code, free_text = models.CharField(max_length=60), models.TextField()
    loop_id, signature_id, entry = models.UUIDField(), models.UUIDField(), models.UUIDField()
    decided_by_id = models.UUIDField()

    class Meta:
        app_label, managed, db_table = "benches", False, "bench_decided"

    def __str__(self) -> str:
        return str(self.id)


@contextmanager
def prepared(_folder: Path) -> Iterator[Goal]:
    """The goal in a database of its own."""
    with own_database() as name:
        with connect_as_owner(name=name) as owner:
            owner.execute(TABLES)
        acts: dict[str, Callable[[], None]] = {
            "with_proof": _with_proof, "bare": _bare, "row_after": _row_after, "in_transaction": _transaction
        }  # fmt: skip
        arms = {each: partial(median_seconds, act, TIMES) for each, act in acts.items()}
        what = "a decision with its signed entry, beside one bare insert of the same row"
        yield Goal(what, 1.15, Means.COST_AT_MOST, "with_proof", "bare", arms, _gate, Clock.P50, rounds=40, warm_up=2)


def _with_proof() -> None:
    with transaction.atomic():
        append(decided(str(uuid4())), rows=[Decided(**dict(zip(NAMES, decision_row(None), strict=True)))])


def _row_after() -> None:
    with transaction.atomic():
        done = append(decided(str(uuid4())))
        with connection.cursor() as cursor:
            cursor.execute(INTO_OURS, decision_row(done.entry_id))


def _bare() -> None:
    with connection.cursor() as cursor:
        cursor.execute(INTO_BARE, decision_row(uuid4()))


def _transaction() -> None:
    with transaction.atomic():
        _bare()


def _gate() -> None:
    """What was decided is in the log with its payload, and the log verifies."""
    _bare()
    for _ in range(TIMES):
        _with_proof()
    sequence_until_empty()
    publish()
    with connection.cursor() as cursor:
        cursor.execute("SELECT d.entry FROM bench_decided d JOIN audit_entry e ON e.entry_id = d.entry")
        entries = [entry for (entry,) in cursor.fetchall()]
    assert len(entries) == TIMES
    assert all((payload_of(entry) or {})["decision"] == "approve" for entry in entries)
    assert first_bad() is None
