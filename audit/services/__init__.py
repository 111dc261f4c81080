"""What may be done to the record, one file per verb family."""

from audit.services.recording import NotInTransaction, ObjectVersionTaken, VersionGap, append

__all__ = ["NotInTransaction", "ObjectVersionTaken", "VersionGap", "append"]
