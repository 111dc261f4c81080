"""An account is not closed, opened or raised, and no role ends, without the entry that says so (N5).

Rules
 * Bookkeeping of signing in (last sign-in, password, names) moves as before.
 * No account stands above the table of permissions: there is no superuser and no staff flag, for nobody.
"""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import moves_by_entry, no_deletion

NOBODY_ABOVE = """
CREATE FUNCTION governance_nobody_above() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.is_superuser OR NEW.is_staff THEN
        RAISE EXCEPTION 'no account stands above the table of permissions' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER governance_nobody_above BEFORE INSERT OR UPDATE ON governance_user
    FOR EACH ROW EXECUTE FUNCTION governance_nobody_above();
ALTER TABLE governance_user ENABLE ALWAYS TRIGGER governance_nobody_above;
"""


class Migration(migrations.Migration):
    """Triggers of accounts and roles."""

    dependencies = [("governance", "0005_credentials_stay"), ("audit", "0001_initial")]
    operations = [
        migrations.RunSQL(sql=NOBODY_ABOVE, reverse_sql="DROP FUNCTION governance_nobody_above() CASCADE"),
        moves_by_entry(
            "governance_user",
            ["is_active", "left_at"],
            kinds=["staff.left", "carer.left", "account.disabled", "account.enabled"],
            of="id",
        ),
        no_deletion("governance_user"),
        moves_by_entry("governance_roleheld", ["until"], kinds=["role.revoked"], of="user_id"),
    ]
