"""Rows that ride with an entry are written with it or not at all, and are held as any other row is."""

import os
import signal
import threading
from uuid import uuid4

import pytest
from django.db import DatabaseError, DataError, IntegrityError, connection, models, transaction
from django.db.models.functions import Now

from audit.migrations_sql import entry_reference_trigger
from audit.models import ObjectVersion, Payload, PayloadKey, Pending
from audit.services import ObjectVersionTaken, VersionGap, append
from audit.services.recording import LeafDiffers
from audit.services.riding import CannotRide
from tests.audit.builders import event, record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])

TABLES = """
CREATE TABLE ward_note (id uuid PRIMARY KEY, said varchar(12) NOT NULL UNIQUE, count integer CHECK (count >= 0),
    entry uuid NOT NULL);
CREATE TABLE ward_page (id bigserial PRIMARY KEY, note_id uuid NOT NULL, entry uuid NOT NULL);
CREATE FUNCTION ward_looks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM audit_pending WHERE entry_id = NEW.entry AND txid = pg_current_xact_id()) THEN
        RAISE EXCEPTION 'the entry is not there yet' USING ERRCODE = 'check_violation';
    END IF;
    IF TG_TABLE_NAME = 'ward_page' THEN
        IF NOT EXISTS (
            SELECT 1 FROM ward_note n JOIN audit_objectversion v ON v.entry_id = n.entry WHERE n.id = NEW.note_id
        ) THEN
            RAISE EXCEPTION 'the note is not there yet' USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER looks BEFORE INSERT ON ward_note FOR EACH ROW EXECUTE FUNCTION ward_looks();
CREATE TRIGGER looks BEFORE INSERT ON ward_page FOR EACH ROW EXECUTE FUNCTION ward_looks();
"""


class Note(models.Model):
    """A note of a ward, of at most twelve letters, said once."""

    id = models.UUIDField(primary_key=True, default=uuid4)
    said = models.CharField(max_length=12)
    count = models.IntegerField(null=True)
    entry = models.UUIDField()

    class Meta:
        app_label, managed, db_table = "ward", False, "ward_note"

    def __str__(self) -> str:
        return self.said


class Page(models.Model):
    """A page of a note; the database counts them."""

    id = models.BigAutoField(primary_key=True)
    note = models.ForeignKey(Note, on_delete=models.DO_NOTHING)
    entry = models.UUIDField()

    class Meta:
        app_label, managed, db_table = "ward", False, "ward_page"

    def __str__(self) -> str:
        return str(self.id)


@pytest.fixture(autouse=True)
def ward(owner_db):
    """Two tables of another app, whose triggers look for the entry and for each other."""
    owner_db.execute(TABLES)
    for table in ("ward_note", "ward_page"):
        for statement in entry_reference_trigger(table, "entry").sql:
            owner_db.execute(statement)
    yield
    owner_db.execute("DROP TABLE ward_note, ward_page; DROP FUNCTION ward_looks")


def written() -> tuple[int, ...]:
    """How much of everything there is."""
    return tuple(each.objects.count() for each in (Pending, Payload, PayloadKey, ObjectVersion, Note, Page))


NOTHING = (0, 0, 0, 0, 0, 0)


def test_an_entry_and_its_rows_are_one_statement(django_assert_num_queries):
    record(event("warm"))
    record(event("warm", 2))
    note = Note(said="slept well", count=2)
    page = Page(note=note)
    with transaction.atomic(), django_assert_num_queries(1):
        done = append(event(), rows=[note, page])
    assert note.entry == page.entry == done.entry_id
    stored = Page.objects.select_related("note").get()
    assert (stored.pk, stored.entry, stored.note.said, stored.note.count) == (page.pk, done.entry_id, "slept well", 2)
    with transaction.atomic():
        append(event(version=2), rows=[another := Note(said="woke")])
    assert Note.objects.get(pk=another.pk).count is None
    assert not any(row._state.adding for row in (note, page, another))


def test_a_row_without_a_version_rides_too():
    with transaction.atomic():
        append(event("p-1", None, kind="access.read", payload=None), rows=[Note(said="looked")])
    assert written() == (1, 0, 0, 0, 1, 0)


def test_a_row_comes_after_the_entry_and_after_the_rows_before_it():
    """Its triggers see them; the other way round the same triggers refuse."""
    note = Note(said="one")
    with pytest.raises(IntegrityError, match="the note is not there yet"), transaction.atomic():
        append(event(), rows=[Page(note=note), note])
    assert written() == NOTHING
    with transaction.atomic():
        append(event(), rows=[note, Page(note=note)])
    assert written() == (1, 1, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ({"said": "more than twelve letters"}, DataError, "too long"),
        ({"said": None}, IntegrityError, "null value"),
        ({"said": "x", "count": -1}, IntegrityError, "ward_note_count_check"),
        ({"said": "said before"}, IntegrityError, "ward_note_said_key"),
    ],
    ids=["too-long", "nothing-said", "below-zero", "said-before"],
)
def test_a_row_that_the_database_refuses_takes_its_entry_with_it(bad, error, words):
    """The error is the one its own insert would have met."""
    with transaction.atomic():
        append(event("before"), rows=[Note(said="said before")])
    good, refused = Note(said="good"), Note(**bad)
    with pytest.raises(error, match=words), transaction.atomic():
        append(event(), rows=[good, refused])
    assert written() == (1, 1, 1, 1, 1, 0)
    assert good._state.adding
    assert good.entry is None
    with pytest.raises(DatabaseError, match=words), transaction.atomic():
        Note.objects.create(**bad, entry=append(event()).entry_id)


def test_an_error_after_it_undoes_all_of_it():
    with pytest.raises(IntegrityError), transaction.atomic():  # noqa: PT012  (the second statement is what is refused)
        done = append(event(), rows=[Note(said="one")])
        Note.objects.create(said="one", entry=done.entry_id)
    assert written() == NOTHING


def test_inside_a_savepoint_a_refused_row_leaves_the_outer_act_whole():
    note = Note(said="x", count=-1)
    with transaction.atomic():
        append(event("outer"), rows=[Note(said="outer")])
        with pytest.raises(IntegrityError), transaction.atomic():
            append(event(), rows=[note])
        note.count = 1
        with transaction.atomic():
            append(event(), rows=[note])
        with transaction.atomic():
            append(event("undone"), rows=[Note(said="undone")])
            transaction.set_rollback(True)
    assert written() == (2, 2, 2, 2, 2, 0)
    assert set(Note.objects.values_list("said", flat=True)) == {"outer", "x"}


def test_a_taken_version_is_refused_by_its_name_and_writes_no_row():
    """Though the row, too, would have been refused: the version comes first."""
    with transaction.atomic():
        append(event(), rows=[Note(said="first")])
    with transaction.atomic():
        with pytest.raises(ObjectVersionTaken), transaction.atomic():
            append(event(), rows=[Note(said="first")])
        with pytest.raises(VersionGap), transaction.atomic():
            append(event(version=3), rows=[Note(said="third")])
    assert written() == (1, 1, 1, 1, 1, 0)


def test_of_two_writers_with_rows_one_is_recorded():
    barrier, results = threading.Barrier(2), []

    def write(said):
        try:
            barrier.wait(10)
            with transaction.atomic():
                append(event(), rows=[Note(said=said)])
            results.append("recorded")
        except ObjectVersionTaken:
            results.append("taken")
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(said,)) for said in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == ["recorded", "taken"]
    assert written() == (1, 1, 1, 1, 1, 0)


@pytest.mark.usefixtures("another_sha256")
def test_a_leaf_made_otherwise_leaves_no_row_behind():
    with pytest.raises(LeafDiffers), transaction.atomic():
        append(event(), rows=[Note(said="one")])
    assert written() == NOTHING


def test_a_connection_that_breaks_before_the_commit_leaves_nothing(app_db):
    def act():
        append(event(), rows=[Note(said="one")])
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        app_db.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])

    with pytest.raises(DatabaseError), transaction.atomic():
        act()
    connection.close()
    assert written() == NOTHING


def test_a_process_that_is_killed_before_the_commit_leaves_nothing():
    reads, writes = os.pipe()
    connection.close()
    child = os.fork()
    if child == 0:  # the killed one
        try:
            with transaction.atomic():
                append(event(), rows=[Note(said="one")])
                os.write(writes, b"written")
                signal.pause()
        finally:
            os._exit(1)
    assert os.read(reads, 7) == b"written"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert written() == NOTHING


class _NoEntry(models.Model):
    class Meta:
        app_label, managed = "ward", False


class _Stamped(models.Model):
    at = models.DateTimeField(db_default=Now())
    entry = models.UUIDField()

    class Meta:
        app_label, managed = "ward", False


@pytest.mark.parametrize("row", [_NoEntry(), _Stamped()], ids=["no-entry", "default-of-the-database"])
def test_what_cannot_ride_is_a_bug_of_the_caller(row):
    with pytest.raises(CannotRide), transaction.atomic():
        append(event(), rows=[row])
    assert written() == NOTHING
