"""What is done: one file per verb family. Each writes inside one transaction, together with its event.

Doors import from here.
"""

from __future__ import annotations

from .access import record_access, record_listing
from .alerts import DISPOSITIONS, acknowledge_alert, dispose_alert, escalate_alerts
from .clinical import (
    NewAllergy,
    NewCondition,
    NewLab,
    NewRegimenEntry,
    NewSymptom,
    record_allergy,
    record_condition,
    record_lab,
    record_regimen_entry,
    record_symptom,
    review_symptom,
)
from .clock import expire_loops
from .consents import give_consent
from .corrections import correct_reading
from .decide import REASONS, DecisionInput, decide, recall
from .deliveries import handlers
from .enrol import (
    NewPatient,
    admit,
    enrol_patient,
    hand_over_patients,
    join_care_team,
    leave_care_team,
    link_account,
    link_carer,
    merge_patients,
    unlink_carer,
)
from .intake import NewIntake, log_intake
from .limits import NewBoundary, NewBoundaryDrug, sign_alert_limits, sign_boundary, sign_target
from .no_medicines import record_no_medicines, say_no_medicines
from .order import OrderInput, order_candidates, write_order
from .reminders import remind
from .replay import ReplayResult, replay
from .respond import Answer, deliver, respond
from .samples import Sample, take_in_samples
from .take_in import (
    Arrival,
    ArrivalOutcome,
    ArrivalResult,
    BatchProof,
    TakenIn,
    take_in,
)
from .turning import Turned, reevaluate_all, turn
from .visits import NewVisit, plan_visit, record_visit
from .windows import close_due_windows, close_window, due_windows, reevaluate_open

__all__ = [
    "DISPOSITIONS",
    "REASONS",
    "Answer",
    "Arrival",
    "ArrivalOutcome",
    "ArrivalResult",
    "BatchProof",
    "DecisionInput",
    "NewAllergy",
    "NewBoundary",
    "NewBoundaryDrug",
    "NewCondition",
    "NewIntake",
    "NewLab",
    "NewPatient",
    "NewRegimenEntry",
    "NewSymptom",
    "NewVisit",
    "OrderInput",
    "ReplayResult",
    "Sample",
    "TakenIn",
    "Turned",
    "acknowledge_alert",
    "admit",
    "close_due_windows",
    "close_window",
    "correct_reading",
    "decide",
    "deliver",
    "dispose_alert",
    "due_windows",
    "enrol_patient",
    "escalate_alerts",
    "expire_loops",
    "give_consent",
    "hand_over_patients",
    "handlers",
    "join_care_team",
    "leave_care_team",
    "link_account",
    "link_carer",
    "log_intake",
    "merge_patients",
    "order_candidates",
    "plan_visit",
    "recall",
    "record_access",
    "record_allergy",
    "record_condition",
    "record_lab",
    "record_listing",
    "record_no_medicines",
    "record_regimen_entry",
    "record_symptom",
    "record_visit",
    "reevaluate_all",
    "reevaluate_open",
    "remind",
    "replay",
    "respond",
    "review_symptom",
    "say_no_medicines",
    "sign_alert_limits",
    "sign_boundary",
    "sign_target",
    "take_in",
    "take_in_samples",
    "turn",
    "unlink_carer",
    "write_order",
]
