"""Nobody who signs in is known by name from the database alone; and everybody is still found by the name they use."""

import threading

import pytest
from django.core.exceptions import FieldError
from django.db import IntegrityError, transaction
from django.test.utils import CaptureQueriesContext

from audit.domain import Job
from audit.services.personal import FieldUnsound
from audit.services.shredding import Lawful, shred_person
from governance.domain import Role
from governance.models import Invitation, RoleAsked, User, WayBack
from governance.services import acting_person
from governance.services.accounts import NewAccount, accept_invitation, invite
from governance.services.roles import ask_for_role
from governance.services.ways_back import open_way_back
from tests.factories import NOW, PASSWORD, Hospital
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])

CANARIES = (
    "barnaby.quill",
    "Barnaby",
    "Quillfeather",
    "quillfeather@canary.example",
    "lost her canary",
    "canary cover",
)


def whole(owner_db) -> str:
    owner_db.execute(
        "SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
    )
    tables = [name for (name,) in owner_db.fetchall()]
    said = []
    for table in tables:
        owner_db.execute(f'SELECT * FROM "{table}"')
        for row in owner_db.fetchall():
            said += [
                bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value) for value in row
            ]
    return "\n".join(said).casefold()


def canaries_in(text: str) -> list[str]:
    return [each for each in CANARIES if each.casefold() in text]


@pytest.fixture
def barnaby(built) -> User:
    """A pharmacist who was invited, was asked for a role more, and lost their passkey."""
    hospital = built.once(Hospital)
    by = hospital.acting("admin")
    token = invite("quillfeather@canary.example", Role.PHARMACIST, by=by, now=NOW).token
    user, _ = accept_invitation(token, NewAccount("barnaby.quill", "Barnaby", "Quillfeather", PASSWORD), now=NOW)
    ask_for_role(user.pk, Role.CLINICIAN, reason="canary cover for the ward", by=by, now=NOW)
    open_way_back(user.pk, reason="lost her canary at sea", by=by, now=NOW)
    return User.objects.get(pk=user.pk)


def test_a_dump_names_nobody_of_the_staff(barnaby, owner_db):
    assert canaries_in(whole(owner_db)) == []
    assert (barnaby.username, barnaby.printed_name) == ("barnaby.quill", "Barnaby Quillfeather")
    assert barnaby.email == "quillfeather@canary.example"
    assert Invitation.objects.get(accepted_by=barnaby).email == "quillfeather@canary.example"
    assert RoleAsked.objects.get(user=barnaby).reason == "canary cover for the ward"
    assert WayBack.objects.get(user=barnaby).reason == "lost her canary at sea"


def test_a_name_left_in_plain_text_would_be_found(barnaby, owner_db):
    """The seeded defect: one column with what the service knows."""
    owner_db.execute("CREATE TABLE seeded (who text)")
    try:
        owner_db.execute("INSERT INTO seeded VALUES (%s)", [barnaby.last_name])
        assert canaries_in(whole(owner_db)) == ["Quillfeather"]
    finally:
        owner_db.execute("DROP TABLE seeded")


def test_who_signs_in_is_found_by_name_in_any_case_and_the_name_is_taken(barnaby):
    assert User.objects.get(username="barnaby.quill") == barnaby
    assert User.objects.get(username__iexact="Barnaby.QUILL") == barnaby
    assert User.objects.get(email="Quillfeather@canary.example") == barnaby
    assert not User.objects.filter(username="barnaby").exists()
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(username="BARNABY.quill")
    assert signed_in(barnaby).get("/").status_code == 302


@pytest.mark.parametrize(
    "how", ["username__startswith", "username__contains", "last_name", "email__in", "username__gt"]
)
def test_no_other_question_can_be_asked_of_a_sealed_name(how):
    with pytest.raises(FieldError):
        User.objects.filter(**{how: "b"}).exists()


def test_a_name_is_not_written_by_a_bulk_update(barnaby):
    with pytest.raises(FieldError):
        User.objects.filter(pk=barnaby.pk).update(last_name="Plain")
    assert str(User.objects.values_list("last_name", flat=True).get(pk=barnaby.pk)) == "(sealed)"


def test_a_name_changes_as_it_did_and_stays_when_something_else_is_saved(barnaby):
    barnaby.last_name = "Other"
    barnaby.save()
    again = User.objects.get(pk=barnaby.pk)
    again.save(update_fields=["last_login"])
    again.save()
    assert User.objects.get(pk=barnaby.pk).printed_name == "Barnaby Other"


def test_a_name_moved_to_another_account_does_not_open(barnaby, owner_db):
    other = User.objects.get(username="admin")
    owner_db.execute(
        "UPDATE governance_user SET last_name = (SELECT last_name FROM governance_user WHERE id = %s) WHERE id = %s",
        [barnaby.pk, other.pk],
    )
    with pytest.raises(FieldUnsound):
        _ = User.objects.get(pk=other.pk).last_name
    assert User.objects.get(pk=barnaby.pk).last_name == "Quillfeather"


def test_rows_read_together_are_opened_with_one_question(barnaby, django_assert_num_queries):
    with django_assert_num_queries(2):
        people = list(User.objects.all())
        assert len(people) > 4
        assert all(person.printed_name for person in people)


def test_an_unsound_row_beside_it_does_not_keep_a_sound_one_closed(barnaby, owner_db):
    owner_db.execute("UPDATE governance_user SET last_name = first_name WHERE id <> %s", [barnaby.pk])
    rows = list(User.objects.all())
    assert next(row for row in rows if row.pk == barnaby.pk).last_name == "Quillfeather"


def test_a_shredded_person_has_no_name_and_can_no_longer_be_told_from_nobody(barnaby):
    shred_person(str(barnaby.pk), lawful=Lawful("gdpr-art-17", "dr-noor"), by=Job("tests", "1"), now=NOW)
    gone = User.objects.get(pk=barnaby.pk)
    assert (gone.username, gone.get_full_name(), gone.email) == ("", "", "")


def test_two_threads_do_not_open_each_others_rows(barnaby):
    """What one thread has read and not opened is its own."""
    seen: list[str] = []
    here = User.objects.get(pk=barnaby.pk)

    def other() -> None:
        from django.db import connection

        with CaptureQueriesContext(connection):
            seen.append(User.objects.get(pk=barnaby.pk).last_name)
        connection.close()

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == ["Quillfeather"]
    assert type(here.__dict__["last_name"]).__name__ == "Sealed"
    assert acting_person(here, now=NOW).standing.name == "Barnaby Quillfeather"
