"""A domain row names an entry that is in the record, asked at commit; the helper other apps use in their migrations."""

from uuid import uuid4

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from audit.migrations_sql import entry_reference_trigger
from audit.services import append, sequence_until_empty
from tests.audit.builders import event, record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])


@pytest.fixture
def domain_table(owner_db):
    """A table of another app, made as its migration would."""
    owner_db.execute("CREATE TABLE ward_step (id bigserial PRIMARY KEY, entry_id uuid)")
    operation = entry_reference_trigger("ward_step", "entry_id")
    for statement in operation.sql:
        owner_db.execute(statement)
    yield operation
    owner_db.execute("DROP TABLE ward_step")


def _insert(entry_id) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO ward_step (entry_id) VALUES (%s)", [entry_id])


def test_a_row_and_its_entry_commit_together_in_either_order(domain_table):
    with transaction.atomic():
        done = append(event())
        _insert(done.entry_id)
    with transaction.atomic():
        _insert(None)
    sequence_until_empty()
    with transaction.atomic():
        _insert(done.entry_id)


def test_a_row_that_names_no_entry_does_not_commit(domain_table):
    with pytest.raises(IntegrityError, match="not in the record"), transaction.atomic():
        _insert(uuid4())


def test_pointing_a_row_elsewhere_later_does_not_commit_either(domain_table):
    (done,) = record(event())
    with transaction.atomic():
        _insert(done.entry_id)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE ward_step SET entry_id = gen_random_uuid()")


def test_a_temporary_table_of_the_same_name_does_not_deceive_it(domain_table, app_db):
    app_db.execute("CREATE TEMPORARY TABLE audit_entry AS SELECT gen_random_uuid() AS entry_id")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        app_db.execute("INSERT INTO ward_step (entry_id) SELECT entry_id FROM pg_temp.audit_entry")


def test_the_operation_can_be_undone(domain_table, owner_db):
    for statement in domain_table.reverse_sql:
        owner_db.execute(statement)
    owner_db.execute("INSERT INTO ward_step (entry_id) VALUES (gen_random_uuid())")


@pytest.mark.parametrize("name", ["step; drop", "Step", "", "a" * 64])
def test_only_plain_names_are_taken(name):
    with pytest.raises(ValueError, match="plain name"):
        entry_reference_trigger(name, "entry_id")
