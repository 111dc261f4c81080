"""What the database itself holds of the entrance: what arrived only grows, and of the rest only named columns move.

Rules
 * Batch, Received and RefusedReading take inserts only. A key can be revoked, an assignment ended, a mark raised.
 * Every entry that a row names must exist at commit (N5), also the entry of a revocation.
"""

from __future__ import annotations

from django.db import migrations

from audit.migrations_sql import entry_reference_trigger
from governance.migrations_sql import controls, no_deletion, only_grows, rights

GROWS = [f"edge_wearables_{name}" for name in ("batch", "device", "enrolmentcode", "refusedreading")]
MOVES = {
    "edge_wearables_devicekey": ["revoked_at", "revoked_reason", "revoked_entry"],
    "edge_wearables_deviceassignment": ["until", "ended_entry"],
}
RECEIVED, MARK = "edge_wearables_received", "edge_wearables_bootmark"


class Migration(migrations.Migration):
    """Rights, growth, entries."""

    dependencies = [
        ("edge_wearables", "0001_initial"),
        ("governance", "0002_controls"),
        ("audit", "0001_initial"),
    ]
    operations = [
        *controls(grows=GROWS, moves=MOVES),
        rights({RECEIVED: (), MARK: ("high_water", "gaps")}),
        only_grows(RECEIVED),
        no_deletion(MARK),
        entry_reference_trigger("edge_wearables_devicekey", "revoked_entry"),
        entry_reference_trigger("edge_wearables_deviceassignment", "ended_entry"),
    ]
