"""What may be done to the record, one file per verb family. Others call `append`, `append_denied`, `idempotent`,
`enqueue`, `relay` and nothing below them.
"""

from audit.services.commands import (
    BodyDiffers,
    StillRunning,
    StoredResponse,
    idempotent,
)
from audit.services.delivery import Message, RelayReport, enqueue, relay, take_once
from audit.services.denials import append_denied, flush_denials
from audit.services.publishing import publish
from audit.services.recording import NotInTransaction, ObjectVersionTaken, VersionGap, append
from audit.services.sequencing import sequence_batch, sequence_until_empty

__all__ = [
    "BodyDiffers",
    "Message",
    "NotInTransaction",
    "ObjectVersionTaken",
    "RelayReport",
    "StillRunning",
    "StoredResponse",
    "VersionGap",
    "append",
    "append_denied",
    "enqueue",
    "flush_denials",
    "idempotent",
    "publish",
    "relay",
    "sequence_batch",
    "sequence_until_empty",
    "take_once",
]
