"""What is stored beside the log says what the log says: versions, tiles, and tokens over checkpoints.

Asked by verification after the entries themselves (T5, T8, V8, V15): a row put in here would stop an object's next
entry, or lend a checkpoint a time that nobody vouched for.
"""

from __future__ import annotations

from uuid import UUID

from django.db import connections

from audit import canonical, entries
from audit.kinds import UnknownKind
from audit.services import keys
from audit.services.timestamping import StampFailed, unsound_token
from audit.verification import Bad

_ASTRAY = """
SELECT v.entry_id FROM audit_objectversion v JOIN audit_entry e USING (entry_id)
WHERE (v.object_type, v.object_id, v.version) IS DISTINCT FROM (e.object_type, e.object_id, e.object_version) LIMIT 1
"""
_BEYOND = """
SELECT level, index FROM audit_tile
WHERE (index + 1) * 256::numeric ^ (level + 1) > (SELECT coalesce(max(size), 0) FROM audit_treestate) LIMIT 1
"""
_PENDING = """
SELECT v.entry_id, v.object_type, v.object_id, v.version, p.leaf
FROM audit_objectversion v JOIN audit_pending p USING (entry_id)
"""


def first_astray(using: str) -> Bad | None:
    """The first version, tile or token that does not answer to the log."""
    if (entry_id := _version_astray(using)) is not None:
        return Bad(None, str(entry_id), "version-astray", "the index of versions says another thing than the entry")
    with connections[using].cursor() as cursor:
        cursor.execute(_BEYOND)
        if row := cursor.fetchone():
            return Bad(None, None, "tile-beyond", f"tile {row[0]}/{row[1]} is of a longer log")
    try:
        if (token := unsound_token(using=using)) is not None:
            return Bad(None, None, f"timestamp-{token[1]}", f"the timestamp token over size {token[0]}")
    except StampFailed as err:
        return Bad(None, None, f"timestamp-{err.code}", "the authority's root certificates cannot be read")
    return None


def _version_astray(using: str) -> UUID | None:
    with connections[using].cursor() as cursor:
        cursor.execute(_ASTRAY)
        if row := cursor.fetchone():
            return UUID(str(row[0]))
        cursor.execute(_PENDING)
        for entry_id, *place, leaf in cursor:
            if place != _place(bytes(leaf)):
                return UUID(str(entry_id))
    return None


def _place(leaf: bytes) -> list[object]:
    """Type, id and version that a pending entry says; nothing where it says nothing that can be read."""
    try:
        said = entries.read_leaf(leaf, origin=keys.origin())["object"]
    except (entries.EntryInvalid, canonical.NotCanonical, UnknownKind):
        return []
    return [said["type"], said["id"], said["version"]]
