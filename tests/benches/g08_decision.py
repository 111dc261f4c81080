"""G8: a decision with its proof, in one commit, beside one bare insert and commit of the same row.

What ours does more: it opens a transaction, appends the signed event (sealed payload with its key, leaf, version of
the object) with the row riding in the same statement, as the services do, and the database asks at commit whether the
row's entry exists. What the other is: the same columns, indexes and connection, one INSERT that commits itself. Shown
beside: the row as a statement after the entry, and the bare INSERT inside BEGIN and COMMIT.

G8_writers: the same two with four writers at once, acts per second; its gate is that no object's chain forks though
all four write versions of the same objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import uuid4

from django.db import connection, connections, models, transaction

from audit.selectors import next_version, payload_of
from audit.services import ObjectVersionTaken, append, sequence_until_empty
from audit.services.publishing import publish
from config.grants import connect_as_owner
from tests.audit.builders import first_bad
from tests.benches.measuring import Clock, Goal, Means, median_seconds
from tests.benches.records import COLUMNS, decided, decision_row, own_database

TIMES = 25
WRITERS, EACH, SHARED, VERSIONS = 4, 50, 3, 20
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
def _database() -> Iterator[None]:
    with own_database() as name:
        with connect_as_owner(name=name) as owner:
            owner.execute(TABLES)
        yield


@contextmanager
def prepared(_folder: Path) -> Iterator[Goal]:
    """One writer, in a database of its own."""
    with _database():
        arms = {each: partial(median_seconds, act, TIMES) for each, act in ACTS.items()}
        what = "a decision with its signed entry, beside one bare insert of the same row"
        yield Goal(what, 1.15, Means.COST_AT_MOST, "with_proof", "bare", arms, _gate, Clock.P50, rounds=40, warm_up=2)


@contextmanager
def prepared_writers(_folder: Path) -> Iterator[Goal]:
    """Four writers, each a process with a connection of its own."""
    with _database(), _writers() as ask:
        arms = {each: partial(ask, each) for each in ("with_proof", "bare")}
        what = f"the same with {WRITERS} writers at once, acts per second"
        gate = partial(_no_fork, ask)
        yield Goal(what, 0.85, Means.RATE_AT_LEAST, "with_proof", "bare", arms, gate, Clock.WALL, rounds=15, warm_up=2)


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


def _chained() -> None:
    """The next version of one of the objects that all writers share; again when another writer was first."""
    unfinished = [f"shared-{n}" for n in range(SHARED)]
    while unfinished:
        try:
            with transaction.atomic():
                if (version := next_version("recommendation", unfinished[0])) <= VERSIONS:
                    append(decided(unfinished[0], version))
                    return
            unfinished.pop(0)
        except ObjectVersionTaken:
            continue


ACTS: dict[str, Callable[[], None]] = {
    "with_proof": _with_proof, "bare": _bare, "row_after": _row_after, "in_transaction": _transaction
}  # fmt: skip


@contextmanager
def _writers() -> Iterator[Callable[[str], float]]:
    """Processes that wait to be asked; all of them do an act EACH times, and the answer is how often that was."""
    connections.close_all()
    fork = get_context("fork")
    pipes = [fork.Pipe() for _ in range(WRITERS)]
    working = [fork.Process(target=_work, args=(theirs,), daemon=True) for _, theirs in pipes]
    for each in working:
        each.start()

    def ask(what: str) -> float:
        for ours, _ in pipes:
            ours.send(what)
        return sum(ours.recv() for ours, _ in pipes)

    try:
        yield ask
    finally:
        for ours, _ in pipes:
            ours.send(None)
        for each in working:
            each.join()


def _work(asked: Connection) -> None:
    acts = {**ACTS, "chained": _chained}
    while (what := asked.recv()) is not None:
        for _ in range(EACH):
            acts[what]()
        asked.send(EACH)
    connections.close_all()


def _no_fork(ask: Callable[[str], float]) -> None:
    """Every version of every shared object once, each naming the one before, in a log that verifies."""
    ask("chained")
    sequence_until_empty()
    publish()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT object_id, count(*), count(DISTINCT object_version), max(object_version) FROM audit_entry"
            " WHERE object_type = 'recommendation' GROUP BY object_id"
        )
        found = {name: (n, different, last) for name, n, different, last in cursor.fetchall()}
    assert found == {f"shared-{n}": (VERSIONS, VERSIONS, VERSIONS) for n in range(SHARED)}, found
    assert first_bad() is None


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


GOALS = {"G8": prepared, "G8_writers": prepared_writers}
