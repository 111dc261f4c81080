"""What the database itself holds: what arrived only grows, whoever asks; of the rest only named columns move."""

import psycopg
import pytest
from django.db import connection

from edge_wearables.models import Batch, BootMark, DeviceKey
from tests.edge_wearables.entrance import a_sender, pressure

pytestmark = pytest.mark.django_db(transaction=True)

GROWS = ("batch", "device", "enrolmentcode", "refusedreading", "received")


@pytest.fixture
def something_arrived(transactional_db):
    sender = a_sender()
    sender.taken(pressure(1), pressure(2, unit="psi"))
    return sender


@pytest.mark.parametrize("table", GROWS)
def test_what_arrived_cannot_be_changed_or_deleted(something_arrived, app_db, owner_db, table):
    for cursor in (app_db, owner_db):
        for statement in (f"UPDATE edge_wearables_{table} SET id = id", f"DELETE FROM edge_wearables_{table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                cursor.execute(statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner_db.execute(f"TRUNCATE edge_wearables_{table} CASCADE")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE edge_wearables_devicekey SET public_key = '\\x00'",
        "UPDATE edge_wearables_deviceassignment SET patient_id = patient_id",
        "UPDATE edge_wearables_bootmark SET boot_id = boot_id",
        "DELETE FROM edge_wearables_bootmark",
        "DELETE FROM edge_wearables_devicekey",
    ],
)
def test_the_application_moves_only_what_it_must(something_arrived, app_db, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_db.execute(statement)


def test_a_key_is_revoked_only_with_an_entry(something_arrived, app_db):
    with pytest.raises(psycopg.errors.CheckViolation):
        app_db.execute("UPDATE edge_wearables_devicekey SET revoked_at = now()")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        app_db.execute("UPDATE edge_wearables_devicekey SET revoked_at = now(), revoked_entry = gen_random_uuid()")
    assert DeviceKey.objects.get().revoked_at is None


def test_a_batch_is_taken_once_by_the_database_s_own_word(something_arrived):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM edge_wearables_batch")
        assert cursor.fetchone()[0] == Batch.objects.count() == 1
    assert BootMark.objects.get().high_water == 2
