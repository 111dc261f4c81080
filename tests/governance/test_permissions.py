"""Who may do what: every permission against every role, as a table a clinician can read (ROL-01, SEC-01, CLI-11)."""

from __future__ import annotations

from itertools import product

import pytest

from governance.domain import NotAllowed, Permission, Relation, Role, Standing
from governance.permissions import TABLE, allows, check

# t: for patients whose care team they are in; o: their own record; c: whom they care for; s: the site as a whole;
# b: whose record they opened by break-glass.
EXPECTED = """
                     | clinician | pharmacist | patient | carer | administrator | other
read_record          |     tb    |     t      |    o    |   c   |       .       |
break_glass          |     s     |     .      |    .    |   .   |       .       |
review_break_glass | . | . | . | . | . | compliance_officer security_privacy_engineer
decide               |     t     |     .      |    .    |   .   |       .       |
write_order          |     t     |     .      |    .    |   .   |       .       |
recall               |     t     |     .      |    .    |   .   |       .       |
sign_target          |     t     |     .      |    .    |   .   |       .       |
sign_boundary        |     t     |     .      |    .    |   .   |       .       |
sign_alert_limits    |     t     |     .      |    .    |   .   |       .       |
confirm_prescription |     t     |     t      |    .    |   .   |       .       |
acknowledge_alert    |     t     |     t      |    .    |   .   |       .       |
dispose_alert        |     t     |     .      |    .    |   .   |       .       |
review_symptom       |     t     |     .      |    .    |   .   |       .       |
plan_visit           |     t     |     .      |    .    |   .   |       .       |
correct_record       |     t     |     .      |    .    |   .   |       .       |
send_reading         |     t     |     .      |    o    |   c   |       .       |
report_symptom       |     t     |     .      |    o    |   c   |       .       |
log_intake           |     .     |     .      |    o    |   c   |       .       |
respond              |     .     |     .      |    o    |   .   |       .       |
give_consent         |     .     |     .      |    o    |   .   |       .       |
see_worklist         |     s     |     s      |    .    |   .   |       .       |
enrol_patient        |     s     |     .      |    .    |   .   |       s       |
invite_to_record     |     t     |     .      |    .    |   .   |       s       |
manage_care_team     |     t     |     .      |    .    |   .   |       s       |
merge_patients       |     .     |     .      |    .    |   .   |       s       |
manage_staff         |     .     |     .      |    .    |   .   |       s       |
confirm_people | . | . | . | . | s | compliance_officer security_privacy_engineer
enrol_device         |     s     |     .      |    .    |   .   |       s       |
set_policy           |     .     |     .      |    .    |   .   |       s       |
see_policies | s | s | . | . | s | auditor compliance_officer data_engineer data_scientist ml_engineer devops_engineer project_manager responsible_ai_lead security_privacy_engineer
give_approval | s | s | . | . | s | auditor compliance_officer ml_engineer responsible_ai_lead security_privacy_engineer
approve_model        |     s     |     s      |    .    |   .   |       .       | ml_engineer responsible_ai_lead
verify_record        |     .     |     .      |    .    |   .   |       .       | auditor compliance_officer
search_record        |     .     |     .      |    .    |   .   |       .       | auditor compliance_officer
second_review        |     t     |     .      |    .    |   .   |       .       |
see_quarantine       |     s     |     .      |    .    |   .   |       s       | data_engineer
export_audit         |     t     |     .      |    .    |   .   |       .       | auditor compliance_officer
export_access_report |     .     |     .      |    o    |   .   |       .       | auditor compliance_officer
manage_cover | . | . | . | . | s |
stand_in | s | . | . | . | . |
see_cover | s | . | . | . | s | auditor compliance_officer
see_oversight | s | s | . | . | s | auditor compliance_officer data_engineer data_scientist devops_engineer ml_engineer project_manager responsible_ai_lead security_privacy_engineer
throw_switch | s | s | . | . | s | compliance_officer devops_engineer responsible_ai_lead security_privacy_engineer
end_suspension | s | . | . | . | . | compliance_officer responsible_ai_lead
raise_finding | s | s | . | . | . | auditor compliance_officer data_scientist devops_engineer ml_engineer responsible_ai_lead security_privacy_engineer
work_finding | s | s | . | . | s | compliance_officer data_engineer data_scientist devops_engineer ml_engineer project_manager responsible_ai_lead security_privacy_engineer
close_finding | . | . | . | . | . | auditor compliance_officer responsible_ai_lead
report_incident | s | s | . | . | . | auditor compliance_officer devops_engineer responsible_ai_lead security_privacy_engineer
work_incident | . | . | . | . | . | compliance_officer responsible_ai_lead
report_adverse_event | t | t | . | . | . |
raise_autonomy | s | s | . | . | . | compliance_officer responsible_ai_lead
see_decision_figures | s | . | . | . | . | compliance_officer responsible_ai_lead
see_own_decisions | s | . | . | . | . |
"""  # noqa: E501
LETTER = {
    "b": Relation.BREAK_GLASS,
    "t": Relation.CARE_TEAM,
    "o": Relation.OWN,
    "c": Relation.CARER_OF,
    "s": Relation.SITE,
}


def expected() -> dict[tuple[Permission, Role], set[Relation]]:
    head, *rows = (line for line in EXPECTED.strip("\n").splitlines())
    columns = [Role(word.strip()) for word in head.split("|")[1:-1]]
    found = {}
    for row in rows:
        name, *cells, others = (cell.strip() for cell in row.split("|"))
        found |= {
            (Permission(name), role): {LETTER[letter] for letter in c}
            for role, c in zip(columns, cells, strict=True)
            if c != "."
        }
        found |= {(Permission(name), Role(other)): {Relation.SITE} for other in others.split()}
    return found


WRITTEN = expected()


def test_every_permission_has_its_row():
    names = [line.split("|")[0].strip() for line in EXPECTED.strip("\n").splitlines()[1:]]
    assert sorted(names) == sorted(p.value for p in Permission)


@pytest.mark.parametrize("permission", Permission)
def test_every_cell_of_the_table(permission):
    """By each role alone, in each relation alone: allowed exactly where the table above says so."""
    for role, relation in product(Role, Relation):
        who = Standing(person_id="p", roles=frozenset({role}))
        may = allows(check, permission, who, frozenset({relation}))
        assert may is (relation in WRITTEN.get((permission, role), set())), (permission, role, relation)


def test_the_code_has_no_cell_that_is_not_written_above():
    assert {cell: set(held) for cell, held in TABLE.items()} == WRITTEN


def test_without_a_role_and_without_a_relation_nothing_is_allowed():
    nobody = Standing(person_id="", roles=frozenset())
    everybody = Standing(person_id="p", roles=frozenset(Role))
    for permission in Permission:
        assert not allows(check, permission, nobody, frozenset(Relation))
        assert not allows(check, permission, everybody, frozenset())


def test_a_relation_of_one_role_does_not_lend_itself_to_another():
    """A clinician who is also a patient decides for patients of the care team, not for their own record."""
    both = Standing(person_id="p", roles=frozenset({Role.CLINICIAN, Role.PATIENT}))
    assert check(Permission.DECIDE, both, frozenset({Relation.CARE_TEAM})) is Role.CLINICIAN
    with pytest.raises(NotAllowed):
        check(Permission.DECIDE, both, frozenset({Relation.OWN, Relation.CARER_OF, Relation.SITE}))
    assert check(Permission.RESPOND, both, frozenset({Relation.OWN})) is Role.PATIENT


def test_a_refusal_names_what_is_missing():
    for roles, missing, said in (
        (frozenset(), "role", "You are not signed in with any role."),
        ({Role.PATIENT}, "role", "Your role does not allow: decide."),
        ({Role.CLINICIAN}, "relation", "You are not in this patient's care team."),
        ({Role.AUDITOR, Role.CLINICIAN}, "relation", "You are not in this patient's care team."),
    ):
        with pytest.raises(NotAllowed) as refusal:
            check(Permission.DECIDE, Standing(person_id="p", roles=frozenset(roles)), frozenset())
        assert (refusal.value.extra["missing"], refusal.value.status) == (missing, 403)
        assert refusal.value.detail == said
