"""The tables of authority: accounts, credentials, signatures, policies. Other apps point at `User` and `Signature`.

Rules
 * Every row that says something happened carries `entry`, the identifier of its entry in the record (N5).
"""

from __future__ import annotations

from .accounts import Invitation, RoleAsked, RoleHeld, User
from .autonomy import AutonomyGate, AutonomyStep, GateSignature, ModelMeasurement
from .credentials import (
    Credential,
    CredentialConfirmed,
    CredentialRevoked,
    CredentialUse,
    FailedAttempt,
    RecoveryCode,
    SignedIn,
    TokenUnder,
    WayBack,
)
from .findings import Finding, FindingEvent, FindingOccurrence, Incident, IncidentEvent
from .notices import ContactPoint, Notice, NoticeTry, OnCallShift, ShiftCover
from .oversight import Suspension, SuspensionEnd, SuspensionEndAsked
from .quorum import Approval, Motion
from .signing import PolicyVersion, Signature, SignatureEvidence, SigningChallenge

__all__ = [
    "Approval",
    "AutonomyGate",
    "AutonomyStep",
    "ContactPoint",
    "Credential",
    "CredentialConfirmed",
    "CredentialRevoked",
    "CredentialUse",
    "FailedAttempt",
    "Finding",
    "FindingEvent",
    "FindingOccurrence",
    "GateSignature",
    "Incident",
    "IncidentEvent",
    "Invitation",
    "ModelMeasurement",
    "Motion",
    "Notice",
    "NoticeTry",
    "OnCallShift",
    "PolicyVersion",
    "RecoveryCode",
    "RoleAsked",
    "RoleHeld",
    "ShiftCover",
    "Signature",
    "SignatureEvidence",
    "SignedIn",
    "SigningChallenge",
    "Suspension",
    "SuspensionEnd",
    "SuspensionEndAsked",
    "TokenUnder",
    "User",
    "WayBack",
]
