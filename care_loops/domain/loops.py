"""States of a recommendation and what people decide (DESIGN 8)."""

from __future__ import annotations

from enum import StrEnum


class LoopState(StrEnum):
    """Where a recommendation stands."""

    PROPOSED = "proposed"
    WITHHELD = "withheld"
    WITH_PATIENT = "with_patient"
    WITH_CLINICIAN = "with_clinician"
    APPROVED = "approved"
    MODIFIED = "modified"
    REJECTED = "rejected"
    DELIVERED = "delivered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    RECALLED = "recalled"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    DONE = "done"


class DecisionKind(StrEnum):
    """What a clinician decided."""

    APPROVE = "approve"
    MODIFY = "modify"
    REJECT = "reject"


class Origin(StrEnum):
    """Who began the loop: the machine's proposal, or a clinician's own order."""

    PROPOSAL = "proposal"
    ORDER = "order"
