"""What was signed stays as it was signed: bulk updates and raw SQL as the application's own role (N1, N5)."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from care_loops.models import Alert, BoundaryDrug, CareTeamMember, Loop, Message, Patient
from care_loops.services import join_care_team, leave_care_team, link_carer
from governance.domain import Role
from governance.models import RoleHeld
from governance.services.accounts import revoke_role
from tests.factories import NOW, Hospital

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hospital(built) -> Hospital:
    return built.once(Hospital)


def refused(act) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        act()


def test_the_drugs_of_a_signed_boundary_are_neither_raised_nor_removed_nor_added_to(hospital):
    patient = hospital.patient()
    hospital.boundary(patient, most="20")
    drugs = BoundaryDrug.objects.filter(boundary__patient=patient)
    drug = drugs.get()
    refused(lambda: drugs.update(max_daily_dose_mg=400))
    refused(drugs.delete)
    drug.pk, drug.ingredient = None, "17767"
    refused(lambda: BoundaryDrug.objects.bulk_create([drug]))
    assert list(drugs.values_list("ingredient", "max_daily_dose_mg")) == [("29046", 20)]


def test_no_words_reach_a_patient_beside_a_loop_or_under_the_entry_of_something_else(hospital):
    patient = hospital.patient()
    for loop in (None, Loop(pk=uuid4())):
        told = Message(patient=patient, loop=loop, kind="change", text="Take 400 mg", sent_at=NOW, entry=patient.entry)
        refused(lambda told=told: told.save(force_insert=True))
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    "edit",
    [
        {"born_on_sealed": None},
        {"family_name_sealed": b""},
        {"source_index": None},
        {"sex": "male"},
        {"zone": "Asia/Tokyo"},
        {"account": None},
    ],
)
def test_who_somebody_is_and_whose_account_it_is_are_not_edited_in_place(hospital, edit):
    patient = hospital.patient()
    refused(lambda: Patient.objects.filter(pk=patient.pk).update(**edit))


def test_what_a_loop_was_proposed_as_is_not_edited(hospital):
    patient = hospital.patient()
    hospital.weeks(patient, *[(150, 92)] * 5)
    loop = hospital.close(patient)
    for edit in ({"tier": "patient_may_act"}, {"due_at": NOW}, {"boundary": None}):
        refused(lambda edit=edit: Loop.objects.filter(pk=loop.pk).update(**edit))


def test_the_clock_of_an_alert_is_not_stopped_by_an_edit(hospital):
    patient = hospital.patient()
    hospital.measures(patient, 190, 100)
    alert = Alert.objects.get(patient=patient)
    assert alert.escalates_at is not None
    for at in (None, NOW + timedelta(days=400)):
        refused(lambda at=at: Alert.objects.filter(pk=alert.pk).update(escalates_at=at))


def test_what_has_ended_is_not_brought_back_by_an_edit(hospital):
    patient, admin = hospital.patient(), hospital.acting("admin")
    pharmacist = hospital.people["pharmacist"]
    join_care_team(patient.pk, pharmacist.pk, responsible=False, by=admin, now=NOW)
    leave_care_team(patient.pk, pharmacist.pk, by=admin, now=NOW)
    revoke_role(pharmacist.pk, Role.PHARMACIST, by=admin, now=NOW)
    for held in (
        RoleHeld.objects.filter(user=pharmacist, until=NOW),
        CareTeamMember.objects.filter(patient=patient, until=NOW),
    ):
        assert held.count() == 1
        refused(lambda held=held: held.update(until=None))


BY_ITS_CONTROL = (
    "moved without an entry|moves only with the step|above the table of permissions|permission denied|only grows"
)


def sql(statement: str, *values: object) -> None:
    """A statement as the application's own role."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        assert cursor.rowcount != 0, statement


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE governance_user SET is_active = FALSE",
        "UPDATE governance_user SET left_at = now() WHERE left_at IS NULL",
        "UPDATE governance_user SET is_superuser = TRUE",
        "UPDATE governance_user SET is_staff = TRUE",
        "DELETE FROM governance_user",
        "UPDATE governance_roleheld SET until = now() WHERE until IS NULL",
        "UPDATE care_loops_careteammember SET until = now()",
        "UPDATE care_loops_careteammember SET responsible = NOT responsible",
        "UPDATE care_loops_carerlink SET until = now()",
        "UPDATE care_loops_patient SET died_at = now()",
        "UPDATE care_loops_loop SET withheld_reason = 'in_target'",
        "UPDATE model_registry_modelversion SET active = FALSE WHERE active",
    ],
)
def test_nothing_moves_by_raw_sql_without_its_entry(hospital, statement):
    patient = hospital.patient()
    hospital.weeks(patient, *[(150, 92)] * 5)
    hospital.close(patient)
    link_carer(patient.pk, hospital.people["pharmacist"], by=hospital.acting("admin"), now=NOW)
    with pytest.raises(DatabaseError, match=BY_ITS_CONTROL), transaction.atomic():
        sql(statement)


def test_an_entry_about_somebody_else_moves_nobody(hospital):
    """In the transaction that ends one role, another one is ended by hand."""
    admin = hospital.acting("admin")
    other = RoleHeld.objects.get(user=hospital.people["clinician"], until__isnull=True)

    def both() -> None:
        revoke_role(hospital.people["pharmacist"].pk, Role.PHARMACIST, by=admin, now=NOW)
        RoleHeld.objects.filter(pk=other.pk).update(until=NOW)

    refused(both)
    other.refresh_from_db()
    assert other.until is None


def test_the_bookkeeping_of_signing_in_moves_as_before(hospital):
    user = hospital.people["clinician"]
    user.last_login = NOW
    user.save(update_fields=["last_login"])
    user.set_password("another-good-password-7")
    user.save()
    user.refresh_from_db()
    assert user.last_login == NOW


def test_the_application_may_not_edit_a_boundarys_drugs_at_all():
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_any_column_privilege('care_loops_boundarydrug', 'UPDATE')")
        assert cursor.fetchone() == (False,)
