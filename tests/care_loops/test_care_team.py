"""Who is responsible for a patient does not go without naming the next one."""

from __future__ import annotations

import pytest

from care_loops.models import CareTeamMember
from care_loops.policies import NobodyResponsible
from care_loops.services import join_care_team, leave_care_team
from governance.domain import BadInput, NotAllowed
from tests.care_loops.standing import commits, hospital, site  # noqa: F401
from tests.factories import NOW


def team(patient) -> dict[str, bool]:
    rows = CareTeamMember.objects.filter(patient=patient, until__isnull=True).select_related("user")
    return {row.user.username: row.responsible for row in rows}


def test_the_responsible_clinician_names_who_is_next(hospital):  # noqa: F811
    patient, admin = hospital.patient(), hospital.acting("admin")
    people = {name: hospital.people[name].pk for name in ("clinician", "other_clinician", "pharmacist")}
    before = team(patient)
    for heir in (None, people["other_clinician"], people["clinician"]):
        with pytest.raises(NobodyResponsible):
            leave_care_team(patient.pk, people["clinician"], by=admin, now=NOW, next_responsible=heir)
    assert team(patient) == before
    for name in ("other_clinician", "pharmacist"):
        join_care_team(patient.pk, people[name], responsible=False, by=admin, now=NOW)
    with pytest.raises(BadInput):
        leave_care_team(patient.pk, people["clinician"], by=admin, now=NOW, next_responsible=people["pharmacist"])
    heir = people["other_clinician"]
    leave_care_team(patient.pk, people["clinician"], by=admin, now=NOW, next_responsible=heir)
    assert [name for name, responsible in team(patient).items() if responsible] == [
        hospital.people["other_clinician"].username
    ]
    commits()


def test_who_is_not_responsible_goes_as_they_please(hospital):  # noqa: F811
    patient, admin = hospital.patient(), hospital.acting("admin")
    other = hospital.people["other_clinician"].pk
    join_care_team(patient.pk, other, responsible=False, by=admin, now=NOW)
    leave_care_team(patient.pk, other, by=admin, now=NOW)
    leave_care_team(patient.pk, other, by=admin, now=NOW)  # a second time changes nothing
    assert hospital.people["other_clinician"].username not in team(patient)


@pytest.mark.parametrize("name", ["engineer", "admin"])
def test_nobody_without_a_clinical_role_is_in_a_care_team(hospital, name):  # noqa: F811
    patient, admin = hospital.patient(), hospital.acting("admin")
    before = team(patient)
    with pytest.raises((BadInput, NotAllowed), match=r"clinician or a pharmacist|Nobody puts themself"):
        join_care_team(patient.pk, hospital.people[name].pk, responsible=False, by=admin, now=NOW)
    assert team(patient) == before


def test_only_a_clinician_is_responsible_from_the_first_day(hospital):  # noqa: F811
    patient, admin = hospital.patient(), hospital.acting("admin")
    with pytest.raises(BadInput, match="Only a clinician can be responsible"):
        join_care_team(patient.pk, hospital.people["pharmacist"].pk, responsible=True, by=admin, now=NOW)
