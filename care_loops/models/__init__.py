"""The tables of the record and of the loops. Other apps never touch them.

Rules
 * Evidence tables only grow: the application may insert and select; triggers refuse the rest (migration 0002).
 * Every row that says something happened carries `entry`, the identifier of its audit entry; a deferred trigger
   refuses a commit in which that entry does not exist (N5).
"""

from __future__ import annotations

from .adverse import AdverseEvent
from .alerts import Alert, AlertEvent
from .devices import KnownDevice
from .glass import BreakGlass, BreakGlassRead, BreakGlassReview
from .limits import AlertLimits, Boundary, BoundaryDrug, Target
from .loops import Decision, Look, Loop, Message, Step
from .observations import BloodPressure, Correction, IntakeLog, Lab, SensorSample, Symptom, SymptomReview
from .oversight import DecideFirst, FirstAnswer, FirstRule, Probe, ProbeAnswer, ProbePerson, ProbeRule
from .people import CarerLink, CareTeamMember, Consent, Merge, Patient, read_together, sealed_identity
from .record import Allergy, Condition, FirstIntake, ImportRefusal, ImportRun, ImportStage, RegimenEntry
from .reviews import ReviewDraw, ReviewSeed, SecondReading, SecondReview, SecondVerdict
from .visits import Reminder, Visit, VisitPlan

__all__ = [
    "AdverseEvent",
    "Alert",
    "AlertEvent",
    "AlertLimits",
    "Allergy",
    "BloodPressure",
    "Boundary",
    "BoundaryDrug",
    "BreakGlass",
    "BreakGlassRead",
    "BreakGlassReview",
    "CareTeamMember",
    "CarerLink",
    "Condition",
    "Consent",
    "Correction",
    "DecideFirst",
    "Decision",
    "FirstAnswer",
    "FirstIntake",
    "FirstRule",
    "ImportRefusal",
    "ImportRun",
    "ImportStage",
    "IntakeLog",
    "KnownDevice",
    "Lab",
    "Look",
    "Loop",
    "Merge",
    "Message",
    "Patient",
    "Probe",
    "ProbeAnswer",
    "ProbePerson",
    "ProbeRule",
    "RegimenEntry",
    "Reminder",
    "ReviewDraw",
    "ReviewSeed",
    "SecondReading",
    "SecondReview",
    "SecondVerdict",
    "SensorSample",
    "Step",
    "Symptom",
    "SymptomReview",
    "Target",
    "Visit",
    "VisitPlan",
    "read_together",
    "sealed_identity",
]
