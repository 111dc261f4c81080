"""What has expired goes only beside its tombstone: the question that other apps' guards ask of the record.

An entry `retention.purged` of this very transaction, about this class and this person or period, whose person is not
under a legal hold (DAT-09; 21 CFR 11.10(c)).
"""

from django.db import migrations

import audit.migrations_sql

FUNCTIONS = """
CREATE FUNCTION audit_may_expire(of_class text, of_scope text) RETURNS boolean LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
    SELECT pg_advisory_xact_lock_shared(1264);
    SELECT EXISTS (
        SELECT 1 FROM audit_pending p,
            LATERAL (SELECT split_part(convert_from(p.leaf, 'UTF8'), E'\\n', 3)::jsonb AS said) x
        WHERE p.txid = pg_current_xact_id() AND said ->> 'type' = 'retention.purged'
          AND said #>> '{object,type}' = 'retention' AND said #>> '{object,id}' = of_class || ':' || of_scope
          AND audit_held(said ->> 'subject') IS NULL)
$$;
"""
TRIGGERS = ()


class Migration(migrations.Migration):
    """The way out for what has expired."""

    dependencies = [("audit", "0007_legal_hold")]
    operations = [audit.migrations_sql.make_guards(FUNCTIONS, TRIGGERS)]
