"""What is done under authority: who acts, what they sign, which policy is set. One file per verb family."""

from __future__ import annotations

from .acting import Acting, acting_device, acting_job, acting_person, record_denial
from .policies import approve_policy, propose_policy
from .signatures import sign
from .signing import Act

__all__ = [
    "Act",
    "Acting",
    "acting_device",
    "acting_job",
    "acting_person",
    "approve_policy",
    "propose_policy",
    "record_denial",
    "sign",
]
