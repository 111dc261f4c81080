"""What the entrance does: take in batches, enrol and hand over devices, read files. One file per verb family."""

from __future__ import annotations

from .batches import Answer, Busy, receive
from .devices import (
    Claim,
    NewDevice,
    add_device,
    assign_device,
    enrol_device,
    issue_code,
    revoke_device,
    unassign_device,
)

__all__ = [
    "Answer",
    "Busy",
    "Claim",
    "NewDevice",
    "add_device",
    "assign_device",
    "enrol_device",
    "issue_code",
    "receive",
    "revoke_device",
    "unassign_device",
]
