"""The question at commit whether a row's entry exists, asked without composing a statement each time.

What is asked does not change, nor of which tables. Nearly every column asked about is called `entry`: it is read from
the row as it stands; a column of another name is looked up by its name, as before.
"""

from django.db import migrations

import audit.migrations_sql

FUNCTION = """
CREATE OR REPLACE FUNCTION audit_entry_exists() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
DECLARE
    named uuid;
BEGIN
    IF TG_ARGV[0] = 'entry' THEN
        named := NEW.entry;
    ELSE
        EXECUTE format('SELECT ($1).%I', TG_ARGV[0]) INTO named USING NEW;
    END IF;
    IF named IS NULL
       OR EXISTS (SELECT 1 FROM audit_pending WHERE entry_id = named)
       OR EXISTS (SELECT 1 FROM audit_entry WHERE entry_id = named)
       OR EXISTS (SELECT 1 FROM audit_detached WHERE entry_id = named) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '%.% names entry %, which is not in the record', TG_TABLE_NAME, TG_ARGV[0], named
        USING ERRCODE = 'foreign_key_violation';
END $$;
"""


class Migration(migrations.Migration):
    """The same guard with a plan that is kept."""

    dependencies = [("audit", "0009_segments")]
    operations = [audit.migrations_sql.make_guards(FUNCTION, (), way_back=False)]
