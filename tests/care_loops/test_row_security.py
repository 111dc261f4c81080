"""A forgotten filter meets row-level security: on every table of patients, by pages, API and plain SQL (A6, N10).

Who may see which row is said here anew, from the rows of the house of the access matrix, and compared with what the
database shows. Tables of which that house has no row are held to the form of those of which it has.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.conf import settings
from django.db import ProgrammingError, connection, transaction
from django.test import Client

from care_loops.models import Alert, FirstIntake, Lab, Patient, RegimenEntry
from care_loops.row_policies import OPEN as OPEN_OF_LOOPS
from edge_wearables.row_policies import OPEN as OPEN_OF_WEARABLES
from governance.domain import OfPatient, SeenBy
from governance.models import User
from governance.selectors.sight import EVERYTHING, NOTHING, seeing, sees_now
from tests.access.cast import Cast, built
from tests.care_loops.planted_pages import TABLES, counted
from tests.factories import Hospital

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])
PEOPLE = ("clinician", "clinician elsewhere", "patient", "patient elsewhere", "carer", "administrator", "auditor")


@pytest.fixture
def cast(settings, tmp_path) -> Cast:
    settings.CHANNEL_FILE = str(tmp_path / "sent")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return built()


def rows_of(table: str) -> dict[object, tuple[UUID | None, UUID | None]]:
    """Of each row of a table: the patient it is about, and who else is named to see it. Asked as the system."""
    by = TABLES[table]
    key = next(m for m in apps.get_models() if m._meta.db_table == table)._meta.pk.column
    own = by.or_own if isinstance(by, OfPatient) and by.or_own else "NULL::uuid"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {key}, {by.column}, {own} FROM {table}")
        found = {pk: (said, named) for pk, said, named in cursor.fetchall()}
    if isinstance(by, OfPatient):
        return found
    above = rows_of(by.table)
    return {pk: (above[parent][0], above[parent][1]) for pk, (parent, _) in found.items()}


def seen_by(user: User) -> set[UUID]:
    """Whose rows this person may see, as this test knows the house."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT patient_id FROM care_loops_careteammember WHERE user_id = %(u)s AND until IS NULL"
            " UNION SELECT patient_id FROM care_loops_carerlink WHERE user_id = %(u)s AND until IS NULL"
            " UNION SELECT patient_id FROM care_loops_breakglass WHERE opened_by_id = %(u)s AND ended_at IS NULL"
            " UNION SELECT id FROM care_loops_patient WHERE account_id = %(u)s",
            {"u": user.pk},
        )
        return {row[0] for row in cursor.fetchall()}


def astray(cast: Cast) -> list[str]:
    """Every table of which somebody sees another number of rows than they may, by name."""
    truth = {table: rows_of(table) for table in TABLES}
    wrong = []
    for name in PEOPLE:
        user, may = cast.users[name], seen_by(cast.users[name])
        with seeing(str(user.pk)):
            shown = counted()
        for table, rows in truth.items():
            due = sum(patient in may or named == user.pk for patient, named in rows.values())
            if shown[table] != due:
                wrong.append(f"{table}: {name} sees {shown[table]} of {len(rows)} rows, not {due}")
    with seeing(NOTHING):
        wrong += [f"{table}: nobody sees {n} rows" for table, n in counted().items() if n]
    return wrong


def test_whoever_forgets_a_filter_sees_what_is_theirs_and_nothing_more(cast):
    filled = {TABLES[table] for table, n in counted().items() if n}
    assert {form(by) for by in TABLES.values()} == {form(by) for by in filled}
    assert len(filled) >= 7
    assert astray(cast) == []


def form(by: SeenBy) -> tuple[object, ...]:
    """What a policy looks like, whatever its table and columns are called."""
    return (type(by), bool(by.or_own)) if isinstance(by, OfPatient) else (type(by), by.rides)


def test_every_policy_says_of_its_table_what_those_of_the_same_form_say_of_theirs(transactional_db):
    """So that what is shown above of tables with rows holds for those without."""
    said: dict[tuple[object, ...], set[tuple[str, str]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid)"
            " FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid"
        )
        for table, shown, taken in cursor.fetchall():
            by = TABLES[table]
            names = {table: "T", by.column: "C"}
            names |= {by.or_own: "O"} if isinstance(by, OfPatient) else {by.table: "A", f"{by.table}_there": "A_there"}
            said.setdefault(form(by), set()).add((unnamed(shown, names), unnamed(taken, names)))
    assert said.keys() == {form(by) for by in TABLES.values()}
    for texts in said.values():
        ((shown, taken),) = texts
        assert shown == taken


WEAKENED = (
    "ALTER TABLE care_loops_lab DISABLE ROW LEVEL SECURITY",
    "CREATE POLICY wide ON care_loops_lab USING (true)",
    "ALTER POLICY care_loops_lab_seen ON care_loops_lab USING ((SELECT governance_viewer()) IS NOT NULL)",
)


def test_a_policy_that_is_taken_away_or_widened_is_found(cast, owner_db):
    owner_db.execute("SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polname = 'care_loops_lab_seen'")
    (before,) = owner_db.fetchone()
    for change in WEAKENED:
        owner_db.execute(change)
        try:
            assert {line.partition(":")[0] for line in astray(cast)} == {"care_loops_lab"}, change
        finally:
            owner_db.execute("ALTER TABLE care_loops_lab ENABLE ROW LEVEL SECURITY")
            owner_db.execute("DROP POLICY IF EXISTS wide ON care_loops_lab")
            owner_db.execute(f"ALTER POLICY care_loops_lab_seen ON care_loops_lab USING ({before})")
    assert astray(cast) == []


def test_no_row_is_written_about_somebody_who_is_not_to_be_seen(cast):
    stranger, theirs = cast.users["clinician elsewhere"], cast.patients["ours"]
    lab, line = Lab.objects.filter(patient=theirs).first(), RegimenEntry.objects.filter(patient=theirs).first()
    for sees in (str(stranger.pk), NOTHING):
        with seeing(sees):
            with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
                _again(lab, id=uuid4(), source_id=str(uuid4())).save(force_insert=True)
            with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
                FirstIntake(regimen_entry=line, at=lab.taken_at, entry=lab.entry).save(force_insert=True)
            assert Alert.objects.filter(patient=theirs).update(level=3) == 0
            assert Patient.objects.filter(pk=theirs.pk).update(died_at=lab.taken_at) == 0
    assert not Alert.objects.filter(patient=theirs, level=3).exists()


def _again(row: Lab, **other: object) -> Lab:
    """A row like this one, not written yet."""
    fields = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return Lab(**fields | other)


def test_the_doors_show_each_person_their_own(cast, settings):
    settings.ROOT_URLCONF = "tests.care_loops.planted_pages"
    everything = counted()
    assert set(Client().get("/forgotten/").json().values()) == {0}
    assert set(Client().get("/api/v1/forgotten").json().values()) == {0}
    assert cast.clients["with one factor"].get("/forgotten/").status_code == 302
    for name, app in (("clinician elsewhere", "clinician elsewhere's app"), ("patient", "patient's app for patients")):
        with seeing(str(cast.users[name].pk)):
            due = counted()
        assert 0 < due["care_loops_bloodpressure"] < everything["care_loops_bloodpressure"]
        assert cast.clients[name].get("/forgotten/").json() == due
        assert Client().get("/api/v1/forgotten", headers=cast.headers[app]).json() == due
    assert sum(cast.clients["auditor"].get("/forgotten/").json().values()) == 0
    assert sees_now() == EVERYTHING
    assert counted() == everything


def unnamed(text: str, names: dict[str, str]) -> str:
    """A policy without the names of its table and columns."""
    return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), text)


# -- the list ----------------------------------------------------------------------------------------------------------


def test_every_table_of_patients_is_on_the_list_and_every_one_on_the_list_is_covered():
    ours = {m._meta.db_table for m in apps.get_models() if m._meta.app_label in ("care_loops", "edge_wearables")}
    opened = {**OPEN_OF_LOOPS, **OPEN_OF_WEARABLES}
    assert ours == TABLES.keys() | opened.keys()
    assert not TABLES.keys() & opened.keys()
    tied = {
        m._meta.db_table
        for m in apps.get_models(include_auto_created=True)
        if any(field.related_model is Patient for field in m._meta.concrete_fields)
    }
    assert tied <= TABLES.keys()
    assert len(opened) <= 17
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid"
            " WHERE c.relrowsecurity AND p.polcmd = '*' AND p.polname = c.relname || '_seen'"
        )
        assert {name for (name,) in cursor.fetchall()} == set(TABLES)


# -- what a connection begins with -------------------------------------------------------------------------------------

COUNT = "from care_loops.models import Patient; print(Patient.objects.count())"


@pytest.fixture
def elsewhere(database_urls) -> dict[str, str]:
    Hospital().patient()
    return {**os.environ, **database_urls, "PYTHONPATH": str(settings.ROOT)}


@pytest.mark.parametrize(
    ("program", "seen"),
    [
        (["-c", f"import config.wsgi; {COUNT}"], 0),
        (["-c", f"import django; django.setup(); {COUNT}"], 0),
        (["-c", f"import config.celery, django; django.setup(); {COUNT}"], 1),
        (["manage.py", "shell", "--verbosity", "0", "-c", COUNT], 1),
    ],
)
def test_a_web_server_begins_blind_and_commands_and_workers_as_the_system(elsewhere, program, seen):
    asked = {**elsewhere, "DJANGO_SETTINGS_MODULE": "config.settings"}
    asked.pop("CLINAIOPS_SEES", None)
    if "wsgi" in program[-1]:
        asked["CLINAIOPS_SEES"] = EVERYTHING  # as `serve` hands it down
    done = subprocess.run(
        [sys.executable, *program], env=asked, cwd=settings.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == str(seen)


def test_what_was_seen_before_is_put_back_whatever_fails(cast):
    person = str(cast.users["patient"].pk)
    with seeing(person):
        with pytest.raises(ProgrammingError), transaction.atomic(), seeing(EVERYTHING), connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM care_loops_patient")
        assert Patient.objects.count() == 1
        with pytest.raises(Patient.MultipleObjectsReturned), transaction.atomic(), seeing(EVERYTHING):
            Patient.objects.get()
        assert Patient.objects.count() == 1
    assert Patient.objects.count() == 3
    assert sees_now() == EVERYTHING
