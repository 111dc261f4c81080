"""The tests' own database: real roles, and clean after each test however far it went."""

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import ProgrammingError, connection, transaction

from tests.conftest import FIRST, ROOT
from tests.factories import NOW


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


def one_account() -> dict[str, str]:
    """Somebody who is there, as an object that a test may change."""
    built_here.append("once")
    get_user_model().objects.create(username="built once")
    return {"username": "built once"}


built_here: list[str] = []


@pytest.mark.parametrize("turn", ["first", "second"])
@pytest.mark.django_db
def test_what_was_built_stands_while_tests_roll_back(built, turn):
    held = built.once(one_account)
    assert held == {"username": "built once"}, turn
    held["username"] = "changed"
    assert get_user_model().objects.get().last_login is None
    assert get_user_model().objects.update(last_login=NOW) == 1


@pytest.mark.parametrize("turn", ["first", "second", "third"])
def test_what_was_built_is_put_back_after_a_test_that_commits(transactional_db, built, turn):
    assert built.once(one_account) == {"username": "built once"}, turn
    users = get_user_model().objects
    assert [(user.username, user.last_login) for user in users.all()] == [("built once", None)]
    users.create(username="left behind")
    assert users.update(last_login=NOW) == 2
    assert len(built_here) == 1, "it was built more than once"


def test_guards_stand_after_rows_were_put_down(built, owner_db):
    for _ in range(2):
        built.once(one_account)
        owner_db.execute("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled NOT IN ('O', 'A', 'R')")
        assert owner_db.fetchone() == (0,)
        built.clean()


@pytest.mark.django_db
def test_who_asks_for_nothing_finds_nothing_of_it():
    assert not get_user_model().objects.exists()


def test_what_is_of_the_present_is_built_anew_when_it_is_old(transactional_db, built):
    times = []

    def aging() -> None:
        times.append("aging")

    built.once(aging, fresh_s=60)
    built.once(aging, fresh_s=60)
    built.once(aging, fresh_s=0)
    assert times.count("aging") == 2


def test_the_files_that_are_begun_first_are_there():
    assert [name for name in FIRST if not (ROOT / "tests" / name).is_file()] == []


def test_each_role_is_who_it_says(owner_db, sequencer_db, app_db):
    names = []
    for cursor in (owner_db, sequencer_db, app_db):
        assert isinstance(cursor, psycopg.Cursor)
        names.append(cursor.execute("SELECT current_user").fetchone()[0])
    assert names == ["clinaiops_owner", "clinaiops_sequencer", "clinaiops_app"]
