"""Row-level security: a patient's rows are shown to whoever is tied to that patient, whatever a query forgot (A6)."""

from __future__ import annotations

from typing import Any

from django.db import migrations

from care_loops.row_policies import FIRST
from governance.migrations_sql import row_policies

# With its owner's rights, as it asks tables that it guards itself. Break-glass ends by the database's clock.
SEEN = r"""CREATE FUNCTION care_loops_seen() RETURNS uuid[] LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
DECLARE
    viewer uuid := governance_viewer();
BEGIN
    IF viewer IS NULL THEN
        RETURN ARRAY[]::uuid[];
    END IF;
    RETURN ARRAY(
        WITH RECURSIVE seen(patient) AS (
            SELECT id FROM care_loops_patient WHERE account_id = viewer
            UNION
            SELECT patient_id FROM care_loops_careteammember
                WHERE user_id = viewer AND (until IS NULL OR until > now())
            UNION
            SELECT patient_id FROM care_loops_carerlink
                WHERE user_id = viewer AND (until IS NULL OR until > now())
            UNION
            SELECT patient_id FROM care_loops_breakglass
                WHERE opened_by_id = viewer AND ended_at IS NULL AND until > now()
        ), whole(patient) AS (
            SELECT patient FROM seen
            UNION
            SELECT m.absorbed_id FROM care_loops_merge m JOIN whole w ON m.kept_id = w.patient
        )
        SELECT patient FROM whole
    );
END $$"""

# A step rides with a new loop in one statement, in which that loop is not to be seen: its own policy holds it.
THERE = r"""CREATE FUNCTION care_loops_loop_there(of_loop uuid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM care_loops_loop WHERE id = of_loop);
END $$"""


# That no patient is a probe is asked of every row, whoever writes (migration 0025).
NO_PROBE = "ALTER FUNCTION care_loops_no_probe() SECURITY DEFINER SET search_path = {schema}, pg_temp"


def make(_apps: Any, schema_editor: Any) -> None:
    """The functions that say whom a connection sees, and the one that must see everybody."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_schema())")
        (schema,) = cursor.fetchone()
        for said in (SEEN, THERE, NO_PROBE):
            cursor.execute(said.replace("{schema}", schema))


def drop(_apps: Any, schema_editor: Any) -> None:
    """Without the policies nobody asks them."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("ALTER FUNCTION care_loops_no_probe() SECURITY INVOKER RESET search_path")
        cursor.execute("DROP FUNCTION care_loops_seen(); DROP FUNCTION care_loops_loop_there(uuid)")


class Migration(migrations.Migration):
    """A function and the policies."""

    dependencies = [
        ("care_loops", "0026_partly_read"),
        ("governance", "0015_for_whom_the_database_looks"),
    ]
    operations = [migrations.RunPython(make, drop), *row_policies(FIRST, seen="care_loops_seen")]
