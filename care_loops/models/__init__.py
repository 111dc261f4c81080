"""The tables of the record and of the loops. Other apps never touch them.

Rules
 * Evidence tables only grow: the application may insert and select; triggers refuse the rest (migration 0002).
 * Every row that says something happened carries `entry`, the identifier of its audit entry; a deferred trigger
   refuses a commit in which that entry does not exist (N5).
"""

from __future__ import annotations

from .alerts import Alert, AlertEvent
from .limits import Boundary, BoundaryDrug, Target
from .loops import Decision, Loop, Message, Step
from .observations import BloodPressure, Correction, IntakeLog, Lab, SensorSample, Symptom, SymptomReview
from .people import CarerLink, CareTeamMember, Consent, Merge, Patient
from .record import Allergy, Condition, FirstIntake, ImportRefusal, RegimenEntry
from .visits import VisitPlan

__all__ = [
    "Alert",
    "AlertEvent",
    "Allergy",
    "BloodPressure",
    "Boundary",
    "BoundaryDrug",
    "CareTeamMember",
    "CarerLink",
    "Condition",
    "Consent",
    "Correction",
    "Decision",
    "FirstIntake",
    "ImportRefusal",
    "IntakeLog",
    "Lab",
    "Loop",
    "Merge",
    "Message",
    "Patient",
    "RegimenEntry",
    "SensorSample",
    "Step",
    "Symptom",
    "SymptomReview",
    "Target",
    "VisitPlan",
]
