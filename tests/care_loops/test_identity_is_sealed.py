"""Nobody is known by name from the database alone: not from its tables, not from its dump, not by swapping rows."""

import os
from datetime import date
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from psycopg.sql import SQL, Identifier

from audit.domain import Job
from audit.entries import pseudonym
from audit.models import DataKey
from audit.services import keys, personal
from audit.services.personal import FieldUnsound, SealedRow
from audit.services.shredding import Lawful, shred_person
from care_loops.domain.record import Sex
from care_loops.models import Patient, read_together
from care_loops.models.people import IDENTITY, source_index
from care_loops.selectors.record import facts
from care_loops.selectors.worklist import worklist
from care_loops.services import enrol_patient
from care_loops.services.enrol import NewPatient
from config.grants import connect_as_owner
from governance.services import acting_job
from tests.factories import NOW, Hospital
from tests.real_database import _drop, drop_copy, using_database

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])

GIVEN, FAMILY, BORN, AT_SOURCE = "Wilhelmina", "Featherstonehaugh", date(1957, 3, 29), "hospital-number-8812345"
IDENTIFYING = (GIVEN, FAMILY, BORN.isoformat(), "29/03/1957", "19570329", AT_SOURCE)


def enrol(**fields) -> Patient:
    given = {
        "source_system": "the-hospital", "source_id": AT_SOURCE, "given_name": GIVEN, "family_name": FAMILY,
        "born_on": BORN, "sex": Sex.FEMALE, "zone": "Europe/London", "synthetic": True,
    } | fields  # fmt: skip
    return enrol_patient(NewPatient(**given), by=acting_job("tests", "1"), now=NOW)


def whole_database(owner_db) -> str:
    """Every row of every table as text, and every binary column as the bytes it holds."""
    owner_db.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind = 'r' AND n.nspname = 'public'"
    )
    tables = [name for (name,) in owner_db.fetchall()]
    said = []
    for table in tables:
        owner_db.execute(f'SELECT * FROM "{table}"')
        for row in owner_db.fetchall():
            said += [
                bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value) for value in row
            ]
    assert len(tables) > 50
    return "\n".join(said)


def found_in(text: str) -> list[str]:
    return [each for each in IDENTIFYING if each.casefold() in text.casefold()]


def test_no_table_names_a_patient_or_says_when_they_were_born(owner_db):
    patient = enrol()
    assert found_in(whole_database(owner_db)) == []
    again = Patient.objects.get(pk=patient.pk)
    assert (again.given_name, again.family_name, again.born_on, again.source_id) == (GIVEN, FAMILY, BORN, AT_SOURCE)
    assert again.shown_name == f"{FAMILY}, {GIVEN}"


def test_a_name_left_in_plain_text_would_be_found(owner_db):
    """The seeded defect: one column that says who it is, in text and in bytes."""
    enrol()
    owner_db.execute("CREATE TABLE seeded (who text, held bytea)")
    try:
        owner_db.execute("INSERT INTO seeded VALUES (%s, %s)", [FAMILY, GIVEN.encode()])
        assert found_in(whole_database(owner_db)) == [GIVEN, FAMILY]
    finally:
        owner_db.execute("DROP TABLE seeded")


def test_the_same_patient_is_enrolled_once_though_the_identifier_is_sealed():
    assert enrol().pk == enrol(given_name="Somebody else").pk
    assert enrol(source_id="").pk != enrol(source_id="").pk
    assert Patient.objects.of_source("the-hospital", AT_SOURCE).count() == 1
    assert not Patient.objects.of_source("another", AT_SOURCE).exists()
    assert not Patient.objects.of_source("the-hospital", "").exists()
    assert source_index(AT_SOURCE) != personal.blind_index("other.column", AT_SOURCE)


def test_names_of_many_are_opened_with_one_question_more(django_assert_num_queries):
    for n in range(6):
        enrol(source_id=str(n), family_name=f"F{n}")
    with django_assert_num_queries(2):
        assert sorted(row.family_name for row in Patient.objects.all()) == [f"F{n}" for n in range(6)]
    apart = [Patient.objects.get(source_index=source_index(str(n))) for n in range(6)]
    read_together(apart)
    with django_assert_num_queries(1):
        assert [row.shown_name for row in apart] == [f"F{n}, {GIVEN}" for n in range(6)]


def test_a_worklist_asks_as_often_for_many_patients_as_for_few():
    hospital = Hospital()

    def asked() -> int:
        with CaptureQueriesContext(connection) as seen:
            found = worklist(hospital.acting("clinician"), now=NOW)
            assert all(line.patient.shown_name for line in found.patients)
        return len(seen)

    hospital.patient()
    few = asked()
    for _ in range(5):
        hospital.patient()
    assert asked() == few


@pytest.mark.parametrize("column", ["given_name_sealed", "born_on_sealed"])
def test_an_identity_moved_to_another_record_or_column_does_not_open(owner_db, column):
    one, other = enrol(), enrol(source_id="other", given_name="Other")
    owner_db.execute(
        f"UPDATE care_loops_patient SET {column} = (SELECT {column} FROM care_loops_patient WHERE id = %s)"
        " WHERE id = %s",
        [other.pk, one.pk],
    )
    with pytest.raises(FieldUnsound):
        _ = Patient.objects.get(pk=one.pk).given_name
    owner_db.execute("UPDATE care_loops_patient SET given_name_sealed = family_name_sealed WHERE id = %s", [other.pk])
    with pytest.raises(FieldUnsound):
        _ = Patient.objects.get(pk=other.pk).given_name


def test_the_applications_role_does_not_rewrite_who_somebody_is(app_db):
    patient = enrol()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_db.execute(
            "UPDATE care_loops_patient SET family_name_sealed = given_name_sealed WHERE id = %s", [patient.pk]
        )


def test_a_shredded_person_has_no_name_and_no_age_and_the_others_are_untouched():
    patient, other = enrol(), enrol(source_id="other", family_name="Other")
    shred_person(str(patient.pk), lawful=Lawful("gdpr-art-17", "dr-noor"), by=Job("tests", "1"), now=NOW)
    gone = Patient.objects.get(pk=patient.pk)
    assert (gone.shown_name, gone.born_on, gone.source_id) == ("(no name on record)", None, "")
    assert facts(gone, now=NOW).age_years is None
    assert Patient.objects.get(pk=other.pk).family_name == "Other"


def test_an_enrolment_rolled_back_leaves_neither_record_nor_key():
    with transaction.atomic():
        enrol()
        transaction.set_rollback(True)
    assert not Patient.objects.exists()
    assert not DataKey.objects.exists()
    assert enrol().given_name == GIVEN


def test_patients_of_before_are_sealed_by_the_migration(owner_db):
    """A database of the version before, with a patient in plain columns, brought to this version."""
    name, patient_id, entry = f"clinaiops_test_{os.getpid()}_before", uuid4(), uuid4()
    with connect_as_owner() as owner:
        _drop(owner, name)
        owner.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    try:
        with using_database(name):
            _migrate_to("care_loops", "0008_limits_and_visits")
            with connections["owner"].cursor() as cursor:
                cursor.execute("INSERT INTO audit_pending (entry_id, leaf, leaf_hash) VALUES (%s, 'x', 'x')", [entry])
                cursor.execute(
                    "INSERT INTO care_loops_patient (id, source_system, source_id, given_name, family_name, born_on,"
                    " sex, zone, synthetic, enrolled_at, entry)"
                    " VALUES (%s, 'the-hospital', %s, %s, %s, %s, 'female', 'Europe/London', true, now(), %s)",
                    [patient_id, AT_SOURCE, GIVEN, FAMILY, BORN, entry],
                )
            _migrate_to("care_loops", "0009_identity_is_sealed")
            with connections["owner"].cursor() as cursor:
                cursor.execute("SELECT t::text FROM care_loops_patient t")
                assert found_in(cursor.fetchone()[0]) == []
                cursor.execute(
                    "SELECT source_index, "
                    + ", ".join(f"{each}_sealed" for each in IDENTITY)
                    + " FROM care_loops_patient"
                )
                index, *sealed = cursor.fetchone()
            row = SealedRow("care_loops_patient", str(patient_id), dict(zip(IDENTITY, sealed, strict=True)))
            (opened,) = personal.open_many([row], using="owner")
    finally:
        drop_copy(name)
    assert opened == dict(zip(IDENTITY, (GIVEN, FAMILY, BORN.isoformat(), AT_SOURCE), strict=True))
    assert bytes(index) == source_index(AT_SOURCE)


def _migrate_to(app: str, migration: str) -> None:
    call_command("migrate", app, migration, database="owner", verbosity=0, interactive=False)


def test_the_pseudonym_of_the_key_is_that_of_the_entries():
    patient = enrol()
    assert DataKey.objects.get(subject=pseudonym(str(patient.pk), tenant_key=keys.tenant_key())).kek_id == "site-1"
