"""What only grows, grows: every table of loops, authority and registry, for the application and for the owner.

A new table without a row below fails; so does a row whose table has gone (N5, DESIGN 7).
"""

from __future__ import annotations

import psycopg
import pytest
from django.apps import apps
from django.db import connection

from tests.factories import Hospital

APPS = ("care_loops", "governance", "model_registry")
GROWS, HEAD, FREE = "only grows", "named columns may move", "an account: its own rules"
EXPIRES = "grows, and what is past its time leaves beside its tombstone (tests/audit/test_retention.py)"
TABLES = {
    **dict.fromkeys(
        [
            *("care_loops_alertevent", "care_loops_allergy", "care_loops_bloodpressure", "care_loops_boundary"),
            *("care_loops_boundarydrug", "care_loops_condition", "care_loops_consent", "care_loops_correction"),
            *("care_loops_decision", "care_loops_firstintake", "care_loops_importrefusal", "care_loops_intakelog"),
            *("care_loops_lab", "care_loops_merge", "care_loops_message", "care_loops_regimenentry"),
            *("care_loops_reviewdraw", "care_loops_reviewseed", "care_loops_secondreading"),
            *("care_loops_secondreview", "care_loops_secondverdict"),
            *("care_loops_alertlimits", "care_loops_importrun", "care_loops_importstage", "care_loops_reminder"),
            *("care_loops_step", "care_loops_symptom", "care_loops_symptomreview", "care_loops_visit"),
            *("care_loops_target", "care_loops_visitplan", "governance_policyversion", "governance_signature"),
            *("governance_credential", "governance_credentialconfirmed", "governance_credentialrevoked"),
            *("governance_failedattempt", "governance_signatureevidence", "governance_tokenunder"),
            *("care_loops_breakglassread", "care_loops_breakglassreview", "model_registry_researchword"),
            *("governance_finding", "governance_findingevent", "governance_findingoccurrence"),
            *("governance_incident", "governance_incidentevent", "care_loops_adverseevent"),
            *("governance_suspension", "governance_suspensionend", "governance_suspensionendasked"),
            *("governance_autonomygate", "governance_gatesignature", "governance_autonomystep"),
            *("governance_modelmeasurement", "governance_approval", "governance_noticetry", "governance_shiftcover"),
            *("care_loops_knowndevice", "care_loops_look", "care_loops_firstrule", "care_loops_decidefirst"),
            *("care_loops_firstanswer", "care_loops_proberule", "care_loops_probeperson", "care_loops_probe"),
            "care_loops_probeanswer",
            *("model_registry_example", "model_registry_modelapproval", "model_registry_modelrelease"),
        ],
        GROWS,
    ),
    **dict.fromkeys(
        [
            *("care_loops_alert", "care_loops_carerlink", "care_loops_careteammember", "care_loops_loop"),
            "care_loops_breakglass",
            *("governance_motion", "governance_oncallshift", "governance_contactpoint", "governance_notice"),
            *("care_loops_patient", "governance_invitation", "governance_roleheld", "model_registry_modelversion"),
            *("governance_credentialuse", "governance_recoverycode", "governance_roleasked", "governance_signedin"),
            *("governance_signingchallenge", "governance_wayback"),
        ],
        HEAD,
    ),
    "care_loops_sensorsample": EXPIRES,
    "governance_user": FREE,
}


def ours() -> set[str]:
    return {model._meta.db_table for app in APPS for model in apps.get_app_config(app).get_models()}


def test_every_table_has_its_row_here():
    assert ours() == set(TABLES)


@pytest.mark.django_db
@pytest.mark.parametrize("table", sorted(t for t, how in TABLES.items() if how is not FREE))
def test_the_rights_of_the_application(table):
    """Asked of the catalogue: select, insert; update of named columns where a head moves; delete, truncate never."""
    with connection.cursor() as cursor:
        asked = "SELECT " + ", ".join(f"has_table_privilege(current_user, '{table}', '{r}')" for r in RIGHTS)
        cursor.execute(asked)
        granted = {"SELECT", "INSERT"} | ({"DELETE"} if TABLES[table] is EXPIRES else set())
        assert dict(zip(RIGHTS, cursor.fetchone(), strict=True)) == {right: right in granted for right in RIGHTS}
        cursor.execute(f"SELECT has_any_column_privilege(current_user, '{table}', 'UPDATE')")
        assert cursor.fetchone()[0] is (TABLES[table] is HEAD)


RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


@pytest.mark.django_db
@pytest.mark.parametrize("table", sorted(t for t, how in TABLES.items() if how is not FREE))
def test_the_triggers_that_stop_the_owner_too(table):
    """By what they do, not by name: UPDATE, DELETE, TRUNCATE as bits 16, 8 and 32 of the trigger's type."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT bit_or(t.tgtype) FILTER (WHERE p.proname = 'audit_refuse'), array_agg(DISTINCT t.tgenabled::text)"
            " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
            " WHERE t.tgrelid = %s::regclass AND NOT t.tgisinternal",
            [table],
        )
        stopped, enabled = cursor.fetchone()
    wanted = 32 | (0 if TABLES[table] is EXPIRES else 8) | (0 if TABLES[table] is HEAD else 16)
    assert stopped & wanted == wanted
    assert enabled == ["A"], "a trigger that is not ALWAYS is passed by session_replication_role"


@pytest.mark.django_db(transaction=True)
def test_a_living_record_refuses_change_deletion_and_truncation_whoever_asks(app_db, owner_db):
    hospital = Hospital()
    hospital.measures(hospital.patient(), 188, 124)
    filled = [t for t in sorted(TABLES) if TABLES[t] is not FREE and _filled(owner_db, t)]
    assert len(filled) > 12, filled
    said = "permission denied|only grows|cannot truncate"
    keys = {
        model._meta.db_table: model._meta.pk.column for app in APPS for model in apps.get_app_config(app).get_models()
    }
    for cursor in (app_db, owner_db):
        for table in filled:
            tried = [f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"]
            tried += [] if TABLES[table] is HEAD else [f"UPDATE {table} SET {keys[table]} = {keys[table]}"]
            for statement in tried:
                with pytest.raises(psycopg.Error, match=said):
                    cursor.execute(statement)


def _filled(cursor: psycopg.Cursor, table: str) -> bool:
    return cursor.execute(f"SELECT EXISTS (SELECT FROM {table})").fetchone()[0]
