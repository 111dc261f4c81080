"""What a danger rule says: kinds of alert, how grave, what to ask for, what it stops.

Rules
 * A finding is of one kind about one event; the rows that spoke, their citations and the evidence travel with it.
 * `lock` ends only by a clinician's recorded disposition; a bar ends when its evidence leaves the danger window.
 * What a finding stops is machine advice. A clinician's own order is never stopped here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .provenance import Source


class AlertKind(StrEnum):
    """What is wrong. Repeats of a kind coalesce into one open alert."""

    CRISIS = "crisis"
    LOW = "low"
    LOW_DIASTOLIC = "low_diastolic"
    AMBER_LOW = "amber_low"
    HIGH_DIASTOLIC = "high_diastolic"
    ORTHOSTATIC = "orthostatic"
    HEART_RATE = "heart_rate"
    DANGEROUS_LAB = "dangerous_lab"
    ANGIOEDEMA = "angioedema"
    SYNCOPE = "syncope"
    SYMPTOM = "symptom"
    SICK_DAY = "sick_day"
    PREGNANCY = "pregnancy"
    PREGNANCY_DRUG = "pregnancy_drug"
    PREGNANCY_PRESSURE = "pregnancy_pressure"
    PREGNANCY_SYMPTOM = "pregnancy_symptom"
    PATIENT_ASKS = "patient_asks"  # no danger rule: a person is asked for
    REGIMEN_CHANGED = "regimen_changed"  # no danger rule: elsewhere, so that a change on its way stands no longer
    NOT_REACHED = "not_reached"  # no danger rule: a reduction or a stop that was signed has not come about in time


class AlertSeverity(StrEnum):
    """How grave, lowest first."""

    INFO = "info"
    CARD = "card"
    URGENT = "urgent"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the lowest."""
        return list(AlertSeverity).index(self)


class Ask(StrEnum):
    """What to ask of patient or clinician, as a code the presenters put into words."""

    CALL_EMERGENCY = "call_emergency"
    REPEAT_NOW = "repeat_now"
    MEASURE_NOW = "measure_now"
    CUFF_READING = "cuff_reading"
    SYMPTOM_QUESTIONNAIRE = "symptom_questionnaire"
    CONTACT_CARE_TEAM = "contact_care_team"
    TARGET_ORGAN_TESTS = "target_organ_tests"
    CONSIDER_REDUCTION = "consider_reduction"
    REVIEW_MEDICATION = "review_medication"
    STANDING_PRESSURE = "standing_pressure"
    SICK_DAY_PAUSE = "sick_day_pause"
    STOP_DRUG_REVIEW = "stop_drug_review"
    REPEAT_LAB = "repeat_lab"


class Scope(StrEnum):
    """What a bar stops: anything that goes straight to the patient, any increase, an increase of what slows the heart,
    routine advice such as lifestyle cards."""

    PATIENT_FACING = "patient_facing"
    UP_TITRATION = "up_titration"
    RATE_SLOWING = "rate_slowing"
    ROUTINE_ADVICE = "routine_advice"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the rules say of one event, one kind.

    `page`: wake somebody now. `lock`: the danger lock. `bars`: what is stopped while the evidence is in the window.
    `same_day_item`: a clinician looks today. `unverified`: not yet confirmed by a second cuff reading. `historic`:
    older than the danger window; it stops nothing and pages nobody. `limits`: those signed for this patient by which a
    rule spoke.
    """

    kind: AlertKind
    severity: AlertSeverity
    page: bool
    lock: bool
    bars: frozenset[Scope]
    same_day_item: bool
    unverified: bool
    historic: bool
    asks: tuple[Ask, ...]
    evidence: tuple[str, ...]
    rules: tuple[str, ...]
    sources: tuple[Source, ...]
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """One thing that is stopped, and by which evidence under which rule."""

    scope: Scope
    kind: AlertKind
    rule: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """Whom an unacknowledged alert reaches next, and how many minutes after it was raised."""

    after_minutes: int
    role: str
