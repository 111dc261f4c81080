"""The tables of the record. Evidence is only ever added; no table here knows, or is known by, another app's table.

The rules
 * Evidence (Pending, ObjectVersion, Payload, Entry, TreeState, Tile, Checkpoint, Cosignature, Timestamp): INSERT and
   SELECT only, held by rights and by triggers (SECURITY 1.2). The one DELETE is of a pending row that already stands
   in Entry.
 * Working tables (DataKey, PayloadKey, IdempotencyKey, Outbox, Inbox, DenialTally) have the narrow grants they need;
   a key is destroyed only beside the entry that says so (migration 0002).
 * Leaf bytes are kept exactly (bytea), never as JSONB (SECURITY 3.3).
 * Columns of Entry beside the leaf repeat what the leaf says, to be searched; verification compares them.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models.functions import Now


class Xid8Field(models.Field[Any, Any]):
    """PostgreSQL's 64-bit transaction id, which does not wrap around."""

    def db_type(self, connection: Any) -> str:
        """The column type."""
        return "xid8"


class CurrentXid(models.Func):
    """The id of the transaction that inserts the row."""

    function = "pg_current_xact_id"
    output_field = Xid8Field()


class ClockTimestamp(models.Func):
    """The database's wall clock, not the start of the transaction."""

    function = "clock_timestamp"
    output_field = models.DateTimeField()


class Pending(models.Model):
    """An entry written in its business transaction and not yet given a position. Never relied on for order."""

    id = models.BigAutoField(primary_key=True)
    entry_id = models.UUIDField(unique=True)
    txid = Xid8Field(db_default=CurrentXid())
    leaf = models.BinaryField()
    leaf_hash = models.BinaryField()
    prev = models.BinaryField(null=True)

    class Meta:
        indexes = (models.Index(fields=["txid", "id"], name="audit_pending_by_tx"),)


class ObjectVersion(models.Model):
    """Which entry is version n of an object. The primary key stops two entries from both being version n."""

    pk = models.CompositePrimaryKey("object_type", "object_id", "version")
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=1024)
    version = models.BigIntegerField()
    entry_id = models.UUIDField()
    leaf_hash = models.BinaryField()

    class Meta:
        constraints = (models.CheckConstraint(name="audit_version_from_one", condition=models.Q(version__gte=1)),)


class Payload(models.Model):
    """What a person said or measured, beside the log. The entry holds only a salted commitment to it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    entry_id = models.UUIDField(unique=True)
    commit = models.BinaryField()
    salt = models.BinaryField()
    alg = models.CharField(max_length=32)
    dek_id = models.CharField(max_length=128, null=True)  # noqa: DJ001  (no key is not an empty name)
    body = models.BinaryField()


class DataKey(models.Model):
    """The data key of a person (by pseudonym) or of the site itself (no subject), wrapped by a site key.

    One is alive at a time. A rewrap changes `kek_id` and `wrapped`; destroying empties `wrapped`, once and for ever.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    subject = models.CharField(max_length=64, null=True)  # noqa: DJ001  (the site's own)
    kek_id = models.CharField(max_length=64)
    wrapped = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())
    destroyed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                name="audit_datakey_one_alive",
                fields=["subject"],
                condition=models.Q(destroyed_at__isnull=True),
                nulls_distinct=False,
            ),
        )
        indexes = (models.Index(fields=["kek_id"], name="audit_datakey_by_site_key"),)


class PayloadKey(models.Model):
    """The key and salt of one payload, sealed under a data key. Deleted when the payload is shredded, never changed."""

    payload_id = models.UUIDField(primary_key=True)
    dek_id = models.UUIDField(db_index=True)
    sealed = models.BinaryField()


class LegalHold(models.Model):
    """While it is open, nothing of a person (by pseudonym; no subject: of anybody) is destroyed, purged or detached."""

    name = models.CharField(max_length=128, primary_key=True)
    subject = models.CharField(max_length=64, null=True)  # noqa: DJ001  (everything)
    placed_at = models.DateTimeField(db_default=Now())
    released_at = models.DateTimeField(null=True)


class Entry(models.Model):
    """An entry at its place in the log. `position` counts from 0 without a gap."""

    position = models.BigIntegerField(primary_key=True)
    entry_id = models.UUIDField(unique=True)
    leaf = models.BinaryField()
    leaf_hash = models.BinaryField(unique=True)
    type = models.CharField(max_length=64)
    at = models.DateTimeField()
    occurred_at = models.DateTimeField()
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=1024)
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=1024)
    object_version = models.BigIntegerField(null=True)
    subject = models.CharField(max_length=64, null=True)  # noqa: DJ001  (about nobody)
    outcome = models.CharField(max_length=16)

    class Meta:
        indexes = (
            models.Index(fields=["subject", "position"], name="audit_entry_by_subject"),
            models.Index(fields=["object_type", "object_id", "position"], name="audit_entry_by_object"),
            models.Index(fields=["actor_id", "position"], name="audit_entry_by_actor"),
            models.Index(fields=["type", "position"], name="audit_entry_by_type"),
            models.Index(fields=["at"], name="audit_entry_by_time"),
        )
        constraints = (
            models.CheckConstraint(name="audit_entry_position_from_zero", condition=models.Q(position__gte=0)),
        )


class Segment(models.Model):
    """A part of the log, [start, stop), whose entries were moved into an archive. `hashes` is the packed compact range
    at `stop`, the anchor from which the tree goes on; `entry_id` the entry that sealed it.
    """

    number = models.BigIntegerField(primary_key=True)
    start = models.BigIntegerField()
    stop = models.BigIntegerField(unique=True)
    root = models.BinaryField()
    hashes = models.BinaryField()
    archive = models.CharField(max_length=200)
    archive_sha256 = models.CharField(max_length=64)
    entry_id = models.UUIDField()
    at = models.DateTimeField(db_default=Now())


class Detached(models.Model):
    """What stays of an entry that was detached with its segment, so that it is never taken for unknown."""

    entry_id = models.UUIDField(primary_key=True)
    position = models.BigIntegerField(unique=True)
    leaf_hash = models.BinaryField(unique=True)
    type = models.CharField(max_length=64)
    outcome = models.CharField(max_length=16)
    at = models.DateTimeField()


class TreeState(models.Model):
    """The tree after a batch: size, packed compact range, root. One row per batch, none ever changed."""

    size = models.BigIntegerField(primary_key=True)
    hashes = models.BinaryField()
    root = models.BinaryField()
    at = models.DateTimeField(db_default=Now())


class Tile(models.Model):
    """A full tile: 256 hashes of one level. Its root is one hash of the level eight higher, so proofs need few rows."""

    pk = models.CompositePrimaryKey("level", "index")
    level = models.SmallIntegerField()
    index = models.BigIntegerField()
    hashes = models.BinaryField()
    root = models.BinaryField()


class Checkpoint(models.Model):
    """A signed statement of size and root (C2SP tlog-checkpoint); `note` is the exact signed text."""

    size = models.BigIntegerField(primary_key=True)
    root = models.BinaryField()
    note = models.BinaryField()
    key_name = models.CharField(max_length=255)
    at = models.DateTimeField(db_default=Now())


class Cosignature(models.Model):
    """A witness's signature line under the checkpoint of that size, exactly as it was answered."""

    pk = models.CompositePrimaryKey("size", "key_name")
    size = models.BigIntegerField()
    key_name = models.CharField(max_length=255)
    line = models.BinaryField()
    at = models.DateTimeField(db_default=Now())


class Timestamp(models.Model):
    """A timestamp token (RFC 3161) over the checkpoint of that size; `authority` is where it was asked for."""

    size = models.BigIntegerField(primary_key=True)
    authority = models.CharField(max_length=255)
    token = models.BinaryField()
    at = models.DateTimeField(db_default=Now())


class IdempotencyKey(models.Model):
    """The answer once given to (actor, route, key), written in the transaction of the effect: both stand or neither."""

    actor = models.CharField(max_length=255)
    route = models.CharField(max_length=255)
    key = models.CharField(max_length=255)
    body_sha256 = models.BinaryField()
    status = models.SmallIntegerField()
    content_type = models.CharField(max_length=100)
    body = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (models.UniqueConstraint(name="audit_idempotency_once", fields=["actor", "route", "key"]),)
        indexes = (models.Index(fields=["created_at"], name="audit_idempotency_by_age"),)


class Outbox(models.Model):
    """A message to be delivered after commit, at least once. The payload is identifiers only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    topic = models.CharField(max_length=100)
    payload = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())
    available_at = models.DateTimeField(db_default=Now())
    attempts = models.SmallIntegerField(default=0, db_default=0)
    sent_at = models.DateTimeField(null=True)
    parked_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, default="", db_default="")

    class Meta:
        indexes = (
            models.Index(
                fields=["topic", "available_at"],
                name="audit_outbox_due",
                condition=models.Q(sent_at__isnull=True, parked_at__isnull=True),
            ),
        )


class Inbox(models.Model):
    """A message a consumer has taken: the effect and this row commit together, so the effect happens once."""

    pk = models.CompositePrimaryKey("consumer", "message_id")
    consumer = models.CharField(max_length=100)
    message_id = models.UUIDField()
    at = models.DateTimeField(db_default=Now())


class Export(models.Model):
    """An export that was asked for, and how far it is. What was asked never changes; the file goes when it expires.

    `asked` is what was asked for as canonical JSON, in identifiers; `error` is the name of what ended it.
    """

    STATES = ("asked", "running", "done", "failed", "expired")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    report = models.CharField(max_length=32)
    asked = models.TextField()
    purpose = models.CharField(max_length=32)
    recipient = models.CharField(max_length=200)
    asked_by = models.CharField(max_length=255)
    asked_at = models.DateTimeField()
    state = models.CharField(max_length=16, default="asked", db_default="asked")
    attempts = models.SmallIntegerField(default=0, db_default=0)
    done = models.BigIntegerField(default=0, db_default=0)
    total = models.BigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, default="", db_default="")
    report_sha256 = models.CharField(max_length=64, default="", db_default="")
    bytes = models.BigIntegerField(null=True)
    entries = models.BigIntegerField(null=True)
    error = models.CharField(max_length=64, default="", db_default="")
    begun_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=["asked_by", "-asked_at"], name="audit_export_by_person"),
            models.Index(fields=["state", "asked_at"], name="audit_export_by_state"),
        )
        constraints = (
            models.CheckConstraint(
                name="audit_export_state_known",
                condition=models.Q(state__in=["asked", "running", "done", "failed", "expired"]),
            ),
            models.CheckConstraint(
                name="audit_export_done_has_its_file",
                condition=~models.Q(state="done") | (~models.Q(sha256="") & models.Q(expires_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="audit_export_failed_has_its_reason", condition=~models.Q(state="failed") | ~models.Q(error="")
            ),
        )


class DenialTally(models.Model):
    """Denials of one kind by one actor in one minute: the first are recorded one by one, the rest counted."""

    actor = models.CharField(max_length=255)
    type = models.CharField(max_length=64)
    reason_code = models.CharField(max_length=128)
    minute = models.DateTimeField()
    count = models.IntegerField(default=1)
    sample = models.JSONField()

    class Meta:
        constraints = (
            models.UniqueConstraint(name="audit_tally_once", fields=["actor", "type", "reason_code", "minute"]),
        )
