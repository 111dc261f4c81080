"""The tests' own database: real roles, and clean after each test however far it went."""

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import ProgrammingError, connection, transaction


@pytest.mark.django_db
def test_tests_run_as_the_application():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("clinaiops_app",)


@pytest.mark.django_db
def test_the_application_cannot_truncate():
    with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE governance_user CASCADE")


@pytest.mark.parametrize("turn", ["first", "second"])
def test_a_committed_row_is_gone_in_the_next_test(owner_db, turn):
    users = get_user_model().objects
    assert not users.exists(), turn
    users.create(username="left behind")
    owner_db.execute("SELECT count(*) FROM governance_user")
    assert owner_db.fetchone() == (1,)


@pytest.mark.parametrize("turn", ["first", "second"])
def test_rows_that_migrations_brought_are_put_back(transactional_db, turn):
    brought = set(ContentType.objects.values_list("app_label", "model"))
    assert ("governance", "user") in brought, turn
    assert ("planted", "row") not in brought, turn
    ContentType.objects.filter(app_label="sessions").delete()
    ContentType.objects.create(app_label="planted", model="row")


@pytest.mark.parametrize("turn", ["first", "second"])
def test_evidence_triggers_stand_again_after_cleaning(owner_db, turn):
    owner_db.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled NOT IN ('O', 'A', 'R')")
    assert owner_db.fetchall() == [], turn


def test_each_role_is_who_it_says(owner_db, sequencer_db, app_db):
    names = []
    for cursor in (owner_db, sequencer_db, app_db):
        assert isinstance(cursor, psycopg.Cursor)
        names.append(cursor.execute("SELECT current_user").fetchone()[0])
    assert names == ["clinaiops_owner", "clinaiops_sequencer", "clinaiops_app"]
